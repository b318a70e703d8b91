"""The processes that serve the ledger, one folder each, and what its callers use: the client and the command."""
