"""Holds under any order of recording and any time: against a model that scans a flat list of what was accepted."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.errors import Rejected
from ledger.domain.exchange_state import ExchangeState
from rapport.events.v1 import exchange_pb2 as x
from tests.exchange_pairs import Pair, Step, goods, pays, post, record, reverse, told, void

SECOND = 1_000_000_000
LAST = 12
Counts = dict[tuple[int, str], tuple[int, int, int, int, int, int]]


class Life(NamedTuple):
    """One exchange with what becomes of it; times from 1, in seconds."""

    units: tuple[int, int]
    at: int
    until: int | None
    """None: posted at once."""
    ends: str
    """How a hold ends: `post`, `void`, or `` for not at all."""
    end_at: int
    posted: tuple[int, int]
    reversed_at: int | None

    @property
    def effective(self) -> int | None:
        """Return from when on it is posted, or None."""
        if self.until is None:
            return self.at
        return self.end_at if self.ends == "post" else None

    @property
    def granted(self) -> tuple[int, int]:
        return self.units if self.until is None else self.posted


def steps(number: int, life: Life) -> list[Step]:
    """Return its commands, in the order in which they can be recorded."""
    name, at = f"x{number}", life.at * SECOND
    until = {} if life.until is None else {"until": life.until * SECOND}
    found: list[Step] = [record(name, pays(life.units[0]), goods(life.units[1]), at=at, **until)]
    if life.until is not None and life.ends == "post":
        one_sided = x.ONE_SIDED_UNSPECIFIED if all(life.posted) else x.ONE_SIDED_LATER
        found.append(post(name, *life.posted, at=life.end_at * SECOND, one_sided=one_sided))
    elif life.until is not None and life.ends == "void":
        found.append(void(name, at=life.end_at * SECOND))
    if life.reversed_at is not None and life.effective is not None:
        found.append(reverse(name, f"r{number}", at=max(life.reversed_at, life.effective) * SECOND))
    return found


@st.composite
def lives(draw: st.DrawFn) -> Life:
    units = draw(st.tuples(*[st.integers(min_value=1, max_value=50)] * 2))
    at = draw(st.integers(min_value=1, max_value=LAST - 2))
    until = draw(st.none() | st.integers(min_value=at + 1, max_value=LAST + 3))
    end_at = draw(st.integers(min_value=at, max_value=min(LAST, (until or LAST) - 1)))
    posted = draw(st.tuples(*[st.integers(min_value=0, max_value=most) for most in units]).filter(any))
    ends = draw(st.sampled_from(("post", "post", "void", "")))
    back = draw(st.none() | st.integers(min_value=1, max_value=LAST))
    return Life(units, at, until, ends, end_at, posted, back)


def counts(known: list[tuple[Life, int]], at: int) -> Counts:
    """Return posted, reversed, pended, hold_posted, hold_voided, hold_expired at a time.

    `known` are exchanges with how many of their facts are recorded.
    """
    totals: dict[tuple[int, str], Counter[str]] = {}
    for life, facts in known:
        if life.at > at:
            continue
        resolved = life.until is not None and bool(life.ends) and facts >= 2 and life.end_at <= at
        effective = life.at if life.until is None else life.end_at if resolved and life.ends == "post" else None
        back = life.reversed_at is not None and life.effective is not None and facts == len(steps(0, life))
        for side, key in enumerate(((1, "EUR/2"), (2, "CD/0"))):
            total, units = totals.setdefault(key, Counter()), life.units[side]
            granted = life.granted[side] if effective is not None else 0
            total["posted"] += granted
            if back and effective is not None and max(life.reversed_at or 0, effective) <= at:
                total["reversed"] += granted
            if life.until is not None:
                total["pended"] += units
                total["hold_posted"] += granted
                total["hold_voided"] += units - granted if resolved else 0
                total["hold_expired"] += units if not resolved and life.until <= at else 0
    names = ("posted", "reversed", "pended", "hold_posted", "hold_voided", "hold_expired")
    return {key: tuple(total[name] for name in names) for key, total in totals.items()}  # type: ignore[misc]


def shown(state: ExchangeState, at: int) -> Counts:
    return {(each.giver, each.asset): each[3:] for each in state.quantities(at * SECOND)}


@settings(max_examples=200)
@given(st.lists(lives(), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_any_order_of_recording_counts_what_the_model_counts_at_every_time(all_: list[Life], random: Random) -> None:
    pair = Pair(now=(LAST + 1) * SECOND)
    waiting = [steps(number, life) for number, life in enumerate(all_)]
    recorded = [0] * len(all_)
    before: Counts = {}
    known: list[tuple[Life, int]] = []
    while left := [number for number, steps_left in enumerate(waiting) if steps_left]:
        number = random.choice(left)
        pair.apply(waiting[number].pop(0))
        recorded[number] += 1
        known = [(life, facts) for life, facts in zip(all_, recorded, strict=True) if facts]
        now = shown(pair.exchanges, LAST)
        assert counts(known, LAST) == now
        # B2: what is recorded later makes no counter fall, but that of holds which were not expired after all.
        assert all(old <= new for key in before for old, new in zip(before[key][:5], now[key], strict=False))
        before = now
    for at in range(LAST + 1):
        state = pair.as_of(at * SECOND)
        assert counts(known, at) == shown(state, at)
        pending = [
            life
            for life in all_
            if life.until is not None and life.at <= at < life.until and not (life.ends and life.end_at <= at)
        ]
        assert len(pending) == state.pending(at * SECOND)


@given(lives(), lives())
def test_whatever_was_accepted_is_the_same_when_it_is_sent_again(one: Life, other: Life) -> None:
    pair = Pair(now=(LAST + 1) * SECOND)
    sent = [*steps(1, one), *steps(2, other)]
    for step in sent:
        pair.apply(step)

    assert [()] * len(sent) == [pair.decide(step) for step in sent]


@given(lives(), lives())
def test_of_two_different_ends_of_a_hold_one_stands(one: Life, other: Life) -> None:
    pair = Pair(now=(LAST + 1) * SECOND)
    pair.apply(record("x1", pays(50), goods(50), at=SECOND, until=(LAST + 3) * SECOND))
    ends = [
        void("x1", at=life.end_at * SECOND) if life.ends == "void" else post("x1", *life.units, at=life.end_at * SECOND)
        for life in (one, other)
    ]
    pair.apply(ends[0])
    try:
        assert () == pair.decide(ends[1])
    except Rejected as rejected:
        assert "EXCHANGE_ALREADY_RESOLVED" == told(rejected)  # noqa: PT017  # Either is right, by whether they differ.
        assert ends[0] != ends[1]
    else:
        assert ends[0] == ends[1]
