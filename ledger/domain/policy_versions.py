"""Versions of a policy that an organization has one of: each counts from its own time on, until the next begins.

What they have in common is here; `contact_policy.py` and `relationship_policy.py` say what is in them.
"""

from bisect import bisect_right, insort
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar

from ledger.domain.fact import Fact
from ledger.domain.times import START_OF_TIME, microseconds, timestamp
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy

_FROM_TIME: Final = itemgetter(0)

P = TypeVar("P", ContactPolicy, RelationshipPolicy)


class Published(NamedTuple, Generic[P]):
    """A version of a policy and where it stands. Never changed."""

    policy: P
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
    stored: P
    """As it is stored: without a time where none was asked."""


def built_in(policy: P) -> Published[P]:
    """Return a policy as version 0, which counts where no other does."""
    return Published(policy, 0, START_OF_TIME, 0, START_OF_TIME, 0, policy)


class PolicyVersions(Generic[P]):
    """Fold of the versions that an organization published.

    It obeys the bound on known positions only: from when on a version counts is in the version, whenever it was
    published.
    """

    __slots__ = ("_built_in", "_filled", "_segments", "_versions")

    def __init__(self, built_in: Published[P], filled: Callable[[P], P]) -> None:
        """`filled` returns a policy with every default that its fields name."""
        self._built_in: Published[P] = built_in
        self._filled: Callable[[P], P] = filled
        self._versions: dict[int, Published[P]] = {}
        self._segments: list[tuple[int, Published[P]]] = []
        """(from_time, version), ascending: each counts until the next begins."""

    @property
    def versions(self) -> tuple[Published[P], ...]:
        """What is published, by version; without the built-in one."""
        return tuple(self._versions.values())

    @property
    def latest(self) -> int:
        """Greatest version; 0 where none is published."""
        return next(reversed(self._versions), 0)

    def version(self, number: int) -> Published[P] | None:
        """Return a version, or None where it is not published; 0: the built-in one."""
        return self._versions.get(number) if number else self._built_in

    def in_force(self, at: int) -> Published[P]:
        """Return the version with the greatest (effective_from, version) that begins at or before a time.

        `at`: microseconds. The built-in one where none has begun.
        """
        index = bisect_right(self._segments, at, key=_FROM_TIME)
        return self._segments[index - 1][1] if index else self._built_in

    def next_change(self, at: int) -> int | None:
        """Return the earliest time after `at` at which another version comes into force, in microseconds, or None."""
        index = bisect_right(self._segments, at, key=_FROM_TIME)
        return self._segments[index][0] if index < len(self._segments) else None

    def evolve(self, fact: Fact) -> None:
        """Fold the event that publishes a version."""
        event: Any = fact.event
        policy = self._filled(event.policy)
        if not policy.HasField("effective_from_time"):
            policy.effective_from_time.CopyFrom(timestamp(fact.occur_time))
        begins = microseconds(policy.effective_from_time)
        published = Published(
            policy, fact.position, fact.record_time, policy.version, begins, fact.version, event.policy
        )
        self._versions[policy.version] = published
        # Versions rise, so of those from one time on the last published counts: it is put after the others.
        insort(self._segments, (begins, published), key=_FROM_TIME)
