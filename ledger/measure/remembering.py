"""Remembering what was measured: most reads come between two events, and find little that the clock has moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ledger.domain.times import END_OF_TIME

if TYPE_CHECKING:
    from ledger.measure.measured import Measured
    from ledger.measure.outlook import Outlook

_T = TypeVar("_T")


class _Known(NamedTuple):
    """A value, and what it holds for."""

    outlook: Outlook
    position: int
    """Of the last event of the record."""
    since: int
    until: int
    value: object


def remembered(m: Measured, name: str, make: Callable[[Measured], _T], until: Callable[[Measured], int | None]) -> _T:
    """Return what `make` returns, as made earlier where nothing was recorded since and the clock has moved nothing.

    `until`: returns the first later instant at which `make` may return something else, in microseconds; None: never.
    """
    position, memo = m.record.state.last_position, m.record.memo
    known: _Known | None = memo.get(name)
    if (
        known is None
        or known.position != position
        or known.outlook is not m.outlook
        or not known.since <= m.at < known.until
    ):
        ends = until(m)
        known = _Known(m.outlook, position, m.at, END_OF_TIME if ends is None else ends, make(m))
        memo[name] = known
    return known.value  # type: ignore[return-value]  # A name stands for one function.
