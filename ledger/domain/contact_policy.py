"""The contact policy of an organization: what it holds itself to when it contacts people (consent.md 8).

Versions count from their own time on, as valuation policies do; `publishing.py` publishes them.
"""

from bisect import bisect_right, insort
from operator import itemgetter
from typing import Final, NamedTuple

from ledger.domain.built_in_contact_policy import (
    BUILT_IN_CONTACT_POLICY,
    DEFAULT_ATTENTION,
    DEFAULT_HOURS_EXEMPTIONS,
    DEFAULT_NUMBERS,
    DEFAULT_TIME_ZONES,
)
from ledger.domain.fact import Fact
from ledger.domain.times import START_OF_TIME, microseconds, timestamp
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, ContactPolicyPublished

CONTACT_PUBLISHED: Final = "policy.contact_published.v1"
_FROM_TIME: Final = itemgetter(0)


class Published(NamedTuple):
    """A version of the contact policy and where it stands. Never changed."""

    policy: ContactPolicy
    """Whole: with its defaults, and from when on it counts."""
    position: int
    """Log position of its event; 0: built in."""
    record_time: int
    """When it was published, in microseconds."""
    version: int
    """Of the policy; 0: built in."""
    effective_from: int
    """From when on it counts, in microseconds."""
    stream_version: int
    """Its event's version in the policy stream."""
    stored: ContactPolicy
    """As it is stored: without a time where none was asked."""


BUILT_IN: Final = Published(BUILT_IN_CONTACT_POLICY, 0, START_OF_TIME, 0, START_OF_TIME, 0, BUILT_IN_CONTACT_POLICY)
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


class ContactPolicies:
    """Fold of an organization's contact policies.

    It obeys the bound on known positions only: from when on a version counts is in the version, whenever it was
    published.
    """

    __slots__ = ("_segments", "_versions")

    def __init__(self) -> None:
        self._versions: dict[int, Published] = {}
        self._segments: list[tuple[int, Published]] = []
        """(from_time, version), ascending: each counts until the next begins."""

    @property
    def versions(self) -> tuple[Published, ...]:
        """What is published, by version; without the built-in one."""
        return tuple(self._versions.values())

    @property
    def latest(self) -> int:
        """Greatest version; 0 where none is published."""
        return next(reversed(self._versions), 0)

    def version(self, number: int) -> Published | None:
        """Return a version, or None where it is not published; 0: the built-in one."""
        return self._versions.get(number) if number else BUILT_IN

    def in_force(self, at: int) -> Published:
        """Return the version with the greatest (effective_from, version) that begins at or before a time.

        `at`: microseconds. The built-in one where none has begun.
        """
        index = bisect_right(self._segments, at, key=_FROM_TIME)
        return self._segments[index - 1][1] if index else BUILT_IN

    def next_change(self, at: int) -> int | None:
        """Return the earliest time after `at` at which another version comes into force, in microseconds, or None."""
        index = bisect_right(self._segments, at, key=_FROM_TIME)
        return self._segments[index][0] if index < len(self._segments) else None

    def evolve(self, fact: Fact) -> None:
        """Fold a `policy.contact_published.v1`."""
        event: ContactPolicyPublished = fact.event  # type: ignore[assignment]  # The topic says so.
        policy = filled(event.policy)
        if not policy.HasField("effective_from_time"):
            policy.effective_from_time.CopyFrom(timestamp(fact.occur_time))
        begins = microseconds(policy.effective_from_time)
        published = Published(
            policy, fact.position, fact.record_time, policy.version, begins, fact.version, event.policy
        )
        self._versions[policy.version] = published
        # Versions rise, so of those from one time on the last published counts: it is put after the others.
        insort(self._segments, (begins, published), key=_FROM_TIME)
