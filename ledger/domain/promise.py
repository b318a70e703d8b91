"""Promises made to a customer (relationship.md 12)."""

from typing import Final

from ledger.domain.fact import Fact
from ledger.domain.times import END_OF_TIME

TOPICS: Final[tuple[str, ...]] = ()
"""What this subject folds."""


class PromiseState:
    """Fold of one relationship."""

    __slots__ = ("_until",)

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what was recorded is a fact."""
