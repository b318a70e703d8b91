"""The contact policy of an organization: what it holds itself to when it contacts people (consent.md 8).

Versions count from their own time on, as valuation policies do; `publishing.py` publishes them.
"""

from typing import Final

from ledger.domain.built_in_contact_policy import (
    BUILT_IN_CONTACT_POLICY,
    DEFAULT_ATTENTION,
    DEFAULT_HOURS_EXEMPTIONS,
    DEFAULT_NUMBERS,
    DEFAULT_TIME_ZONES,
)
from ledger.domain.policy_versions import PolicyVersions, built_in
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1.contact_policy_pb2 import ContactPolicy

CONTACT_PUBLISHED: Final = "policy.contact_published.v1"

BUILT_IN: Final = built_in(BUILT_IN_CONTACT_POLICY)
"""Version 0, which counts where no other does."""


def filled(policy: ContactPolicy) -> ContactPolicy:
    """Return a policy with every default that its fields name; number and time as they are. Total, and idempotent."""
    whole = ContactPolicy()
    whole.CopyFrom(policy)
    if not policy.default_time_zones:
        whole.default_time_zones.extend(DEFAULT_TIME_ZONES)
    if not policy.hours_exemptions:
        whole.hours_exemptions.extend(DEFAULT_HOURS_EXEMPTIONS)
    for name, number in DEFAULT_NUMBERS.items():
        setattr(whole, name, getattr(policy, name) or number)
    if policy.HasField("keywords") and not policy.keywords.scope:
        whole.keywords.scope = p.KEYWORD_SCOPE_ALL
    given = {each.channel for each in policy.attention_seconds}
    whole.attention_seconds.extend(each for each in DEFAULT_ATTENTION if each.channel not in given)
    whole.guardian_consent_at_age = policy.guardian_consent_at_age or p.GUARDIAN_CONSENT_AT_AGE_END
    return whole


class ContactPolicies(PolicyVersions[ContactPolicy]):
    """Fold of an organization's contact policies."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(BUILT_IN, filled)
