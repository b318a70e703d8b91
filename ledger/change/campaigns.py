"""What a relationship adds to campaigns: matured solicitations, and of those the answered ones (relationship.md 10)."""

from ledger.change.cohorts import Sums
from ledger.measure import solicitations
from ledger.measure.measured import Measured


def campaigns(measured: Measured) -> Sums:
    """Return what a relationship adds to campaigns: matured solicitations, and those bought by or replied to."""
    parts = solicitations.campaigns(measured)
    found = {name: [part.matured, part.matured - part.wasted] for name, part in sorted(parts.items()) if part.matured}
    return Sums(
        found, min((part.next_maturity for part in parts.values() if part.next_maturity is not None), default=None)
    )
