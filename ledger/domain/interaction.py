"""Interactions: what happened between an organization and a customer, and the counts of it.

Nothing is changed or deleted. A correction is a full replacement that names the original, a retraction says that the
original should not have been recorded; a view that knows either leaves the original out, whatever its occur times
(settled.md 8). A second correction names the same original, and the one recorded last counts.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Occurrence, Setting, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact, NewFact
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import interaction_pb2
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted
from rapport.type.v1.event_context_pb2 import EventContext

RECORDED: Final = "interaction.recorded.v1"
CORRECTED: Final = "interaction.corrected.v1"
RETRACTED: Final = "interaction.retracted.v1"


class HasInteractions(Protocol):
    """State of a relationship, as far as decisions about interactions read it."""

    @property
    def interactions(self) -> "InteractionState":
        """Fold of the relationship's interactions."""
        ...


@dataclass(frozen=True, slots=True)
class RecordInteraction:
    """Record one interaction."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    interaction: InteractionRecorded
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002 # Whatever was recorded before, it may be.
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        return Decision((_new_fact(RECORDED, self.interaction, when, self.context),))


@dataclass(frozen=True, slots=True)
class CorrectInteraction:
    """Replace an interaction in full. May be repeated; the correction recorded last counts."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    correction: InteractionCorrected
    occur_time: int | None = None
    """When the interaction really happened. Microseconds. None: when the original says."""
    context: EventContext | None = None

    def decide(self, state: HasInteractions, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: INTERACTION_UNKNOWN, INTERACTION_RETRACTED, OCCUR_TIME_IN_FUTURE.
        """
        original_time = state.interactions.require(self.correction.original_position)
        if self.occur_time is None:
            # Not measured against the clock: what was recorded is past, even where this server's clock lags behind.
            when = Occurrence(original_time)
        else:
            when = occurrence(self.occur_time, setting)
        return Decision((_new_fact(CORRECTED, self.correction, when, self.context),))


@dataclass(frozen=True, slots=True)
class RetractInteraction:
    """Say that an interaction should not have been recorded at all."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    retraction: InteractionRetracted
    context: EventContext | None = None

    def decide(self, state: HasInteractions, setting: Setting) -> Decision:
        """Return the fact; it happens now, whenever the interaction was said to have happened.

        Raises:
            Rejected: INTERACTION_UNKNOWN; INTERACTION_RETRACTED, naming the first retraction.
        """
        state.interactions.require(self.retraction.original_position)
        return Decision((_new_fact(RETRACTED, self.retraction, occurrence(None, setting), self.context),))


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionTotals:
    """Counts over the interactions that count: corrected ones in their last form, retracted ones not at all.

    Times are occur times in microseconds; None: there is none.
    """

    count: int
    inbound: int
    """From the customer; a mutual one counts here and under `outbound`."""
    outbound: int
    observed: int
    by_kind: tuple[tuple[int, int], ...]
    """(kind, count), ordered by kind."""
    by_channel: tuple[tuple[int, int], ...]
    """(channel, count), ordered by channel; 0: not said."""
    attention_seconds: int
    last_inbound_time: int | None
    """Of the last inbound, mutual or observed one."""
    last_outbound_time: int | None
    """Of the last outbound or mutual one."""


# What an interaction counts as: channel (12 bits), kind (12), direction (4). The numbers of the enums are far below
# these bounds (a test holds that), and requests with others are refused.
_CHANNEL_SHIFT: Final = 16
_KIND_SHIFT: Final = 4
_NOT_COUNTED: Final = -1

_INBOUND: Final = interaction_pb2.DIRECTION_INBOUND
_OUTBOUND: Final = interaction_pb2.DIRECTION_OUTBOUND
_MUTUAL: Final = interaction_pb2.DIRECTION_MUTUAL
_OBSERVED: Final = interaction_pb2.DIRECTION_OBSERVED

_ROW: Final = Struct("=qqiI")
"""Position of an original, its occur time; shape and attention seconds of what counts in its place."""
_ROW_BYTES: Final = _ROW.size
_pack: Final = _ROW.pack


class InteractionState:
    """Fold of the interactions of one relationship, and of their corrections and retractions.

    Holds 24 bytes per interaction, in the order of positions, because a correction may name any of them; and one
    counter per distinct (direction, kind, channel), from which every count is summed when asked for.
    """

    __slots__ = (
        "_attention_seconds",
        "_corrections",
        "_counts",
        "_first_time",
        "_last_times",
        "_retractions",
        "_rows",
        "_stale",
        "_undone",
        "_until",
    )

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._rows = bytearray()
        """One `_ROW` for each original, whether it counts or not, by ascending position."""
        self._corrections: dict[int, _Correction] = {}
        self._retractions: dict[int, int] = {}
        self._undone: dict[int, int] = {}
        self._counts: dict[int, int] = {}
        """By shape."""
        self._attention_seconds = 0
        self._first_time = END_OF_TIME
        self._last_times = [_NEVER] * 16
        """By direction."""
        self._stale = False
        """`_first_time` or one of `_last_times` is that of an interaction that counts no more."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact; other subjects' pass by."""
        fold = INTERACTION_FOLDS.get(fact.topic)
        if fold is not None:
            fold(self, fact)

    def require(self, original_position: int) -> int:
        """Return the occur time, in microseconds, of an original that may be corrected or retracted.

        Raises:
            Rejected: INTERACTION_UNKNOWN when the position is not that of an `interaction.recorded.v1` of this stream;
                INTERACTION_RETRACTED.
        """
        offset = self._offset(original_position)
        if offset is None:
            raise Rejected(
                reasons.ERROR_REASON_INTERACTION_UNKNOWN,
                "the position does not name an interaction of this relationship; name that of the original",
                original_position=original_position,
            )
        retracted = self._retractions.get(original_position)
        if retracted is not None:
            raise Rejected(
                reasons.ERROR_REASON_INTERACTION_RETRACTED,
                "the interaction was retracted; record it anew if it did happen",
                original_position=original_position,
                retracted_position=retracted,
            )
        _, occur_time, _, _ = self._row(offset)
        return occur_time

    @property
    def undone(self) -> Mapping[int, int]:
        """Positions that count no more, each with that of the correction or retraction that took its place.

        A correction that was itself corrected, or retracted with its original, is a key too. An entry never changes.
        """
        return self._undone

    @property
    def count(self) -> int:
        """How many interactions count."""
        return sum(self._counts.values())

    @property
    def first_time(self) -> int | None:
        """Occur time of the first interaction that counts. Microseconds."""
        self._refresh()
        return self._first_time if self._counts else None

    @property
    def last_time(self) -> int | None:
        """Occur time of the last interaction that counts. Microseconds."""
        self._refresh()
        return _latest(self._last_times)

    def totals(self) -> InteractionTotals:
        """Return the counts."""
        self._refresh()
        directions: Counter[int] = Counter()
        kinds: Counter[int] = Counter()
        channels: Counter[int] = Counter()
        for shape, count in self._counts.items():
            directions[shape & 0xF] += count
            kinds[shape >> _KIND_SHIFT & 0xFFF] += count
            channels[shape >> _CHANNEL_SHIFT] += count
        times = self._last_times
        return InteractionTotals(
            count=directions.total(),
            inbound=directions[_INBOUND] + directions[_MUTUAL],
            outbound=directions[_OUTBOUND] + directions[_MUTUAL],
            observed=directions[_OBSERVED],
            by_kind=tuple(sorted(kinds.items())),
            by_channel=tuple(sorted(channels.items())),
            attention_seconds=self._attention_seconds,
            last_inbound_time=_latest((times[_INBOUND], times[_MUTUAL], times[_OBSERVED])),
            last_outbound_time=_latest((times[_OUTBOUND], times[_MUTUAL])),
        )

    def record(self, fact: Fact) -> None:
        """Fold an `interaction.recorded.v1`: the commonest fact, so this is one straight run without calls of ours."""
        position, _, _, time, _, message, _ = fact
        if time > self._until:
            self._rows += _pack(position, time, _NOT_COUNTED, 0)
            return
        event: InteractionRecorded = message  # type: ignore[assignment]  # The topic says so.
        direction = event.direction & 0xF
        shape = (event.channel & 0xFFF) << _CHANNEL_SHIFT | (event.kind & 0xFFF) << _KIND_SHIFT | direction
        attention_seconds = event.attention_seconds
        self._rows += _pack(position, time, shape, attention_seconds)
        self._attention_seconds += attention_seconds
        counts = self._counts
        counts[shape] = counts.get(shape, 0) + 1
        if time > self._last_times[direction]:  # noqa: PLR1730 # A call of max would cost as much as the rest.
            self._last_times[direction] = time
        if time < self._first_time:  # noqa: PLR1730 # The same.
            self._first_time = time

    def correct(self, fact: Fact) -> None:
        """Fold an `interaction.corrected.v1`: what counted for its original counts no more, the replacement may."""
        event: InteractionCorrected = fact.event  # type: ignore[assignment]  # The topic says so.
        original = event.original_position
        offset = self._offset(original)
        if offset is None:
            return
        if original in self._retractions:
            self._undone[fact.position] = self._retractions[original]
            return
        self._take_out(offset, original)
        self._undone[self._last_position(original)] = fact.position
        self._corrections[original] = _Correction(fact.position, fact.occur_time)
        if fact.occur_time <= self._until:
            self._put_in(offset, event.replacement, fact.occur_time)

    def retract(self, fact: Fact) -> None:
        """Fold an `interaction.retracted.v1`: nothing counts for its original any more."""
        event: InteractionRetracted = fact.event  # type: ignore[assignment]  # The topic says so.
        original = event.original_position
        offset = self._offset(original)
        if offset is None or original in self._retractions:
            return
        self._take_out(offset, original)
        self._undone[self._last_position(original)] = fact.position
        self._retractions[original] = fact.position

    def _put_in(self, offset: int, event: InteractionRecorded, time: int) -> None:
        position, original_time, _, _ = self._row(offset)
        shape = (event.channel & 0xFFF) << _CHANNEL_SHIFT | (event.kind & 0xFFF) << _KIND_SHIFT | event.direction & 0xF
        _ROW.pack_into(self._rows, offset, position, original_time, shape, event.attention_seconds)
        self._attention_seconds += event.attention_seconds
        self._counts[shape] = self._counts.get(shape, 0) + 1
        self._note_time(shape, time)

    def _take_out(self, offset: int, original: int) -> None:
        """Stop counting what counts for an original, if anything does."""
        position, original_time, shape, attention_seconds = self._row(offset)
        if shape == _NOT_COUNTED:
            return
        _ROW.pack_into(self._rows, offset, position, original_time, _NOT_COUNTED, 0)
        self._attention_seconds -= attention_seconds
        if self._counts[shape] == 1:
            del self._counts[shape]
        else:
            self._counts[shape] -= 1
        time = self._time_of(original, original_time)
        # Which time is next is looked for only when it is asked: many may be taken out in a row.
        if time in {self._first_time, self._last_times[shape & 0xF]}:
            self._stale = True

    def _offset(self, original_position: int) -> int | None:
        """Return where the row of an original begins, or None where there is no such original."""
        rows = range(0, len(self._rows), _ROW_BYTES)
        index = bisect_left(rows, original_position, key=lambda offset: self._row(offset)[0])
        if index < len(rows) and self._row(rows[index])[0] == original_position:
            return rows[index]
        return None

    def _row(self, offset: int) -> tuple[int, int, int, int]:
        row: tuple[int, int, int, int] = _ROW.unpack_from(self._rows, offset)
        return row

    def _last_position(self, original: int) -> int:
        """Return the position of the last correction of an original; its own where there is none."""
        correction = self._corrections.get(original)
        return original if correction is None else correction.position

    def _time_of(self, original: int, original_time: int) -> int:
        """Return the occur time of what counts for an original."""
        correction = self._corrections.get(original)
        return original_time if correction is None else correction.occur_time

    def _note_time(self, shape: int, time: int) -> None:
        direction = shape & 0xF
        self._last_times[direction] = max(self._last_times[direction], time)
        self._first_time = min(self._first_time, time)

    def _refresh(self) -> None:
        if not self._stale:
            return
        self._stale = False
        self._first_time = END_OF_TIME
        self._last_times = [_NEVER] * 16
        for position, original_time, shape, _ in _ROW.iter_unpack(self._rows):
            if shape != _NOT_COUNTED:
                self._note_time(shape, self._time_of(position, original_time))


class _Correction(NamedTuple):
    """The last correction of an original."""

    position: int
    occur_time: int


_NEVER: Final = START_OF_TIME - 1
"""Earlier than every occur time."""

INTERACTION_FOLDS: Final[dict[str, Callable[[InteractionState, Fact], None]]] = {
    RECORDED: InteractionState.record,
    CORRECTED: InteractionState.correct,
    RETRACTED: InteractionState.retract,
}
"""How each topic of interactions is folded."""


def _latest(times: Iterable[int]) -> int | None:
    time = max(times)
    return None if time == _NEVER else time


def _new_fact(
    topic: str,
    event: InteractionRecorded | InteractionCorrected | InteractionRetracted,
    when: Occurrence,
    context: EventContext | None,
) -> NewFact:
    return NewFact(
        topic=topic,
        event=event,
        occur_time=when.time,
        defaulted=when.defaulted,
        clamped=when.clamped,
        context=context,
    )
