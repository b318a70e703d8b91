"""What may be known of a customer: the catalogue of attributes, published whole; the latest version counts.

Until one is published any key may be used (relationship.md 13).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.domain.fact import Fact
from ledger.domain.times import START_OF_TIME
from rapport.events.v1.contact_policy_pb2 import AttributeCatalogue, AttributeDefinition, AttributesPublished

ATTRIBUTES_PUBLISHED: Final = "policy.attributes_published.v1"


class Catalogue(NamedTuple):
    """A version of the catalogue and where it stands. Never changed."""

    version: int
    """0: none is published, and any key may be used."""
    by_key: Mapping[str, AttributeDefinition]
    """Definitions, ordered by key."""
    position: int
    """Log position of its event; 0: none."""
    record_time: int
    """When it was published, in microseconds."""
    stream_version: int
    """Its event's version in the policy stream."""
    message: AttributeCatalogue
    """As it is stored."""

    def admits(self, key: str) -> bool:
        """Tell whether an attribute may have this key."""
        return not self.version or key in self.by_key


NO_CATALOGUE: Final = Catalogue(0, {}, 0, START_OF_TIME, 0, AttributeCatalogue())
"""Version 0, which counts until one is published."""


class AttributeCatalogues:
    """Fold of what an organization published about attributes; it obeys the bound on known positions only."""

    __slots__ = ("_current", "_versions")

    def __init__(self) -> None:
        self._versions: dict[int, Catalogue] = {}
        self._current = NO_CATALOGUE

    @property
    def current(self) -> Catalogue:
        """The version published last; version 0, which admits any key, where none is."""
        return self._current

    @property
    def versions(self) -> tuple[Catalogue, ...]:
        """Versions published, ascending."""
        return tuple(self._versions.values())

    @property
    def latest(self) -> int:
        """Greatest version; 0 where none is published."""
        return next(reversed(self._versions), 0)

    def version(self, number: int) -> Catalogue | None:
        """Return a version, or None where it is not published; 0: the one that admits any key."""
        return self._versions.get(number) if number else NO_CATALOGUE

    def evolve(self, fact: Fact) -> None:
        """Fold a `policy.attributes_published.v1`."""
        event: AttributesPublished = fact.event  # type: ignore[assignment]  # The topic says so.
        message = event.catalogue
        by_key = {each.key: each for each in sorted(message.attributes, key=lambda each: each.key)}
        self._current = Catalogue(message.version, by_key, fact.position, fact.record_time, fact.version, message)
        self._versions[message.version] = self._current
