"""How the strength drifts by the clock alone, and when it may next cross a level (settled.md 18).

Nobody is to be looked at every midnight, and no crossing may be missed. So the score is enclosed: from the sums of now
follows, without a look at any day between, how low and how high it can be until some day. As long as no level lies
between, there is no crossing. Where that proves nothing further, and a crossing may be near, the score of the very next
instant of change is made exactly, and the enclosure begins anew from there.

What bounds a sum that fades: a weight is the floor of 10^6 * 2^(-age/H), so k days later it is the floor of q times the
exact one, with q = 2^(-k/H). With A the sum of now and V the same without weights, the sum of then is above qA - V and
below q(A + V). Of a ratio of two such sums q falls out, but for what floors cost: that is V / q.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.domain.amounts import half_even
from ledger.domain.decay import FULL
from ledger.measure import conversation, involvement, reciprocity
from ledger.measure.involvement import DAY
from ledger.measure.results import Ratio
from ledger.measure.score import portion, score_of

if TYPE_CHECKING:
    from ledger.measure.measured import Measured

LOOKS_MAX: Final = 64
"""Most instants at which the score is made exactly, and days that they reach: then a look in vain costs less."""


_FIRST_DAYS: Final = (1, 3, 8, 32)
"""Numbers of days that are tried where not all of the time to come holds; where the last does, longer ones are."""

Bounds = tuple[int, int]
"""The least and the most that something can be, in ppm."""
_Part = Callable[["_Enclosure", int], Bounds]
"""What a line of the score can be for so many days, the rest of today among them."""


class _Cell(NamedTuple):
    """Between which levels the score is: from the first on, below the second.

    Levels that no score can come to cross, as it is kept from 0 to 1,000,000, are none. So sums of lines need not be
    kept there before they are compared.
    """

    floor: int
    ceiling: int

    @classmethod
    def of(cls, score: int, levels: Sequence[int]) -> _Cell:
        """Return the one that a score is in."""
        floor, ceiling = _NO_FLOOR, _NO_CEILING
        for level in levels:
            if level > score:
                ceiling = min(ceiling, level)
            elif level > floor:
                floor = level
        return cls(floor if floor > 0 else _NO_FLOOR, ceiling if ceiling <= FULL else _NO_CEILING)

    def holds(self, low: int, high: int) -> bool:
        """Tell whether scores from the least to the most are all in here."""
        return self.floor <= low and high < self.ceiling


_NO_FLOOR: Final = -(1 << 62)
_NO_CEILING: Final = 1 << 62


def crosses_at(m: Measured, score: int, levels: Sequence[int], looks_max: int = LOOKS_MAX) -> int | None:
    """Return the earliest later instant at which the clock alone may carry the score over a level, in microseconds.

    A level is crossed where the score comes to be at or above it, or below it. None: none will be. Never later than a
    crossing. Earlier only at an instant at which much may change at once, such as the end of a consent, or after as
    many days as LOOKS_MAX, or as many looks, from 1 on, as the caller cares to pay for.
    """
    cell = _Cell.of(score, levels)
    leap, near, at = leaps_at(m), (m.at // DAY + LOOKS_MAX + 1) * DAY, m
    try:
        for _ in range(looks_max):
            until = _Enclosure(at).holds_until(cell)
            if until is None or (leap is not None and leap <= until):
                return leap
            if until >= near:
                return until
            before, at = at, at.later(until)
            if before is not m:
                before.let_go()
            found = score_of(at)
            if not cell.holds(found, found):
                return until
        return at.at
    finally:
        if at is not m:
            at.let_go()


def steady_until(m: Measured) -> int:
    """Return the first later instant at which a line of the score may move at all, in microseconds."""
    moves = (m.at // DAY + 1) * DAY, leaps_at(m), conversation.moves_at(m)
    return min(each for each in moves if each is not None)


def leaps_at(m: Measured) -> int | None:
    """Return the next instant at which more than fading and the window moves the score, in microseconds, or None.

    A consent begins or ends, or a promise is due.
    """
    ends, falls_due = m.permission.changes_at, m.promises.changes_at
    if ends is None or falls_due is None:
        return falls_due if ends is None else ends
    return min(ends, falls_due)


class _Enclosure:
    """Bounds of the score from an instant on, as long as nothing leaps."""

    __slots__ = (
        "_inbound", "_involved", "_m", "_moving", "_outbound", "_requests", "_spoken", "_steady", "_today", "_weights",
    )  # fmt: skip

    def __init__(self, m: Measured) -> None:
        self._m = m
        self._today = m.at // DAY
        self._weights = m.outlook.rules.weights
        self._inbound, self._outbound, _ = m.spoken
        self._spoken = self._inbound.within, self._outbound.within
        self._involved = portion(self._weights[0], involvement.involvement(m))
        self._requests = _Requests.of(m)
        self._moving = self._parts()
        _, reciprocal, preferred, _, _, permitted = self._weights
        steady = [(preferred, m.preference.preference), (permitted, m.permission.ratio)]
        if _Enclosure._reciprocity not in self._moving:
            steady.append((reciprocal, reciprocity.share(m.reciprocity)))
        self._steady = sum(portion(weight, ratio) for weight, ratio in steady)
        """What does not move at all."""
        if _Enclosure._penalties not in self._moving:
            self._steady -= m.injuries.standing

    def _parts(self) -> list[_Part]:
        """Return the lines that can move; most relationships have few."""
        m = self._m
        parts: tuple[tuple[object, _Part], ...] = (
            (m.mass.mass, _Enclosure._involvement),
            (m.reciprocity.got + m.reciprocity.gave, _Enclosure._reciprocity),
            (m.injuries.fading, _Enclosure._penalties),
            (self._spoken[0], _Enclosure._balance),
            (self._requests.answered, _Enclosure._answering),
        )
        return [part for moves, part in parts if moves]

    def holds_until(self, cell: _Cell) -> int | None:
        """Return the first instant that is not proved to be in a cell, in microseconds; None: all are.

        Bounds only widen with the days, so few numbers of days are tried, and the end is found within a factor. Of most
        the score is far from any level, whatever fades: that is tried first.
        """
        end = self._ends_after()
        if self._is_in(cell, end):
            return None
        tried = bisect_left(_FIRST_DAYS, True, key=lambda days: not self._is_in(cell, days))
        if not tried:
            midnight, moves_at = (self._today + 1) * DAY, conversation.moves_at(self._m)
            return midnight if moves_at is None else min(midnight, moves_at)
        proved = _FIRST_DAYS[tried - 1]
        if tried == len(_FIRST_DAYS):
            while 2 * proved < end and self._is_in(cell, 2 * proved):
                proved *= 2
        return (self._today + proved) * DAY

    def _ends_after(self) -> int:
        """Return after how many days nothing fades, leaves the window or is waited for any more."""
        rules = self._m.outlook.rules
        return max(len(rules.decay), (rules.window + rules.answer_within) // DAY) + 2

    def _is_in(self, cell: _Cell, days: int) -> bool:
        """Tell whether the score is in a cell for so many days, the rest of today among them."""
        low = high = self._steady
        for part in self._moving:
            least, most = part(self, days)
            low += least
            high += most
        return cell.holds(low, high)

    def _involvement(self, days: int) -> Bounds:
        """It never rises."""
        if days == 1:
            return self._involved, self._involved
        rules, (mass, fresh) = self._m.outlook.rules, self._m.mass
        low = mass * rules.decay_of(days - 1) // FULL - fresh
        if low <= 0:
            return 0, self._involved
        return half_even(self._weights[0] * low, low + involvement.half_mass(rules)), self._involved

    def _reciprocity(self, days: int) -> Bounds:
        weight, (got, gave, got_fresh, gave_fresh, *_) = self._weights[1], self._m.reciprocity
        if days == 1:
            now = portion(weight, reciprocity.share(self._m.reciprocity))
            return now, now
        kept = self._m.outlook.rules.decay_of(days - 1)
        if not kept:
            return 0, weight
        lost_got, lost_gave = (-(-fresh * FULL // kept) for fresh in (got_fresh, gave_fresh))
        low, high = Ratio(0, 1), Ratio(1, 1)
        if got > lost_got:
            low = Ratio(min(got - lost_got, gave + gave_fresh), gave + gave_fresh) if gave else high
        if gave > lost_gave:
            high = Ratio(min(got + got_fresh, gave - lost_gave), gave - lost_gave)
        return portion(weight, low), portion(weight, high)

    def _penalties(self, days: int) -> Bounds:
        """They only fade."""
        lowered, today = self._m.injuries, self._today
        return -lowered.on(today), -lowered.on(today + days - 1)

    def _balance(self, days: int) -> Bounds:
        """What is in the window only leaves it."""
        weight, end = self._weights[3], self._window_from(days)
        inbound, outbound = self._spoken
        less_in, less_out = self._inbound.left_after(end), self._outbound.left_after(end)
        low = half_even(weight * less_in, max(less_in, outbound)) if less_in else 0
        return low, half_even(weight * inbound, max(inbound, less_out)) if inbound < outbound else weight

    def _answering(self, days: int) -> Bounds:
        """What is in the window only leaves it, and what waits may stay unanswered."""
        return self._requests.bounds(self._weights[4], self._window_from(days), self._last(days))

    def _window_from(self, days: int) -> int:
        """Return when the window of the last instant of so many days begins; in microseconds, exclusive."""
        return self._last(days) - self._m.outlook.rules.window

    def _last(self, days: int) -> int:
        return (self._today + days) * DAY - 1


class _Requests(NamedTuple):
    """Times of the requests of the window, ascending, in microseconds."""

    answered: Sequence[int]
    unanswered: Sequence[int]
    """Too late to be answered in time."""
    open_until: Sequence[int]
    """When those that may still be answered in time no longer may."""

    @classmethod
    def of(cls, m: Measured) -> _Requests:
        talk, rules = m.record.talk, m.outlook.rules
        (requests, first, last), within = m.spoken.requests, rules.answer_within
        if first == last:
            return _NO_REQUESTS
        answered, unanswered, open_until = [], [], []
        for place in range(first, last):
            time = requests.times[place]
            if talk.replied_within(requests.positions[place], time, within):
                answered.append(time)
            elif time + within <= m.at:
                unanswered.append(time)
            else:
                open_until.append(time + within)
        return cls(answered, unanswered, open_until)

    def bounds(self, weight: int, end: int, until: int) -> Bounds:
        """Return bounds of answering up to an instant, inclusive. `end`: what is not later has left the window then."""
        most, least = len(self.answered), len(self.answered) - bisect_right(self.answered, end)
        if not most:
            return 0, 0
        silent = len(self.unanswered) + bisect_right(self.open_until, until)
        left = len(self.unanswered) - bisect_right(self.unanswered, end)
        low = half_even(weight * least, least + silent) if least else 0
        return low, half_even(weight * most, most + left)


_NO_REQUESTS: Final = _Requests((), (), ())
"""Where nothing was asked."""
