"""Errors of the ledger.

    LedgerError
    ├── OutcomeUnknown    the write may have happened; ask again with the same request_id
    ├── StoreClosed       the store takes no calls any more
    └── StoreFailed       the write did not happen
"""


class LedgerError(Exception):
    """Base of every error that the ledger raises on purpose."""


class OutcomeUnknown(LedgerError):
    """The commit was sent and its answer was lost: the events are either all stored or none of them.

    Never retried by the ledger and never called a conflict (A3). Whoever wants to know looks the request up.
    """


class StoreClosed(LedgerError):
    """The store was closed, by its owner or by itself after an error of the disk; nothing was done."""


class StoreFailed(LedgerError):
    """The store could not do what was asked, and nothing was written."""
