"""Checkpoints: what the log was when changes got their numbers, so that a number is not taken for another change's.

Changes and their numbers follow from the log alone. So a number says what it said as long as the log still has the
event up to which changes were found then; a log that was put back has another one there, or none.
"""

from typing import Final

from ledger.domain.errors import Rejected
from ledger.log.entries import entry_bytes, leaf_hash
from ledger.log.store import EventRow, Store
from rapport.errors.v1 import error_reason_pb2 as reasons

NOTHING: Final = ""
"""Says nothing of the log."""


def leaf_of(row: EventRow) -> str:
    """Return the leaf hash of an event, as hex. Each event has random bytes of its own, so no other one has it."""
    return leaf_hash(entry_bytes(row)).hex()


def checkpoint(position: int, leaf: str) -> str:
    """Return the checkpoint of a log up to a position, whose event has this leaf hash; empty: it is not known."""
    return f"{position}-{leaf}" if position and leaf else NOTHING


def prove(store: Store, told: str) -> int:
    """Return the position of a checkpoint, once it is sure that the log is still the one that it was told of.

    `told`: one that `checkpoint` made, and not NOTHING.

    Raises:
        Rejected: CHANGES_BEGUN_ANEW.
        LogDamaged, StoreFailed, StoreClosed: the log does not answer.
    """
    number, _, leaf = told.partition("-")
    position = int(number)
    row = store.get(position)
    if row is None or leaf_of(row) != leaf:
        raise Rejected(
            reasons.ERROR_REASON_CHANGES_BEGUN_ANEW,
            "the log was put back and has another past than when the number was told; start over after number 0",
            position=position,
        )
    return position
