"""What types of relationship an organization knows: the shipped ones, and the catalogue that it published last.

A catalogue is published whole. A type of an organization's own takes the place of the shipped one with its slug.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.domain.built_in_types import BUILT_IN_TYPES
from ledger.domain.fact import Fact
from ledger.domain.times import START_OF_TIME
from rapport.events.v1.relationship_types_pb2 import RelationshipType, TypeCatalogue, TypesPublished

TYPES_PUBLISHED: Final = "policy.types_published.v1"
SHIPPED: Final[Mapping[str, RelationshipType]] = {each.slug: each for each in BUILT_IN_TYPES.types}
"""Shipped types by slug, ordered by it."""


class Types(NamedTuple):
    """A version of the catalogue and where it stands. Never changed."""

    version: int
    """0: none is published, so there are only the shipped ones."""
    by_slug: Mapping[str, RelationshipType]
    """Shipped and own, ordered by slug."""
    position: int
    """Log position of its event; 0: none."""
    record_time: int
    """When it was published, in microseconds."""
    stream_version: int
    """Its event's version in the policy stream."""
    message: TypeCatalogue
    """As it is stored: the own ones."""

    def is_shipped(self, slug: str) -> bool:
        """Tell whether the type that counts under a slug is the shipped one."""
        return slug in SHIPPED and self.by_slug[slug] is SHIPPED[slug]


def filled(found: RelationshipType) -> RelationshipType:
    """Return a type with the default that its fields name: an alias."""
    whole = RelationshipType()
    whole.CopyFrom(found)
    whole.neutral_alias = found.neutral_alias or found.slug
    return whole


def is_for(found: RelationshipType, industry: str = "", brand: str = "", country: str = "") -> bool:
    """Tell whether a type is for an industry, a brand and a country; empty: for any.

    A type for a country is for each part of it: one for DE is for DE-BY.
    """
    countries = (country, country[:2])
    return (
        (not industry or not found.industries or industry in found.industries)
        and (not brand or not found.brands or brand in found.brands)
        and (not country or not found.countries or any(each in found.countries for each in countries))
    )


NO_TYPES: Final = Types(0, SHIPPED, 0, START_OF_TIME, 0, TypeCatalogue())
"""Version 0, which counts until one is published."""


class TypeCatalogues:
    """Fold of what an organization published about types; it obeys the bound on known positions only."""

    __slots__ = ("_latest", "_versions")

    def __init__(self) -> None:
        self._versions: dict[int, Types] = {}
        self._latest = NO_TYPES

    @property
    def current(self) -> Mapping[str, RelationshipType]:
        """Types by slug, shipped and own."""
        return self._latest.by_slug

    @property
    def last(self) -> Types:
        """The version published last; version 0, which has the shipped ones only, where none is."""
        return self._latest

    @property
    def versions(self) -> tuple[Types, ...]:
        """Versions published, ascending."""
        return tuple(self._versions.values())

    @property
    def latest(self) -> int:
        """Greatest version; 0 where none is published."""
        return next(reversed(self._versions), 0)

    def version(self, number: int) -> Types | None:
        """Return a version, or None where it is not published; 0: the shipped ones only."""
        return self._versions.get(number) if number else NO_TYPES

    def evolve(self, fact: Fact) -> None:
        """Fold a `policy.types_published.v1`."""
        event: TypesPublished = fact.event  # type: ignore[assignment]  # The topic says so.
        message = event.catalogue
        both = {**SHIPPED, **{each.slug: each for each in message.types}}
        by_slug = {slug: both[slug] for slug in sorted(both)}
        self._latest = Types(message.version, by_slug, fact.position, fact.record_time, fact.version, message)
        self._versions[message.version] = self._latest
