"""Means for testing a ledger and what is built on it, for users too."""
