"""ExchangeService: what an organization and its customers gave each other."""
