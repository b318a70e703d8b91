"""A chart of got, gave and net over time: what is drawn, exact, whoever draws it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class Point(NamedTuple):
    """What had been got and given by a time, in nanos; it holds until the next point."""

    time: datetime
    got: int
    gave: int

    @property
    def net(self) -> int:
        """What the net is: got - gave."""
        return self.got - self.gave


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is drawn."""

    title: str
    """Of which relationship, and whose view."""
    view: str
    """Of which moment, on both time axes."""
    window: str
    """Of which window; empty: the whole past."""
    unit: str
    """Unit of account."""
    points: tuple[Point, ...]
    """By time, no two of one time; the first is nothing, the last repeats the one before at the end of the plot."""
    sums: str
    """Got, gave, net and index in words."""
    policies: str
    """By which policies."""
