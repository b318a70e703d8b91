"""What the customer did: acts in the order of their occur times, purchases, memberships, tones (relationship.md 3-7).

The hot path of every measure: most facts are interactions that happen in the order in which they are recorded, and for
those three columns grow by one. What comes late, or is corrected or retracted, is put right at once; days are counted
when somebody asks. Nothing here rests on a policy: kinds are kept, and weighed when somebody asks.
"""

from array import array
from bisect import bisect_left, insort
from typing import ClassVar, Final

from ledger.balance.book import Book
from ledger.domain.conversation_shapes import Shape
from ledger.domain.fact import Fact
from ledger.domain.made_late import MadeLate
from ledger.domain.moments import Moments
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME, MICROSECONDS, START_OF_TIME
from ledger.measure.act_shapes import KNOWN, ActShape, act_shape
from ledger.measure.buying import EXCHANGES, Buying
from ledger.measure.memberships import Memberships
from ledger.measure.rules import Rules
from ledger.measure.sessions import Sessions
from ledger.measure.ties import TIES, Ties
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.interaction_pb2 import InteractionRecorded

DAY: Final = 86_400 * MICROSECONDS
BY_KIND: Final = 0
"""In the place of a provenance: the kind itself bears the tone, as praise does."""

_PARTIAL: Final = i.ATTENTION_PARTIAL
_SIGNS: Final[dict[int, int]] = {i.SENTIMENT_VALUE_POSITIVE: 1, i.SENTIMENT_VALUE_NEGATIVE: -1}

Tone = tuple[int, int]
"""1 or -1, and the `Provenance` of the judgement, or BY_KIND."""


class Acts(MadeLate):
    """Fold of the acts of one customer.

    `times`, `positions` and `codes` are columns of one table, by (occur time, position), which hold what counts: of a
    corrected act its last form, at the position of the original. A code is a kind and an attention (`act_shapes`).
    """

    __slots__ = (
        "_counted", "_day_numbers", "_days", "_last", "_moments", "_sessions", "_state", "_tones", "_where", "buying",
        "codes", "disturbed", "memberships", "ties", "tones",
    )  # fmt: skip

    LATE: ClassVar = {
        "_day_numbers": list, "_days": dict, "_tones": dict, "codes": lambda: array("q"), "memberships": Memberships,
        "tones": dict,
    }  # fmt: skip

    codes: "array[int]"
    tones: dict[Tone, Moments]
    """What bears a tone."""
    memberships: Memberships
    """Joins and leaves by programme."""
    _tones: dict[int, tuple[int, Tone]]
    """Occur times and tones by position."""
    _days: dict[int, dict[int, int]]
    _day_numbers: list[int]

    def __init__(self, state: RelationshipState, book: Book) -> None:
        """Start empty. `state`, `book`: have folded each fact before it comes here."""
        self._state = state
        self._moments = Moments()
        self.disturbed = END_OF_TIME
        """The earliest day on which an act came late or was taken out; set back by whoever keeps sums of days."""
        self.buying = Buying(state.until, book)
        """Purchases, returns, and exchanges with a leg from each side."""
        self.ties = Ties(state.until)
        """When contact points and common ground held."""
        self._last = START_OF_TIME
        """No act is later. Microseconds."""
        self._counted = 0
        """How many of the acts are counted by day."""
        self._where: dict[int, int] | None = None
        """Occur times of the acts by position; None until one is corrected."""
        self._sessions: Sessions | None = None
        """Under the policy asked about last."""

    @property
    def times(self) -> "array[int]":
        """Occur times of the customer's acts, in microseconds."""
        return self._moments.times

    @property
    def positions(self) -> "array[int]":
        """Positions of the same."""
        return self._moments.positions

    @property
    def days(self) -> dict[int, dict[int, int]]:
        """How many acts there are by code, by UTC day since the epoch. No count is 0, no day is empty."""
        self._count()
        return self._days

    @property
    def day_numbers(self) -> list[int]:
        """Those days, ascending."""
        self._count()
        return self._day_numbers

    def sessions(self, rules: Rules) -> Sessions:
        """Return what the customer began, under a policy. Not to be changed, nor kept while facts are folded."""
        found = self._sessions
        if found is None or not found.serves(rules):
            found = self._sessions = Sessions(rules)
        found.follow(self.times, self.positions, self.codes)
        return found

    def on_day(self, day: int) -> range:
        """Return the places, in the columns, of the acts of a UTC day."""
        return range(self._moments.before(day * DAY), self._moments.before((day + 1) * DAY))

    def since(self, time: int) -> "array[int]":
        """Return the occur times of the acts at or after a time, ascending. Microseconds."""
        return self.times[self._moments.before(time) :]

    # How facts are folded.

    def evolve(self, fact: Fact) -> None:
        """Fold one fact of `TOPICS`, in position order."""
        part = self.ties if fact.topic in TIES else self.buying
        part.evolve(fact)

    def record(self, position: int, time: int, told_shape: Shape, event: InteractionRecorded, told: int) -> None:
        """Let an interaction count that occurred by `until`, as an event says that has the position `told`."""
        shape = KNOWN.get(told_shape.number) or act_shape(told_shape)
        if shape.special or event.HasField("sentiment"):
            self._tell(time, position, shape, event, told)
        if not shape.by_customer:
            return
        code = shape.partial if event.attention == _PARTIAL else shape.full
        if time < self._last or position != told:
            self._insert(time, position, code)
            return
        self._last = time
        self._moments.add(time, position)
        self.codes.append(code)
        if self._where is not None:
            self._where[position] = time

    def leave(self, position: int) -> None:
        """Let nothing count for an interaction that was recorded and never retracted."""
        if self._where is None:
            self._where = dict(zip(self.positions, self.times, strict=True))
        time = self._where.pop(position, None)
        if time is not None:
            self._remove(time, position)
        if position in self._tones:
            time, tone = self._tones.pop(position)
            self.tones[tone].remove(time, position)
        self.buying.take_back(position)
        self.memberships.take_back(position)

    def _insert(self, time: int, position: int, code: int) -> None:
        """Put an act among the others."""
        self._count()
        if self._sessions is not None:
            self._sessions.follow(self.times, self.positions, self.codes)
            self._sessions.add(time, position, code)
        self.codes.insert(self._moments.place(time, position), code)
        self._moments.add(time, position)
        if self._where is not None:
            self._where[position] = time
        self._last = max(self._last, time)
        self.disturbed = min(self.disturbed, time // DAY)
        self._counted += 1
        counts = self._counts_of(time // DAY)
        counts[code] = counts.get(code, 0) + 1

    def _remove(self, time: int, position: int) -> None:
        """Take an act out."""
        self._count()
        place = self._moments.place(time, position)
        code, day = self.codes[place], time // DAY
        self.disturbed = min(self.disturbed, day)
        if self._sessions is not None:
            self._sessions.follow(self.times, self.positions, self.codes)
            self._sessions.remove(time, position, code)
        del self.codes[place]
        self._moments.remove(time, position)
        self._counted -= 1
        counts = self._days[day]
        counts[code] -= 1
        if not counts[code]:
            del counts[code]
        if not counts:
            del self._days[day]
            del self._day_numbers[bisect_left(self._day_numbers, day)]

    def _count(self) -> None:
        """Count the acts that came since, all later than those before, by day."""
        times, codes = self._moments.times, self.codes
        end, counts = START_OF_TIME, dict[int, int]()
        for place in range(self._counted, len(times)):
            time, code = times[place], codes[place]
            if time >= end:
                day = time // DAY
                end, counts = (day + 1) * DAY, self._counts_of(day)
            counts[code] = counts.get(code, 0) + 1
        self._counted = len(times)

    def _counts_of(self, day: int) -> dict[int, int]:
        counts = self._days.get(day)
        if counts is None:
            counts = self._days[day] = {}
            insort(self._day_numbers, day)
        return counts

    def _tell(self, time: int, position: int, shape: ActShape, event: InteractionRecorded, told: int) -> None:
        """Keep what is asked of an interaction beyond its time and kind."""
        if shape.special:
            match shape.kind:
                case i.INTERACTION_KIND_PURCHASE:
                    self.buying.buy(time, position, event)
                case i.INTERACTION_KIND_PURCHASE_ELSEWHERE:
                    self.buying.buy_elsewhere(time, position)
                case i.INTERACTION_KIND_RETURN:
                    # A reference names what was recorded before; others name nothing.
                    if not event.partial and event.refers_to < told:
                        self.buying.give_back(position, self._state.conversation.original(event.refers_to))
                case i.INTERACTION_KIND_JOIN | i.INTERACTION_KIND_LEAVE:
                    joins = shape.kind == i.INTERACTION_KIND_JOIN
                    self.memberships.say(time, position, event.programme, joins=joins)
                case _:
                    pass  # Praise and complaints have a tone, and nothing else.
        tone = _tone(shape, event)
        if tone is not None:
            self.tones.setdefault(tone, Moments()).add(time, position)
            self._tones[position] = time, tone


def _tone(shape: ActShape, event: InteractionRecorded) -> Tone | None:
    """Return the tone that an interaction bears; that of its kind goes before a judgement."""
    if shape.tone:
        return shape.tone, BY_KIND
    sign = _SIGNS.get(event.sentiment.value)
    return None if sign is None else (sign, event.sentiment.provenance)


TOPICS: Final = (*EXCHANGES, *TIES)
"""What is folded here beside interactions."""
