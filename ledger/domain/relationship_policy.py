"""The relationship policy of an organization: how it measures its relationships (relationship.md 16).

Versions count from their own time on, as contact policies do; `relationship_publishing.py` publishes them.
"""

from bisect import bisect_right, insort
from operator import itemgetter
from typing import Final, NamedTuple, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from ledger.domain.built_in_relationship_policy import BUILT_IN_RELATIONSHIP_POLICY, decay_sha256
from ledger.domain.decay import HALF_LIFE_DAYS_MAX
from ledger.domain.fact import Fact
from ledger.domain.times import START_OF_TIME, microseconds, timestamp
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, RelationshipPolicyPublished

RELATIONSHIP: Final = "relationship"
"""How refusals name it: `policy_id`."""
RELATIONSHIP_PUBLISHED: Final = "policy.relationship_published.v1"
_FROM_TIME: Final = itemgetter(0)
_WHOLE: Final = frozenset({"weights"})
"""Fields that a policy gives as a whole or not at all: half a set of weights would not sum to one."""


class Published(NamedTuple):
    """A version of the relationship policy and where it stands. Never changed."""

    policy: RelationshipPolicy
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
    stored: RelationshipPolicy
    """As it is stored: without a time where none was asked."""


BUILT_IN: Final = Published(
    BUILT_IN_RELATIONSHIP_POLICY, 0, START_OF_TIME, 0, START_OF_TIME, 0, BUILT_IN_RELATIONSHIP_POLICY
)
"""Version 0, which counts where no other does."""


def filled(policy: RelationshipPolicy) -> RelationshipPolicy:
    """Return a policy with every default that its fields name; number and time as they are. Total, and idempotent.

    The decay table is that of the policy's own half-life; a SHA-256 that the caller gave is left to be checked.
    """
    whole = RelationshipPolicy()
    whole.CopyFrom(policy)
    _fill(whole, BUILT_IN_RELATIONSHIP_POLICY, without="decay_sha256")
    given = {each.channel for each in policy.solicitations.attention}
    if given:
        usual = BUILT_IN_RELATIONSHIP_POLICY.solicitations.attention
        whole.solicitations.attention.extend(each for each in usual if each.channel not in given)
    if not whole.decay_sha256 and 1 <= whole.half_life_days <= HALF_LIFE_DAYS_MAX:
        whole.decay_sha256 = decay_sha256(whole.half_life_days)
    return whole


def _fill(message: Message, usual: Message, without: str = "") -> None:
    """Give a message what it leaves open: lists that are empty, numbers that are 0 or, where that differs, unset."""
    for field in cast(Descriptor, usual.DESCRIPTOR).fields:
        name = field.name
        if field.is_repeated:
            if not getattr(message, name):
                getattr(message, name).extend(getattr(usual, name))
        elif field.type != FieldDescriptor.TYPE_MESSAGE:
            unset = not message.HasField(name) if field.has_presence else not getattr(message, name)
            if unset and name != without:
                setattr(message, name, getattr(usual, name))
        elif usual.HasField(name) and not (name in _WHOLE and message.HasField(name)):
            _fill(getattr(message, name), getattr(usual, name))


class RelationshipPolicies:
    """Fold of an organization's relationship policies.

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
        """Fold a `policy.relationship_published.v1`."""
        event: RelationshipPolicyPublished = fact.event  # type: ignore[assignment]  # The topic says so.
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
