"""Looking at one relationship: what changed, and when the clock will change something (relationship.md 15).

Pure: facts folded, levels announced and an instant in, changes and new levels out. The families run in a fixed order,
which is the order of the numbers of changes that are found in one look.
"""

from collections.abc import Iterator
from typing import Final

from ledger.change import dwell
from ledger.change.balancing import balancing
from ledger.change.breaching import breaching
from ledger.change.campaigns import campaigns
from ledger.change.cohorts import cohorts
from ledger.change.contacting import contacting
from ledger.change.conversing import conversing
from ledger.change.existing import existing
from ledger.change.honouring import honouring
from ledger.change.levels import Levels
from ledger.change.linking import linking
from ledger.change.living import living
from ledger.change.look import Draft, Family, Look
from ledger.change.permissions import permissions
from ledger.change.promising import promising
from ledger.change.strengthening import crosses_at, strengthening
from ledger.change.types import mismatching, type_changing
from ledger.change.vectors import exhausting
from ledger.measure import personae
from ledger.measure.measured import Measured

FAMILIES: Final[tuple[Family, ...]] = (
    linking, permissions, honouring, existing, living, strengthening, balancing, conversing, exhausting, mismatching,
    type_changing, promising, breaching, contacting,
)  # fmt: skip
"""In the order in which changes of one look are numbered."""


def detect(look: Look) -> Iterator[Draft]:
    """Yield the changes of one look; afterwards its levels are those of now."""
    for family in FAMILIES:
        yield from family(look)
    add_up(look)


def add_up(look: Look) -> None:
    """Bring up to date what a relationship adds to cohorts and campaigns, where that can have changed."""
    levels = look.levels
    if look.fact is None and not 0 < levels.sums_due <= look.at:
        return
    of_cohorts, of_campaigns = cohorts(look.measured), campaigns(look.measured)
    levels.cohorts, levels.campaigns = of_cohorts.by_subject, of_campaigns.by_subject
    levels.sums_due = min((at for at in (of_cohorts.changes_at, of_campaigns.changes_at) if at is not None), default=0)


def crossing(look: Look) -> int | None:
    """Return the earliest later instant at which a level may differ by the clock alone, in microseconds, or None."""
    m = look.measured
    instants = [
        m.existence.changes_at, m.lifecycle.changes_at, m.axes.changes_at, m.types.changes_at,
        m.conversation.changes_at, m.contacts.changes_at, crosses_at(look), personae.changes_at(m),
    ]  # fmt: skip
    return min([each for each in instants if each is not None], default=None)


def due(measured: Measured, levels: Levels, crosses_at: int | None) -> int | None:
    """Return when to look again, in microseconds, after the instant of the look; None: only after an event."""
    instants = [crosses_at, measured.promises.changes_at, levels.cells_due or None, levels.sums_due or None]
    instants += [*levels.waiting.values(), *dwell.ends(levels)]
    first = min([each for each in instants if each is not None], default=None)
    assert first is None or first > measured.at, f"what is due at {first} was looked at, at {measured.at}"
    return first
