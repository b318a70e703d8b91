"""Which rule values a leg, and which version of a policy does: resolution, by the book (reciprocity.md 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ledger.domain.errors import Rejected
from ledger.domain.policy import PolicyState
from ledger.domain.times import START_OF_TIME
from ledger.policy.valuation import Opinion, Valuation, Valuations, valuations_of
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import valuation_pb2 as v
from rapport.events.v1.valuation_pb2 import ValuationPolicy, ValuationRule
from tests.valuation_policies import policy, publish, registry, rule

CUSTOMER, ORGANIZATION = x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION
SUPPORT, RECOVERY = x.CATEGORY_SERVICE_SUPPORT, x.CATEGORY_SERVICE_RECOVERY
GOT_MINUTES: dict[str, Any] = {"side": v.SIDE_GET, "asset": "MIN/0"}


def published(*policies: ValuationPolicy) -> Valuations:
    """Publish policies at the positions 100, 101, ..."""
    state = registry()
    for position, each in enumerate(policies, start=100):
        publish(state, each, position)
    return valuations_of(state)


def compiled(*rules: ValuationRule) -> Valuation:
    found = published(policy(*rules)).version("standard", 1)
    assert found is not None
    return found


def rule_id(valuation: Valuation, perspective: int, giver: int, category: int, asset: str = "MIN/0") -> str | None:
    rate = valuation.rate(perspective, giver, category, asset)
    assert rate == valuation.rate(perspective, giver, category, asset)  # Asked again it is the same.
    return None if rate is None else rate.rule_id


# --- Rules -----------------------------------------------------------------------------------------------------------


def test_the_most_specific_rule_wins_in_whatever_order_they_stand() -> None:
    rules = [
        rule("any", any_category=True, **GOT_MINUTES),
        rule("group", group="SERVICE", **GOT_MINUTES),
        rule("category", category=SUPPORT, **GOT_MINUTES),
    ]
    for given in (rules, rules[::-1]):
        valuation = compiled(*given)
        assert "category" == rule_id(valuation, CUSTOMER, ORGANIZATION, SUPPORT)
        assert "group" == rule_id(valuation, CUSTOMER, ORGANIZATION, RECOVERY)
        assert "any" == rule_id(valuation, CUSTOMER, ORGANIZATION, x.CATEGORY_CONTENT)


def test_a_rule_of_a_category_is_no_rule_of_its_group() -> None:
    assert None is rule_id(compiled(rule(category=SUPPORT, **GOT_MINUTES)), CUSTOMER, ORGANIZATION, RECOVERY)


def test_whose_opinion_and_which_side_are_part_of_the_question() -> None:
    valuation = compiled(
        rule("worth", category=SUPPORT, **GOT_MINUTES),
        rule("cost", category=SUPPORT, asset="MIN/0", perspective=ORGANIZATION),
    )

    assert "worth" == rule_id(valuation, CUSTOMER, ORGANIZATION, SUPPORT)
    assert "cost" == rule_id(valuation, ORGANIZATION, ORGANIZATION, SUPPORT)
    assert None is rule_id(valuation, CUSTOMER, CUSTOMER, SUPPORT)
    assert None is rule_id(valuation, ORGANIZATION, CUSTOMER, SUPPORT)


def test_another_asset_has_no_rate_and_a_rate_of_zero_is_one() -> None:
    valuation = compiled(rule("free", rate=0, category=SUPPORT, **GOT_MINUTES))

    assert None is valuation.rate(CUSTOMER, ORGANIZATION, SUPPORT, "HOUR/0")
    rate = valuation.rate(CUSTOMER, ORGANIZATION, SUPPORT, "MIN/0")
    assert rate is not None
    assert 0 == rate.rate


def test_a_rate_says_all_that_its_rule_says() -> None:
    granted = rule(
        "points",
        7,
        category=x.CATEGORY_POINTS_GRANT,
        side=v.SIDE_GET,
        asset="PT/0",
        redemption_ppm=800_000,
        low_nanos=3,
        high_nanos=9,
        method=v.VALUATION_METHOD_IMPUTED,
        source="what they buy",
    )

    rate = compiled(granted).rate(CUSTOMER, ORGANIZATION, x.CATEGORY_POINTS_GRANT, "PT/0")

    assert ("points", 7, 3, 9, v.VALUATION_METHOD_IMPUTED, "what they buy", 800_000) == rate


def test_a_category_of_a_later_release_is_valued_by_rules_for_any() -> None:
    assert "any" == rule_id(compiled(rule("any", any_category=True, **GOT_MINUTES)), CUSTOMER, ORGANIZATION, 99)


def test_a_compiled_version_says_what_was_published() -> None:
    state = registry()
    publish(state, policy(effective_from=5, kappa_nanos=3, trend_days=7), position=123, record_time=456)
    found = valuations_of(state).version("standard", 1)

    assert found is not None
    assert ("standard", 1, "EUR", 5, 3, 7, 123, 456) == (
        found.policy_id,
        found.version,
        found.unit_of_account,
        found.effective_from,
        found.kappa_nanos,
        found.trend_days,
        found.position,
        found.record_time,
    )
    assert [("BALANCED", 100_000), ("TILTED", 333_333), ("LOPSIDED", 1_000_000)] == list(found.labels)
    assert found.message.digest == found.digest != b""


# --- Versions --------------------------------------------------------------------------------------------------------


def versions(*effective_from: int) -> Valuations:
    """Publish versions 1, 2, ... that count from these times on."""
    return published(*(policy(effective_from=each, trend_days=n) for n, each in enumerate(effective_from, start=1)))


def numbers(segments: Sequence[tuple[int, Valuation]]) -> list[tuple[int, int]]:
    return [(time, valuation.version) for time, valuation in segments]


@pytest.mark.parametrize("at, expected", [(9, None), (10, 1), (19, 1), (20, 2), (10**9, 2)])
def test_a_leg_is_valued_by_the_version_in_force_at_its_time(at: int, expected: int | None) -> None:
    opinion = versions(10, 20).opinion("standard", 0, at=15)

    found = opinion.valuation_at(at)
    assert expected == (found and found.version)


def test_a_correction_from_the_same_time_takes_the_place_of_what_it_corrects() -> None:
    history = versions(10, 20, 10).history("standard")

    assert history is not None
    assert [(10, 3), (20, 2)] == numbers(history.segments())
    assert [1, 2, 3] == [each.version for each in history.versions]


def test_a_later_version_from_an_earlier_time_does_not_displace_one_from_a_later_time() -> None:
    history = versions(20, 10).history("standard")

    assert history is not None
    assert [(10, 2), (20, 1)] == numbers(history.segments())
    for at, expected in ((9, None), (10, 2), (19, 2), (20, 1)):
        found = history.in_force(at)
        assert expected == (found and found.version)


def test_of_versions_from_one_time_the_greatest_number_counts_not_the_last_compiled() -> None:
    three = policy(version=3, effective_from=10)
    four = policy(version=4, effective_from=10)

    assert [(10, 4)] == numbers(published(three, four).opinion("", 0, at=10).segments)


def test_a_version_by_name_values_every_leg_also_those_before_it() -> None:
    opinion = versions(10, 20).opinion("standard", 2, at=5)

    assert [(START_OF_TIME, 2)] == numbers(opinion.segments)
    assert opinion.closing is opinion.valuation_at(START_OF_TIME)
    assert opinion.closing is not None
    assert 2 == opinion.closing.version


@pytest.mark.parametrize("at, expected", [(9, None), (10, 1), (25, 2)])
def test_labels_and_kappa_come_from_the_version_in_force_at_the_views_time(at: int, expected: int | None) -> None:
    closing = versions(10, 20).opinion("standard", 0, at).closing

    assert expected == (closing and closing.version)


def test_the_policy_published_first_is_the_default() -> None:
    valuations = published(*(policy(policy_id=name) for name in ("mole", "zebra", "ant", "mole")))

    assert "mole" == valuations.default_policy_id
    closing = valuations.opinion("", 0, at=0).closing
    assert closing is not None
    assert ("mole", 2) == (closing.policy_id, closing.version)
    under = valuations.opinion("", 1, at=0).closing
    assert under is not None
    assert ("mole", 1) == (under.policy_id, under.version)


def test_where_nothing_is_published_nothing_has_a_value() -> None:
    nothing = valuations_of(PolicyState())

    assert Opinion((), None) == nothing.opinion("", 0, at=0)
    assert None is nothing.opinion("", 0, at=0).valuation_at(0)
    assert "" == nothing.default_policy_id


@pytest.mark.parametrize("policy_id, version", [("other", 0), ("other", 1), ("standard", 3), ("", 3)])
def test_what_is_named_must_be_published(policy_id: str, version: int) -> None:
    with pytest.raises(Rejected) as refusal:
        versions(10, 20).opinion(policy_id, version, at=0)

    assert reasons.ERROR_REASON_POLICY_UNKNOWN == refusal.value.reason
    assert {"policy_id": policy_id or "standard", "version": str(version)} == refusal.value.metadata


def test_a_version_named_where_nothing_is_published_is_unknown() -> None:
    with pytest.raises(Rejected) as refusal:
        valuations_of(registry()).opinion("", 1, at=0)

    assert reasons.ERROR_REASON_POLICY_UNKNOWN == refusal.value.reason


def test_valuations_are_made_once_until_another_version_is_published() -> None:
    state = registry()
    publish(state, policy())
    first = valuations_of(state)

    assert first is valuations_of(state)
    publish(state, policy(trend_days=7))
    assert None is not valuations_of(state).version("standard", 2)
    assert None is first.version("standard", 2)
