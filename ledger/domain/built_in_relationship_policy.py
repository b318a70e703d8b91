"""The relationship policy that counts until an organization publishes one: version 0 (the [def] of relationship.md).

Frozen. What was announced under version 0 is made anew with it, so it never changes; a test holds its bytes. It is also
where defaults come from: what a policy leaves open is read here. The numbers are ours and claim no empirical fit.
"""

from hashlib import sha256
from typing import Final

from ledger.domain.decay import decay_table
from rapport.events.v1 import disclosure_pb2 as d
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_policy_pb2 as p
from rapport.events.v1.contact_policy_pb2 import ChannelAttention
from rapport.type.v1 import levels_pb2 as levels

DECAY_AGES: Final = 1_795
"""Ages of a decay table that its SHA-256 is taken over, from 0 on: at half-lives above 90 days it goes on further."""


def decay_sha256(half_life_days: int) -> bytes:
    """Return the SHA-256 of the decay table of a half-life of 1 to 3650 days: decimals joined by line feeds.

    Ages from 0 until the weight is 0, at most 1794 (relationship.md 2).
    """
    return sha256("\n".join(map(str, decay_table(half_life_days)[:DECAY_AGES])).encode()).digest()


_WEIGHTS: Final = {
    100_000: [i.INTERACTION_KIND_VIEW],
    200_000: [i.INTERACTION_KIND_CLICK, i.INTERACTION_KIND_OFFER_DECLINED],
    300_000: [i.INTERACTION_KIND_VISIT],
    500_000: [
        i.INTERACTION_KIND_COMPLAINT,
        i.INTERACTION_KIND_SUPPORT_CASE,
        i.INTERACTION_KIND_OFFER_ACCEPTED,
    ],
    1_000_000: [
        i.INTERACTION_KIND_MESSAGE,
        i.INTERACTION_KIND_REPLY,
        i.INTERACTION_KIND_QUESTION,
        i.INTERACTION_KIND_ANSWER,
        i.INTERACTION_KIND_CHAT_SESSION,
        i.INTERACTION_KIND_SURVEY_ANSWERED,
        i.INTERACTION_KIND_PRAISE,
        i.INTERACTION_KIND_PREFERENCE_SHARED,
        i.INTERACTION_KIND_JOIN,
    ],
    1_200_000: [i.INTERACTION_KIND_FEEDBACK, i.INTERACTION_KIND_REVIEW],
    1_500_000: [
        i.INTERACTION_KIND_CALL,
        i.INTERACTION_KIND_PURCHASE,
        i.INTERACTION_KIND_CONTRIBUTION_SUBMITTED,
        i.INTERACTION_KIND_EVENT_ATTENDED,
    ],
    2_000_000: [i.INTERACTION_KIND_MEETING, i.INTERACTION_KIND_REFERRAL],
}

_CADENCE: Final = p.CadenceRules(
    session_gap_seconds=86_400,
    gaps_max=10,
    gaps_min=3,
    days_min=7,
    days_max=120,
    days_default=30,
    at_risk_factor=2,
    lapsed_factor=4,
    reopening_kinds=[
        i.INTERACTION_KIND_PURCHASE,
        i.INTERACTION_KIND_JOIN,
        i.INTERACTION_KIND_QUESTION,
        i.INTERACTION_KIND_MESSAGE,
        i.INTERACTION_KIND_REPLY,
        i.INTERACTION_KIND_CALL,
        i.INTERACTION_KIND_MEETING,
        i.INTERACTION_KIND_CHAT_SESSION,
    ],
    session_weight_ppm=300_000,
)
_STRENGTH: Final = p.StrengthRules(
    weights=p.StrengthWeights(
        involvement_ppm=300_000,
        reciprocity_ppm=250_000,
        preference_ppm=200_000,
        balance_ppm=75_000,
        answering_ppm=75_000,
        permission_ppm=100_000,
    ),
    kind_weights=[
        p.KindWeight(kind=kind, weight_ppm=weight)
        for kind, weight in sorted((kind, weight) for weight, kinds in _WEIGHTS.items() for kind in kinds)
    ],
    day_cap_ppm=3_000_000,
    half_mass_ppm=3_500_000,
    partial_attention_ppm=500_000,
    preference_prior=2,
    incentive_by_legs=True,
    penalties=p.Penalties(
        withdrawal_ppm=50_000,
        spam_ppm=100_000,
        complaint_ppm=50_000,
        obstacle_ppm=30_000,
        promise_ppm=50_000,
        preference_ppm=80_000,
        trust_ppm=300_000,
    ),
    moderate_from_ppm=340_000,
    strong_from_ppm=670_000,
)
_AXES: Final = p.AxisRules(
    valence_days=365,
    valence_min=3,
    valence_prior=2,
    positive_from_ppm=200_000,
    negative_from_ppm=200_000,
    sentiment_provenances=[d.PROVENANCE_DECLARED, d.PROVENANCE_ASSESSED],
    intimate_from_ppm=500_000,
    closeness_min=3,
    intense_from_ppm=500_000,
    intensity_min=3,
)
# Where nothing says otherwise it is exchange, never friendship.
_TYPES: Final = p.TypeRules(
    assessment_days=180,
    rules=[
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
    ],
    fallback_slug="hbr:basic-exchange",
)
_SOLICITATIONS: Final = p.SolicitationRules(
    attribution_days=14,
    attention=[
        ChannelAttention(channel=i.CHANNEL_EMAIL, seconds=8),
        ChannelAttention(channel=i.CHANNEL_SMS, seconds=5),
        ChannelAttention(channel=i.CHANNEL_VOICE_LIVE, seconds=60),
        ChannelAttention(channel=i.CHANNEL_VOICE_AUTOMATED, seconds=60),
        ChannelAttention(channel=i.CHANNEL_POSTAL, seconds=20),
        ChannelAttention(channel=i.CHANNEL_PUSH_MOBILE, seconds=3),
        ChannelAttention(channel=i.CHANNEL_PUSH_WEB, seconds=3),
    ],
    waste_above_ppm=980_000,
    waste_clear_ppm=970_000,
    waste_matured_min=200,
)
_ANNOUNCEMENTS: Final = p.AnnouncementRules(
    band_gap_ppm=30_000,
    strength_step_ppm=100_000,
    strength_dwell_seconds=86_400,
    imbalance_below_ppm=-100_000,
    imbalance_clear_ppm=-50_000,
    imbalance_dwell_seconds=86_400,
    mismatch_dwell_seconds=1_209_600,
    type_dwell_seconds=86_400,
    shape_dwell_seconds=86_400,
    consent_expiring_days=30,
)

BUILT_IN_RELATIONSHIP_POLICY: Final = p.RelationshipPolicy(
    half_life_days=90,
    decay_sha256=decay_sha256(90),
    window_days=180,
    cadence=_CADENCE,
    strength=_STRENGTH,
    axes=_AXES,
    types=_TYPES,
    returns=p.ReturnRules(from_days=7, until_days=35, members_min=30, alarm_below_ppm=100_000, clear_from_ppm=120_000),
    solicitations=_SOLICITATIONS,
    conversation=p.ConversationRules(
        answer_hours=48,
        broadcast_streak=5,
        broadcast_out_min=10,
        broadcast_below_ppm=100_000,
        broadcast_left_from_ppm=150_000,
    ),
    contact_shape=p.ContactShapeRules(
        bow_tie_from_ppm=800_000,
        diamond_persons=3,
        diamond_functions=3,
        diamond_up_to_ppm=500_000,
        continuity_from_ppm=500_000,
    ),
    announcements=_ANNOUNCEMENTS,
    persona_approvals=3,
    promise_days=7,
)
"""Version 0; never changed."""
