"""A relationship policy as measures read it: plain integers, durations in microseconds, ratios in ppm."""

from collections.abc import Mapping
from dataclasses import dataclass

from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, TypeRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One version of a relationship policy, every default filled in. Names follow the proto's."""

    version: int
    half_life_days: int
    decay: tuple[int, ...]
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
    weights: tuple[int, int, int, int, int, int]
    """Involvement, reciprocity, preference, balance, answering, permission."""
    kind_weights: Mapping[int, int]
    """By `InteractionKind`; a kind that is missing weighs 0."""
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

    def decay_of(self, age_days: int) -> int:
        """Return the decay in ppm at an age in whole UTC days."""
        return self.decay[age_days] if age_days < len(self.decay) else 0


def rules_of(policy: RelationshipPolicy) -> Rules:
    """Return a filled policy as measures read it."""
    raise NotImplementedError
