"""Publishing valuation policies: what is filled in, what is refused, and that every fault is named."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.policy import LEG_VALUE_MAX, VALUATION_PUBLISHED, PolicyState, RegisterAsset, noted_version
from ledger.domain.times import END_OF_TIME, timestamp
from ledger.domain.valuation_policy import BYTES_MAX, faults_of
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1 import valuation_pb2 as v
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.events.v1.valuation_pb2 import ValuationLabel, ValuationPolicy, ValuationPolicyPublished
from tests.valuation_policies import LIMIT, STREAM, decide, policy, publish, registry, rule

ORGANIZATION = x.PARTY_ORGANIZATION
ASSET_UNKNOWN = reasons.ERROR_REASON_ASSET_UNKNOWN
CONFLICT = reasons.ERROR_REASON_POLICY_RULES_CONFLICT
INVALID = reasons.ERROR_REASON_REQUEST_INVALID
OUT_OF_RANGE = reasons.ERROR_REASON_RATE_OUT_OF_RANGE
TAKEN = reasons.ERROR_REASON_POLICY_VERSION_TAKEN


def stored(state: PolicyState, asked: ValuationPolicy) -> ValuationPolicy:
    (fact,) = decide(state, asked).facts
    assert isinstance(fact.event, ValuationPolicyPublished)
    return fact.event.policy


def refused(state: PolicyState, asked: ValuationPolicy) -> Rejected:
    with pytest.raises(Rejected) as refusal:
        decide(state, asked)
    return refusal.value


def faults(*rules: Any, **values: Any) -> list[tuple[str, int]]:
    """(field, reason) of everything that publishing a policy of these rules would refuse."""
    return [(each.violation.field, each.violation.reason) for each in faults_of(policy(*rules, **values), registry())]


# --- What is stored --------------------------------------------------------------------------------------------------


def test_defaults_are_stored_with_the_policy() -> None:
    whole = stored(registry(), policy())

    assert 1 == whole.version
    assert 10_000_000_000 == whole.kappa_nanos
    assert 90 == whole.trend_days
    assert [("BALANCED", 100_000), ("TILTED", 333_333), ("LOPSIDED", 1_000_000)] == [
        (label.name, label.up_to_ppm) for label in whole.labels
    ]


def test_what_is_given_is_kept_and_a_kappa_of_zero_is_given() -> None:
    labels = [ValuationLabel(name="FAIR", up_to_ppm=50_000), ValuationLabel(name="UNFAIR", up_to_ppm=50_001)]

    whole = stored(registry(), policy(version=7, kappa_nanos=0, trend_days=30, labels=labels))

    assert (7, 0, 30, labels) == (whole.version, whole.kappa_nanos, whole.trend_days, list(whole.labels))


def test_the_digest_is_that_of_the_policy_with_defaults_and_without_digest() -> None:
    whole = stored(registry(), policy())

    bare = ValuationPolicy()
    bare.CopyFrom(whole)
    bare.ClearField("digest")
    assert sha256(bare.SerializeToString(deterministic=True)).digest() == whole.digest


def test_a_digest_that_is_given_must_be_right() -> None:
    right = stored(registry(), policy()).digest

    assert right == stored(registry(), policy(digest=right)).digest
    assert [("digest", INVALID)] == faults(digest=bytes(32))


def test_a_publication_happens_now_whenever_it_counts_from() -> None:
    for effective_from in (-(10**15), 5, 10**16):
        (fact,) = decide(registry(), policy(effective_from=effective_from)).facts
        assert (VALUATION_PUBLISHED, 900, True) == (fact.topic, fact.occur_time, fact.defaulted)


def test_a_fold_as_of_an_earlier_time_knows_what_was_published_later() -> None:
    # Policies obey only what was recorded; from when on a version counts is in the version.
    (fact,) = decide(registry(), policy()).facts
    for until in (0, END_OF_TIME):
        state = PolicyState(until)
        state.evolve(Fact(50, 6, 900, fact.occur_time, VALUATION_PUBLISHED, fact.event, EventMetadata()))
        assert [("standard", 1)] == list(state.published)


# --- Versions --------------------------------------------------------------------------------------------------------


def test_a_version_without_number_gets_the_next_of_its_policy() -> None:
    state = registry()
    publish(state, policy(version=4))

    assert 5 == stored(state, policy()).version
    assert 1 == stored(state, policy(policy_id="other")).version


def test_the_same_content_under_the_same_version_changes_nothing_and_names_where_it_stands() -> None:
    state = registry()
    publish(state, policy(version=1))
    publish(state, policy(version=2, trend_days=7))

    decision = decide(state, policy(version=1))

    assert () == decision.facts
    assert len(state.assets) + 1 == noted_version(decision.note)


def test_the_same_content_in_other_words_is_the_same_too() -> None:
    state = registry()
    publish(state, policy())

    assert () == decide(state, policy(version=1, kappa_nanos=10_000_000_000, trend_days=90)).facts


def test_the_same_content_with_a_wrong_digest_is_refused_all_the_same() -> None:
    state = registry()
    publish(state, policy(version=1))

    assert ["policy.digest"] == [each.field for each in refused(state, policy(version=1, digest=bytes(32))).violations]


def test_other_content_under_a_version_is_refused_and_told_where_it_differs() -> None:
    state = registry()
    publish(state, policy(rule(), version=3))

    refusal = refused(state, policy(rule(rate=9_999_999), version=3))

    assert TAKEN == refusal.reason
    assert {"policy_id": "standard", "version": "3", "latest": "3"} == refusal.metadata
    assert ["policy.version"] == [each.field for each in refusal.violations]
    assert "rules[0].rate_nanos" in str(refusal)


def test_a_number_below_the_latest_is_taken_and_one_above_it_may_leave_a_gap() -> None:
    state = registry()
    publish(state, policy(version=3))

    assert TAKEN == refused(state, policy(version=2)).reason
    assert 9 == stored(state, policy(version=9)).version


def test_after_the_last_number_there_is_none() -> None:
    state = registry()
    publish(state, policy(version=2**31 - 1))

    assert TAKEN == refused(state, policy(trend_days=1)).reason


def test_versions_of_a_policy_keep_their_unit_of_account() -> None:
    state = registry()
    publish(state, policy())

    refusal = refused(state, policy(unit_of_account="USD"))

    assert reasons.ERROR_REASON_POLICY_UNIT_CHANGED == refusal.reason
    assert {"policy_id": "standard", "unit_of_account": "EUR"} == refusal.metadata
    assert 1 == stored(state, policy(policy_id="dollars", unit_of_account="USD")).version


# --- Rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [{"category": x.CATEGORY_MONEY_PAYMENT}, {"group": "MONEY"}, {"any_category": True}])
def test_two_rules_with_one_key_are_refused_whatever_else_they_say(scope: dict[str, Any]) -> None:
    assert [("rules[1]", CONFLICT)] == faults(rule("a", **scope), rule("b", rate=1, source="other", **scope))


def test_rules_that_differ_in_any_part_of_the_key_are_two_rules() -> None:
    goods = {"category": x.CATEGORY_GOODS}
    assert [] == faults(
        rule("a", **goods),
        rule("b", **goods, perspective=ORGANIZATION),
        rule("c", **goods, side=v.SIDE_GET),
        rule("d", **goods, asset="CD/0"),
        rule("e", group="GOODS"),
        rule("f", any_category=True),
        rule("g", category=x.CATEGORY_MONEY_PAYMENT),
    )


def test_a_rule_id_is_given_once() -> None:
    assert [("rules[2].rule_id", CONFLICT)] == faults(
        rule("a"), rule("b", side=v.SIDE_GET), rule("a", perspective=ORGANIZATION)
    )


@pytest.mark.parametrize(
    "values, field",
    [
        ({"low_nanos": -1}, "low_nanos"),
        ({"low_nanos": 11}, "rate_nanos"),
        ({"high_nanos": 9}, "high_nanos"),
        ({"high_nanos": LEG_VALUE_MAX // LIMIT + 1}, "high_nanos"),
    ],
)
def test_a_rate_is_within_its_bounds_and_a_leg_at_its_limit_fits(values: dict[str, Any], field: str) -> None:
    assert [(f"rules[0].{field}", OUT_OF_RANGE)] == faults(rule(rate=10, **values))


def test_the_bounds_themselves_are_allowed() -> None:
    assert [] == faults(rule(rate=0))
    assert [] == faults(rule(rate=LEG_VALUE_MAX // LIMIT))


def test_a_rate_out_of_range_is_told_with_its_rule_asset_and_policy() -> None:
    refusal = refused(registry(), policy(rule("dear", rate=LEG_VALUE_MAX)))

    assert {"rule_id": "dear", "asset": "EUR/2", "policy_id": "standard"} == refusal.metadata


def test_assets_are_registered_first() -> None:
    assert [("rules[0].asset", ASSET_UNKNOWN)] == faults(rule(asset="USD/2"))


def test_what_is_no_asset_is_not_repeated() -> None:
    (fault,) = faults_of(policy(rule(asset="anna@example.org")), registry())

    assert "anna" not in fault.violation.description
    assert {} == fault.values


@pytest.mark.parametrize(
    "values, field",
    [
        ({"group": "SERVICES"}, "group"),
        ({"group": "MONEY_PAYMENT"}, "group"),
        ({"category": x.CATEGORY_SERVICE_SUPPORT, "asset": "MIN/0"}, "side"),
        ({"group": "SERVICE", "asset": "MIN/0"}, "side"),
        ({"category": x.CATEGORY_MONEY_REFUND}, "side"),
        ({"category": x.CATEGORY_WAITING, "asset": "MIN/0", "side": v.SIDE_GET}, "side"),
        ({"category": x.CATEGORY_WAITING, "asset": "MIN/0", "perspective": ORGANIZATION}, "side"),
        ({"category": x.CATEGORY_MONEY_PAYMENT, "asset": "CD/0"}, "asset"),
        ({"group": "DATA", "asset": "MIN/0"}, "asset"),
        # A customer gives points back, and an organization grants them: each as its own category only.
        ({"category": x.CATEGORY_POINTS_GRANT, "asset": "PT/0"}, "side"),
        # Nobody but a customer gives data.
        ({"any_category": True, "asset": "DATAPT/0", "side": v.SIDE_GET}, "asset"),
    ],
)
def test_a_rule_that_no_leg_can_match_is_refused(values: dict[str, Any], field: str) -> None:
    assert [(f"rules[0].{field}", INVALID)] == faults(rule(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"category": x.CATEGORY_MONEY_REFUND, "side": v.SIDE_GET},
        {"category": x.CATEGORY_MONEY_REFUND, "perspective": ORGANIZATION},
        {"group": "SERVICE", "asset": "MIN/0", "side": v.SIDE_GET},
        {"category": x.CATEGORY_WAITING, "asset": "MIN/0", "side": v.SIDE_GET, "perspective": ORGANIZATION},
        {"any_category": True, "asset": "DATAPT/0"},
        {"any_category": True, "asset": "MIN/0", "side": v.SIDE_GET},
        {"group": "GOODS", "asset": "CD/0"},
    ],
)
def test_a_rule_that_some_leg_can_match_is_taken(values: dict[str, Any]) -> None:
    assert [] == faults(rule(**values))


def test_only_points_are_redeemed_and_granted_points_say_how_many() -> None:
    granted: dict[str, Any] = {"asset": "PT/0", "side": v.SIDE_GET}
    scopes: list[dict[str, Any]] = [
        {"category": x.CATEGORY_POINTS_GRANT},
        {"group": "POINTS"},
        {"any_category": True},
    ]
    field = "rules[0].redemption_ppm"

    assert [(field, INVALID)] == faults(rule(redemption_ppm=1))
    for scope in scopes:
        assert [(field, INVALID)] == faults(rule(**granted, **scope))
        assert [] == faults(rule(**granted, **scope, redemption_ppm=1))
        # Points that are worth nothing need no share of them.
        assert [] == faults(rule(rate=0, **granted, **scope))
    assert [] == faults(rule(asset="PT/0", category=x.CATEGORY_POINTS_REDEEM))


# --- Labels, size, and all faults at once ----------------------------------------------------------------------------


def test_labels_rise_and_have_names_of_their_own() -> None:
    labels = [
        ValuationLabel(name="A", up_to_ppm=10),
        ValuationLabel(name="B", up_to_ppm=10),
        ValuationLabel(name="A", up_to_ppm=9),
    ]

    assert [
        ("labels[1].up_to_ppm", INVALID),
        ("labels[2].name", INVALID),
        ("labels[2].up_to_ppm", INVALID),
    ] == faults(labels=labels)


def test_a_version_that_the_log_cannot_hold_is_refused_by_its_size() -> None:
    long = [rule(f"r{n}", perspective=ORGANIZATION, source="s" * 500) for n in range(BYTES_MAX // 500)]

    told = refused(registry(), policy(*long))

    assert CONFLICT == told.reason  # All rules have one key here: the first fault by order.
    assert ("policy.rules", reasons.ERROR_REASON_EVENT_TOO_LARGE) in [(f, r) for f, _, r in told.violations]


def test_every_fault_is_named_at_once_and_the_first_by_order_is_the_reason() -> None:
    state = registry()
    publish(state, policy(version=2))
    asked = policy(
        rule("a", low_nanos=1, rate=0),
        rule("b", asset="USD/2"),
        rule("a", side=v.SIDE_GET),
        version=1,
        unit_of_account="USD",
    )

    refusal = refused(state, asked)

    assert ASSET_UNKNOWN == refusal.reason
    assert {"policy_id": "standard", "asset": "USD/2"} == refusal.metadata
    assert {
        ("policy.rules[0].rate_nanos", OUT_OF_RANGE),
        ("policy.rules[1].asset", ASSET_UNKNOWN),
        ("policy.rules[2].rule_id", CONFLICT),
        ("policy.version", TAKEN),
        ("policy.unit_of_account", reasons.ERROR_REASON_POLICY_UNIT_CHANGED),
    } == {(each.field, each.reason) for each in refusal.violations}


def test_a_policy_of_nothing_but_nonsense_is_still_looked_at() -> None:
    nonsense = ValuationPolicy(rules=[v.ValuationRule(category=99, perspective=9, side=9)], trend_days=-1)  # type: ignore[arg-type]

    assert ("rules[0].asset", ASSET_UNKNOWN) in [
        (f.violation.field, f.violation.reason) for f in faults_of(nonsense, registry())
    ]


# --- Limits of assets ------------------------------------------------------------------------------------------------


def raised(state: PolicyState, units: int) -> Any:
    asset = AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=units)
    return RegisterAsset(stream_id=STREAM, asset=asset, path="assets[0]").decide(state, Setting(now=900, others={}))


def test_a_limit_rises_only_as_far_as_every_published_rate_allows() -> None:
    state = registry()
    dear = 3 * 10**12
    publish(state, policy(rule("cheap"), version=1))
    assert raised(state, LEG_VALUE_MAX // 10_000_000).facts
    with pytest.raises(Rejected):
        raised(state, LEG_VALUE_MAX // 10_000_000 + 1)
    publish(state, policy(rule("dear", rate=dear), version=2))
    publish(state, policy(rule("cheap"), version=3))

    assert raised(state, LEG_VALUE_MAX // dear).facts
    with pytest.raises(Rejected) as refusal:
        raised(state, LEG_VALUE_MAX // dear + 1)

    assert OUT_OF_RANGE == refusal.value.reason
    assert {"rule_id": "dear", "asset": "EUR/2", "policy_id": "standard"} == refusal.value.metadata
    assert ["assets[0].max_units_per_leg"] == [each.field for each in refusal.value.violations]


def test_rates_of_other_assets_do_not_bound_a_limit() -> None:
    state = registry()
    publish(state, policy(rule(asset="CD/0", category=x.CATEGORY_GOODS, rate=9 * 10**12)))

    assert raised(state, 10**15).facts


def test_the_effective_time_is_stored_as_given() -> None:
    assert timestamp(123_456_789) == stored(registry(), policy(effective_from=123_456_789)).effective_from_time
