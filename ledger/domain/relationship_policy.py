"""The relationship policy of an organization: how it measures its relationships (relationship.md 16).

Versions count from their own time on, as contact policies do; `relationship_publishing.py` publishes them.
"""

from typing import Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from ledger.domain.built_in_relationship_policy import BUILT_IN_RELATIONSHIP_POLICY, decay_sha256
from ledger.domain.decay import HALF_LIFE_DAYS_MAX
from ledger.domain.policy_versions import PolicyVersions, built_in
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy

RELATIONSHIP: Final = "relationship"
"""How refusals name it: `policy_id`."""
RELATIONSHIP_PUBLISHED: Final = "policy.relationship_published.v1"
_WHOLE: Final = frozenset({"weights"})
"""Fields that a policy gives as a whole or not at all: half a set of weights would not sum to one."""

BUILT_IN: Final = built_in(BUILT_IN_RELATIONSHIP_POLICY)
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


class RelationshipPolicies(PolicyVersions[RelationshipPolicy]):
    """Fold of an organization's relationship policies."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(BUILT_IN, filled)
