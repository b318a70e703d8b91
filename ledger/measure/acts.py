"""What the customer did: acts in the order of their occur times, purchases, memberships, tones (relationship.md 3-7).

The hot path of every measure: most facts are interactions that happen in the order in which they are recorded, and for
those three columns grow by one. What comes late, or is corrected or retracted, is put right at once. Nothing here rests
on a policy: kinds are kept, and weighed when somebody asks.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Final

from ledger.balance.book import Book
from ledger.domain.fact import Fact
from ledger.domain.interaction import CORRECTED, RECORDED, RETRACTED
from ledger.domain.moments import Moments
from ledger.domain.times import END_OF_TIME, MICROSECONDS, START_OF_TIME
from ledger.measure.act_shapes import KNOWN, ActShape, shape_of
from ledger.measure.buying import EXCHANGES, Buying
from ledger.measure.memberships import Memberships
from ledger.measure.rules import Rules
from ledger.measure.sessions import Sessions
from ledger.measure.ties import TIES, Ties
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted

DAY: Final = 86_400 * MICROSECONDS
BY_KIND: Final = 0
"""In the place of a provenance: the kind itself bears the tone, as praise does."""

_PARTIAL: Final = i.ATTENTION_PARTIAL
_SIGNS: Final[dict[int, int]] = {i.SENTIMENT_VALUE_POSITIVE: 1, i.SENTIMENT_VALUE_NEGATIVE: -1}

Tone = tuple[int, int]
"""1 or -1, and the `Provenance` of the judgement, or BY_KIND."""


class Acts:
    """Fold of the acts of one customer.

    `times`, `positions` and `codes` are columns of one table, by (occur time, position), which hold what counts: of a
    corrected act its last form, at the position of the original. A code is a kind and an attention (`act_shapes`).
    """

    __slots__ = (
        "_corrections", "_counts", "_day_end", "_last", "_moments", "_originals", "_retracted", "_sessions", "_tones",
        "_until", "_where", "buying", "codes", "day_numbers", "days", "disturbed", "memberships", "positions", "ties",
        "times", "tones",
    )  # fmt: skip

    def __init__(self, until: int = END_OF_TIME, book: Book | None = None) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds.

        `book`: has folded each fact before it comes here; None: exchanges pass by.
        """
        self._until = until
        self._moments = Moments()
        self.times = self._moments.times
        """Occur times of the customer's acts, in microseconds."""
        self.positions = self._moments.positions
        self.codes = array("q")
        self.days: dict[int, dict[int, int]] = {}
        """How many of those acts there are by code, by UTC day since the epoch. No count is 0, no day is empty."""
        self.day_numbers: list[int] = []
        """Those days, ascending."""
        self.disturbed = END_OF_TIME
        """The earliest day on which an act came late or was taken out; set back by whoever keeps sums of days."""
        self.tones: dict[Tone, Moments] = {}
        """What bears a tone."""
        self.buying = Buying(until, book)
        """Purchases, returns, and exchanges with a leg from each side."""
        self.memberships = Memberships()
        """Joins and leaves by programme."""
        self.ties = Ties(until)
        """When contact points and common ground held."""
        self._last = START_OF_TIME
        """No act is later. Microseconds."""
        self._day_end, self._counts = START_OF_TIME, dict[int, int]()
        """The end of the day of the act that came last in order, and the counts of that day."""
        self._originals = array("q")
        """Positions of all interactions, ascending: what may be corrected."""
        self._corrections: dict[int, int] = {}
        """Originals by the positions of their corrections."""
        self._retracted: set[int] = set()
        self._where: dict[int, int] | None = None
        """Occur times of the acts by position; None until one is corrected."""
        self._tones: dict[int, tuple[int, Tone]] = {}
        """Occur times and tones by position."""
        self._sessions: Sessions | None = None
        """Under the policy asked about last."""

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
        """Fold one fact, in position order. Total: what was recorded is a fact."""
        position, _, _, time, topic, message, _ = fact
        if topic != RECORDED:
            fold = _FOLDS.get(topic)
            if fold is not None:
                fold(self, fact)
            return
        # The commonest fact, so a straight run with few calls of ours.
        self._originals.append(position)
        if time > self._until:
            return
        event: InteractionRecorded = message  # type: ignore[assignment]  # The topic says so.
        fields = event.kind, event.direction, event.initiator
        shape = KNOWN.get(fields) or shape_of(fields)
        _, by_customer, special, _, code, partial = shape
        if special or event.HasField("sentiment"):
            self._tell(time, position, shape, event, position)
        if not by_customer:
            return
        if event.attention == _PARTIAL:
            code = partial
        if time < self._last:
            self._insert(time, position, code)
            return
        self._last = time
        self.times.append(time)
        self.positions.append(position)
        self.codes.append(code)
        if self._where is not None:
            self._where[position] = time
        if time >= self._day_end:
            self._open(time)
        counts = self._counts
        counts[code] = counts.get(code, 0) + 1

    def _correct(self, fact: Fact) -> None:
        """Let a replacement count instead of an original; after a retraction nothing does."""
        event: InteractionCorrected = fact.event  # type: ignore[assignment]  # The topic says so.
        original = event.original_position
        if not self._leave(original):
            return
        self._corrections[fact.position] = original
        if fact.occur_time <= self._until:
            self._enter(fact.occur_time, original, event.replacement, fact.position)

    def _retract(self, fact: Fact) -> None:
        event: InteractionRetracted = fact.event  # type: ignore[assignment]  # The topic says so.
        if self._leave(event.original_position):
            self._retracted.add(event.original_position)

    def _enter(self, time: int, position: int, event: InteractionRecorded, said_at: int) -> None:
        """Let an interaction count, as the event at `said_at` has it, wherever its place among the others is."""
        shape = shape_of((event.kind, event.direction, event.initiator))
        if shape.special or event.HasField("sentiment"):
            self._tell(time, position, shape, event, said_at)
        if shape.by_customer:
            self._insert(time, position, shape.partial if event.attention == _PARTIAL else shape.full)

    def _leave(self, position: int) -> bool:
        """Let nothing count for an original; return False where there is none that may still be corrected."""
        at = bisect_left(self._originals, position)
        if at == len(self._originals) or self._originals[at] != position or position in self._retracted:
            return False
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
        return True

    def _insert(self, time: int, position: int, code: int) -> None:
        """Put an act among the others."""
        if self._sessions is not None:
            self._sessions.follow(self.times, self.positions, self.codes)
            self._sessions.add(time, position, code)
        self.codes.insert(self._moments.place(time, position), code)
        self._moments.add(time, position)
        if self._where is not None:
            self._where[position] = time
        self._last = max(self._last, time)
        self.disturbed = min(self.disturbed, time // DAY)
        counts = self._counts_of(time // DAY)
        counts[code] = counts.get(code, 0) + 1

    def _remove(self, time: int, position: int) -> None:
        """Take an act out."""
        place = self._moments.place(time, position)
        code, day = self.codes[place], time // DAY
        self.disturbed = min(self.disturbed, day)
        if self._sessions is not None:
            self._sessions.follow(self.times, self.positions, self.codes)
            self._sessions.remove(time, position, code)
        del self.codes[place]
        self._moments.remove(time, position)
        counts = self.days[day]
        counts[code] -= 1
        if not counts[code]:
            del counts[code]
        if not counts:
            del self.days[day]
            del self.day_numbers[bisect_left(self.day_numbers, day)]
            self._day_end = START_OF_TIME  # The next act opens its day anew.

    def _open(self, time: int) -> None:
        """Count on the day of a time from now on."""
        day = time // DAY
        self._day_end, self._counts = (day + 1) * DAY, self._counts_of(day)

    def _counts_of(self, day: int) -> dict[int, int]:
        counts = self.days.get(day)
        if counts is None:
            counts = self.days[day] = {}
            insort(self.day_numbers, day)
        return counts

    def _tell(self, time: int, position: int, shape: ActShape, event: InteractionRecorded, said_at: int) -> None:
        """Keep what is asked of an interaction beyond its time and kind."""
        if shape.special:
            match shape.kind:
                case i.INTERACTION_KIND_PURCHASE:
                    self.buying.buy(time, position, event)
                case i.INTERACTION_KIND_PURCHASE_ELSEWHERE:
                    self.buying.buy_elsewhere(time, position)
                case i.INTERACTION_KIND_RETURN:
                    # A reference names what was recorded before; others name nothing.
                    if not event.partial and event.refers_to < said_at:
                        self.buying.give_back(position, self._corrections.get(event.refers_to, event.refers_to))
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


_FOLDS: Final[dict[str, Callable[[Acts, Fact], None]]] = {
    CORRECTED: Acts._correct,  # noqa: SLF001  # The table of the class's own folds.
    RETRACTED: Acts._retract,  # noqa: SLF001
    **dict.fromkeys(EXCHANGES, lambda acts, fact: acts.buying.evolve(fact)),
    **dict.fromkeys(TIES, lambda acts, fact: acts.ties.evolve(fact)),
}
