"""What reports need of one relationship: a few plain rows, made by the fold.

A projection keeps these rows and a look at the past makes them anew; reports are functions of them, so both say the
same. Rows hold times, and a report compares them with its instant: what only the clock changes needs no new row. What a
policy decides is decided in the rows, and `basis.py` tells by which parts of a policy.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ledger.contact.permits import PermitStatus
from ledger.contact.report import Judge
from ledger.contact.standing import needs_decision
from ledger.domain.conversation import Contact
from ledger.domain.fact import Fact
from ledger.domain.times import END_OF_TIME
from ledger.measure.measured import Measured
from ledger.measure.outlook import Outlook
from ledger.measure.record import Record
from ledger.measure.visits import Visits, visits
from ledger.report.shapes import (
    KINDS,
    NOT_BACK,
    ActDay,
    Conduct,
    Join,
    Judgement,
    Person,
    Request,
    Solicitation,
)
from ledger.report.solicited import all_solicitations
from ledger.report.spans import DAY, first_of_months

_STEP: Final = 30 * DAY
_NEVER: Final = Visits(0, None)


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
            self.evolve(fact)

    def evolve(self, fact: Fact) -> None:
        """Fold one fact."""
        self.record.evolve(fact)
        self.recorded = fact.record_time  # It never decreases.


def rows_of(customer_id: str, record: Record, outlook: Outlook, since: int, kinds: Iterable[type[Any]] = KINDS) -> Rows:
    """Return the rows of some kinds.

    `since`: requests and contacts at or before it are left out, in microseconds: no report looks back longer than the
    window of the policy, so that a long history need not be judged whole.
    """
    m = measured(record, outlook)
    rows = Rows(customer_id)
    for kind in kinds:
        rows.by_kind[kind] = sorted(made(kind, m, since))
    return rows


def measured(record: Record, outlook: Outlook) -> Measured:
    """Return what rows are made of: they say what will be once a solicitation is matured; reports ask whether it is."""
    return Measured(record, outlook, END_OF_TIME)


def kept_since(recorded: int, outlook: Outlook) -> int:
    """Return `since` for rows that are kept, by the record time of the last fact, in microseconds.

    The beginning of the window, or earlier: in steps of some days, so that few facts let anything go.
    """
    return (recorded - outlook.rules.window) // _STEP * _STEP


def made(kind: type[Any], m: Measured, since: int) -> Iterable[Any]:
    """Return the rows of one kind, in any order. `since`: as `rows_of` takes it."""
    return _MAKE[kind](m, since)


def _persons(m: Measured, _: int) -> Iterable[Person]:
    acts = m.record.acts
    # Many did nothing yet, and most bought nothing: of them neither sessions nor purchases are asked.
    ever = acts.buying.ever()
    came = visits(m) if acts.times else _NEVER
    bought = visits(m, purchases_only=True) if ever else _NEVER
    return [
        Person(
            int(ever),
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
    times = m.sessions.acts.times
    firsts: dict[int, int] = {}
    lasts: dict[int, int] = {}
    for time in times:
        day = time // DAY
        lasts[day] = time
        if day not in firsts:
            firsts[day] = time
    return [ActDay(day, first, lasts[day]) for day, first in firsts.items()]


def act_days(m: Measured, times: Iterable[int]) -> Iterator[ActDay]:
    """Yield the rows of the days on which some times are, in microseconds; of days without an act there is none."""
    if not m.record.acts.times:
        return
    acts = m.sessions.acts
    for day in {time // DAY for time in times}:
        first, end = acts.before(day * DAY), acts.before((day + 1) * DAY)
        if first < end:
            yield ActDay(day, acts.times[first], acts.times[end - 1])


def _solicitations(m: Measured, _: int) -> Iterable[Solicitation]:
    return all_solicitations(m)


def _requests(m: Measured, since: int) -> Iterable[Request]:
    talk = m.record.talk
    for place in range(talk.requests.until(since), len(talk.requests)):
        time, position = talk.requests.times[place], talk.requests.positions[place]
        answers = (at for at, _ in talk.answers.get(position, ()) if at >= time)
        yield Request(position, time, next(answers, END_OF_TIME))


def _conducts(m: Measured, since: int) -> Iterable[Conduct]:
    return judged(m, m.record.state.conversation.contacts(since + 1, END_OF_TIME))


def judged(m: Measured, contacts: Iterable[Contact]) -> Iterator[Conduct]:
    """Yield the rows of some contacts, in the order of their occur times."""
    judge, state = None, m.record.state
    # Who declared nothing has declared nothing against a contact; most have not.
    declared = "preferences" in state.parts
    for contact in contacts:
        if declared or contact.decision_id:
            judge = judge or Judge(state, m.outlook.contact_policy, m.outlook.purposes, ())
            yield _conduct(contact, judge)
        else:
            needing = needs_decision(contact)
            yield Conduct(contact.position, contact.occur_time, int(needing), 0, int(not needing))


def _conduct(contact: Contact, judge: Judge) -> Conduct:
    """Judge one contact, as `contact_report` does."""
    needing, status = needs_decision(contact), judge.status(contact)
    decided = needing and status not in {None, PermitStatus.UNKNOWN}
    honoured = judge.agrees(contact, status) & (not judge.reasons(contact))
    return Conduct(contact.position, contact.occur_time, int(needing), int(decided), int(honoured))


def _judgements(m: Measured, _: int) -> Iterable[Judgement]:
    if "wishes" not in m.record.state.parts:
        return
    # All of them, whether or not they hold: at the beginning of time none was over.
    for each in m.record.state.wishes.assessed(-(1 << 62), m.outlook.rules.assessment_term):
        yield Judgement(each.our_function, each.slug, each.position, each.until)


_MAKE: Final = dict(
    zip(KINDS, (_persons, _joins, _act_days, _solicitations, _requests, _conducts, _judgements), strict=True)
)
