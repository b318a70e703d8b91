"""Time zones by their IANA names, from the package `tzdata` only: the same on every machine."""

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from ledger.domain.errors import Invalid, Violation

UTC_NAME = "UTC"


@cache
def zone_names() -> frozenset[str]:
    """Return the names of all zones."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())


@cache
def _zone(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def zone_of(name: str, field: str) -> ZoneInfo:
    """Return the zone of a name in a request, of UTC where it is empty. `field`: where it stands.

    Raises:
        Invalid: there is no such zone.
    """
    name = name or UTC_NAME
    if name not in zone_names():
        raise Invalid([Violation(field, "must be the IANA name of a time zone, such as Europe/Berlin")])
    return _zone(name)
