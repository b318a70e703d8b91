"""One look at a relationship: what is measured, what was announced, and what brought the look about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from ledger.change.change_id import event_cause, timer_cause
from ledger.change.levels import Levels
from ledger.domain.fact import Fact
from ledger.domain.relationship import RelationshipState
from ledger.measure.measured import Measured
from ledger.measure.reciprocity import exact_index
from ledger.measure.score import score_of
from rapport.change.v1.change_pb2 import ChangeKind

_NOT_ASKED: Final = -(1 << 63)
"""Less than any index."""


class Cause(NamedTuple):
    """What a change names as its cause."""

    text: str
    """As it enters the id."""
    effective_time: int
    """When the change took effect, if it is announced at once. Microseconds."""
    positions: tuple[int, ...] = ()


def caused_by_event(log_id: str, fact: Fact) -> Cause:
    """Return an event as a cause: it takes effect when it occurred."""
    return Cause(event_cause(log_id, fact.position), fact.occur_time, (fact.position,))


def caused_by_clock(due: int) -> Cause:
    """Return an instant, in microseconds, as a cause."""
    return Cause(timer_cause(due), due)


class Draft(NamedTuple):
    """A change that is found, before it has a number."""

    kind: ChangeKind.ValueType
    measure: str
    """One of a fixed list, with `:` and more where there can be several at one instant (settled.md 42)."""
    before: str
    after: str
    cause: Cause
    value: int | None = None
    threshold: int | None = None
    hysteresis: int | None = None
    deltas: tuple[tuple[int, int], ...] = ()
    """By component of the strength, in ppm."""
    pair: str = ""
    """What it alternates in: a change that takes effect before the last one of its pair corrects that one."""
    corrects: bool = False
    """It corrects the last one of its pair in any case."""


@dataclass(slots=True)
class Look:
    """A look at one instant."""

    stream_id: str
    measured: Measured
    levels: Levels
    """Brought up to date by whoever finds a change."""
    cause: Cause
    fact: Fact | None
    """The event that brought it about; None: the clock did."""
    linked: Callable[[str], RelationshipState]
    """State of another relationship of the organization, by customer_id, at the same position."""

    _score: int = -1
    _index: int | None = _NOT_ASKED

    @property
    def score(self) -> int:
        """The strength, without its lines: few looks need them."""
        if self._score < 0:
            self._score = score_of(self.measured)
        return self._score

    @property
    def index(self) -> int | None:
        """The customer's exact index, as `exact_index` says."""
        if self._index == _NOT_ASKED:
            self._index = exact_index(self.measured)
        return self._index

    @property
    def at(self) -> int:
        """The instant. Microseconds."""
        return self.measured.at

    @property
    def topic(self) -> str:
        """Topic of the event; empty: the clock brought it about."""
        return self.fact.topic if self.fact is not None else ""


Family = Callable[[Look], Iterator[Draft]]
"""Finds the changes of one subject, and sets the levels that it announces."""
