"""Sessions: what the customer did without a long break, and the personal cadence that follows (relationship.md 4)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ledger.domain.moments import Moments
from ledger.measure.act_shapes import kind_of
from ledger.measure.rules import Rules
from rapport.type.v1 import levels_pb2 as levels


class Cadence(NamedTuple):
    """The usual gap between two sessions."""

    length: int
    """Microseconds, at least 1."""
    source: levels.CadenceSource.ValueType
    gaps: int
    """How many gaps it was made of; 0: there are too few, and the policy says it."""


class Sessions:
    """Acts that the customer began and that are strong enough to date involvement, under one policy."""

    __slots__ = ("_active", "_gap", "_kinds", "_reopening", "acts", "reopenings", "rules", "seen", "starts")

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        """The policy that it was last asked under."""
        self._gap, self._kinds, self._reopening = _key(rules)
        self.acts = Moments()
        """By (occur time, position)."""
        self.starts = Moments()
        """First acts of sessions."""
        self.reopenings = Moments()
        """Acts of the kinds that reopen what had ended."""
        self.seen = 0
        """How many acts of the customer were looked at."""
        self._active: tuple[tuple[int, ...], int, int] | None = None
        """Terms of the lifecycle, up to which act, and since when it was active then."""

    def serves(self, rules: Rules) -> bool:
        """Tell whether a policy sees the same acts and sessions; if so, remember that it does."""
        if rules is not self.rules:
            if _key(rules) != (self._gap, self._kinds, self._reopening):
                return False
            self.rules = rules
        return True

    def follow(self, times: Sequence[int], positions: Sequence[int], codes: Sequence[int]) -> None:
        """Look at the acts that came after those seen, at the end of all."""
        acts, kinds = self.acts, self._kinds
        for at in range(self.seen, len(times)):
            if kinds is None or kind_of(codes[at]) in kinds:
                time = times[at]
                if not acts.times or time - acts.times[-1] >= self._gap:
                    self.starts.add(time, positions[at])
                acts.add(time, positions[at])
                if kind_of(codes[at]) in self._reopening:
                    self.reopenings.add(time, positions[at])
        self.seen = len(times)

    def add(self, time: int, position: int, code: int) -> None:
        """Take note of an act that came late, when all others are seen."""
        self.seen += 1
        if self._kinds is not None and kind_of(code) not in self._kinds:
            return
        place = self.acts.place(time, position)
        self._forget(place)
        self.acts.add(time, position)
        self._settle(place)
        self._settle(place + 1)
        if kind_of(code) in self._reopening:
            self.reopenings.add(time, position)

    def remove(self, time: int, position: int, code: int) -> None:
        """Take note that an act counts no more, when all others are seen."""
        self.seen -= 1
        if self._kinds is not None and kind_of(code) not in self._kinds:
            return
        place = self.acts.place(time, position)
        self._forget(place)
        if self.starts.has(time, position):
            self.starts.remove(time, position)
        self.acts.remove(time, position)
        self._settle(place)
        if kind_of(code) in self._reopening:
            self.reopenings.remove(time, position)

    def _settle(self, place: int) -> None:
        """Let the act at a place be the first of a session as it stands now, or not be one."""
        acts = self.acts
        if place >= len(acts):
            return
        time, position = acts.times[place], acts.positions[place]
        begins = place == 0 or time - acts.times[place - 1] >= self._gap
        if begins == self.starts.has(time, position):
            return
        if begins:
            self.starts.add(time, position)
        else:
            self.starts.remove(time, position)

    def cadence(self, rules: Rules, sessions: int | None = None) -> Cadence:
        """Return the cadence after some number of sessions; None: all of them."""
        count = len(self.starts) if sessions is None else sessions
        gaps = min(max(count - 1, 0), rules.gaps_max)
        if gaps < max(rules.gaps_min, 1):
            return Cadence(rules.cadence_default, levels.CADENCE_SOURCE_DEFAULT, 0)
        times = self.starts.times[count - gaps - 1 : count]
        median = _median(sorted(later - earlier for earlier, later in pairwise(times)))
        length = min(max(median, rules.cadence_min), rules.cadence_max)
        return Cadence(length, levels.CADENCE_SOURCE_PERSONAL, gaps)

    def active_since(self, rules: Rules) -> int:
        """Return when the last run of acts began of which none came after the customer was at risk. Microseconds.

        There is an act. What was found is remembered, so that a longer run is not walked anew.
        """
        terms = (
            rules.at_risk_factor, rules.gaps_max, rules.gaps_min, rules.cadence_min, rules.cadence_max,
            rules.cadence_default,
        )  # fmt: skip
        times = self.acts.times
        known, since = (0, times[0])
        if self._active is not None and self._active[0] == terms:
            _, known, since = self._active
        for place in self._silences(known, rules):
            # An act at the very instant of the crossing makes it active at that instant: there was no risk.
            if times[place] - times[place - 1] > rules.at_risk_factor * self._cadence_before(place, rules):
                since = times[place]
                break
        self._active = terms, len(times) - 1, since
        return since

    def _silences(self, known: int, rules: Rules) -> Iterator[int]:
        """Yield the places of acts after a known one that ended a silence as long as any risk, the latest first."""
        acts, starts = self.acts, self.starts
        # No cadence is shorter than these, so a shorter silence is none.
        least = rules.at_risk_factor * min(rules.cadence_min, rules.cadence_default)
        if self._gap > least:
            yield from (at for at in range(len(acts) - 1, known, -1) if acts.times[at] - acts.times[at - 1] > least)
            return
        # Such a silence ends where a session begins, and there are far fewer sessions than acts.
        first = max(1, starts.place(acts.times[known], acts.positions[known]))
        for at in range(len(starts) - 1, first - 1, -1):
            if starts.times[at] - starts.times[at - 1] > least:
                place = acts.place(starts.times[at], starts.positions[at])
                if place > known and acts.times[place] - acts.times[place - 1] > least:
                    yield place

    def _forget(self, place: int) -> None:
        """Take note that acts change at a place: what is known of the run holds for what comes before it, if anything.

        The last act that ended a long silence is still the last one before the change, unless it comes after it.
        """
        if self._active is not None:
            terms, known, since = self._active
            earlier = min(known, place - 1)
            self._active = (terms, earlier, since) if earlier >= 0 and since <= self.acts.times[earlier] else None

    def _cadence_before(self, place: int, rules: Rules) -> int:
        acts = self.acts
        return self.cadence(rules, self.starts.place(acts.times[place], acts.positions[place])).length


def _key(rules: Rules) -> tuple[int, frozenset[int] | None, frozenset[int]]:
    """Return what sessions depend on: the gap, the kinds that count (None: all do), and those that reopen."""
    return rules.session_gap, rules.session_kinds, rules.reopening_kinds


def _median(values: Sequence[int]) -> int:
    """Return the middle of sorted values; of an even number the mean of the middle two, rounded down."""
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) // 2
