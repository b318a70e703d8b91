"""Time zones by their IANA names, from the package `tzdata` only: the same on every machine."""

from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from ledger.domain.errors import Invalid, Violation

UTC_NAME: Final = "UTC"


@cache
def zone_names() -> frozenset[str]:
    """Return the names of all zones."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def zone(name: str) -> ZoneInfo:
    """Return the zone of a name, one of `zone_names`."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def zone_fault(name: str) -> str | None:
    """Return what is wrong with the name of a time zone in a request, or None."""
    return None if name in zone_names() else "must be the IANA name of a time zone, such as Europe/Berlin"


def zone_of(name: str, field: str) -> ZoneInfo:
    """Return the zone of a name in a request, of UTC where it is empty. `field`: where it stands.

    Raises:
        Invalid: there is no such zone.
    """
    name = name or UTC_NAME
    fault = zone_fault(name)
    if fault is not None:
        raise Invalid([Violation(field, fault)])
    return zone(name)
