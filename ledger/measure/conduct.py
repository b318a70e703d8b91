"""How the organization kept to what was decided and declared (relationship.md 10): the contact report of the window."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from ledger.contact.report import contact_report
from ledger.domain.times import END_OF_TIME
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


def moves_at(m: Measured) -> int | None:
    """Return the first later instant at which a contact or a decision leaves the window; None: none will.

    The clock alone moves nothing else: each contact is judged by what held when it was made.
    """
    state, window = m.record.state, m.outlook.rules.window
    start = m.at - window + 1
    times = [each.occur_time for each in islice(state.conversation.contacts(start, END_OF_TIME), 1)]
    if "contacts" in state.parts:
        times += [each.occur_time for each in state.contacts.decisions if each.occur_time >= start]
    return min(times) + window if times else None


def _ratio(n: int, d: int) -> Ratio:
    return Ratio(n, d) if d else unknown(UNKNOWN_REASON_NO_EVIDENCE)
