"""Checkpoints of readers: how far somebody has read the log, and what it was, so that another past is not taken for it.

A log that is put back from a copy has lost its end, and may grow to another past. Whoever keeps what follows from the
log, or a number that somebody else gave by it, keeps the leaf hash of the last event as well. Each event has random
bytes of its own, so a log with the same event there has the same events before it.
"""

from typing import Final

from ledger.log.entries import entry_bytes, leaf_hash
from ledger.log.store import EventRow, Store

NOTHING: Final = ""
"""A checkpoint that says nothing of the log: nothing was read, or by a release that kept none."""


def leaf_of(row: EventRow) -> str:
    """Return the leaf hash of an event, as hex."""
    return leaf_hash(entry_bytes(row)).hex()


def checkpoint(position: int, leaf: str) -> str:
    """Return the checkpoint of a log read up to a position, whose event has this leaf hash; where empty, NOTHING."""
    return f"{position}-{leaf}" if position and leaf else NOTHING


def checkpoint_at(row: EventRow) -> str:
    """Return the checkpoint of a log read up to an event."""
    return checkpoint(row.position, leaf_of(row))


def position_of(told: str) -> int:
    """Return how far a checkpoint goes; 0 for NOTHING."""
    return int(told.partition("-")[0] or 0)


def holds(store: Store, told: str) -> bool:
    """Tell whether the log is still the one that a checkpoint was made of; what says nothing holds always.

    Raises:
        LogDamaged, StoreFailed, StoreClosed: the log does not answer.
    """
    if told == NOTHING:
        return True
    row = store.get(position_of(told))
    return row is not None and checkpoint_at(row) == told
