"""What holds for exchanges whatever happens: against a brute-force model, and by what must not change a total.

The model is written apart: a flat list of what was accepted, scanned for every answer, that shares no code with the
fold and the decisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import hypothesis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain import legs as legs_module
from ledger.domain.amounts import split
from ledger.domain.errors import Rejected
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.exchange_state import ExchangeState
from ledger.domain.fact import Fact
from ledger.domain.times import timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.exchange_pb2 import ExchangeRecorded, ExchangeReversed, Leg
from tests.exchange_pairs import CUSTOMER, ORGANIZATION, STREAM, Pair, goods, leg, pays

TOLERANCE = 300_000_000  # As the pair's setting has it.
SECOND = 100_000_000  # A third of the tolerance, so that three of them are slightly ahead and four are the future.
Totals = dict[tuple[int, int, str], tuple[int, int]]

BOUND = 2**63 - 1
LEGS: tuple[tuple[Leg, ...], ...] = (
    (pays(1177), goods(1)),
    (pays(1000), goods(1), goods(2)),
    (goods(3), leg(CUSTOMER, x.CATEGORY_ATTENTION, 25, "MIN/0"), leg(ORGANIZATION, x.CATEGORY_CONTENT, 5, "MIN/0")),
    (goods(BOUND // 2), pays(1)),
    (goods(4),),
)


@dataclass(frozen=True)
class Ask:
    """One operation; `kind` is an index into LEGS, or -1 for a reversal of `other`, which a replacement names too."""

    kind: int
    id: int
    other: int
    time: int | None
    expected: int | None

    def step(self) -> RecordExchange | ReverseExchange:
        if self.kind >= 0:
            return RecordExchange(
                stream_id=STREAM, event=self.recorded(), occur_time=self.time, expected_version=self.expected
            )
        event = ExchangeReversed(exchange_id=f"x{self.other}", reversal_id=f"r{self.id}")
        if self.time is None:
            event.at_original = True
        else:
            event.at.CopyFrom(timestamp(self.time))
        return ReverseExchange(stream_id=STREAM, event=event, expected_version=self.expected)

    def recorded(self) -> ExchangeRecorded:
        legs = LEGS[self.kind]
        one_sided = x.ONE_SIDED_GIFT if len({each.giver for each in legs}) == 1 else x.ONE_SIDED_UNSPECIFIED
        replaces = f"x{self.other}" if self.other else ""
        return ExchangeRecorded(exchange_id=f"x{self.id}", legs=legs, one_sided=one_sided, replaces=replaces)


@dataclass
class Accepted:
    """An operation that the model took, with what it says happened when."""

    ask: Ask
    time: int
    set_back: bool


@dataclass
class Model:
    """Everything accepted, in order. Every question is answered by looking at all of it."""

    taken: list[Accepted] = field(default_factory=list)

    def tell(self, ask: Ask, now: int) -> str:
        """Return NEW, AGAIN or the reason of a refusal."""
        twin = self._find(ask.kind < 0, ask.id)
        if twin is not None:
            return "AGAIN" if self._same(twin, ask) else "EXCHANGE_ID_REUSED"
        time = ask.time
        if ask.kind < 0:
            original = self._find(False, ask.other)
            if original is None:
                return "EXCHANGE_UNKNOWN"
            if self._reversal(ask.other) is not None:
                return "EXCHANGE_ALREADY_REVERSED"
            time = original.time if time is None else time
            if time < original.time:
                return "REVERSAL_BEFORE_ORIGINAL"
        elif ask.other and self._reversal(ask.other) is None:
            return "REPLACED_NOT_REVERSED"
        if time is not None and time > now + TOLERANCE:
            return "OCCUR_TIME_IN_FUTURE"
        if ask.expected is not None and ask.expected != len(self.taken):
            return "VERSION_CONFLICT"
        entry = Accepted(ask, now if time is None else min(time, now), time is not None and time > now)
        if any(posted > BOUND for posted, _ in scan([*self.taken, entry]).values()):
            return "VALUE_OUT_OF_RANGE"
        self.taken.append(entry)
        return "NEW"

    def _find(self, reverses: bool, number: int) -> Accepted | None:
        return next((each for each in self.taken if (each.ask.kind < 0) == reverses and each.ask.id == number), None)

    def _reversal(self, number: int) -> Accepted | None:
        return next((each for each in self.taken if each.ask.kind < 0 and each.ask.other == number), None)

    @staticmethod
    def _same(twin: Accepted, ask: Ask) -> bool:
        if (twin.ask.kind, twin.ask.other) != (ask.kind, ask.other):
            return False
        if twin.set_back and ask.time is not None:
            return twin.time <= ask.time <= twin.time + TOLERANCE
        return twin.ask.time == ask.time


def scan(taken: Sequence[Accepted], until: float = float("inf")) -> Totals:
    """Return (posted, reversed) by giver, category and asset, of what had happened by `until`."""
    posted: Counter[tuple[int, int, str]] = Counter()
    back: Counter[tuple[int, int, str]] = Counter()
    for each in taken:
        if each.ask.kind < 0 or each.time > until:
            continue
        reversed_by = [r for r in taken if r.ask.kind < 0 and r.ask.other == each.ask.id and r.time <= until]
        for part in LEGS[each.ask.kind]:
            key = part.giver, part.category, part.amount.asset
            posted[key] += part.amount.units
            back[key] += part.amount.units * len(reversed_by)
    return {key: (units, back[key]) for key, units in posted.items()}


def totals(state: ExchangeState) -> Totals:
    return {(each.giver, each.category, each.asset): (each.posted, each.reversed) for each in state.quantities()}


def pair() -> Pair:
    fresh = Pair(now=10 * SECOND)
    for name, asset in fresh.policy.assets.items():
        fresh.policy.assets[name] = asset._replace(max_units_per_leg=BOUND)
    return fresh


def told(relationship: Pair, step: RecordExchange | ReverseExchange) -> str:
    before = relationship.version
    try:
        relationship.apply(step)
    except Rejected as refusal:
        return reasons.ErrorReason.Name(refusal.reason).removeprefix("ERROR_REASON_")
    return "NEW" if relationship.version > before else "AGAIN"


NUMBERS = st.integers(min_value=1, max_value=4)
TIMES = st.none() | st.integers(min_value=4, max_value=20).map(lambda number: number * SECOND)
ASKS = st.builds(
    Ask,
    kind=st.integers(min_value=-1, max_value=len(LEGS) - 1),
    id=NUMBERS,
    other=st.integers(min_value=0, max_value=4),
    time=TIMES,
    expected=st.none() | st.none() | st.integers(min_value=0, max_value=4),
)


@settings(max_examples=400)
@given(st.lists(st.tuples(ASKS, st.booleans()), max_size=25))
def test_decisions_and_totals_are_those_of_the_model(script: list[tuple[Ask, bool]]) -> None:
    relationship, model = pair(), Model()
    for ask, time_passes in script:
        relationship.now += SECOND * time_passes
        assert model.tell(ask, relationship.now) == told(relationship, ask.step())
        assert scan(model.taken) == totals(relationship.exchanges)

    assert len(model.taken) == relationship.version
    for until in range(3 * SECOND, relationship.now + 2 * SECOND, SECOND):
        state = relationship.as_of(until)
        assert scan(model.taken, until) == totals(state)
        counted = [each for each in model.taken if each.ask.kind >= 0 and each.time <= until]
        taken_back = {each.ask.other for each in model.taken if each.ask.kind < 0 and each.time <= until}
        in_force = [each for each in counted if each.ask.id not in taken_back]
        assert (len(in_force), len(counted) - len(in_force)) == (state.count, state.reversed)
        assert sum(bool(each.ask.recorded().one_sided) for each in in_force) == state.one_sided
        span = (min(each.time for each in in_force), max(each.time for each in in_force)) if in_force else None
        assert span == state.span()


# --- What must not change a total ------------------------------------------------------------------------------------

UNITS = st.integers(min_value=1, max_value=10**15)
BOTH_SIDES = st.tuples(UNITS, UNITS).map(lambda units: (pays(units[0]), goods(units[1])))
AT = st.integers(min_value=1, max_value=9).map(lambda number: number * SECOND)
EXCHANGES = st.lists(st.tuples(BOTH_SIDES, AT, st.none() | st.just(True) | AT), min_size=1, max_size=8)
"""Legs, time, and how it is reversed: not at all, at the original, or at a time (then not before the original)."""


def steps_of(exchanges: Iterable[Any]) -> list[list[RecordExchange | ReverseExchange]]:
    """Return for each exchange its recording and, if it is reversed, its reversal."""
    found = []
    for number, (legs, at, reversal) in enumerate(exchanges):
        event = ExchangeRecorded(exchange_id=f"x{number}", legs=legs)
        steps: list[RecordExchange | ReverseExchange] = [RecordExchange(stream_id=STREAM, event=event, occur_time=at)]
        if reversal is not None:
            back = ExchangeReversed(exchange_id=f"x{number}", reversal_id=f"r{number}")
            if reversal is True:
                back.at_original = True
            else:
                back.at.CopyFrom(timestamp(max(at, reversal)))
            steps.append(ReverseExchange(stream_id=STREAM, event=back))
        found.append(steps)
    return found


def interleaved(groups: list[list[RecordExchange | ReverseExchange]], random: Random) -> list[Any]:
    """Return the steps in any order in which a reversal follows its exchange."""
    waiting = [list(group) for group in groups]
    order = []
    while waiting := [group for group in waiting if group]:
        order.append(random.choice(waiting).pop(0))
    return order


@given(EXCHANGES, st.randoms(use_true_random=False))
def test_any_recording_order_gives_the_same_totals(exchanges: list[Any], random: Random) -> None:
    first, second = pair(), pair()
    for step in interleaved(steps_of(exchanges), random):
        first.apply(step)
    for step in interleaved(steps_of(exchanges), random):
        second.apply(step)

    for until in (5 * SECOND, 9 * SECOND, first.now):
        one, other = first.as_of(until), second.as_of(until)
        assert totals(one) == totals(other)
        assert (one.count, one.reversed, one.span()) == (other.count, other.reversed, other.span())


@given(EXCHANGES, BOTH_SIDES, AT)
def test_recorded_and_reversed_at_the_original_leaves_every_view_as_it_was(
    exchanges: list[Any], legs: tuple[Leg, ...], at: int
) -> None:
    relationship = pair()
    for steps in steps_of(exchanges):
        for step in steps:
            relationship.apply(step)
    before = {until: in_force(relationship.as_of(until)) for until in (at - 1, at, relationship.now)}

    relationship.apply(
        RecordExchange(stream_id=STREAM, event=ExchangeRecorded(exchange_id="extra", legs=legs), occur_time=at)
    )
    event = ExchangeReversed(exchange_id="extra", reversal_id="undo", at_original=True)
    relationship.apply(ReverseExchange(stream_id=STREAM, event=event))

    assert before == {until: in_force(relationship.as_of(until)) for until in before}


def in_force(state: ExchangeState) -> Any:
    given = {(q.giver, q.category, q.asset): q.given for q in state.quantities() if q.given}
    return given, state.count, state.one_sided, state.span()


@given(BOTH_SIDES, st.lists(st.integers(min_value=1, max_value=9), min_size=2, max_size=5), AT)
def test_an_exchange_split_into_parts_gives_the_same_totals(legs: tuple[Leg, ...], weights: list[int], at: int) -> None:
    whole, parts = pair(), pair()
    whole.apply(RecordExchange(stream_id=STREAM, event=ExchangeRecorded(exchange_id="x", legs=legs), occur_time=at))
    shares = [split(each.amount.units, weights) for each in legs]
    for number in range(len(weights)):
        given_parts = [
            leg(each.giver, each.category, share[number], each.amount.asset)
            for each, share in zip(legs, shares, strict=True)
            if share[number]
        ]
        if given_parts:
            alone = len({each.giver for each in given_parts}) == 1
            event = ExchangeRecorded(exchange_id=f"x{number}", legs=given_parts)
            event.one_sided = x.ONE_SIDED_LATER if alone else x.ONE_SIDED_UNSPECIFIED
            parts.apply(RecordExchange(stream_id=STREAM, event=event, occur_time=at))

    assert totals(whole.exchanges) == totals(parts.exchanges)


def accounts(facts: Sequence[Fact]) -> dict[tuple[int, str], int]:
    """Return the balance of each party and asset by double entry: what one gives is put to the other."""
    balance: Counter[tuple[int, str]] = Counter()
    entries: dict[str, ExchangeRecorded] = {}
    for fact in facts:
        event = fact.event
        sign = 1
        if isinstance(event, ExchangeReversed):
            event, sign = entries[event.exchange_id], -1
        assert isinstance(event, ExchangeRecorded)
        entries[event.exchange_id] = event
        for each in event.legs:
            other = CUSTOMER + ORGANIZATION - each.giver
            balance[each.giver, each.amount.asset] -= sign * each.amount.units
            balance[other, each.amount.asset] += sign * each.amount.units
    return balance


def check_conservation(exchanges: list[Any]) -> tuple[int, int]:
    """Fold exchanges; return how many were recorded and the largest sum (I14, B1 to B3)."""
    relationship, largest = pair(), 0
    before: Totals = {}
    for step in (step for steps in steps_of(exchanges) for step in steps):
        told(relationship, step)
        now = totals(relationship.exchanges)
        for key, (posted, back) in before.items():
            assert now[key][0] >= posted, "a counter fell"
            assert now[key][1] >= back, "a counter fell"
        before = now
        balance = accounts(relationship.facts)
        for asset in {asset for _, asset in balance}:
            given_by = {
                giver: sum(posted - back for (g, _, a), (posted, back) in now.items() if (g, a) == (giver, asset))
                for giver in (CUSTOMER, ORGANIZATION)
            }
            assert 0 == balance[CUSTOMER, asset] + balance[ORGANIZATION, asset]
            assert balance[CUSTOMER, asset] == given_by[ORGANIZATION] - given_by[CUSTOMER]
            largest = max(largest, *given_by.values())
    return relationship.exchanges.count + relationship.exchanges.reversed, largest


HUGE = st.integers(min_value=BOUND // 3, max_value=BOUND) | UNITS
UP_TO_THE_BOUND = st.lists(
    st.tuples(
        st.tuples(HUGE, HUGE).map(lambda units: (pays(units[0]), goods(units[1]))), AT, st.none() | st.just(True)
    ),
    min_size=1,
    max_size=6,
)


def test_what_one_gives_the_other_receives(capsys: pytest.CaptureFixture[str], seed: int) -> None:
    recorded, sums = [], []

    @hypothesis.seed(seed)
    @given(UP_TO_THE_BOUND | EXCHANGES)
    def check(exchanges: list[Any]) -> None:
        count, largest = check_conservation(exchanges)
        recorded.append(count)
        sums.append(largest)

    check()

    assert BOUND // 3 <= max(sums) <= BOUND
    n = sum(recorded)
    with capsys.disabled():
        print(f"\nI14: {n} exchanges, 0 violations, 3/N {3 / n:.1e}, largest sum {max(sums)}, seed {seed}")  # noqa: T201 # The line asked of every invariant.


def test_the_check_is_red_when_amounts_are_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    read = legs_module._account_and_units
    monkeypatch.setattr(legs_module, "_account_and_units", lambda each: (read(each)[0], float(read(each)[1])))
    monkeypatch.setattr(legs_module, "_memo", {})
    big = 10**15
    exchanges = [((pays(big), goods(big)), SECOND, None)] * 10 + [((pays(1), goods(1)), SECOND, None)]

    with pytest.raises(AssertionError):
        check_conservation(exchanges)
