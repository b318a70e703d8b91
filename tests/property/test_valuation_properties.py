"""Rules and versions as a reader of the policy would look them up, by going through all of them, against ours."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.policy import Published
from ledger.domain.times import timestamp
from ledger.policy.valuation import History, Valuation, Valuations
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION, Category
from rapport.events.v1.valuation_pb2 import SIDE_GET, SIDE_GIVE, ValuationPolicy, ValuationRule

PARTIES = (PARTY_CUSTOMER, PARTY_ORGANIZATION)
CATEGORIES = [value.number for value in Category.DESCRIPTOR.values if value.number]
GROUPS = sorted({value.name.split("_")[1] for value in Category.DESCRIPTOR.values if value.number})
ASSETS = ("EUR/2", "MIN/0")
SCOPES = st.one_of(
    st.fixed_dictionaries({"category": st.sampled_from(CATEGORIES)}),
    st.fixed_dictionaries({"group": st.sampled_from(GROUPS)}),
    st.just({"any_category": True}),
)
KEYS = st.tuples(st.sampled_from(PARTIES), st.sampled_from([SIDE_GIVE, SIDE_GET]), st.sampled_from(ASSETS), SCOPES)


def rule_by_reading(rules: list[ValuationRule], perspective: int, giver: int, category: int, asset: str) -> str | None:
    """Return the rule_id of the most specific rule for a leg."""
    side = SIDE_GIVE if giver == perspective else SIDE_GET
    name = Category.Name(category).removeprefix("CATEGORY_")  # type: ignore[arg-type]  # One of CATEGORIES.
    fitting = [rule for rule in rules if (rule.perspective, rule.side, rule.asset) == (perspective, side, asset)]
    for wanted in (
        [rule for rule in fitting if rule.category == category],
        [rule for rule in fitting if rule.group and (name == rule.group or name.startswith(f"{rule.group}_"))],
        [rule for rule in fitting if rule.any_category],
    ):
        if wanted:
            (found,) = wanted
            return found.rule_id
    return None


@given(st.lists(KEYS, max_size=25, unique_by=repr))
def test_the_rule_of_every_leg_is_the_most_specific_one_that_reading_finds(keys: list[Any]) -> None:
    rules = [
        ValuationRule(rule_id=f"r{number}", perspective=perspective, side=side, asset=asset, **scope)
        for number, (perspective, side, asset, scope) in enumerate(keys)
    ]
    valuation = Valuation(Published(ValuationPolicy(rules=rules), 1, 1, 1))

    for perspective in PARTIES:
        for giver in PARTIES:
            for category in CATEGORIES:
                for asset in ASSETS:
                    rate = valuation.rate(perspective, giver, category, asset)
                    expected = rule_by_reading(rules, perspective, giver, category, asset)
                    assert expected == (None if rate is None else rate.rule_id)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_version_in_force_is_the_greatest_by_time_then_number_however_they_came(
    times: list[int], chance: Any
) -> None:
    versions = [
        Published(ValuationPolicy(policy_id="p", version=n, effective_from_time=timestamp(time)), n, n, n)
        for n, time in enumerate(times, start=1)
    ]
    chance.shuffle(versions)
    history = History([Valuation(each) for each in versions])
    opinion = Valuations(versions, "p").opinion("", 0, at=0)

    for at in range(-1, 8):
        begun = [(time, n) for n, time in enumerate(times, start=1) if time <= at]
        for found in (history.in_force(at), opinion.valuation_at(at)):
            assert (max(begun)[1] if begun else None) == (found and found.version)
    starts = [time for time, _ in history.segments()]
    assert sorted(set(times)) == starts
    assert all(valuation is history.in_force(time) for time, valuation in history.segments())
