"""When contact points and common ground held, and when an end was declared: history that the subjects do not keep.

Their states know what holds now. When something held before it was revoked, replaced or ended, only this tells; a
relationship has few facts of these topics.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from ledger.domain.common_ground import COMMON_GROUND_DECLARED, COMMON_GROUND_ENDED
from ledger.domain.ending import RELATIONSHIP_ENDED
from ledger.domain.fact import Fact
from ledger.domain.made_late import MadeLate
from ledger.domain.profile import IDENTIFIER_REVOKED, IDENTIFIER_VERIFIED
from ledger.domain.times import END_OF_TIME
from rapport.events.v1.disclosure_pb2 import PROVENANCE_DECLARED

Interval = tuple[int, int]
"""From when, and from when no more, in microseconds."""
Word = tuple[int, int, bool]
"""Occur time, position, and whether it holds from then on."""


class Ties(MadeLate):
    """Fold of the contact points, the common ground and the declared ends of one relationship."""

    __slots__ = ("_until", "ends", "grounds", "identifiers")

    LATE: ClassVar = {"ends": list, "grounds": dict, "identifiers": dict}

    identifiers: dict[str, list[Word]]
    """Words on each contact point, in the order in which they were recorded."""
    grounds: dict[str, list[Word]]
    """Words on each common ground; only declared ground holds (relationship.md 3)."""
    ends: list[tuple[int, int]]
    """Occur times and positions of the declared ends, in order."""

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until

    def evolve(self, fact: Fact) -> None:
        """Fold one fact of `TIES`."""
        _, _, _, time, topic, _, _ = fact
        if time > self._until:
            return
        event: Any = fact.event  # The topic says which.
        if topic == RELATIONSHIP_ENDED:
            insort(self.ends, (time, fact.position))
        elif topic in _IDENTIFIERS:
            self._say(self.identifiers, event.contact_point_id, fact, holds=topic == IDENTIFIER_VERIFIED)
        else:
            declared = topic == COMMON_GROUND_DECLARED and event.provenance == PROVENANCE_DECLARED
            self._say(self.grounds, event.item_id, fact, holds=declared)

    def _say(self, words: dict[str, list[Word]], key: str, fact: Fact, *, holds: bool) -> None:
        words.setdefault(key, []).append((fact.occur_time, fact.position, holds))


_IDENTIFIERS: Final = frozenset({IDENTIFIER_VERIFIED, IDENTIFIER_REVOKED})
TIES: Final = (*sorted(_IDENTIFIERS), COMMON_GROUND_DECLARED, COMMON_GROUND_ENDED, RELATIONSHIP_ENDED)
"""Topics that are folded here."""


def spans(words: Iterable[Word]) -> Iterator[Interval]:
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
