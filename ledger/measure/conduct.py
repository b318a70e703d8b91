"""How the organization kept to what was decided and declared (relationship.md 10): the contact report of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ledger.contact.report import contact_report
from ledger.measure.evidence import EVIDENCE_MAX
from ledger.measure.results import Conduct, Ratio, unknown
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


_NOTHING: Final = Conduct(
    contacts=0,
    honoured_count=0,
    honoured=unknown(UNKNOWN_REASON_NO_EVIDENCE),
    needing_decision=0,
    decided_count=0,
    decided=unknown(UNKNOWN_REASON_NO_EVIDENCE),
    avoided=0,
    dishonoured=(),
)
"""Where nobody was contacted, and nothing decided."""


def conduct(m: Measured) -> Conduct:
    """Return the measure. It judges every contact of the window, so it is for those who ask, not for every event."""
    outlook, state, after = m.outlook, m.record.state, m.at - m.outlook.rules.window
    if "contacts" not in state.parts and next(state.conversation.contacts(after + 1, m.at + 1), None) is None:
        return _NOTHING
    report = contact_report(
        state, outlook.contact_policy, m.at, purposes=outlook.purposes, after=after, until=m.at
    )  # fmt: skip
    decided = report.needing_decision - report.undecided
    return Conduct(
        contacts=report.contacts,
        honoured_count=report.honoured,
        honoured=_ratio(report.honoured, report.contacts),
        needing_decision=report.needing_decision,
        decided_count=decided,
        decided=_ratio(decided, report.needing_decision),
        avoided=report.contacts_avoided,
        dishonoured=tuple(each.position for each in report.dishonoured[:EVIDENCE_MAX]),
    )


def _ratio(n: int, d: int) -> Ratio:
    return Ratio(n, d) if d else unknown(UNKNOWN_REASON_NO_EVIDENCE)
