"""The one ordered, append-only record: writing it, reading it, following it."""
