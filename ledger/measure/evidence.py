"""Evidence of a measure: found when somebody reads it.

A detector measures after every event and asks for evidence only where a level changed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar, overload

from ledger.domain.moments import Moments

_T = TypeVar("_T")

EVIDENCE_MAX: Final = 64
"""Most positions under one name; an explanation tells more."""


class Evidence(Mapping[str, tuple[int, ...]]):
    """Positions by name. To be read before the record is evolved further, as measures are."""

    __slots__ = ("_find", "_found", "_of")

    def __init__(self, find: Mapping[str, Callable[..., Iterable[int]]], *of: Any) -> None:
        """`find`: by name, what finds the positions, the best evidence first; as many as may be told are taken.

        `of`: what each of these is asked about. So that one table serves every measure.
        """
        self._find = find
        self._of = of
        self._found: dict[str, tuple[int, ...]] = {}

    def __getitem__(self, name: str) -> tuple[int, ...]:
        found = self._found.get(name)
        if found is None:
            every = self._find[name](*self._of)
            positions = (position for _, position in zip(range(EVIDENCE_MAX), every, strict=False))
            found = self._found[name] = tuple(sorted(positions))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._find)

    def __len__(self) -> int:
        return len(self._find)

    def __repr__(self) -> str:
        return repr(dict(self))


class WhenRead(Sequence[_T]):
    """A tuple that is made when first read. To be read before the record is evolved further."""

    __slots__ = ("_made", "_make", "_of")

    def __init__(self, make: Callable[..., Iterable[_T]], *of: Any) -> None:
        """`make`: makes it, of `of`."""
        self._make = make
        self._of = of
        self._made: tuple[_T, ...] | None = None

    def _read(self) -> tuple[_T, ...]:
        if self._made is None:
            self._made = tuple(self._make(*self._of))
        return self._made

    @overload
    def __getitem__(self, place: int) -> _T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[_T, ...]: ...
    def __getitem__(self, place: int | slice) -> _T | tuple[_T, ...]:
        return self._read()[place]

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[_T]:
        return iter(self._read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, WhenRead):
            return self._read() == other._read()
        return self._read() == other

    def __hash__(self) -> int:
        return hash(self._read())

    def __repr__(self) -> str:
        return repr(self._read())


def latest(moments: Moments, first: int, last: int) -> Iterator[int]:
    """Yield the positions at some places, the latest first."""
    return (moments.positions[place] for place in range(last - 1, first - 1, -1))
