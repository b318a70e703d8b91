"""Where a customer's clock may stand (consent.md 6)."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from tzdata import IANA_VERSION  # type: ignore[import-untyped]  # It has no stubs.

from ledger.contact.picture import Picture
from ledger.domain.time_zones import UTC_NAME, zone_names
from rapport.events.v1 import preference_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion

TZDATA_VERSION: Final[str] = IANA_VERSION
"""Version of the time zone database, which is pinned: part of every decision. Example: `2026a`."""


class Zones(NamedTuple):
    """Where a customer's clock may stand."""

    names: tuple[str, ...]
    """At least one; several: it is not known which."""
    policy_field: str
    """Field of the contact policy that they come from; empty: from the customer."""
    evidence: tuple[int, ...]
    """Positions of the events that they come from."""


def zones_of(picture: Picture, question: ContactQuestion) -> Zones:
    """Return the zone declared, else those of the contact point or its country, of the customer's, or of nobody."""
    return (
        _declared(picture)
        or _zones_of_point(picture, question.contact_point_id)
        or _zones_of_profile(picture)
        or _known(picture.policy.default_time_zones, "default_time_zones")
        or Zones((UTC_NAME,), "", ())
    )


def _declared(picture: Picture) -> Zones | None:
    if "preferences" not in picture.state.parts:
        return None
    declared = picture.state.preferences.of(preference_pb2.PREFERENCE_KIND_TIME_ZONE)
    return None if declared is None else _known((declared.message.time_zone.time_zone,), "", declared.position)


def _zones_of_point(picture: Picture, contact_point_id: str) -> Zones | None:
    if not contact_point_id or "profile" not in picture.state.parts:
        return None
    point = picture.state.profile.identifier(contact_point_id)
    if point is None:
        return None
    known = _known(point.message.time_zones, "", point.position)
    return known or _zones_of_country(picture, point.message.country, point.position)


def _zones_of_profile(picture: Picture) -> Zones | None:
    if "profile" not in picture.state.parts:
        return None
    profile = picture.state.profile
    return _zones_of_country(picture, profile.country, profile.position)


def _zones_of_country(picture: Picture, country: str, position: int) -> Zones | None:
    """Return what the policy says of a country or region; of a region without an entry what it says of the country."""
    for name in (country, country.partition("-")[0]):
        for index, each in enumerate(picture.policy.countries):
            if name and each.country == name:
                return _known(each.time_zones, f"countries[{index}]", position)
    return None


def _known(names: Iterable[str], policy_field: str, *evidence: int) -> Zones | None:
    """Return zones by their names without what the database does not have; None where nothing is left.

    Names are checked when they are recorded, but a later database may have dropped one.
    """
    known = tuple(sorted({name for name in names if name in zone_names()}))
    return Zones(known, policy_field, evidence) if known else None
