"""Lots under any sequence of grants, holds, redemptions and reversals, each at any time: against a model written apart.

The model keeps a flat list of what was accepted and asks every question of every instant: which units of which lot are
in use. It shares no code with the book that decisions use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.errors import Rejected
from rapport.events.v1.exchange_pb2 import ExchangeRecorded
from tests.exchange_pairs import Pair, Step, goods, grant, grants, post, record, redeem, redeems, refusal, reverse, told

SECOND = 1_000_000_000
LAST = 12
"""Times are 1 to 12; a lot's end may lie after that, or never come."""
NEVER = 20


class Act(NamedTuple):
    """One thing tried: a grant of one or two lots, a hold of one, its posting, a redemption, or a reversal."""

    what: str
    id: int
    at: int
    units: int
    more: int
    starts: int
    ends: int
    flag: bool


@dataclass
class Lot:
    name: tuple[str, int]
    granted: int
    starts: int
    ends: int
    place: int
    uses: list[tuple[int, int, str]] = field(default_factory=list)
    """(time, units, redemption)."""


@dataclass
class Model:
    """Everything accepted. Every question is answered by looking at all of it."""

    lots: list[Lot] = field(default_factory=list)
    reversed_at: dict[str, int] = field(default_factory=dict)
    place: int = 0

    def used(self, lot: Lot, at: int) -> int:
        return sum(units for time, units, by in lot.uses if time <= at < self.reversed_at.get(by, NEVER + 1))

    def outstanding(self, lot: Lot, at: int) -> int:
        """Return what reciprocity.md 4 says, by its formula."""
        if not lot.starts <= at < lot.ends or at >= self.reversed_at.get(lot.name[0], NEVER + 1):
            return 0
        return lot.granted - self.used(lot, at)

    def left(self, lot: Lot, at: int) -> int:
        """Return how much a use at a time may take without overdrawing any later time."""
        if not lot.starts <= at < lot.ends or lot.name[0] in self.reversed_at:
            return 0
        return min(lot.granted - self.used(lot, later) for later in range(at, min(lot.ends, NEVER)))

    def redeem(self, by: str, units: int, at: int) -> list[tuple[tuple[str, int], int]] | int:
        """Return (lot, units) in the order of use, or how many there are if those are too few."""
        chosen = []
        missing = units
        for lot in sorted(self.lots, key=lambda lot: (lot.ends, lot.starts, lot.place, lot.name[1])):
            taken = min(missing, self.left(lot, at))
            if taken:
                chosen.append((lot, taken))
                missing -= taken
        if missing:
            return units - missing
        for lot, taken in chosen:
            lot.uses.append((at, taken, by))
        return [(lot.name, taken) for lot, taken in chosen]

    def may_reverse(self, exchange: str, at: int, take_remaining: bool) -> bool:
        for lot in (lot for lot in self.lots if lot.name[0] == exchange):
            in_use = any(self.used(lot, later) for later in range(at, NEVER))
            if in_use and not (take_remaining and at >= max(time for time, _, _ in lot.uses)):
                return False
        return True


TIME = st.integers(min_value=1, max_value=LAST)
UNITS = st.integers(min_value=1, max_value=9)
ACTS = st.builds(
    Act,
    what=st.sampled_from(("grant", "grant", "hold", "post", "redeem", "redeem", "redeem", "reverse")),
    id=st.integers(min_value=1, max_value=6),
    at=TIME,
    units=UNITS,
    more=st.integers(min_value=0, max_value=9),
    starts=TIME,
    ends=st.sampled_from((*range(2, LAST + 3), NEVER, NEVER, NEVER)),
    flag=st.booleans(),
)


class Run:
    """The ledger's relationship and the model, told the same."""

    def __init__(self) -> None:
        self.pair = Pair(now=(LAST + 1) * SECOND)
        self.model = Model()
        self.made: list[tuple[str, str, int]] = []
        """(exchange, what, time) of all accepted; each act takes a new id."""
        self.accepted = 0
        self.terms: dict[str, Act] = {}
        """Of each hold."""

    def take(self, act: Act) -> None:
        step = self.step(act)
        if step is None:
            return
        number = self.accepted
        try:
            facts = self.pair.decide(step)
        except Rejected as rejected:
            self.refused(act, rejected)
            return
        self.pair.apply(step)
        self.accepted += 1
        uses = (
            [((use.exchange_id, use.grant_leg_no), use.units) for use in facts[0].event.lot_uses]
            if isinstance(facts[0].event, ExchangeRecorded)
            else []
        )
        self.model.place += 1
        match act.what:
            case "grant":
                self.lots(f"x{number}", act, (act.units, act.more), act.at)
                self.made.append((f"x{number}", "grant", act.at))
            case "hold":
                self.made.append((f"x{number}", "hold", act.at))
            case "post":
                exchange, _, _ = self.chosen(act)
                self.lots(exchange, self.terms[exchange], (min(act.units, self.terms[exchange].units),), act.at)
                self.made = [each for each in self.made if each[0] != exchange]
                self.made.append((exchange, "grant", act.at))
            case "redeem":
                assert uses == self.model.redeem(f"x{number}", act.units, act.at)
                self.made.append((f"x{number}", "redeem", act.at))
            case _:
                exchange, _, at = self.chosen(act)
                assert self.model.may_reverse(exchange, max(act.at, at), act.flag)
                self.model.reversed_at[exchange] = max(act.at, at)

    def refused(self, act: Act, rejected: Rejected) -> None:
        match told(rejected):
            case "LOT_INSUFFICIENT":
                assert int(rejected.metadata["available"]) == self.model.redeem("nobody", act.units, act.at)
            case "LOT_CONSUMED":
                exchange, _, at = self.chosen(act)
                assert not self.model.may_reverse(exchange, max(act.at, at), act.flag)
            case reason:
                assert reason in ("LOT_TERMS_INVALID", "EXCHANGE_ALREADY_REVERSED"), reason

    def step(self, act: Act) -> Step | None:
        exchange_id = f"x{self.accepted}"
        ends = None if act.ends == NEVER else act.ends * SECOND
        lot = grants(act.units, act.starts * SECOND, ends)
        if act.what == "grant":
            more = [grants(act.more, act.starts * SECOND, ends)] if act.more else []
            return grant(exchange_id, lot, *more, at=act.at * SECOND)
        if act.what == "hold":
            self.terms[exchange_id] = act
            return record(exchange_id, lot, goods(), one_sided=1, at=act.at * SECOND, until=NEVER * SECOND)
        if act.what == "redeem":
            return redeem(exchange_id, act.units, act.at * SECOND)
        found = self.found(act)
        if found is None:
            return None
        if act.what == "post":
            units = min(act.units, self.terms[found[0]].units)
            return post(found[0], units, 1, one_sided=1, at=act.at * SECOND) if act.at >= found[2] else None
        return reverse(found[0], f"r{self.accepted}", at=max(act.at, found[2]) * SECOND, take_remaining_points=act.flag)

    def found(self, act: Act) -> tuple[str, str, int] | None:
        """Return which of what was accepted an act is about."""
        kinds = ("hold",) if act.what == "post" else ("grant", "redeem")
        found = [each for each in self.made if each[1] in kinds]
        return found[act.id % len(found)] if found else None

    def chosen(self, act: Act) -> tuple[str, str, int]:
        found = self.found(act)
        assert found is not None
        return found

    def lots(self, exchange: str, terms: Act, units: tuple[int, ...], at: int) -> None:
        for leg_no, granted in enumerate(units, start=1):
            if granted:
                starts = max(at, terms.starts)
                self.model.lots.append(Lot((exchange, leg_no), granted, starts, terms.ends, self.model.place))


@settings(max_examples=300)
@given(st.lists(ACTS, max_size=25))
def test_lots_are_chosen_as_the_model_says_and_no_time_is_ever_overdrawn(acts: list[Act]) -> None:
    run = Run()
    for act in acts:
        run.take(act)
        # B4, at every T and every P.
        assert all(0 <= run.model.outstanding(lot, at) <= lot.granted for lot in run.model.lots for at in range(NEVER))

    for lot in run.model.lots:
        granted_by = run.pair.exchanges.lots.granted_by(lot.name[0])
        (in_book,) = [found for found in granted_by if found.leg_no == lot.name[1]]
        assert [run.model.left(lot, at) for at in range(NEVER)] == [
            in_book.available(at * SECOND) for at in range(NEVER)
        ]


@settings(max_examples=100)
@given(st.lists(ACTS, max_size=25), st.integers(min_value=1, max_value=LAST))
def test_what_is_available_is_what_can_be_redeemed_to_the_last_unit(acts: list[Act], at: int) -> None:
    run = Run()
    for act in acts:
        run.take(act)
    available = sum(run.model.left(lot, at) for lot in run.model.lots)

    if available:
        (fact,) = run.pair.decide(record("all", redeems(available), goods(), at=at * SECOND))
        assert available == sum(use.units for use in fact.event.lot_uses)  # type: ignore[attr-defined]
    rejected = refusal(run.pair, record("more", redeems(available + 1), goods(), at=at * SECOND))
    assert ("LOT_INSUFFICIENT", str(available)) == (told(rejected), rejected.metadata["available"])


@given(st.lists(ACTS, min_size=10, max_size=25))
def test_a_fold_of_the_same_facts_decides_the_same(acts: list[Act]) -> None:
    run = Run()
    for act in acts:
        run.take(act)
    again = Pair(now=run.pair.now, exchanges=run.pair.as_of(run.pair.now))

    for at in range(1, LAST + 1):
        steps = [record("ask", redeems(units), goods(), at=at * SECOND) for units in (1, 5, 20)]
        assert [outcome(run.pair, step) for step in steps] == [outcome(again, step) for step in steps]


def outcome(pair: Pair, step: Step) -> object:
    try:
        return [fact.event for fact in pair.decide(step)]
    except Rejected as rejected:
        return told(rejected), rejected.metadata
