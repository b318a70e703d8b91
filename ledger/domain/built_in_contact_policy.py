"""The contact policy that counts until an organization publishes one: version 0 (the [def] numbers of consent.md).

Frozen. Decisions made under version 0 are replayed with it, so it never changes; a test holds its bytes. It holds what
an organization allows itself, and no number of any law: those are published, each with its source (consent.md 8).
"""

from typing import Final

from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import BasisRule, ChannelAttention, ContactPolicy, HoursExemption

DEFAULT_TIME_ZONES: Final = ("UTC",)
DEFAULT_NUMBERS: Final = {
    "permit_seconds": 3_600,
    "search_days": 31,
    "confirmation_days": 7,
    "recipient_grant_days": 365,
    "streak_max": 5,
    "streak_window_days": 180,
    "checkout_seconds": 1_800,
    "reciprocity_floor_ppm": 1_000_000,
    "reciprocity_half_life_days": 90,
    "attribution_days": 14,
}
"""What counts where a policy gives no number, or 0."""
DEFAULT_HOURS_EXEMPTIONS: Final = (
    HoursExemption(channel=i.CHANNEL_EMAIL, message_class=i.MESSAGE_CLASS_TRANSACTIONAL),
    HoursExemption(channel=i.CHANNEL_IN_APP, message_class=i.MESSAGE_CLASS_TRANSACTIONAL),
    HoursExemption(channel=i.CHANNEL_POSTAL),
)
DEFAULT_ATTENTION: Final = (
    ChannelAttention(channel=i.CHANNEL_EMAIL, seconds=8),
    ChannelAttention(channel=i.CHANNEL_SMS, seconds=5),
    ChannelAttention(channel=i.CHANNEL_VOICE_LIVE, seconds=60),
    ChannelAttention(channel=i.CHANNEL_VOICE_AUTOMATED, seconds=60),
    ChannelAttention(channel=i.CHANNEL_POSTAL, seconds=20),
    ChannelAttention(channel=i.CHANNEL_PUSH_MOBILE, seconds=3),
    ChannelAttention(channel=i.CHANNEL_PUSH_WEB, seconds=3),
)
"""By channel number; of a channel that is not here no attention is known."""

# What was bought has to be delivered, paid and looked after, however long ago it was.
_CONTRACT: Final = BasisRule(
    legal_basis=c.LEGAL_BASIS_CONTRACT_PERFORMANCE,
    purposes=["crm.management", "order.management", "payment", "service"],
    interaction_kinds=[i.INTERACTION_KIND_PURCHASE],
    exchange=True,
)
_DUTY: Final = BasisRule(legal_basis=c.LEGAL_BASIS_LEGAL_OBLIGATION, purposes=["legal.compliance", "security.fraud"])

BUILT_IN_CONTACT_POLICY: Final = ContactPolicy(
    default_time_zones=DEFAULT_TIME_ZONES,
    basis_rules=[_CONTRACT, _DUTY],
    hours_exemptions=DEFAULT_HOURS_EXEMPTIONS,
    attention_seconds=DEFAULT_ATTENTION,
    guardian_consent_at_age=p.GUARDIAN_CONSENT_AT_AGE_END,
    **DEFAULT_NUMBERS,  # type: ignore[arg-type]  # Every one of them is a number.
)
"""Version 0; never changed."""
