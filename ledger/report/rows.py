"""What reports need of one relationship: a few plain rows, made by the fold.

A projection keeps these rows and a look at the past makes them anew; reports are functions of them, so both say the
same. Rows hold times, and a report compares them with its instant: what only the clock changes needs no new row. What a
policy decides is decided in the rows, and `basis.py` tells by which parts of a policy.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ledger.contact.permits import PermitStatus
from ledger.contact.report import Judge
from ledger.contact.standing import needs_decision
from ledger.domain.conversation import Contact
from ledger.domain.fact import Fact
from ledger.domain.times import END_OF_TIME
from ledger.measure import solicitations
from ledger.measure.measured import Measured
from ledger.measure.outlook import Outlook
from ledger.measure.record import Record
from ledger.measure.visits import visits
from ledger.report.spans import DAY, first_of_months

NOT_BACK: Final = -1
"""`back_after` of who has not come back."""


class Person(NamedTuple):
    """How often a customer came; there is one for every relationship that has an event."""

    bought: int
    """1: something was bought, returned or not."""
    sessions: int
    back_after: int
    """UTC days from the first act to the next day with one; NOT_BACK: there is none."""
    purchases: int
    """Without those returned."""
    bought_back_after: int
    """As `back_after`, of purchases."""


class Join(NamedTuple):
    """The first time in a month (UTC) that a customer joined a programme."""

    programme: str
    """Empty: which one was not said."""
    month: int
    """Since the year 0."""
    time: int
    """Microseconds."""


class ActDay(NamedTuple):
    """A UTC day on which the customer began something: all that a window of whole days from an instant can ask."""

    day: int
    """Since 1970."""
    first: int
    last: int
    """Occur times of the first and the last act of the day. Microseconds."""


class Solicitation(NamedTuple):
    """A solicitation, and what was credited to it."""

    position: int
    campaign: str
    programme: str
    asset: str
    """Of its cost; empty: none is on record."""
    delivered_time: int
    """Microseconds."""
    outcome: int
    """A `SolicitationOutcome`, final once it is matured."""
    tactic: int
    seconds: int
    """Of attention."""
    units: int
    """Of its cost."""
    legal_basis: int
    """Of the decision that it names; 0: not known."""
    followed: int
    """1: an act without incentive is credited to it."""
    rated: int
    relevant: int


class Request(NamedTuple):
    """Something that the customer asked an answer to."""

    position: int
    time: int
    """Microseconds."""
    answered_time: int
    """Of the first answer; END_OF_TIME: there is none."""


class Conduct(NamedTuple):
    """A contact, and whether it was as it should be when it was made."""

    position: int
    time: int
    """Microseconds."""
    needing: int
    """1: it needs a decision."""
    decided: int
    """1: it needs one, and names one."""
    honoured: int
    """1: it agrees with its decision, where it needs one, and with what was declared."""


class Judgement(NamedTuple):
    """What one of our functions last judged a relationship to be."""

    our_function: int
    slug: str
    position: int
    until: int
    """First instant at which it holds no more. Microseconds."""


KINDS: Final[tuple[type[Any], ...]] = (Person, Join, ActDay, Solicitation, Request, Conduct, Judgement)
"""Every kind of row."""


@dataclass(slots=True)
class Rows:
    """The rows of one relationship; those that nobody asked for are missing."""

    customer_id: str
    by_kind: dict[type[Any], list[Any]] = field(default_factory=dict)

    def of(self, kind: type[Any]) -> list[Any]:
        """Return the rows of a kind, in the order of their fields."""
        return self.by_kind.get(kind, [])


class Folded:
    """One relationship, folded for its rows."""

    __slots__ = ("record", "recorded")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self.record = Record(until)
        self.recorded = 0
        """Record time of the last fact, in microseconds; 0: there is none."""

    def feed(self, facts: Iterable[Fact]) -> None:
        """Fold some facts, in the order of their positions."""
        for fact in facts:
            self.record.evolve(fact)
            self.recorded = max(self.recorded, fact.record_time)


def rows_of(customer_id: str, record: Record, outlook: Outlook, since: int, kinds: Iterable[type[Any]] = KINDS) -> Rows:
    """Return the rows of some kinds.

    `since`: requests and contacts at or before it are left out, in microseconds: no report looks back longer than the
    window of the policy, so that a long history need not be judged whole.
    """
    # Rows say what will be once a solicitation is matured; reports ask whether it is.
    m = Measured(record, outlook, END_OF_TIME)
    rows = Rows(customer_id)
    for kind in kinds:
        rows.by_kind[kind] = sorted(_MAKE[kind](m, since))
    return rows


def _persons(m: Measured, _: int) -> Iterable[Person]:
    came, bought = visits(m), visits(m, purchases_only=True)
    return [
        Person(
            int(m.record.acts.buying.ever()),
            came.times,
            NOT_BACK if came.back_after is None else came.back_after,
            bought.times,
            NOT_BACK if bought.back_after is None else bought.back_after,
        )
    ]


def _joins(m: Measured, _: int) -> Iterable[Join]:
    for programme, told in m.record.acts.memberships.programmes.items():
        for month, time in first_of_months(told.joins.times):
            yield Join(programme, month, time)


def _act_days(m: Measured, _: int) -> Iterable[ActDay]:
    times = m.record.acts.sessions(m.outlook.rules).acts.times
    found: dict[int, list[int]] = {}
    for time in times:
        found.setdefault(time // DAY, [time, time])[1] = time
    return [ActDay(day, first, last) for day, (first, last) in found.items()]


def _solicitations(m: Measured, _: int) -> Iterable[Solicitation]:
    for each in solicitations.each(m):
        asset, units = each.cost or ("", 0)
        yield Solicitation(
            each.position, each.campaign, each.programme, asset, each.delivered_time, each.outcome, each.tactic,
            each.seconds, units, each.legal_basis, int(each.followed), int(each.rated), int(each.relevant),
        )  # fmt: skip


def _requests(m: Measured, since: int) -> Iterable[Request]:
    talk = m.record.talk
    for place in range(talk.requests.until(since), len(talk.requests)):
        time, position = talk.requests.times[place], talk.requests.positions[place]
        answers = (at for at, _ in talk.answers.get(position, ()) if at >= time)
        yield Request(position, time, next(answers, END_OF_TIME))


def _conducts(m: Measured, since: int) -> Iterable[Conduct]:
    state, outlook = m.record.state, m.outlook
    judge = Judge(state, outlook.contact_policy, outlook.purposes, ())
    for contact in state.conversation.contacts(since + 1, END_OF_TIME):
        yield _conduct(contact, judge)


def _conduct(contact: Contact, judge: Judge) -> Conduct:
    """Judge one contact, as `contact_report` does."""
    needing, status = needs_decision(contact), judge.status(contact)
    decided = needing and status not in {None, PermitStatus.UNKNOWN}
    agrees = not needing or status == PermitStatus.OPEN
    honoured = agrees & (not judge.reasons(contact))
    return Conduct(contact.position, contact.occur_time, int(needing), int(decided), int(honoured))


def _judgements(m: Measured, _: int) -> Iterable[Judgement]:
    # All of them, whether or not they hold: at the beginning of time none was over.
    for each in m.record.state.wishes.assessed(-(1 << 62), m.outlook.rules.assessment_term):
        yield Judgement(each.our_function, each.slug, each.position, each.until)


_MAKE: Final = dict(
    zip(KINDS, (_persons, _joins, _act_days, _solicitations, _requests, _conducts, _judgements), strict=True)
)
