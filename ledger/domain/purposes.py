"""The purposes an organization contacts people for: a registry, published whole, the latest version of which counts.

A registry describes purposes and checks requests about them. Which acts cover a purpose it does not say: its children
are found by its dotted prefix (ADR 0009, ADR 0020), so no status of a consent depends on it.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.domain.built_in_purposes import BUILT_IN_PURPOSES
from ledger.domain.fact import Fact
from ledger.domain.times import START_OF_TIME
from rapport.events.v1.contact_policy_pb2 import Purpose, PurposeRegistry, PurposesPublished

PURPOSES_PUBLISHED: Final = "policy.purposes_published.v1"


class Registry(NamedTuple):
    """A version of the registry and where it stands. Never changed."""

    version: int
    """0: built in."""
    by_slug: Mapping[str, Purpose]
    """Purposes, ordered by slug."""
    position: int
    """Log position of its event; 0: built in."""
    record_time: int
    """When it was published, in microseconds."""
    stream_version: int
    """Its event's version in the policy stream."""
    message: PurposeRegistry
    """As it is stored."""


def _registry(message: PurposeRegistry, position: int, record_time: int, stream_version: int) -> Registry:
    by_slug = {purpose.slug: purpose for purpose in sorted(message.purposes, key=lambda each: each.slug)}
    return Registry(message.version, by_slug, position, record_time, stream_version, message)


BUILT_IN_REGISTRY: Final = _registry(BUILT_IN_PURPOSES, 0, START_OF_TIME, 0)
"""Version 0, which counts until another is published."""


class PurposeRegistries:
    """Fold of what an organization published about purposes.

    It obeys the bound on known positions only: a registry has no time from which on it counts, so a view of the past
    knows what was published by its position.
    """

    __slots__ = ("_current", "_versions")

    def __init__(self) -> None:
        self._versions: dict[int, Registry] = {}
        self._current = BUILT_IN_REGISTRY

    @property
    def current(self) -> Registry:
        """The version published last; the built-in one, version 0, where none is."""
        return self._current

    @property
    def versions(self) -> tuple[Registry, ...]:
        """Versions published, ascending; without the built-in one."""
        return tuple(self._versions.values())

    @property
    def latest(self) -> int:
        """Greatest version; 0 where none is published."""
        return next(reversed(self._versions), 0)

    def version(self, number: int) -> Registry | None:
        """Return a version, or None where it is not published; 0: the built-in one."""
        return self._versions.get(number) if number else BUILT_IN_REGISTRY

    def evolve(self, fact: Fact) -> None:
        """Fold a `policy.purposes_published.v1`."""
        event: PurposesPublished = fact.event  # type: ignore[assignment]  # The topic says so.
        self._current = _registry(event.registry, fact.position, fact.record_time, fact.version)
        self._versions[self._current.version] = self._current
