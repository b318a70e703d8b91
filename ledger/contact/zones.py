"""Where a customer's clock may stand (consent.md 6)."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from tzdata import IANA_VERSION  # type: ignore[import-untyped]  # It has no stubs.

from ledger.contact.picture import Picture
from ledger.domain.preference import PreferenceState
from ledger.domain.profile import ProfileState
from ledger.domain.time_zones import UTC_NAME, zone_names
from rapport.events.v1 import preference_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion
from rapport.events.v1.contact_policy_pb2 import ContactPolicy

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
    """Return where the clock of the customer asked about may stand."""
    parts, state = picture.state.parts, picture.state
    return zones_for(
        state.preferences if "preferences" in parts else None,
        state.profile if "profile" in parts else None,
        picture.policy,
        question.contact_point_id,
    )


def zones_for(
    preferences: PreferenceState | None, profile: ProfileState | None, policy: ContactPolicy, contact_point_id: str
) -> Zones:
    """Return the zone declared, else those of the contact point or its country, of the customer's, or of nobody."""
    return (
        (preferences and _declared(preferences))
        or (profile and _zones_of_profile(profile, policy, contact_point_id))
        or _known(policy.default_time_zones, "default_time_zones")
        or Zones((UTC_NAME,), "", ())
    )


def _declared(preferences: PreferenceState) -> Zones | None:
    declared = preferences.of(preference_pb2.PREFERENCE_KIND_TIME_ZONE)
    return None if declared is None else _known((declared.message.time_zone.time_zone,), "", declared.position)


def _zones_of_profile(profile: ProfileState, policy: ContactPolicy, contact_point_id: str) -> Zones | None:
    point = profile.identifier(contact_point_id) if contact_point_id else None
    of_point = point and (
        _known(point.message.time_zones, "", point.position)
        or _zones_of_country(policy, point.message.country, point.position)
    )
    return of_point or _zones_of_country(policy, profile.country, profile.position)


def _zones_of_country(policy: ContactPolicy, country: str, position: int) -> Zones | None:
    """Return what the policy says of a country or region; of a region without an entry what it says of the country."""
    for name in (country, country.partition("-")[0]):
        for index, each in enumerate(policy.countries):
            if name and each.country == name:
                return _known(each.time_zones, f"countries[{index}]", position)
    return None


def _known(names: Iterable[str], policy_field: str, *evidence: int) -> Zones | None:
    """Return zones by their names without what the database does not have; None where nothing is left.

    Names are checked when they are recorded, but a later database may have dropped one.
    """
    known = tuple(sorted({name for name in names if name in zone_names()}))
    return Zones(known, policy_field, evidence) if known else None
