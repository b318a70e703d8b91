"""What measures see of what is published, and the numbers of a policy as they read them."""

from __future__ import annotations

import pytest

from ledger.domain.built_in_relationship_policy import BUILT_IN_RELATIONSHIP_POLICY
from ledger.domain.decay import decay
from ledger.domain.errors import Rejected
from ledger.domain.policy import PolicyState
from ledger.domain.times import MICROSECONDS, timestamp
from ledger.measure.outlook import next_policy_change, outlook_of
from ledger.measure.rules import rules_of
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_policy_pb2 as p
from rapport.events.v1.exchange_pb2 import CATEGORY_ATTENTION
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.events.v1.valuation_pb2 import ValuationPolicyPublished
from tests.balance_facts import CUSTOMER, policy, rule
from tests.measured_histories import EUROS, MeasuredHistory
from tests.relationship_policies import APPROVERS, NOW, Publications, own_type, persona, published, types

DAY = 86_400 * MICROSECONDS


def test_durations_are_in_microseconds_and_ratios_in_ppm() -> None:
    rules = rules_of(BUILT_IN_RELATIONSHIP_POLICY)

    assert (180 * DAY, DAY, 30 * DAY) == (rules.window, rules.session_gap, rules.cadence_default)
    assert (7 * DAY, 120 * DAY, 365 * DAY) == (rules.cadence_min, rules.cadence_max, rules.valence_window)
    assert (180 * DAY, 14 * DAY, 2 * DAY, 7 * DAY) == (
        rules.assessment_term, rules.attribution, rules.answer_within, rules.promise_term,
    )  # fmt: skip
    assert (DAY, DAY, 14 * DAY, DAY, DAY, 30 * DAY) == (
        rules.strength_dwell, rules.imbalance_dwell, rules.mismatch_dwell, rules.type_dwell, rules.shape_dwell,
        rules.consent_expiring,
    )  # fmt: skip
    assert (-100_000, -50_000, 30_000) == (rules.imbalance_below, rules.imbalance_clear, rules.band_gap)
    assert 1_000_000 == sum(rules.weights)


def test_every_number_of_a_policy_reaches_the_rules() -> None:
    """Each field of the policy, set to a value of its own, changes the rules: none is forgotten."""
    built_in = rules_of(BUILT_IN_RELATIONSHIP_POLICY)
    unread = {"effective_from_time", "decay_sha256"}

    forgotten = []
    for message, path in _messages(BUILT_IN_RELATIONSHIP_POLICY):
        for field in message.DESCRIPTOR.fields:
            if field.message_type is not None or field.name in unread:
                continue
            changed = RelationshipPolicy()
            changed.CopyFrom(BUILT_IN_RELATIONSHIP_POLICY)
            _change(changed, path, field.name)
            if rules_of(changed) == built_in:
                forgotten.append(f"{path}.{field.name}")
    assert [] == forgotten


def _messages(message: RelationshipPolicy, path: str = "") -> list[tuple[RelationshipPolicy, str]]:
    found = [(message, path)]
    for field, value in message.ListFields():
        if field.message_type is not None and not field.is_repeated:
            found += _messages(value, f"{path}.{field.name}".lstrip("."))
    return found


def _change(policy: RelationshipPolicy, path: str, name: str) -> None:
    message = policy
    for step in path.split(".") if path else ():
        message = getattr(message, step)
    value = getattr(message, name)
    if isinstance(value, str):
        setattr(message, name, "other")
    elif isinstance(value, int):
        setattr(message, name, value + 1 if not isinstance(value, bool) else not value)
    elif name == "honouring_systems":
        value.append("mail")
    else:
        del value[:]


def test_kinds_and_channels_that_are_not_listed_weigh_nothing() -> None:
    rules = rules_of(BUILT_IN_RELATIONSHIP_POLICY)

    assert 1_500_000 == rules.kind_weights[i.INTERACTION_KIND_PURCHASE]
    assert i.INTERACTION_KIND_RETURN not in rules.kind_weights
    assert 8 == rules.channel_seconds[i.CHANNEL_EMAIL]
    assert i.CHANNEL_IN_APP not in rules.channel_seconds


def test_decay_is_that_of_the_half_life_and_ends() -> None:
    for days in (1, 90, 3650):
        rules = rules_of(RelationshipPolicy(half_life_days=days))

        ages = (0, days, 10 * days, 20 * days, 10**6)
        assert [decay(age, days) for age in ages] == [rules.decay_of(age) for age in ages]


def test_rules_are_made_once_for_each_content() -> None:
    same = RelationshipPolicy()
    same.CopyFrom(BUILT_IN_RELATIONSHIP_POLICY)

    assert rules_of(BUILT_IN_RELATIONSHIP_POLICY) is rules_of(same)


# --- Outlook ---------------------------------------------------------------------------------------------------------


def test_of_nothing_published_everything_is_built_in() -> None:
    outlook = outlook_of(PolicyState(), NOW)

    assert rules_of(BUILT_IN_RELATIONSHIP_POLICY) is outlook.rules
    assert (None, "", 0) == (outlook.opinion, outlook.valuation_policy_id, outlook.attention_nanos)
    assert (0, 0, None) == (outlook.contact_policy_version, outlook.types_version, outlook.catalogue)
    assert (23, (), False) == (len(outlook.types), outlook.personae, outlook.what_if)
    assert "marketing.direct" in outlook.purposes


def test_the_version_in_force_at_the_instant_counts_though_the_state_knows_more() -> None:
    later = RelationshipPolicy(effective_from_time=timestamp(NOW + DAY), window_days=20)
    state = published(RelationshipPolicy(window_days=10), later)

    windows = [outlook_of(state, at).rules.window // DAY for at in (NOW - 1, NOW, NOW + DAY - 1, NOW + DAY, NOW)]
    assert [180, 10, 10, 20, 10] == windows


def test_an_outlook_is_made_anew_when_something_is_published() -> None:
    stream = Publications()
    first = outlook_of(stream.state, NOW)
    assert first is outlook_of(stream.state, NOW + DAY)

    stream.do(types(own_type()))

    second = outlook_of(stream.state, NOW)
    assert (0, 1) == (first.types_version, second.types_version)
    assert "house:regular" in second.types


def test_personae_are_those_that_enough_functions_approved_under_the_policy_in_force() -> None:
    stream = Publications()
    stream.do(persona())
    stream.approve(*APPROVERS[:2])
    assert () == outlook_of(stream.state, NOW).personae

    stream.do(RelationshipPolicy(persona_approvals=2))

    ((found, functions, clauses),) = outlook_of(stream.state, NOW).personae
    assert ("regulars", APPROVERS[:2]) == (found.persona_id, functions)
    assert len(found.clauses) == len(clauses)


def test_an_hour_of_attention_is_worth_what_the_valuation_policy_in_force_says() -> None:
    history = MeasuredHistory()
    attention = rule(CUSTOMER, CUSTOMER, CATEGORY_ATTENTION, "SEC/0", 3_000_000)
    history.publish(ValuationPolicyPublished(policy=policy(1, attention, effective_from=100)))
    state = history.published()

    assert [0, 3_000_000] == [outlook_of(state, at).attention_nanos for at in (99, 100)]
    assert 100 == next_policy_change(state, 0)


# --- What if ---------------------------------------------------------------------------------------------------------


def test_another_version_and_an_unpublished_policy_are_marked_as_what_if() -> None:
    state = published(RelationshipPolicy(window_days=10), RelationshipPolicy(window_days=20))

    named, built_in, own = (outlook_of(state, NOW, under) for under in (1, 0, RelationshipPolicy(window_days=30)))

    assert [10, 180, 30] == [each.rules.window // DAY for each in (named, built_in, own)]
    assert [True, True, True] == [each.what_if for each in (named, built_in, own)]
    assert not outlook_of(state, NOW, 2).what_if
    assert not outlook_of(state, NOW).what_if


def test_a_what_if_that_could_not_be_published_is_refused() -> None:
    with pytest.raises(Rejected) as unknown:
        outlook_of(PolicyState(), NOW, 7)
    with pytest.raises(Rejected) as broken:
        outlook_of(PolicyState(), NOW, RelationshipPolicy(types=p.TypeRules(fallback_slug="no:type")))

    assert reasons.ERROR_REASON_POLICY_UNKNOWN == unknown.value.reason
    assert reasons.ERROR_REASON_TYPE_UNKNOWN == broken.value.reason
    assert ["types.fallback_slug"] == [each.field for each in broken.value.violations]


# --- Next change -----------------------------------------------------------------------------------------------------


def test_the_next_change_is_the_earliest_of_all_policies() -> None:
    history = MeasuredHistory()
    history.publish(ValuationPolicyPublished(policy=EUROS))
    history.publish(ValuationPolicyPublished(policy=policy(2, effective_from=300)))
    for version, at in ((1, 200), (2, 400)):
        whole = RelationshipPolicy(version=version, effective_from_time=timestamp(at))
        history.publish(p.RelationshipPolicyPublished(policy=whole))
    state = history.published()

    assert [200, 300, 400, None] == [next_policy_change(state, at) for at in (100, 200, 300, 400)]
