"""Relationship policies: the built-in one, which never changes; what is filled in, refused, and in force when."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.built_in_relationship_policy import BUILT_IN_RELATIONSHIP_POLICY, decay_sha256
from ledger.domain.decay import decay
from ledger.domain.errors import Rejected
from ledger.domain.policy import PolicyState
from ledger.domain.relationship_policy import RELATIONSHIP_PUBLISHED, filled
from ledger.domain.relationship_policy_rules import faults_of_policy
from ledger.domain.relationship_publishing import checked
from ledger.domain.times import END_OF_TIME, START_OF_TIME, timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_policy_pb2 as p
from rapport.events.v1.contact_policy_pb2 import ChannelAttention
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.type.v1 import levels_pb2 as levels
from tests.relationship_policies import NOW, Publications, own_type, published, types

DIGEST_OF_BUILT_IN_POLICY = "583852b89ab13809e8b247bc6ba435c05e69729e9237befff26e8a9acc9b0574"
DIGEST_OF_DECAY = "66129d74b7b4e9f7cf915581785f43545a1d49c9f98f21fa255f553e486e8995"
"""relationship.md 2: H = 90."""
PROTO = Path(__file__).parents[2] / "protos/rapport/events/v1/relationship_policy.proto"

MESSAGES = {
    "RelationshipPolicy": "",
    "CadenceRules": "cadence",
    "StrengthRules": "strength",
    "Penalties": "strength.penalties",
    "AxisRules": "axes",
    "TypeRules": "types",
    "ReturnRules": "returns",
    "SolicitationRules": "solicitations",
    "ConversationRules": "conversation",
    "ContactShapeRules": "contact_shape",
    "AnnouncementRules": "announcements",
}
"""Where the built-in policy has each message whose fields name defaults."""


def faults(policy: RelationshipPolicy, state: PolicyState | None = None) -> dict[str, str]:
    known = state or PolicyState()
    found = faults_of_policy(policy, known.types.current, known.latest)
    return {each.violation.field: reasons.ErrorReason.Name(each.violation.reason)[13:] for each in found}


def numeric_defaults() -> list[tuple[str, int]]:
    """Return (path, number) for each default that a comment of the proto gives as one number."""
    found, message, comment = [], "", ""
    for line in PROTO.read_text().splitlines():
        if line.startswith("message "):
            message = line.split()[1]
        elif line.strip().startswith("//"):
            comment += " " + line.strip().removeprefix("//").strip()
        else:
            field = re.match(r"  (?:optional )?\w+ (\w+) = \d+", line)
            default = re.search(r"Default: (-?[\d,]+)\.(?: |$)", comment)
            if field and default and message in MESSAGES:
                path = f"{MESSAGES[message]}.{field[1]}".lstrip(".")
                found.append((path, int(default[1].replace(",", ""))))
            comment = ""
    return found


def value_at(policy: RelationshipPolicy, path: str) -> Any:
    found: Any = policy
    for step in path.split("."):
        found = getattr(found, step)
    return found


# --- Built in --------------------------------------------------------------------------------------------------------


def test_the_built_in_policy_is_frozen() -> None:
    content = BUILT_IN_RELATIONSHIP_POLICY.SerializeToString(deterministic=True)

    assert DIGEST_OF_BUILT_IN_POLICY == sha256(content).hexdigest()


def test_the_decay_table_is_that_of_the_design() -> None:
    lines = "\n".join(str(decay(age, 90)) for age in range(1795))

    assert DIGEST_OF_DECAY == sha256(lines.encode()).hexdigest() == decay_sha256(90).hex()
    assert DIGEST_OF_DECAY == BUILT_IN_RELATIONSHIP_POLICY.decay_sha256.hex()


@pytest.mark.parametrize("path, number", numeric_defaults())
def test_the_built_in_policy_has_the_number_that_the_comment_of_its_field_names(path: str, number: int) -> None:
    assert number == value_at(BUILT_IN_RELATIONSHIP_POLICY, path)


def test_every_number_of_the_policy_has_a_default_in_its_comment() -> None:
    assert 60 < len(numeric_defaults())


def test_the_weights_of_acts_are_those_of_the_design() -> None:
    table = {
        100_000: "VIEW",
        200_000: "CLICK OFFER_DECLINED",
        300_000: "VISIT",
        500_000: "COMPLAINT SUPPORT_CASE OFFER_ACCEPTED",
        1_000_000: "MESSAGE REPLY QUESTION ANSWER CHAT_SESSION SURVEY_ANSWERED PRAISE PREFERENCE_SHARED JOIN",
        1_200_000: "FEEDBACK REVIEW",
        1_500_000: "CALL PURCHASE CONTRIBUTION_SUBMITTED EVENT_ATTENDED",
        2_000_000: "MEETING REFERRAL",
    }
    expected = {
        i.InteractionKind.Value(f"INTERACTION_KIND_{kind}"): weight
        for weight, kinds in table.items()
        for kind in kinds.split()
    }

    weights = BUILT_IN_RELATIONSHIP_POLICY.strength.kind_weights
    assert expected == {each.kind: each.weight_ppm for each in weights}


def test_the_weights_of_the_components_are_those_of_the_design() -> None:
    weights = BUILT_IN_RELATIONSHIP_POLICY.strength.weights

    found = [getattr(weights, field.name) for field in weights.DESCRIPTOR.fields]
    assert [300_000, 250_000, 200_000, 75_000, 75_000, 100_000] == found


def test_the_rules_that_infer_types_are_those_of_the_design() -> None:
    rules = BUILT_IN_RELATIONSHIP_POLICY.types

    assert [
        p.TypeRule(slug="rapport:stranger", lifecycles=[levels.LIFECYCLE_STRANGER]),
        p.TypeRule(slug="fournier:enmity", valence=levels.VALENCE_NEGATIVE, intensity=levels.INTENSITY_INTENSE),
        p.TypeRule(
            slug="fournier:best-friendship",
            valence=levels.VALENCE_POSITIVE,
            closeness=levels.CLOSENESS_INTIMATE,
            intensity=levels.INTENSITY_INTENSE,
            reciprocity_min_ppm=800_000,
            reciprocity_max_ppm=1_250_000,
        ),
        p.TypeRule(
            slug="fournier:casual-friend",
            valence=levels.VALENCE_POSITIVE,
            closeness=levels.CLOSENESS_DISTANT,
            intensity=levels.INTENSITY_WEAK,
        ),
    ] == list(rules.rules)
    assert "hbr:basic-exchange" == rules.fallback_slug


def test_the_built_in_policy_could_be_published() -> None:
    assert {} == faults(BUILT_IN_RELATIONSHIP_POLICY)


# --- Defaults --------------------------------------------------------------------------------------------------------


def test_what_says_nothing_is_the_built_in_policy() -> None:
    assert BUILT_IN_RELATIONSHIP_POLICY == filled(RelationshipPolicy()) == filled(BUILT_IN_RELATIONSHIP_POLICY)


def test_what_is_given_stays_beside_what_is_filled_in() -> None:
    whole = filled(RelationshipPolicy(half_life_days=30, cadence=p.CadenceRules(days_max=60)))

    assert (30, decay_sha256(30), 180) == (whole.half_life_days, whole.decay_sha256, whole.window_days)
    assert (60, 7, 10) == (whole.cadence.days_max, whole.cadence.days_min, whole.cadence.gaps_max)


def test_a_zero_that_is_said_is_kept_where_zero_differs_from_nothing() -> None:
    rules = p.StrengthRules(
        incentive_by_legs=False, partial_attention_ppm=0, penalties=p.Penalties(spam_ppm=0), preference_prior=0
    )
    whole = filled(RelationshipPolicy(strength=rules)).strength

    assert (False, 0, 0) == (whole.incentive_by_legs, whole.partial_attention_ppm, whole.penalties.spam_ppm)
    assert (2, 50_000) == (whole.preference_prior, whole.penalties.withdrawal_ppm)


def test_weights_are_given_as_a_whole() -> None:
    asked = RelationshipPolicy(strength=p.StrengthRules(weights=p.StrengthWeights(involvement_ppm=1_000_000)))

    assert asked.strength.weights == filled(asked).strength.weights
    assert {} == faults(asked)


def test_attention_is_given_by_channel() -> None:
    given = ChannelAttention(channel=i.CHANNEL_SMS, seconds=1)
    whole = filled(RelationshipPolicy(solicitations=p.SolicitationRules(attention=[given])))

    seconds = {each.channel: each.seconds for each in whole.solicitations.attention}
    assert (1, 8, 7) == (seconds[i.CHANNEL_SMS], seconds[i.CHANNEL_EMAIL], len(seconds))


# --- Faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy, field, reason",
    [
        (RelationshipPolicy(half_life_days=3651), "half_life_days", "REQUEST_INVALID"),
        (RelationshipPolicy(decay_sha256=decay_sha256(89)), "decay_sha256", "REQUEST_INVALID"),
        (
            RelationshipPolicy(strength=p.StrengthRules(weights=p.StrengthWeights(involvement_ppm=999_999))),
            "strength.weights",
            "REQUEST_INVALID",
        ),
        (
            RelationshipPolicy(strength=p.StrengthRules(moderate_from_ppm=670_000)),
            "strength.moderate_from_ppm",
            "POLICY_RULES_CONFLICT",
        ),
        (
            RelationshipPolicy(cadence=p.CadenceRules(at_risk_factor=4)),
            "cadence.at_risk_factor",
            "POLICY_RULES_CONFLICT",
        ),
        (RelationshipPolicy(cadence=p.CadenceRules(days_min=31)), "cadence.days_min", "POLICY_RULES_CONFLICT"),
        (
            RelationshipPolicy(cadence=p.CadenceRules(days_default=121)),
            "cadence.days_default",
            "POLICY_RULES_CONFLICT",
        ),
        (RelationshipPolicy(cadence=p.CadenceRules(gaps_min=11)), "cadence.gaps_min", "POLICY_RULES_CONFLICT"),
        (RelationshipPolicy(returns=p.ReturnRules(until_days=7)), "returns.from_days", "POLICY_RULES_CONFLICT"),
        (
            RelationshipPolicy(returns=p.ReturnRules(clear_from_ppm=99_999)),
            "returns.alarm_below_ppm",
            "POLICY_RULES_CONFLICT",
        ),
        (
            RelationshipPolicy(solicitations=p.SolicitationRules(waste_clear_ppm=980_001)),
            "solicitations.waste_clear_ppm",
            "POLICY_RULES_CONFLICT",
        ),
        (
            RelationshipPolicy(conversation=p.ConversationRules(broadcast_left_from_ppm=99_999)),
            "conversation.broadcast_below_ppm",
            "POLICY_RULES_CONFLICT",
        ),
        (
            RelationshipPolicy(announcements=p.AnnouncementRules(imbalance_clear_ppm=-100_001)),
            "announcements.imbalance_below_ppm",
            "POLICY_RULES_CONFLICT",
        ),
        (
            RelationshipPolicy(announcements=p.AnnouncementRules(band_gap_ppm=340_001)),
            "announcements.band_gap_ppm",
            "POLICY_RULES_CONFLICT",
        ),
        (
            RelationshipPolicy(contact_shape=p.ContactShapeRules(diamond_up_to_ppm=800_001)),
            "contact_shape.diamond_up_to_ppm",
            "POLICY_RULES_CONFLICT",
        ),
        (
            RelationshipPolicy(axes=p.AxisRules(positive_from_ppm=0, negative_from_ppm=0)),
            "axes.positive_from_ppm",
            "POLICY_RULES_CONFLICT",
        ),
        (
            RelationshipPolicy(strength=p.StrengthRules(kind_weights=[p.KindWeight(kind=i.INTERACTION_KIND_CALL)] * 2)),
            "strength.kind_weights[1].kind",
            "POLICY_RULES_CONFLICT",
        ),
        (
            RelationshipPolicy(
                solicitations=p.SolicitationRules(attention=[ChannelAttention(channel=i.CHANNEL_SMS)] * 2)
            ),
            "solicitations.attention[1].channel",
            "POLICY_RULES_CONFLICT",
        ),
        (RelationshipPolicy(types=p.TypeRules(fallback_slug="no:type")), "types.fallback_slug", "TYPE_UNKNOWN"),
        (RelationshipPolicy(valuation_policy_id="nobody"), "valuation_policy_id", "REQUEST_INVALID"),
        (RelationshipPolicy(honouring_systems=["mail", "mail"]), "honouring_systems[1]", "REQUEST_INVALID"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(policy: RelationshipPolicy, field: str, reason: str) -> None:
    assert {field: reason} == faults(policy)
    with pytest.raises(Rejected) as refused:
        published(policy)
    assert f"policy.{field}" == refused.value.violations[0].field


@pytest.mark.parametrize(
    "policy",
    [
        RelationshipPolicy(half_life_days=3650, decay_sha256=decay_sha256(3650)),
        RelationshipPolicy(half_life_days=1),
        RelationshipPolicy(strength=p.StrengthRules(moderate_from_ppm=669_999)),
        RelationshipPolicy(returns=p.ReturnRules(clear_from_ppm=100_000)),
        RelationshipPolicy(solicitations=p.SolicitationRules(waste_clear_ppm=980_000)),
        RelationshipPolicy(announcements=p.AnnouncementRules(imbalance_clear_ppm=-100_000)),
        RelationshipPolicy(axes=p.AxisRules(positive_from_ppm=0)),
    ],
)
def test_a_policy_at_its_bounds_is_published(policy: RelationshipPolicy) -> None:
    assert 1 == published(policy).relationship.latest


def test_rules_are_refused_that_say_nothing_cannot_hold_or_are_never_reached() -> None:
    rules = [
        p.TypeRule(slug="rapport:stranger"),
        p.TypeRule(slug="no:type", reciprocity_min_ppm=2, reciprocity_max_ppm=1),
        p.TypeRule(slug="hbr:buddies", lifecycles=[levels.LIFECYCLE_ACTIVE, levels.LIFECYCLE_LAPSED]),
        p.TypeRule(slug="hbr:fling", lifecycles=[levels.LIFECYCLE_LAPSED, levels.LIFECYCLE_ACTIVE]),
    ]

    assert {
        "types.rules[0]": "REQUEST_INVALID",
        "types.rules[1].slug": "TYPE_UNKNOWN",
        "types.rules[1].reciprocity_min_ppm": "POLICY_RULES_CONFLICT",
        "types.rules[3]": "POLICY_RULES_CONFLICT",
    } == faults(RelationshipPolicy(types=p.TypeRules(rules=rules)))


def test_a_rule_of_an_own_type_is_known_once_the_type_is_published() -> None:
    asked = RelationshipPolicy(types=p.TypeRules(fallback_slug="house:regular"))
    with pytest.raises(Rejected) as refused:
        published(asked)

    assert reasons.ERROR_REASON_TYPE_UNKNOWN == refused.value.reason
    assert "house:regular" == refused.value.metadata["slug"]
    assert 1 == published(types(own_type()), asked).relationship.latest


def test_every_fault_is_named_at_once() -> None:
    asked = RelationshipPolicy(
        half_life_days=30,
        decay_sha256=bytes(32),
        strength=p.StrengthRules(weights=p.StrengthWeights(), moderate_from_ppm=900_000),
        types=p.TypeRules(fallback_slug="no:type"),
    )
    found, whole = checked(asked, PolicyState())

    names = {each.violation.field for each in found}
    assert {"decay_sha256", "strength.weights", "strength.moderate_from_ppm", "types.fallback_slug"} == names
    assert 1 == whole.version


# --- In force --------------------------------------------------------------------------------------------------------


def test_the_built_in_policy_counts_until_one_is_published() -> None:
    policies = PolicyState().relationship

    assert 0 == policies.in_force(START_OF_TIME).version == policies.in_force(END_OF_TIME).version
    assert BUILT_IN_RELATIONSHIP_POLICY == policies.in_force(0).policy
    assert policies.next_change(START_OF_TIME) is None
    assert policies.version(1) is None


def test_a_version_counts_from_its_publication_or_from_the_time_that_it_names() -> None:
    later = RelationshipPolicy(effective_from_time=timestamp(NOW + 50), window_days=20)
    policies = published(RelationshipPolicy(window_days=10), later).relationship

    in_force = [policies.in_force(at).version for at in (NOW - 1, NOW, NOW + 49, NOW + 50)]
    assert [0, 1, 1, 2] == in_force
    assert [NOW, NOW + 50, None] == [policies.next_change(at) for at in (NOW - 1, NOW, NOW + 50)]
    assert [1, 2] == [each.version for each in policies.versions]


def test_what_is_stored_has_its_number_and_every_default_but_no_time_that_nobody_asked() -> None:
    stream = Publications()
    stream.do(RelationshipPolicy(window_days=10))

    (fact,) = stream.decision.facts
    assert RELATIONSHIP_PUBLISHED == fact.topic
    expected = filled(RelationshipPolicy(version=1, window_days=10))
    assert expected == fact.event.policy  # type: ignore[attr-defined]  # The topic says so.
    assert not fact.event.policy.HasField("effective_from_time")  # type: ignore[attr-defined]


def test_the_same_content_under_the_same_number_changes_nothing_and_other_content_is_refused() -> None:
    stream = Publications()
    stream.do(RelationshipPolicy(version=1, window_days=10))

    stream.do(RelationshipPolicy(version=1, window_days=10))
    assert () == stream.decision.facts
    with pytest.raises(Rejected) as refused:
        stream.do(RelationshipPolicy(version=1, window_days=11))

    assert reasons.ERROR_REASON_POLICY_VERSION_TAKEN == refused.value.reason
    assert {"policy_id": "relationship", "version": "1", "latest": "1"} == refused.value.metadata
