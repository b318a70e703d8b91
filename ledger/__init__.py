"""The ledger of relationships as a library: events, their log, and what is folded from them."""
