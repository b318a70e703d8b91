"""By which parts of what an organization has published rows are made.

Two outlooks with one basis make the same rows, so rows are made anew only when the basis differs: not when a policy
changes a threshold that reports compare with, or something that no row asks.
"""

from hashlib import sha256

from ledger.measure.outlook import Outlook


def basis_of(outlook: Outlook) -> int:
    """Return the basis: 63 bits of a digest."""
    rules = outlook.rules
    parts = [
        rules.attribution, rules.window, rules.session_gap, rules.session_weight, sorted(rules.kind_weights.items()),
        sorted(rules.reopening_kinds), rules.incentive_by_legs, sorted(rules.channel_seconds.items()),
        rules.assessment_term, outlook.contact_policy.SerializeToString(deterministic=True),
        [(slug, each.SerializeToString(deterministic=True)) for slug, each in sorted(outlook.purposes.items())],
    ]  # fmt: skip
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:8]) >> 1
