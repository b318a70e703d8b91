"""What holds for balances whatever happens: against a scan of every leg, and by what must not change a number.

Histories and policies are drawn by tests/balance_histories.py from the session's seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

from ledger.balance.book import Book
from ledger.balance.lots import lots_in_view
from ledger.balance.numbers import Balance, Ratio, balance, balance_by_scan
from ledger.balance.quantities import quantities_of
from ledger.balance.view import DAY, BalanceView
from ledger.balance.viewed import SELECTED, legs_in_view
from ledger.domain.fact import Fact
from ledger.policy.valuation import Opinion
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.exchange_pb2 import ExchangePosted, ExchangeRecorded
from rapport.events.v1.valuation_pb2 import ValuationPolicy
from rapport.relationship.v1.balance_pb2 import ExclusionReason
from tests.balance_facts import CUSTOMER, ORGANIZATION, book_of, leg, policy, rule, valuations
from tests.balance_histories import (
    KINDS,
    START,
    History,
    reordered,
    some_opinion,
    some_policy,
    some_valuations,
    some_view,
)

FATES_OF_POINTS = ("used", "outstanding", "lapsed", "unrecovered", "promised")
RELATIONSHIPS = 40
VIEWS = 6


def drawn(seed: int, steps: Sequence[int] = (3, 20, 60), *, lots: bool = True) -> Iterator[tuple[Random, History]]:
    """Yield histories, with what chance goes on."""
    chance = Random(seed)
    for _ in range(RELATIONSHIPS):
        yield chance, History(chance, chance.choice(steps), lots=lots)


def seen(chance: Random, history: History) -> Iterator[tuple[Opinion, BalanceView]]:
    """Yield views of a history with what values their legs."""
    known = some_valuations(chance)
    for _ in range(VIEWS):
        view = some_view(chance, history)
        yield some_opinion(chance, known, view.at), view


def same(one: Ratio | None, other: Ratio | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.numerator * other.denominator == other.numerator * one.denominator


def test_the_drawn_histories_hold_everything_that_can_become_of_a_leg(seed: int) -> None:
    chance = Random(seed)
    missing = {*ExclusionReason.values(), *FATES_OF_POINTS}
    for _ in range(500):
        history = History(chance, 60)
        book, view = history.told.book(), some_view(chance, history)
        opinion = some_opinion(chance, some_valuations(chance), view.at)
        missing -= {each.reason for each in legs_in_view(book, opinion, view)}
        missing -= {fate for lot in lots_in_view(book, opinion, view) for fate in FATES_OF_POINTS if getattr(lot, fate)}
        if not missing:
            return

    assert not missing


def test_sums_kept_say_what_every_leg_says(seed: int) -> None:
    for chance, history in drawn(seed, (0, 3, 20, 60, 60)):
        for opinion, view in seen(chance, history):
            book = history.told.book(chance.choice([*history.positions, history.positions[-1]]))

            assert balance_by_scan(book, opinion, view) == balance(book, opinion, view)


def test_a_warm_book_is_continued_to_the_same_as_a_fresh_one(seed: int) -> None:
    for chance, history in drawn(seed):
        warm, known = Book(), some_valuations(chance)
        for fact in history.facts:
            warm.evolve(fact)
            if chance.random() < 0.3:
                view = some_view(chance, history)
                opinion = some_opinion(chance, known, view.at)
                assert balance(history.told.book(fact.position), opinion, view) == balance(warm, opinion, view)

        assert (warm.version, warm.last_position) == (len(history.facts), history.positions[-1])


def test_the_order_of_recording_does_not_matter(seed: int) -> None:
    for chance, history in drawn(seed, lots=False):
        other = book_of(reordered(history.facts, chance))
        for opinion, view in seen(chance, history):
            assert balance(history.told.book(), opinion, view) == balance(other, opinion, view)


def test_adjacent_windows_add_up_to_the_whole(seed: int) -> None:
    for chance, history in drawn(seed):
        book = history.told.book()
        for opinion, drawn_view in seen(chance, history):
            whole = drawn_view._replace(window_from=None, window_to=None)
            cuts = sorted({whole.at - chance.choice([0, 1, 30 * DAY, 100 * DAY, 300 * DAY]) for _ in range(3)})
            bounds = [None, *cuts, None if cuts[-1] < whole.at else whole.at]
            parts = [
                balance(book, opinion, whole._replace(window_from=a, window_to=z))
                for a, z in pairwise(bounds)
                if a is None or z is None or a < z
            ]

            assert figures(balance(book, opinion, whole)) == tuple(map(sum, zip(*map(figures, parts), strict=True)))
            assert {balance(book, opinion, whole).quantities} == {part.quantities for part in parts}
            assert {balance(book, opinion, whole).trend} == {part.trend for part in parts}


def figures(made: Balance) -> tuple[int, ...]:
    """Return what adds up over windows."""
    shares = made.coverage.unvalued
    return (
        *(made.got, made.gave, made.net, made.got_weighted, made.gave_weighted),
        *(made.coverage.valued_legs, made.coverage.unvalued_legs),
        *(sum(line.units for line in made.lines), sum(line.legs for line in made.lines)),
        *(sum(line.value for line in made.lines), sum(line.low for line in made.lines)),
        *(sum(line.high for line in made.lines), sum(line.unvalued_units for line in made.lines)),
        *(sum(share.units for share in shares), sum(share.value for share in made.coverage.by_method)),
    )


def test_the_trend_is_the_recent_index_less_the_one_of_all_time(seed: int) -> None:
    found = 0
    for chance, history in drawn(seed):
        book = history.told.book()
        for opinion, view in seen(chance, history):
            if opinion.closing is None:
                continue
            recent = view._replace(window_from=view.at - opinion.closing.trend_days * DAY, window_to=None)
            late = balance(book, opinion, recent).index
            ever = balance(book, opinion, view._replace(window_from=None, window_to=None)).index
            trend = balance(book, opinion, view).trend

            if late is None or ever is None:
                assert trend is None
            else:
                assert same(late.less(ever), trend)
                found += 1
    assert found


def test_index_raw_confidence_and_band_agree(seed: int) -> None:
    for chance, history in drawn(seed):
        for opinion, view in seen(chance, history):
            made = balance(history.told.book(), opinion, view)
            if made.index is None or made.raw is None or made.band is None:
                assert 0 == made.got_weighted + made.gave_weighted == made.confidence_ppm
                assert (None, None, None, "", 0) == (made.index, made.raw, made.band, made.label, made.customer_gains)
                continue
            product = Ratio(
                made.confidence.numerator * made.raw.numerator, made.confidence.denominator * made.raw.denominator
            )
            assert same(made.index, product)
            assert -(10**6) <= made.band.low.ppm <= made.index.ppm <= made.band.high.ppm <= 10**6


def mirrored(fact: Fact) -> Fact:
    """Return the fact with the parties swapped."""
    if not isinstance(fact.event, ExchangeRecorded):
        return fact
    event = ExchangeRecorded()
    event.CopyFrom(fact.event)
    for each in event.legs:
        each.giver = ORGANIZATION if each.giver == CUSTOMER else CUSTOMER
    return fact._replace(event=event)


def test_swapping_the_parties_negates_the_index(seed: int) -> None:
    for chance, history in drawn(seed, lots=False):
        worth = {(category, asset): chance.choice([0, 1, 10**7]) for _, category, asset in KINDS}
        even = policy(
            1,
            *(
                rule(CUSTOMER, giver, category, asset, rate, rate // 2, 3 * rate)
                for (category, asset), rate in worth.items()
                for giver in (CUSTOMER, ORGANIZATION)
            ),
            effective_from=START - 400 * DAY,
        )
        known, other = valuations(even), book_of(mirrored(fact) for fact in history.facts)
        for _ in range(VIEWS):
            view = some_view(chance, history)._replace(perspective=CUSTOMER)
            opinion = known.opinion("", 0, view.at)
            one, two = balance(history.told.book(), opinion, view), balance(other, opinion, view)

            assert (one.got, one.gave, one.net) == (two.gave, two.got, -two.net)
            assert (one.pending_got, one.last_got) == (two.pending_gave, two.last_gave)
            if one.index is None or two.index is None or one.band is None or two.band is None:
                assert one.index is two.index
                continue
            assert one.index.numerator == -two.index.numerator
            assert (one.band.low.ppm, one.band.high.ppm) == (-two.band.high.ppm, -two.band.low.ppm)


def test_recording_and_reversing_at_the_original_time_changes_no_number(seed: int) -> None:
    for chance, history in drawn(seed):
        views = list(seen(chance, history))
        before = [balance(history.told.book(), opinion, view) for opinion, view in views]
        count = len(history.facts)
        added = leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 17, "EUR/2"), history._some_grant(START)
        history.told.record("added", *added, at=history.now - chance.choice([0, 3 * DAY]))
        history.told.reverse("added")

        after = [balance(history.told.book(), opinion, view) for opinion, view in views]

        assert count + 2 == len(history.facts)
        assert [replace(made, quantities=()) for made in before] == [replace(made, quantities=()) for made in after]
        assert [given(made) for made in before] == [given(made) for made in after]


def given(made: Balance) -> dict[tuple[int, int, str], int]:
    units = {each[:3]: each.posted - each.reversed for each in made.quantities}
    return {key: n for key, n in units.items() if n}


def halves(fact: Fact) -> list[Fact]:
    """Return the exchange of a fact as two, each with a part of the units of each leg."""
    event = fact.event
    if not isinstance(event, ExchangeRecorded) or any(each.amount.units < 2 for each in event.legs):
        return [fact]
    one, two = ExchangeRecorded(), ExchangeRecorded()
    one.CopyFrom(event)
    two.CopyFrom(event)
    two.exchange_id = f"more of {event.exchange_id}"
    for first, second in zip(one.legs, two.legs, strict=True):
        first.amount.units //= 2
        second.amount.units -= first.amount.units
    return [fact._replace(event=one), fact._replace(event=two)]


def test_splitting_an_exchange_changes_no_total(seed: int) -> None:
    for chance, history in drawn(seed, lots=False):
        facts = [fact for fact in history.facts if isinstance(fact.event, ExchangeRecorded)]
        one, two = book_of(facts), book_of(part for fact in facts for part in halves(fact))
        for opinion, view in seen(chance, history):
            first, second = balance(one, opinion, view), balance(two, opinion, view)
            assert (first.got, first.gave, first.index, first.band, first.label) == (
                *(second.got, second.gave, second.index, second.band, second.label),
            )
            assert (first.quantities, first.trend, first.pending_got) == (
                *(second.quantities, second.trend, second.pending_got),
            )
            assert [line[5:8] for line in first.lines] == [line[5:8] for line in second.lines]


def scaled(message: ValuationPolicy, factor: int) -> ValuationPolicy:
    """Return the policy told in a unit of account that is worth less."""
    made = ValuationPolicy()
    made.CopyFrom(message)
    made.kappa_nanos *= factor
    for each in made.rules:
        each.rate_nanos *= factor
        each.low_nanos *= factor
        each.high_nanos *= factor
    return made


def test_another_unit_of_account_leaves_the_index(seed: int) -> None:
    for chance, history in drawn(seed):
        policies = [some_policy(chance, number) for number in (1, 2)]
        one, two = valuations(*policies), valuations(*(scaled(message, 7) for message in policies))
        book = history.told.book()
        for _ in range(VIEWS):
            view = some_view(chance, history)
            first = balance(book, one.opinion("", 0, view.at), view)
            second = balance(book, two.opinion("", 0, view.at), view)
            assert (7 * first.got, 7 * first.gave) == (second.got, second.gave)
            assert (first.index_ppm, first.raw_ppm, first.confidence_ppm, first.label, first.trend_ppm) == (
                *(second.index_ppm, second.raw_ppm, second.confidence_ppm, second.label, second.trend_ppm),
            )
            assert same(first.index, second.index)


def test_another_get_never_lowers_the_index_and_another_give_never_raises_it(seed: int) -> None:
    for chance, history in drawn(seed):
        views = list(seen(chance, history))
        before = [balance(history.told.book(), opinion, view) for opinion, view in views]
        giver, category, asset = chance.choice(KINDS)
        added = leg(giver, category, chance.choice([1, 10**6]), asset)
        history.told.record("added", added, at=history.now, one_sided=x.ONE_SIDED_GIFT)

        for (opinion, view), earlier in zip(views, before, strict=True):
            later = balance(history.told.book(), opinion, view)
            if earlier.index is not None and later.index is not None:
                change = later.index.less(earlier.index).numerator
                assert change <= 0 if giver == view.perspective else change >= 0


def test_counters_never_fall_along_either_axis(seed: int) -> None:
    for chance, history in drawn(seed):
        book = history.told.book()
        times = sorted([START, *(fact.occur_time + chance.choice([0, DAY]) for fact in history.facts)])
        assert_none_falls(counters(book, at) for at in times)
        assert_none_falls(counters(history.told.book(position), times[-1]) for position in history.positions)


def assert_none_falls(all_counters: Iterable[Counter[tuple[object, ...]]]) -> None:
    last = Counter[tuple[object, ...]]()
    for now in all_counters:
        assert not last - now
        last = now


def counters(book: Book, at: int) -> Counter[tuple[object, ...]]:
    # What is expired is derived, and a late resolution ends it: along the axis of knowledge it may fall.
    kept = range(3, 8)
    return Counter({(*each[:3], i): each[i] for each in quantities_of(book, at) for i in kept})


def test_of_a_lot_nothing_is_lost(seed: int) -> None:
    for chance, history in drawn(seed):
        for opinion, view in seen(chance, history):
            for lot in lots_in_view(history.told.book(), opinion, view):
                assert 0 <= lot.used <= lot.granted
                assert 0 in {lot.outstanding, lot.lapsed}
                if not lot.unrecovered and lot.outstanding + lot.lapsed:
                    assert lot.granted == lot.used + lot.outstanding + lot.lapsed
                assert lot.unrecovered in {0, lot.used}


def test_entries_of_a_posting_are_the_postings(seed: int) -> None:
    for chance, history in drawn(seed):
        postings = {fact.position: fact for fact in history.facts if isinstance(fact.event, ExchangePosted)}
        for opinion, view in seen(chance, history):
            for each in legs_in_view(history.told.book(), opinion, view):
                fact = postings.get(each.position)
                if fact is None:
                    continue
                event = fact.event
                assert isinstance(event, ExchangePosted)
                assert (event.exchange_id, fact.occur_time) == (each.exchange_id, each.effective_time)
                assert (event.units[each.leg_no - 1], event.one_sided) == (each.units, each.one_sided)
                assert each.reason != SELECTED or each.units
