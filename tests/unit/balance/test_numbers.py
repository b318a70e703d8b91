"""The definitions of reciprocity.md 6, one by one, where the worked examples do not reach."""

from __future__ import annotations

import pytest

from ledger.balance.numbers import NO_POLICY, NO_VALUED_EXCHANGES, OK, Balance, Ratio, balance, balance_by_scan
from ledger.balance.view import DAY, BalanceView
from ledger.domain.amounts import INT64_MAX
from ledger.domain.errors import Rejected
from ledger.policy.valuation import Opinion
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.valuation_pb2 import VALUATION_METHOD_IMPUTED, ValuationLabel, ValuationPolicy
from rapport.relationship.v1 import balance_pb2 as b
from tests.balance_facts import CUSTOMER, ORGANIZATION, Facts, grant, leg, opinion, policy, rule

NOW = 1_000 * DAY
GIFT = {"one_sided": x.ONE_SIDED_GIFT}
EVEN = (rule(CUSTOMER, CUSTOMER, "", "EUR/2", 1), rule(CUSTOMER, ORGANIZATION, "", "EUR/2", 1))


def pays(units: int) -> x.Leg:
    return leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, units, "EUR/2")


def goods(units: int, asset: str = "EUR/2") -> x.Leg:
    return leg(ORGANIZATION, x.CATEGORY_GOODS, units, asset)


def between(got: int, gave: int, at: int = NOW - DAY) -> Facts:
    facts = Facts()
    facts.record("x1", pays(gave), goods(got), at=at)
    return facts


def told(facts: Facts, *policies: ValuationPolicy, view: BalanceView | None = None, version: int = 0) -> Balance:
    view = view or BalanceView(NOW, CUSTOMER)
    book, known = facts.book(), opinion(*policies, at=view.at, version=version)
    made = balance(book, known, view)
    assert balance_by_scan(book, known, view) == made
    return made


def even(kappa: int, trend_days: int = 90) -> ValuationPolicy:
    return policy(1, *EVEN, kappa=kappa, trend_days=trend_days)


def test_without_a_policy_there_are_quantities_only() -> None:
    made = told(between(3, 5))

    assert (NO_POLICY, "", 0, 0, None, 0) == (
        *(made.status, made.unit_of_account, made.got, made.gave, made.index, made.confidence_ppm),
    )
    assert [(1, 1, "EUR/2", 5), (2, 3, "EUR/2", 3)] == [each[:4] for each in made.quantities]


def test_a_policy_that_begins_later_is_none_yet() -> None:
    made = told(between(3, 5), policy(1, *EVEN, effective_from=NOW + 1))

    assert (NO_POLICY, 0, 2) == (made.status, made.coverage.valued_legs, made.coverage.unvalued_legs)


def test_a_version_is_in_force_from_its_instant_on() -> None:
    made = told(between(3, 5, at=NOW), policy(1, *EVEN, effective_from=NOW))

    assert (OK, 3, 5) == (made.status, made.got, made.gave)


@pytest.mark.parametrize("kappa", [0, 7])
def test_nothing_of_value_is_no_neutral_index(kappa: int) -> None:
    made = told(Facts(), even(kappa))

    assert (NO_VALUED_EXCHANGES, "EUR", None, None, None, "", None) == (
        *(made.status, made.unit_of_account, made.index, made.raw, made.band, made.label, made.trend),
    )
    assert (0, b.CUSTOMER_GAINS_UNSPECIFIED, None) == (made.confidence_ppm, made.customer_gains, made.coverage.ppm)
    assert kappa == made.kappa_nanos


def test_a_rate_of_nothing_is_a_value_but_no_index() -> None:
    made = told(
        between(3, 5), policy(1, *(rule(CUSTOMER, giver, "", "EUR/2", 0) for giver in (CUSTOMER, ORGANIZATION)))
    )

    assert (NO_VALUED_EXCHANGES, 2, 0, 1_000_000) == (
        *(made.status, made.coverage.valued_legs, made.coverage.unvalued_legs, made.coverage.ppm),
    )
    assert (NOW - DAY, NOW - DAY) == (made.last_got, made.last_gave)
    assert [0] == [share.share_ppm for share in made.coverage.by_method]


def test_what_weighs_nothing_any_more_is_still_got() -> None:
    made = told(between(3, 5, at=0), even(0), view=BalanceView(NOW, CUSTOMER, half_life_days=7))

    assert (NO_VALUED_EXCHANGES, 3, 5, 0, 0, 0) == (
        *(made.status, made.got, made.gave, made.got_weighted, made.gave_weighted, made.denominator),
    )


def test_weights_go_by_the_day_of_the_view_in_earlier_windows_too() -> None:
    facts = between(1, 8, at=NOW - 90 * DAY)
    view = BalanceView(NOW, CUSTOMER, NOW - 100 * DAY, NOW - 80 * DAY, half_life_days=90)

    made = told(facts, even(0), view=view)

    assert (8, 4_000_000) == (made.gave, made.gave_weighted)


def test_a_day_ends_at_midnight() -> None:
    def weighted(at: int) -> int:
        return told(between(1, 1, at=at), even(0), view=BalanceView(NOW, CUSTOMER, half_life_days=1)).got_weighted

    assert (1_000_000, 500_000, 500_000, 250_000) == (
        *(weighted(NOW), weighted(NOW - 1), weighted(NOW - DAY), weighted(NOW - DAY - 1)),
    )


def ratios(low: int, rate: int, high: int, kappa: int = 0) -> Balance:
    """Return the balance of one unit each way; what is given has a fixed rate of 10."""
    rates = rule(CUSTOMER, CUSTOMER, "", "EUR/2", 10), rule(CUSTOMER, ORGANIZATION, "", "EUR/2", rate, low, high)
    return told(between(1, 1), policy(1, *rates, kappa=kappa))


@pytest.mark.parametrize(
    "low, rate, high, gains, certain",
    [
        (11, 12, 13, b.CUSTOMER_GAINS_YES, True),
        (10, 12, 13, b.CUSTOMER_GAINS_YES, False),  # At worst exactly even.
        (9, 10, 11, b.CUSTOMER_GAINS_UNCERTAIN, False),
        (8, 9, 10, b.CUSTOMER_GAINS_UNCERTAIN, False),  # At best exactly even.
        (7, 8, 9, b.CUSTOMER_GAINS_NO, True),
    ],
)
def test_the_customer_gains_if_even_the_low_end_says_so(
    low: int, rate: int, high: int, gains: b.CustomerGains.ValueType, certain: bool
) -> None:
    made = ratios(low, rate, high)

    assert made.band is not None
    assert (gains, certain) == (made.customer_gains, made.band.sign_certain)


def test_an_end_of_the_band_of_nothing_is_0() -> None:
    rates = rule(CUSTOMER, CUSTOMER, "", "EUR/2", 0), rule(CUSTOMER, ORGANIZATION, "", "EUR/2", 1, 0, 5)
    made = told(between(1, 1), policy(1, *rates, kappa=0))

    assert made.band is not None
    assert (Ratio(0, 1), 1_000_000) == (made.band.low, made.band.high.ppm)
    assert b.CUSTOMER_GAINS_YES == made.customer_gains


@pytest.mark.parametrize(
    "got, label",
    [
        (550_000, "BALANCED"),  # 100000 of 1000000.
        (550_001, "TILTED"),  # Rounded it would still be 100002; a millionth more is enough.
        (450_000, "BALANCED"),
        (449_999, "TILTED"),
        (666_666, "TILTED"),
        (666_667, "LOPSIDED"),
        (1_000_000, "LOPSIDED"),
    ],
)
def test_labels_go_by_distance(got: int, label: str) -> None:
    assert label == told(between(got, 1_000_000 - got) if got < 10**6 else gift(goods(got)), even(0)).label


def gift(each: x.Leg) -> Facts:
    facts = Facts()
    facts.record("x1", each, at=NOW - DAY, one_sided=x.ONE_SIDED_GIFT)
    return facts


def test_labels_compare_exact_ratios_not_rounded_ones() -> None:
    # 2 * got - D over D: 100000.4 ppm is told as 100000, and is more.
    whole = 10**13
    got = (whole + whole // 10 + 4 * 10**6) // 2
    made = told(between(got, whole - got), even(0))

    assert (100_000, "TILTED") == (made.index_ppm, made.label)


def test_the_last_label_takes_all_the_rest() -> None:
    message = even(0)
    del message.labels[:]
    message.labels.append(ValuationLabel(name="NEAR", up_to_ppm=10))
    message.labels.append(ValuationLabel(name="FAR", up_to_ppm=20))

    assert "FAR" == told(gift(goods(1)), message).label


def test_kappa_assumes_as_much_each_way() -> None:
    made = told(between(30, 10), even(20))

    assert (Ratio(20 * 10**6, 80 * 10**6), 250_000, 500_000, 500_000) == (
        *(made.index, made.index_ppm, made.raw_ppm, made.confidence_ppm),
    )
    assert 80 * 10**6 == made.denominator


def test_a_window_has_its_end_and_not_its_beginning() -> None:
    facts = Facts()
    for place, at in enumerate((NOW - 3, NOW - 2, NOW - 1)):
        facts.record(f"x{place}", pays(10**place), at=at, **GIFT)

    assert 10 == told(facts, even(0), view=BalanceView(NOW, CUSTOMER, NOW - 3, NOW - 2)).gave
    assert 110 == told(facts, even(0), view=BalanceView(NOW, CUSTOMER, NOW - 3)).gave
    assert 11 == told(facts, even(0), view=BalanceView(NOW, CUSTOMER, None, NOW - 2)).gave


def test_a_window_ends_with_the_view_at_the_latest() -> None:
    facts = between(3, 5, at=NOW)

    assert 0 == told(facts, even(0), view=BalanceView(NOW - 1, CUSTOMER, NOW - 9, NOW + 1)).got
    assert 3 == told(facts, even(0), view=BalanceView(NOW, CUSTOMER, None, NOW + 1)).got


def test_a_window_that_ends_at_a_time_is_not_the_view_at_that_time() -> None:
    facts = between(3, 5, at=NOW - 10)
    facts.reverse("x1", at=NOW - 5)

    assert 3 == told(facts, even(0), view=BalanceView(NOW - 6, CUSTOMER)).got
    assert 0 == told(facts, even(0), view=BalanceView(NOW, CUSTOMER, None, NOW - 6)).got


def test_a_window_filters_entries_and_coverage_only() -> None:
    facts = between(3, 5, at=NOW - 10)
    facts.record("p", goods(7), at=NOW - 9, pending_until=NOW + 1, **GIFT)
    facts.record("l", grant(9), at=NOW - 9, **GIFT)
    rates = (*EVEN, rule(CUSTOMER, ORGANIZATION, x.CATEGORY_POINTS_GRANT, "PT/0", 2, redemption_ppm=10**6))
    whole = told(facts, policy(1, *rates))
    late = told(facts, policy(1, *rates), view=BalanceView(NOW, CUSTOMER, NOW - 1))

    assert (NO_VALUED_EXCHANGES, 0, 0, ()) == (late.status, late.got, late.coverage.valued_legs, late.lines)
    assert (7, 18, None) == (late.pending_got, late.promised, late.last_got)
    assert (whole.quantities, whole.trend) == (late.quantities, late.trend)


def test_the_trend_holds_what_is_as_old_as_its_days_no_more() -> None:
    facts = Facts()
    facts.record("x1", pays(1), at=NOW - 2 * DAY, **GIFT)
    facts.record("x2", goods(1), at=NOW - 2 * DAY + 1, **GIFT)

    made = told(facts, even(1, trend_days=2))

    assert Ratio(1 * 4, 3 * 4).ppm == made.trend_ppm  # 1/3 of late, 0 of all.


def test_without_recent_legs_there_is_no_trend() -> None:
    assert told(between(3, 5), even(1, trend_days=1)).trend is None
    assert told(between(3, 5), even(1, trend_days=2)).trend == Ratio(0, told(between(3, 5), even(1)).denominator)


def test_pending_counts_at_the_rates_of_the_exchanges_time() -> None:
    facts = Facts()
    facts.record("h", pays(2), goods(3), grant(5), at=NOW - 2, pending_until=NOW + 1)
    facts.post("h", [2, 3, 5], at=NOW)

    before, after = (told(facts, *dearer(), view=BalanceView(at, CUSTOMER)) for at in (NOW - 1, NOW))

    assert (0, 0, 30, 20) == (before.got, before.gave, before.pending_got, before.pending_gave)
    assert (60, 40, 0, 0) == (after.got, after.gave, after.pending_got, after.pending_gave)


def dearer() -> list[ValuationPolicy]:
    """Return versions with a rate of 10, and of 20 from a microsecond before NOW on; points too have a rate."""
    either = [(giver, asset) for giver in (CUSTOMER, ORGANIZATION) for asset in ("EUR/2", "PT/0")]
    return [
        policy(
            number, *(rule(CUSTOMER, giver, "", asset, 10 * number) for giver, asset in either), effective_from=begins
        )
        for number, begins in ((1, 0), (2, NOW - 1))
    ]


def test_of_versions_with_one_beginning_the_greatest_number_counts() -> None:
    one, two = policy(1, rule(CUSTOMER, CUSTOMER, "", "EUR/2", 5)), policy(2, rule(CUSTOMER, CUSTOMER, "", "EUR/2", 6))

    assert 6 * 4 == told(between(3, 4), two, one).gave
    assert 5 * 4 == told(between(3, 4), two, one, version=1).gave


def test_an_unvalued_leg_is_counted_and_listed_and_never_0() -> None:
    facts = Facts()
    facts.record("x1", pays(4), goods(2, "CD/0"), leg(CUSTOMER, x.CATEGORY_GOODS, 3, "CD/0"), at=NOW - 1)
    made = told(facts, even(0))

    assert (1, 2, 333_333) == (made.coverage.valued_legs, made.coverage.unvalued_legs, made.coverage.ppm)
    assert [("GOODS CD/0", 0, 2, 0, 5)] == [tuple(share) for share in made.coverage.unvalued]
    assert [(1, 1, 4, 1, 4, 0, 0), (1, 3, 0, 0, 0, 3, 1), (2, 3, 0, 0, 0, 2, 1)] == [
        (each.giver, each.category, each.units, each.legs, each.value, each.unvalued_units, each.unvalued_legs)
        for each in made.lines
    ]
    assert (None, NOW - 1) == (made.last_got, made.last_gave)


def test_one_sided_books_count_legs_valued_or_not() -> None:
    facts = Facts()
    facts.record("x1", pays(4), leg(CUSTOMER, x.CATEGORY_WAITING, 3, "MIN/0"), at=NOW - 2, one_sided=x.ONE_SIDED_LATER)
    facts.record("x2", goods(12), at=NOW - 1, one_sided=x.ONE_SIDED_UNOBSERVED)
    facts.record("x3", grant(12), at=NOW - 1, one_sided=x.ONE_SIDED_GIFT)

    made = told(facts, even(0))

    assert [("LATER", 4, 2, 250_000, 0), ("UNOBSERVED", 12, 1, 750_000, 0)] == [
        tuple(share) for share in made.coverage.one_sided
    ]


def test_shares_are_each_rounded_half_to_even() -> None:
    facts = Facts()
    facts.record("x1", pays(1), goods(1), leg(ORGANIZATION, x.CATEGORY_CONTENT, 1, "MIN/0"), at=NOW)
    content = rule(CUSTOMER, ORGANIZATION, "", "MIN/0", 4, method=VALUATION_METHOD_IMPUTED)

    made = told(facts, policy(1, *EVEN, content))

    assert [("FACE", 2, 333_333), ("IMPUTED", 4, 666_667)] == [
        (share.key, share.value, share.share_ppm) for share in made.coverage.by_method
    ]


def test_observed_is_the_earliest_since_that_was_declared_by_then() -> None:
    facts = Facts()
    facts.observe(x.CATEGORY_WAITING, NOW - 5 * DAY, at=NOW - 4 * DAY)
    facts.observe(x.CATEGORY_WAITING, NOW - 9 * DAY, at=NOW - DAY)
    facts.observe(x.CATEGORY_WAITING, NOW - 2 * DAY, at=NOW - DAY)
    facts.observe(x.CATEGORY_GOODS, NOW - DAY, at=NOW - DAY)

    assert ((3, NOW - DAY), (10, NOW - 9 * DAY)) == told(facts, even(0)).coverage.observed
    then = told(facts, even(0), view=BalanceView(NOW - DAY, CUSTOMER))
    assert ((3, NOW - DAY), (10, NOW - 9 * DAY)) == then.coverage.observed
    before = told(facts, even(0), view=BalanceView(NOW - DAY - 1, CUSTOMER))
    assert ((10, NOW - 5 * DAY),) == before.coverage.observed


def test_a_sum_beyond_64_bits_is_refused() -> None:
    facts = Facts()
    facts.record("x1", goods(INT64_MAX // 2), goods(INT64_MAX // 2 + 1), at=NOW, **GIFT)
    assert INT64_MAX == told(facts, even(0)).got
    facts.record("x2", leg(ORGANIZATION, x.CATEGORY_MONEY_REFUND, 1, "EUR/2"), at=NOW, **GIFT)

    for make in (balance, balance_by_scan):
        with pytest.raises(Rejected) as refusal:
            make(facts.book(), opinion(even(0), at=NOW), BalanceView(NOW, CUSTOMER))
        assert reasons.ERROR_REASON_VALUE_OUT_OF_RANGE == refusal.value.reason
        assert {"asset": "EUR"} == refusal.value.metadata


def test_a_part_beyond_64_bits_is_refused_where_its_sums_are_not() -> None:
    facts = between(INT64_MAX, INT64_MAX)  # All of one method.

    with pytest.raises(Rejected, match="64 bits"):
        balance(facts.book(), opinion(even(0), at=NOW), BalanceView(NOW, CUSTOMER))


def test_weights_may_be_wider_than_64_bits() -> None:
    made = told(gift(goods(INT64_MAX)), even(0))

    assert INT64_MAX * 10**6 == made.got_weighted


def test_an_index_between_ratios_of_large_numbers_is_exact() -> None:
    made = told(between(10**17 + 1, 10**17), even(0))

    assert Ratio(10**6, (2 * 10**17 + 1) * 10**6) == made.index
    assert 0 == made.index_ppm


def test_another_perspective_has_its_own_rates() -> None:
    made = told(between(3, 5), even(0), view=BalanceView(NOW, ORGANIZATION))

    assert (NO_VALUED_EXCHANGES, 0, 2) == (made.status, made.coverage.valued_legs, made.coverage.unvalued_legs)


def test_an_empty_book_without_policies_has_nothing() -> None:
    made = balance(Facts().book(), Opinion((), None), BalanceView(NOW, CUSTOMER))

    assert (NO_POLICY, (), ()) == (made.status, made.quantities, made.lines)
