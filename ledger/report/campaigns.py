"""What solicitations came to (relationship.md 10): response, waste and cost, all together or by what groups them.

Rates are of matured ones only; relevance is of all that were delivered.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ledger.domain.amounts import INT64_MAX
from ledger.measure.results import Ratio, unknown
from ledger.measure.rules import Rules
from ledger.report.rows import Rows
from ledger.report.shapes import Solicitation
from ledger.report.spans import Span
from rapport.events.v1.consent_pb2 import LEGAL_BASIS_CONSENT, LegalBasis
from rapport.events.v1.interaction_pb2 import Tactic
from rapport.relationship.v1 import measures_pb2 as why
from rapport.report.v1.report_service_pb2 import SolicitationGrouping as By
from rapport.type.v1 import levels_pb2 as levels

OPT_IN: Final = "OPT_IN"
NO_OPT_IN: Final = "NO_OPT_IN"
_WASTED: Final = frozenset({levels.SOLICITATION_OUTCOME_OPTED_OUT, levels.SOLICITATION_OUTCOME_NO_RESPONSE})


class CampaignsAsked(NamedTuple):
    """Which solicitations, and how they are grouped."""

    grouping: By.ValueType
    delivered: Span = Span()
    campaign: str = ""
    """Only this one; empty: all."""


@dataclass(slots=True)
class Group:
    """Solicitations with one key."""

    key: str
    delivered: int = 0
    matured: int = 0
    outcomes: Counter[int] = field(default_factory=Counter)
    """Of matured ones, by `SolicitationOutcome`."""
    wasted_seconds: int = 0
    wasted_costs: Counter[str] = field(default_factory=Counter)
    """Units by asset."""
    uncosted: int = 0
    rated: int = 0
    relevant: int = 0
    followed: int = 0

    @property
    def wasted(self) -> int:
        """How many were for nothing."""
        return sum(self.outcomes[each] for each in _WASTED)

    @property
    def response(self) -> Ratio:
        """The share of matured ones that were bought by or replied to."""
        return self._of_matured(self.matured - self.wasted)

    @property
    def waste(self) -> Ratio:
        """The rest."""
        return self._of_matured(self.wasted)

    @property
    def relevance(self) -> Ratio:
        """The share of delivered ones that were rated relevant."""
        if self.delivered:
            return Ratio(self.relevant, self.delivered)
        return unknown(why.UNKNOWN_REASON_NO_EVIDENCE)

    def _of_matured(self, count: int) -> Ratio:
        if self.matured:
            return Ratio(count, self.matured)
        return unknown(why.UNKNOWN_REASON_NOTHING_MATURED if self.delivered else why.UNKNOWN_REASON_NO_EVIDENCE)

    def add(self, row: Solicitation, *, matured: bool) -> None:
        """Take in one solicitation."""
        self.delivered += 1
        self.rated += row.rated
        self.relevant += row.relevant
        if not matured:
            return
        self.matured += 1
        self.followed += row.followed
        self.outcomes[row.outcome] += 1
        if row.outcome not in _WASTED:
            return
        self.wasted_seconds = min(self.wasted_seconds + row.seconds, INT64_MAX)
        if row.asset:
            self.wasted_costs[row.asset] = min(self.wasted_costs[row.asset] + row.units, INT64_MAX)
        else:
            self.uncosted += 1


class Campaigns:
    """Adds up solicitations."""

    needs: Final = (Solicitation,)

    def __init__(self, asked: CampaignsAsked, rules: Rules, at: int) -> None:
        """`at`: microseconds."""
        self._asked, self._attribution, self._at = asked, rules.attribution, at
        self._groups: dict[str, Group] = {}
        if asked.grouping == By.SOLICITATION_GROUPING_UNSPECIFIED:
            self._groups[""] = Group("")

    def add(self, rows: Rows) -> None:
        """Take in one relationship."""
        asked = self._asked
        for row in rows.of(Solicitation):
            # What a faster clock delivered is not there yet.
            if row.delivered_time > self._at or not asked.delivered.holds(row.delivered_time):
                continue
            if asked.campaign and row.campaign != asked.campaign:
                continue
            key = key_of(row, asked.grouping)
            group = self._groups.setdefault(key, Group(key))
            group.add(row, matured=row.delivered_time + self._attribution <= self._at)

    def groups(self) -> list[Group]:
        """Return the groups by key; all together there is one, though nothing was sent."""
        return [self._groups[key] for key in sorted(self._groups)]


def key_of(row: Solicitation, grouping: By.ValueType) -> str:
    """Return in which group a solicitation is."""
    match grouping:
        case By.SOLICITATION_GROUPING_CAMPAIGN:
            return row.campaign
        case By.SOLICITATION_GROUPING_PROGRAMME:
            return row.programme
        case By.SOLICITATION_GROUPING_TACTIC:
            return _word(Tactic.DESCRIPTOR.values_by_number, row.tactic, "TACTIC_")
        case By.SOLICITATION_GROUPING_LEGAL_BASIS:
            return _word(LegalBasis.DESCRIPTOR.values_by_number, row.legal_basis, "LEGAL_BASIS_")
        case By.SOLICITATION_GROUPING_OPT_IN:
            return OPT_IN if row.legal_basis == LEGAL_BASIS_CONSENT else NO_OPT_IN
        case _:
            return ""


def _word(values: Mapping[int, Any], number: int, prefix: str) -> str:
    """Return the word of a number; empty: 0; the number itself where this release knows no word."""
    if not number:
        return ""
    value = values.get(number)
    return str(number) if value is None else str(value.name).removeprefix(prefix)
