"""PolicyService: what an organization publishes."""
