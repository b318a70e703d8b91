"""Whose law applies: codes of countries (ISO 3166-1) and of their regions (ISO 3166-2), such as `US` and `US-CA`."""

from collections.abc import Collection


def under(jurisdictions: Collection[str], jurisdiction: str) -> bool:
    """Tell whether a rule holds under a law. A rule that names none holds everywhere.

    The law of a country holds in its regions, that of a region only there. Where nobody knows whose law applies, a rule
    that names some does not hold: the default jurisdiction of the contact policy is the place to be careful.
    """
    if not jurisdictions:
        return True
    return jurisdiction in jurisdictions or jurisdiction.partition("-")[0] in jurisdictions
