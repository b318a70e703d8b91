"""One relationship in memory: folded, with its rows, so that a new fact costs what it changes and not what came before.

Which rows a fact can change is said here, carefully: where that is not plain, a kind of rows is made anew and compared.
Plain is an interaction that occurred after everything known and judges or undoes nothing else: it makes rows of its
own, and changes that of its day and that of the one solicitation that it is credited to. What is spoken of was there
before: a reference to anything later names nothing. Of most relationships there are no rows of most kinds, and those
kinds are not looked at before a fact comes that makes some.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ledger.domain.fact import Fact
from ledger.domain.interaction import CORRECTED, RECORDED, RETRACTED
from ledger.domain.times import START_OF_TIME
from ledger.measure.buying import EXCHANGES
from ledger.measure.measured import Measured
from ledger.measure.outlook import Outlook
from ledger.report.rows import Folded, act_days, judged, kept_since, made, measured
from ledger.report.shapes import KEYS, KINDS, ActDay, Conduct, Join, Judgement, Person, Request, Solicitation
from ledger.report.solicited import new_solicitations
from rapport.events.v1 import interaction_pb2
from rapport.events.v1.interaction_pb2 import InteractionRecorded

Keyed = dict[tuple[Any, ...], Any]
"""Rows of one kind by what tells them apart."""

_JOIN: Final = interaction_pb2.INTERACTION_KIND_JOIN
_OUTBOUND: Final = interaction_pb2.DIRECTION_OUTBOUND
_UNDOING: Final = frozenset({CORRECTED, RETRACTED})
_SPOKEN_OF: Final = frozenset({Solicitation, Conduct})
"""Kinds whose rows say what others said of something, or what was known of the customer."""


class Change(NamedTuple):
    """What is to be written of a relationship."""

    whole: bool
    """Whether what is there must go first: these are all rows. Else no row is there that is no more."""
    rows: Mapping[type[Any], list[Any]]
    """By kind: rows that are new, or not as they were; a kind without any may be missing."""


class _New:
    """What came since rows were last told, by what it may have changed."""

    __slots__ = ("anew", "others", "outbound")

    def __init__(self) -> None:
        self.outbound: list[tuple[int, int]] = []
        """Occur times and positions of what is OUTBOUND: contacts, and no act of the customer."""
        self.others: list[tuple[int, int]] = []
        """The same of all other interactions."""
        self.anew: set[type[Any]] = set()
        """Kinds of which any row may have changed."""

    def note(self, fact: Fact, latest: int) -> None:
        """Take note of a fact, just folded. `latest`: nothing before it occurred later, in microseconds."""
        position, _, _, time, topic, message, _ = fact
        if topic == RECORDED:
            event: InteractionRecorded = message  # type: ignore[assignment]  # The topic says so.
            refers = event.refers_to
            (self.outbound if event.direction == _OUTBOUND else self.others).append((time, position))
            if time < latest or refers:
                self.anew |= _SPOKEN_OF
            if refers or event.needs_reply or event.in_reply_to:  # A word that an answer bounced takes it away.
                self.anew.add(Request)
            if event.kind == _JOIN:
                self.anew.add(Join)
        elif topic in EXCHANGES:
            self.anew.add(Solicitation)  # They tell which purchases had an incentive, and nothing else of any row.
        elif topic in _UNDOING:
            self.anew |= _BUT_JUDGEMENTS
        else:
            self.anew |= _BUT_INTERACTIONS

    def kinds(self) -> set[type[Any]]:
        """Return the kinds of which rows may have changed, or come."""
        kinds = set(self.anew)
        if self.outbound:
            kinds |= _SPOKEN_OF
        if self.others:
            kinds |= _BY_ACTS
        return kinds


class Remembered:
    """One relationship."""

    __slots__ = ("_basis", "_folded", "_is_told", "_latest", "_new", "_rows", "_since", "version")

    def __init__(self, *, is_told: bool = True) -> None:
        """Start empty. `is_told`: no row is there of it, as of one whose first event comes next; else any may be."""
        self.version = 0
        """Of the last event, be it one that this release knows or not."""
        self._folded = Folded()
        self._latest = START_OF_TIME
        """Nothing occurred later. Microseconds."""
        self._is_told = is_told
        """Whether the rows that are there are those of `_rows`."""
        self._rows: dict[type[Any], Keyed] = {}
        """As last told, by kind; of most kinds there is none, and nothing is kept."""
        self._basis = 0
        """On what they rest; 0: there is none."""
        self._since = 0
        """From when on requests and contacts are kept. Microseconds."""
        self._new: _New | None = None
        """What came since."""

    @property
    def pieces(self) -> int:
        """For how many events of memory it counts."""
        return self._folded.record.pieces + sum(map(len, self._rows.values()))

    def feed(self, facts: Iterable[Fact], version: int) -> None:
        """Fold some facts, in the order of their positions. `version`: of the last event among which they are."""
        evolve, new, latest = self._folded.evolve, self._new or _New(), self._latest
        for fact in facts:
            evolve(fact)
            new.note(fact, latest)
            latest = max(latest, fact.occur_time)
        self._new, self._latest, self.version = new, latest, version

    def change(self, outlook: Outlook, basis: int) -> Change:
        """Return what changed since this was last asked; all rows where that is not known, or on another basis."""
        m, since = measured(self._folded.record, outlook), kept_since(self._folded.recorded, outlook)
        changed, new = None, self._new or _New()
        if self._is_told and self._basis in {0, basis}:
            changed = self._changes(new, m, since)
        else:
            self._rows = {kind: rows for kind in KINDS if (rows := _keyed(kind, made(kind, m, since)))}
        self._is_told, self._basis, self._since, self._new = True, basis, since, None
        if changed is None:
            return Change(True, {kind: list(rows.values()) for kind, rows in self._rows.items()})
        return Change(False, changed)

    def _changes(self, new: _New, m: Measured, since: int) -> dict[type[Any], list[Any]] | None:
        """Return the rows that are not as they were, and keep all; None: some are no more."""
        if since != self._since and Request in self._rows:
            new.anew.add(Request)  # Time goes on, so none comes, but some may go.
        kinds = new.kinds()
        if Person not in self._rows:
            kinds.add(Person)  # Whoever has an event has this one.
        changed, gone = {}, False
        for kind in kinds:
            make = _BY_FACT.get(kind) if kind not in new.anew else None
            if make is None:
                changed[kind], less = self._made_anew(kind, m, since)
                gone |= less
            else:
                changed[kind] = self._added(kind, make(self, new, m, since))
        if since != self._since:
            gone |= self._let_conducts_go(since)
        return None if gone else changed

    def _made_anew(self, kind: type[Any], m: Measured, since: int) -> tuple[list[Any], bool]:
        """Make all rows of a kind; return those that are not as they were, and whether some are no more."""
        before, now = self._rows.pop(kind, {}), _keyed(kind, made(kind, m, since))
        if now:
            self._rows[kind] = now
        if now == before:
            return [], False
        return [row for key, row in now.items() if before.get(key) != row], bool(before.keys() - now.keys())

    def _added(self, kind: type[Any], rows: Iterable[Any]) -> list[Any]:
        """Keep some rows of a kind, no two with one key, and return those that are not as they were."""
        before, fields, changed = self._rows.get(kind, {}), KEYS[kind], []
        for row in rows:
            key = row[:fields]
            if before.get(key) != row:
                before[key] = row
                changed.append(row)
        if changed:
            self._rows[kind] = before
        return changed

    def _let_conducts_go(self, since: int) -> bool:
        """Drop what is kept no longer, and tell whether there was any. Rows are in the order of their times."""
        conducts, dropped = self._rows.get(Conduct, {}), False
        while conducts and (first := next(iter(conducts.values()))).time <= since:
            del conducts[first.position,]
            dropped = True
        return dropped

    def _persons(self, _: _New, m: Measured, since: int) -> Iterable[Person]:
        return made(Person, m, since)

    def _days(self, new: _New, m: Measured, _: int) -> Iterator[ActDay]:
        return act_days(m, (time for time, _ in new.others))

    def _solicitations(self, new: _New, m: Measured, _: int) -> Iterator[Solicitation]:
        known = self._rows.get(Solicitation, {})
        for row in new_solicitations(m, new.outbound, new.others):
            before = known.get(row[: KEYS[Solicitation]])
            yield row if before is None else row._replace(followed=row.followed | before.followed)

    def _conducts(self, new: _New, m: Measured, since: int) -> Iterator[Conduct]:
        contacts = (m.record.state.conversation.contact_at(position) for time, position in new.outbound if time > since)
        return judged(m, (contact for contact in contacts if contact is not None))


_BY_ACTS: Final = frozenset({Person, ActDay, Solicitation})
"""Kinds whose rows plain acts of the customer change."""
_BUT_JUDGEMENTS: Final = frozenset(KINDS) - {Judgement}
"""Kinds whose rows are made of interactions, and of what was known when they occurred."""
_BUT_INTERACTIONS: Final = _SPOKEN_OF | {Judgement}
"""Kinds whose rows are made of other facts, too."""
_BY_FACT: Final[dict[type[Any], Callable[[Remembered, _New, Measured, int], Iterable[Any]]]] = {
    Person: Remembered._persons,  # noqa: SLF001  # The table of the class's own.
    ActDay: Remembered._days,  # noqa: SLF001
    Solicitation: Remembered._solicitations,  # noqa: SLF001
    Conduct: Remembered._conducts,  # noqa: SLF001
}
"""How rows are made that plain facts alone may have changed; of other kinds there are few, and they are made anew."""


def _keyed(kind: type[Any], rows: Iterable[Any]) -> Keyed:
    fields = KEYS[kind]
    return {row[:fields]: row for row in rows}
