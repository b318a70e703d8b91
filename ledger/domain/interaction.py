"""Interactions: what happened between an organization and a customer, and the counts of it.

Nothing is changed or deleted. A correction is a full replacement that names the original, a retraction says that the
original should not have been recorded; a view that knows either leaves the original out, whatever its occur times
(settled.md 8). A second correction names the same original, and the one recorded last counts.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Final, NamedTuple, Protocol

from ledger.domain.decider import Occurrence, Setting, new_fact, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact
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
        return Decision((new_fact(RECORDED, self.interaction, when, self.context),))


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
        return Decision((new_fact(CORRECTED, self.correction, when, self.context),))


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
        return Decision((new_fact(RETRACTED, self.retraction, occurrence(None, setting), self.context),))


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


_INBOUND: Final = interaction_pb2.DIRECTION_INBOUND
_OUTBOUND: Final = interaction_pb2.DIRECTION_OUTBOUND
_MUTUAL: Final = interaction_pb2.DIRECTION_MUTUAL
_OBSERVED: Final = interaction_pb2.DIRECTION_OBSERVED

_ROW: Final = Struct("=qqiiiI")
"""Position of an original and its occur time; direction, kind, channel and attention seconds of what counts for it."""
_ROW_BYTES: Final = _ROW.size
_pack: Final = _ROW.pack
_NOTHING: Final = (-1, -1, -1)
"""Shape of an original for which nothing counts."""
_NEVER: Final = START_OF_TIME - 1
"""Earlier than every occur time."""

_Shape = tuple[int, int, int]
"""Direction, kind and channel."""


class InteractionState:
    """Fold of the interactions of one relationship, and of their corrections and retractions.

    Holds 32 bytes per interaction, in the order of positions, because a correction may name any of them; and one tally
    per distinct direction, kind and channel, from which every count is summed. Most folds are asked for no count, so
    interactions are counted when somebody asks, each once.
    """

    __slots__ = (
        "_corrections", "_counted", "_first_time", "_retractions", "_rows", "_stale", "_tallies", "_totals", "_undone",
        "_until",
    )  # fmt: skip

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._rows = bytearray()
        """One `_ROW` for each original, whether it counts or not, by ascending position."""
        self._counted = 0
        """How many bytes of them are in the tallies."""
        self._corrections: dict[int, _Correction] = {}
        self._retractions: dict[int, int] = {}
        self._undone: dict[int, int] = {}
        self._tallies: dict[_Shape, list[int]] = {}
        """By shape: how many count, their attention seconds, the occur time of the last."""
        self._first_time = END_OF_TIME
        self._totals: InteractionTotals | None = None
        """The counts, as long as no fact changes them."""
        self._stale = False
        """`_first_time`, or the last time of a tally, is that of an interaction that counts no more."""

    def stands(self, original_position: int) -> bool:
        """Tell whether there is an original of that position that was not retracted: it may be corrected."""
        return original_position not in self._retractions and self._offset(original_position) is not None

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
        return self._row(offset)[1]

    @property
    def undone(self) -> Mapping[int, int]:
        """Positions that count no more, each with that of the correction or retraction that took its place.

        A correction that was itself corrected, or retracted with its original, is a key too. An entry never changes.
        """
        return self._undone

    @property
    def count(self) -> int:
        """How many interactions count."""
        self._count()
        return sum(count for count, _, _ in self._tallies.values())

    @property
    def first_time(self) -> int | None:
        """Occur time of the first interaction that counts. Microseconds."""
        self._refresh()
        return self._first_time if self._tallies else None

    @property
    def last_time(self) -> int | None:
        """Occur time of the last interaction that counts. Microseconds."""
        self._refresh()
        return max((last_time for _, _, last_time in self._tallies.values()), default=None)

    def totals(self) -> InteractionTotals:
        """Return the counts; added up once for all who ask between two facts."""
        self._refresh()
        if self._totals is None:
            self._totals = self._added_up()
        return self._totals

    def _added_up(self) -> InteractionTotals:
        directions: Counter[int] = Counter()
        kinds: Counter[int] = Counter()
        channels: Counter[int] = Counter()
        attention_seconds = 0
        last_times: dict[int, int] = {}
        for (direction, kind, channel), (count, seconds, last_time) in self._tallies.items():
            directions[direction] += count
            kinds[kind] += count
            channels[channel] += count
            attention_seconds += seconds
            last_times[direction] = max(last_time, last_times.get(direction, _NEVER))
        return InteractionTotals(
            count=directions.total(),
            inbound=directions[_INBOUND] + directions[_MUTUAL],
            outbound=directions[_OUTBOUND] + directions[_MUTUAL],
            observed=directions[_OBSERVED],
            by_kind=tuple(sorted(kinds.items())),
            by_channel=tuple(sorted(channels.items())),
            attention_seconds=attention_seconds,
            last_inbound_time=_latest(last_times, _INBOUND, _MUTUAL, _OBSERVED),
            last_outbound_time=_latest(last_times, _OUTBOUND, _MUTUAL),
        )

    def record(self, position: int, time: int, direction: int, kind: int, channel: int, attention_seconds: int) -> None:
        """Fold an `interaction.recorded.v1` that occurred by `until`."""
        self._rows += _pack(position, time, direction, kind, channel, attention_seconds)

    def pass_over(self, position: int, time: int) -> None:
        """Fold one that occurred later: only a correction may make it count."""
        self._rows += _pack(position, time, *_NOTHING, 0)

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
        position, original_time = self._row(offset)[:2]
        shape = event.direction, event.kind, event.channel
        _ROW.pack_into(self._rows, offset, position, original_time, *shape, event.attention_seconds)
        tally = self._tallies.setdefault(shape, [0, 0, _NEVER])
        tally[0] += 1
        tally[1] += event.attention_seconds
        self._note_time(tally, time)

    def _take_out(self, offset: int, original: int) -> None:
        """Stop counting what counts for an original, if anything does."""
        self._count()
        self._totals = None
        position, original_time, direction, kind, channel, attention_seconds = self._row(offset)
        shape = direction, kind, channel
        if shape == _NOTHING:
            return
        _ROW.pack_into(self._rows, offset, position, original_time, *_NOTHING, 0)
        tally = self._tallies[shape]
        tally[0] -= 1
        tally[1] -= attention_seconds
        time = self._time_of(original, original_time)
        # Which time is next is looked for only when it is asked: many may be taken out in a row.
        self._stale = self._stale or time in {self._first_time, tally[2]}
        if not tally[0]:
            del self._tallies[shape]

    def _offset(self, original_position: int) -> int | None:
        """Return where the row of an original begins, or None where there is no such original."""
        rows = range(0, len(self._rows), _ROW_BYTES)
        index = bisect_left(rows, original_position, key=lambda offset: self._row(offset)[0])
        if index < len(rows) and self._row(rows[index])[0] == original_position:
            return rows[index]
        return None

    def _row(self, offset: int) -> tuple[int, int, int, int, int, int]:
        row: tuple[int, int, int, int, int, int] = _ROW.unpack_from(self._rows, offset)
        return row

    def _last_position(self, original: int) -> int:
        """Return the position of the last correction of an original; its own where there is none."""
        correction = self._corrections.get(original)
        return original if correction is None else correction.position

    def _time_of(self, original: int, original_time: int) -> int:
        """Return the occur time of what counts for an original."""
        correction = self._corrections.get(original)
        return original_time if correction is None else correction.occur_time

    def _note_time(self, tally: list[int], time: int) -> None:
        tally[2] = max(tally[2], time)
        self._first_time = min(self._first_time, time)

    def _count(self) -> None:
        """Count what came since this was last asked for."""
        start, self._counted = self._counted, len(self._rows)
        if start == self._counted:
            return
        self._totals = None
        tallies = self._tallies
        for _, time, direction, kind, channel, attention_seconds in _ROW.iter_unpack(self._rows[start:]):
            shape = direction, kind, channel
            if shape == _NOTHING:
                continue
            tally = tallies.get(shape)
            if tally is None:
                tally = tallies[shape] = [0, 0, _NEVER]
            tally[0] += 1
            tally[1] += attention_seconds
            self._note_time(tally, time)

    def _refresh(self) -> None:
        self._count()
        if not self._stale:
            return
        self._stale = False
        self._first_time = END_OF_TIME
        for tally in self._tallies.values():
            tally[2] = _NEVER
        for position, original_time, *shape, _ in _ROW.iter_unpack(self._rows):
            counted = self._tallies.get((shape[0], shape[1], shape[2]))
            if counted is not None:
                self._note_time(counted, self._time_of(position, original_time))


class _Correction(NamedTuple):
    """The last correction of an original."""

    position: int
    occur_time: int


def _latest(times: Mapping[int, int], *directions: int) -> int | None:
    return max((times[direction] for direction in directions if direction in times), default=None)
