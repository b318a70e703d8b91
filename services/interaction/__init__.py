"""InteractionService: what happened between an organization and its customers."""
