"""When contact points and common ground held: what the first instant of a relationship is looked up in.

States of the subjects know what holds now. When something held before it was revoked, replaced or ended, only this
tells; it is read for answers, and kept for the few facts of these topics that a relationship has.
"""

from collections.abc import Iterator
from typing import Any, Final

from ledger.domain.fact import Fact
from ledger.domain.profile import IDENTIFIER_REVOKED, IDENTIFIER_VERIFIED
from ledger.domain.times import END_OF_TIME
from rapport.events.v1.disclosure_pb2 import PROVENANCE_DECLARED

GROUND_DECLARED: Final = "common_ground.declared.v1"
GROUND_ENDED: Final = "common_ground.ended.v1"

Interval = tuple[int, int]
"""From when, and from when no more, in microseconds."""
Word = tuple[int, int, bool]
"""Occur time, position, and whether it holds from then on."""


class Ties:
    """Fold of the contact points and the common ground of one customer."""

    __slots__ = ("_until", "grounds", "identifiers")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self.identifiers: dict[str, list[Word]] = {}
        """Words on each contact point, in the order in which they were recorded."""
        self.grounds: dict[str, list[Word]] = {}
        """Words on each common ground; only declared ground holds (relationship.md 3)."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact of `TIES`."""
        if fact.occur_time > self._until:
            return
        event: Any = fact.event  # The topic says which.
        match fact.topic:
            case "identifier.verified.v1" | "identifier.revoked.v1":
                words, holds = self.identifiers, fact.topic == IDENTIFIER_VERIFIED
                key = event.contact_point_id
            case _:
                words, key = self.grounds, event.item_id
                holds = fact.topic == GROUND_DECLARED and event.provenance == PROVENANCE_DECLARED
        words.setdefault(key, []).append((fact.occur_time, fact.position, holds))


TIES: Final = (IDENTIFIER_VERIFIED, IDENTIFIER_REVOKED, GROUND_DECLARED, GROUND_ENDED)
"""Topics that are folded here."""


def spans(words: list[Word]) -> Iterator[Interval]:
    """Yield when something held, by what was said of it; each word holds until the next by (occur time, position)."""
    since: int | None = None
    for time, _, holds in sorted(words):
        if holds and since is None:
            since = time
        elif not holds and since is not None:
            yield since, time
            since = None
    if since is not None:
        yield since, END_OF_TIME
