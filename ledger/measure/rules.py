"""A relationship policy as measures read it: plain integers, durations in microseconds, ratios in ppm."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from ledger.domain.decay import FULL, decay_table
from ledger.domain.times import MICROSECONDS
from ledger.measure.act_shapes import code_of
from ledger.measure.clauses import Conditions, conditions_of
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, StrengthRules, TypeRule

_HOUR: Final = 3_600 * MICROSECONDS
_DAY: Final = 24 * _HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One version of a relationship policy, every default filled in. Names follow the proto's."""

    version: int
    half_life_days: int
    decay: tuple[int, ...] = field(repr=False)
    """Decay in ppm by age in whole UTC days; beyond its end 0 (relationship.md 2)."""
    window: int
    session_gap: int
    gaps_max: int
    gaps_min: int
    cadence_min: int
    cadence_max: int
    cadence_default: int
    at_risk_factor: int
    lapsed_factor: int
    reopening_kinds: frozenset[int]
    session_weight: int
    session_kinds: frozenset[int] | None
    """Kinds whose acts make sessions; None: all do."""
    weights: tuple[int, int, int, int, int, int]
    """Involvement, reciprocity, preference, balance, answering, permission."""
    kind_weights: Mapping[int, int]
    """By `InteractionKind`; a kind that is missing weighs 0."""
    act_weights: Mapping[int, int] = field(repr=False)
    """Weight * attention in 10^-12 by the code of an act (`act_shapes.code_of`); what weighs nothing is missing."""
    day_cap: int
    half_mass: int
    partial_attention: int
    preference_prior: int
    incentive_by_legs: bool
    penalty_withdrawal: int
    penalty_spam: int
    penalty_complaint: int
    penalty_obstacle: int
    penalty_promise: int
    penalty_preference: int
    penalty_trust: int
    moderate_from: int
    strong_from: int
    valence_window: int
    valence_min: int
    valence_prior: int
    positive_from: int
    negative_from: int
    sentiment_provenances: frozenset[int]
    intimate_from: int
    closeness_min: int
    intense_from: int
    intensity_min: int
    assessment_term: int
    type_rules: tuple[TypeRule, ...]
    fallback_slug: str
    return_from_days: int
    return_until_days: int
    return_members_min: int
    return_alarm_below: int
    return_clear_from: int
    attribution: int
    channel_seconds: Mapping[int, int]
    """Attention by `Channel`; a channel that is missing takes 0 seconds."""
    waste_above: int
    waste_clear: int
    waste_matured_min: int
    answer_within: int
    broadcast_streak: int
    broadcast_out_min: int
    broadcast_below: int
    broadcast_left_from: int
    bow_tie_from: int
    diamond_persons: int
    diamond_functions: int
    diamond_up_to: int
    continuity_from: int
    band_gap: int
    strength_step: int
    strength_dwell: int
    imbalance_below: int
    imbalance_clear: int
    imbalance_dwell: int
    mismatch_dwell: int
    type_dwell: int
    shape_dwell: int
    consent_expiring: int
    persona_approvals: int
    promise_term: int
    valuation_policy_id: str
    """Empty: the one that the organization published first."""
    honouring_systems: frozenset[str]
    type_conditions: tuple[Conditions, ...]
    """Those of `type_rules`, as measures read them."""

    def decay_of(self, age_days: int) -> int:
        """Return the decay in ppm at an age in whole UTC days."""
        return self.decay[age_days] if age_days < len(self.decay) else 0


def rules_of(policy: RelationshipPolicy) -> Rules:
    """Return a filled policy as measures read it; made once for each content."""
    return _rules_of(policy.SerializeToString(deterministic=True))


@lru_cache(maxsize=256)
def _rules_of(content: bytes) -> Rules:
    policy = RelationshipPolicy.FromString(content)
    return Rules(
        version=policy.version,
        half_life_days=policy.half_life_days,
        decay=decay_table(policy.half_life_days),
        window=policy.window_days * _DAY,
        persona_approvals=policy.persona_approvals,
        promise_term=policy.promise_days * _DAY,
        valuation_policy_id=policy.valuation_policy_id,
        honouring_systems=frozenset(policy.honouring_systems),
        **_cadence(policy),
        **_strength(policy),
        **_axes(policy),
        **_types(policy),
        **_talk(policy),
        **_contact_shape(policy),
        **_announcements(policy),
    )


# Values by the names of the fields of `Rules`: a dataclass of a hundred fields is easier to check than to pass.


def _cadence(policy: RelationshipPolicy) -> dict[str, Any]:
    cadence = policy.cadence
    return {
        "session_gap": cadence.session_gap_seconds * MICROSECONDS,
        "gaps_max": cadence.gaps_max,
        "gaps_min": cadence.gaps_min,
        "cadence_min": cadence.days_min * _DAY,
        "cadence_max": cadence.days_max * _DAY,
        "cadence_default": cadence.days_default * _DAY,
        "at_risk_factor": cadence.at_risk_factor,
        "lapsed_factor": cadence.lapsed_factor,
        "reopening_kinds": frozenset(cadence.reopening_kinds),
        "session_weight": cadence.session_weight_ppm,
        "session_kinds": _session_kinds(policy),
    }


def _strength(policy: RelationshipPolicy) -> dict[str, Any]:
    strength, weights, penalties = policy.strength, policy.strength.weights, policy.strength.penalties
    return {
        "weights": (
            weights.involvement_ppm,
            weights.reciprocity_ppm,
            weights.preference_ppm,
            weights.balance_ppm,
            weights.answering_ppm,
            weights.permission_ppm,
        ),
        "kind_weights": {each.kind: each.weight_ppm for each in strength.kind_weights},
        "act_weights": dict(_act_weights(strength)),
        "day_cap": strength.day_cap_ppm,
        "half_mass": strength.half_mass_ppm,
        "partial_attention": strength.partial_attention_ppm,
        "preference_prior": strength.preference_prior,
        "incentive_by_legs": strength.incentive_by_legs,
        "penalty_withdrawal": penalties.withdrawal_ppm,
        "penalty_spam": penalties.spam_ppm,
        "penalty_complaint": penalties.complaint_ppm,
        "penalty_obstacle": penalties.obstacle_ppm,
        "penalty_promise": penalties.promise_ppm,
        "penalty_preference": penalties.preference_ppm,
        "penalty_trust": penalties.trust_ppm,
        "moderate_from": strength.moderate_from_ppm,
        "strong_from": strength.strong_from_ppm,
    }


def _session_kinds(policy: RelationshipPolicy) -> frozenset[int] | None:
    least = policy.cadence.session_weight_ppm
    kinds = (each.kind for each in policy.strength.kind_weights if each.weight_ppm >= least)
    return frozenset(kinds) if least > 0 else None


def _act_weights(strength: StrengthRules) -> Iterator[tuple[int, int]]:
    for each in strength.kind_weights:
        for partial, attention in ((False, FULL), (True, strength.partial_attention_ppm)):
            if each.weight_ppm * attention:
                yield code_of(each.kind, partial=partial), each.weight_ppm * attention


def _axes(policy: RelationshipPolicy) -> dict[str, Any]:
    axes = policy.axes
    return {
        "valence_window": axes.valence_days * _DAY,
        "valence_min": axes.valence_min,
        "valence_prior": axes.valence_prior,
        "positive_from": axes.positive_from_ppm,
        "negative_from": axes.negative_from_ppm,
        "sentiment_provenances": frozenset(axes.sentiment_provenances),
        "intimate_from": axes.intimate_from_ppm,
        "closeness_min": axes.closeness_min,
        "intense_from": axes.intense_from_ppm,
        "intensity_min": axes.intensity_min,
    }


def _types(policy: RelationshipPolicy) -> dict[str, Any]:
    types, returns = policy.types, policy.returns
    return {
        "assessment_term": types.assessment_days * _DAY,
        "type_rules": tuple(types.rules),
        "type_conditions": tuple(map(conditions_of, types.rules)),
        "fallback_slug": types.fallback_slug,
        "return_from_days": returns.from_days,
        "return_until_days": returns.until_days,
        "return_members_min": returns.members_min,
        "return_alarm_below": returns.alarm_below_ppm,
        "return_clear_from": returns.clear_from_ppm,
    }


def _talk(policy: RelationshipPolicy) -> dict[str, Any]:
    solicitations, conversation = policy.solicitations, policy.conversation
    return {
        "attribution": solicitations.attribution_days * _DAY,
        "channel_seconds": {each.channel: each.seconds for each in solicitations.attention},
        "waste_above": solicitations.waste_above_ppm,
        "waste_clear": solicitations.waste_clear_ppm,
        "waste_matured_min": solicitations.waste_matured_min,
        "answer_within": conversation.answer_hours * _HOUR,
        "broadcast_streak": conversation.broadcast_streak,
        "broadcast_out_min": conversation.broadcast_out_min,
        "broadcast_below": conversation.broadcast_below_ppm,
        "broadcast_left_from": conversation.broadcast_left_from_ppm,
    }


def _contact_shape(policy: RelationshipPolicy) -> dict[str, Any]:
    shape = policy.contact_shape
    return {
        "bow_tie_from": shape.bow_tie_from_ppm,
        "diamond_persons": shape.diamond_persons,
        "diamond_functions": shape.diamond_functions,
        "diamond_up_to": shape.diamond_up_to_ppm,
        "continuity_from": shape.continuity_from_ppm,
    }


def _announcements(policy: RelationshipPolicy) -> dict[str, Any]:
    rules = policy.announcements
    return {
        "band_gap": rules.band_gap_ppm,
        "strength_step": rules.strength_step_ppm,
        "strength_dwell": rules.strength_dwell_seconds * MICROSECONDS,
        "imbalance_below": rules.imbalance_below_ppm,
        "imbalance_clear": rules.imbalance_clear_ppm,
        "imbalance_dwell": rules.imbalance_dwell_seconds * MICROSECONDS,
        "mismatch_dwell": rules.mismatch_dwell_seconds * MICROSECONDS,
        "type_dwell": rules.type_dwell_seconds * MICROSECONDS,
        "shape_dwell": rules.shape_dwell_seconds * MICROSECONDS,
        "consent_expiring": rules.consent_expiring_days * _DAY,
    }
