"""Evidence of a measure, by name: found when somebody reads it.

A detector measures after every event and asks for evidence only where a level changed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from ledger.domain.moments import Moments

EVIDENCE_MAX: Final = 64
"""Most positions under one name; an explanation tells more."""


class Evidence(Mapping[str, tuple[int, ...]]):
    """Positions by name. To be read before the record is evolved further, as measures are."""

    __slots__ = ("_find", "_found")

    def __init__(self, find: Mapping[str, Callable[[], Iterable[int]]]) -> None:
        """`find`: by name, what finds the positions, the best evidence first; as many as may be told are taken."""
        self._find = find
        self._found: dict[str, tuple[int, ...]] = {}

    def __getitem__(self, name: str) -> tuple[int, ...]:
        found = self._found.get(name)
        if found is None:
            positions = (position for _, position in zip(range(EVIDENCE_MAX), self._find[name](), strict=False))
            found = self._found[name] = tuple(sorted(positions))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._find)

    def __len__(self) -> int:
        return len(self._find)

    def __repr__(self) -> str:
        return repr(dict(self))


def latest(moments: Moments, first: int, last: int) -> Iterator[int]:
    """Yield the positions at some places, the latest first."""
    return (moments.positions[place] for place in range(last - 1, first - 1, -1))
