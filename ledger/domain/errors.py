"""Errors of the ledger.

    LedgerError
    ├── OutcomeUnknown    the write may have happened; ask again with the same request_id
    ├── StoreClosed       the store takes no calls any more
    ├── StoreFailed       the write did not happen
    └── StoreRefused      the database is set up so that nothing may be kept in it
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


class StoreRefused(LedgerError):
    """The database is not one to keep a ledger in: a setting that durability rests on is off, or it holds another thing.

    Raised when a store is opened; the message names the setting, what it should be and what it is.
    """
