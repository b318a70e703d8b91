"""Pressure and maturity (relationship.md 10): counts over the window of the policy, up to the instant."""

from typing import Final, NamedTuple

from ledger.measure.results import Ratio, unknown
from ledger.measure.rules import Rules
from ledger.report.rows import Rows
from ledger.report.shapes import Conduct, Person, Request, Solicitation
from ledger.report.spans import DAY
from rapport.relationship.v1 import measures_pb2 as why

_PERIOD: Final = 30 * DAY
"""What pressure is told for."""


class Pressure(NamedTuple):
    """Solicitations in the window."""

    relationships: int
    solicitations: int
    per_30_days: Ratio


class Pressures:
    """Counts solicitations, of prospects and of customers apart: who never bought, and who did."""

    needs: Final = (Person, Solicitation)

    def __init__(self, rules: Rules, at: int) -> None:
        """`at`: microseconds."""
        self._window, self._at = rules.window, at
        self._counts = ([0, 0], [0, 0])

    def add(self, rows: Rows) -> None:
        """Take in one relationship."""
        for person in rows.of(Person):
            counts = self._counts[person.bought]
            counts[0] += 1
            counts[1] += sum(
                self._at - self._window < each.delivered_time <= self._at for each in rows.of(Solicitation)
            )

    def pressures(self) -> tuple[Pressure, Pressure]:
        """Return that of prospects, and that of customers."""
        prospects, customers = (
            Pressure(
                people,
                sent,
                Ratio(sent * _PERIOD, people * self._window) if people else unknown(why.UNKNOWN_REASON_NO_EVIDENCE),
            )
            for people, sent in self._counts
        )
        return prospects, customers


class Maturity:
    """Counts contacts and requests."""

    needs: Final = (Request, Conduct)

    def __init__(self, rules: Rules, at: int) -> None:
        """`at`: microseconds."""
        self._rules, self._at = rules, at
        self.contacts = self._honoured = self._needing = self._decided = 0
        self._asked = self._answered = self._open = 0

    def add(self, rows: Rows) -> None:
        """Take in one relationship."""
        for contact in rows.of(Conduct):
            if self._in_window(contact.time):
                self.contacts += 1
                self._honoured += contact.honoured
                self._needing += contact.needing
                self._decided += contact.decided
        for request in rows.of(Request):
            if self._in_window(request.time):
                self._count(request)

    def _count(self, request: Request) -> None:
        """Count a request: answered in time, too late, or still open."""
        end = request.time + self._rules.answer_within
        if request.answered_time < end:
            self._asked, self._answered = self._asked + 1, self._answered + 1
        elif end <= self._at:
            self._asked += 1
        else:
            self._open += 1

    def _in_window(self, time: int) -> bool:
        return self._at - self._rules.window < time <= self._at

    @property
    def decided(self) -> Ratio:
        """Contacts that name a decision, of those that need one."""
        return _share(self._decided, self._needing)

    @property
    def honoured(self) -> Ratio:
        """Contacts that agree with their decision and with what was declared, of all."""
        return _share(self._honoured, self.contacts)

    @property
    def answered(self) -> Ratio:
        """Requests answered in time, of those whose time is over or that were."""
        if not self._asked and self._open:
            return unknown(why.UNKNOWN_REASON_NOTHING_MATURED)
        return _share(self._answered, self._asked)


def _share(n: int, d: int) -> Ratio:
    return Ratio(n, d) if d else unknown(why.UNKNOWN_REASON_NO_EVIDENCE)
