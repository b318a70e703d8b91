"""One relationship in memory: folded, with its rows, so that a new fact costs what it changes and not what came before.

Which rows a fact can change is said here, carefully: where that is not plain, a kind of rows is made anew and compared.
Plain is an interaction that occurred after everything known and judges or undoes nothing else: it makes rows of its
own, and changes that of its day and that of the one solicitation that it is credited to. What is spoken of was there
before: a reference to anything later names nothing.
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
from ledger.report.shapes import KEYS, KINDS, ActDay, Conduct, Judgement, Solicitation
from ledger.report.solicited import new_solicitations
from rapport.events.v1.interaction_pb2 import InteractionRecorded

Keyed = dict[tuple[Any, ...], Any]
"""Rows of one kind by what tells them apart."""


class Change(NamedTuple):
    """What is to be written of a relationship."""

    whole: bool
    """Whether what is there must go first: these are all rows. Else no row is there that is no more."""
    rows: Mapping[type[Any], list[Any]]
    """By kind: rows that are new, or not as they were; a kind without any may be missing."""


class Remembered:
    """One relationship."""

    __slots__ = ("_anew", "_basis", "_folded", "_latest", "_new", "_rows", "_since", "version")

    def __init__(self) -> None:
        self.version = 0
        """Of the last event, be it one that this release knows or not."""
        self._folded = Folded()
        self._latest = START_OF_TIME
        """Nothing occurred later. Microseconds."""
        self._rows: dict[type[Any], Keyed] = {}
        """As last told; empty: they were not."""
        self._basis = 0
        """On what they rest."""
        self._since = 0
        """From when on requests and contacts are kept. Microseconds."""
        self._new: list[tuple[int, int]] = []
        """Occur times and positions of the interactions that came since."""
        self._anew: set[type[Any]] = set()
        """Kinds of which any row may have changed since."""

    @property
    def pieces(self) -> int:
        """For how many events of memory it counts."""
        return self._folded.record.pieces + sum(map(len, self._rows.values()))

    def feed(self, facts: Iterable[Fact], version: int) -> None:
        """Fold some facts, in the order of their positions. `version`: of the last event among which they are."""
        for fact in facts:
            self._folded.feed((fact,))
            self._note(fact)
            self._latest = max(self._latest, fact.occur_time)
        self.version = version

    def change(self, outlook: Outlook, basis: int) -> Change:
        """Return what changed since this was last asked; at first, and where the basis is another one, all rows."""
        m, since = measured(self._folded.record, outlook), kept_since(self._folded.recorded, outlook)
        changed = None
        if self._rows and basis == self._basis:
            changed = self._changes(m, since)
        else:
            self._rows = {kind: _keyed(kind, made(kind, m, since)) for kind in KINDS}
        self._basis, self._since = basis, since
        self._new.clear()
        self._anew.clear()
        if changed is None:
            return Change(True, {kind: list(rows.values()) for kind, rows in self._rows.items()})
        return Change(False, changed)

    def _changes(self, m: Measured, since: int) -> dict[type[Any], list[Any]] | None:
        """Return the rows that are not as they were, and keep all; None: some are no more."""
        # Nearly always nothing came but interactions, and those touch no judgement.
        kinds = KINDS if self._anew or since != self._since else _BY_INTERACTIONS
        changed = {kind: self._changed(kind, m, since) for kind in kinds}
        return None if None in changed.values() else {kind: rows or [] for kind, rows in changed.items()}

    def _note(self, fact: Fact) -> None:
        """Take note of what a fact, just folded, may have changed."""
        position, _, _, time, topic, message, _ = fact
        if topic == RECORDED:
            event: InteractionRecorded = message  # type: ignore[assignment]  # The topic says so.
            self._new.append((time, position))
            if time < self._latest or event.refers_to:
                self._anew |= _SPOKEN_OF
        elif topic in EXCHANGES:
            self._anew.add(Solicitation)  # They tell which purchases had an incentive, and nothing else of any row.
        else:
            self._anew |= _SPOKEN_OF
            if topic in _UNDOING:
                self._anew.add(ActDay)

    def _changed(self, kind: type[Any], m: Measured, since: int) -> list[Any] | None:
        """Return the rows of a kind that are not as they were, and keep them; None: some are no more."""
        before, by_fact = self._rows[kind], _BY_FACT.get(kind)
        if by_fact is None or kind in self._anew:
            now = _keyed(kind, made(kind, m, since))
            if now == before:
                return []
            self._rows[kind] = now
            return None if before.keys() - now.keys() else [row for key, row in now.items() if before.get(key) != row]
        found = _keyed(kind, by_fact(self, m, since))
        changed = [row for key, row in found.items() if before.get(key) != row]
        before |= found
        return None if kind is Conduct and _outdated(before, since) else changed

    def _new_days(self, m: Measured, _: int) -> Iterator[ActDay]:
        return act_days(m, (time for time, _ in self._new))

    def _new_solicitations(self, m: Measured, _: int) -> Iterator[Solicitation]:
        for row in new_solicitations(m, self._new):
            before = self._rows[Solicitation].get(row[: KEYS[Solicitation]])
            yield row if before is None else row._replace(followed=row.followed | before.followed)

    def _new_conducts(self, m: Measured, since: int) -> Iterator[Conduct]:
        contacts = (m.record.state.conversation.contact_at(position) for time, position in self._new if time > since)
        return judged(m, (contact for contact in contacts if contact is not None))


_BY_INTERACTIONS: Final = tuple(kind for kind in KINDS if kind is not Judgement)
_UNDOING: Final = frozenset({CORRECTED, RETRACTED})
_SPOKEN_OF: Final = frozenset({Solicitation, Conduct})
"""Kinds whose rows say what others said of something, or what was known of the customer."""
_BY_FACT: Final[dict[type[Any], Callable[[Remembered, Measured, int], Iterator[Any]]]] = {
    ActDay: Remembered._new_days,  # noqa: SLF001  # The table of the class's own.
    Solicitation: Remembered._new_solicitations,  # noqa: SLF001
    Conduct: Remembered._new_conducts,  # noqa: SLF001
}
"""How rows are made that plain facts alone may have changed; of other kinds there are few, and they are made anew."""


def _keyed(kind: type[Any], rows: Iterable[Any]) -> Keyed:
    fields = KEYS[kind]
    return {row[:fields]: row for row in rows}


def _outdated(conducts: Keyed, since: int) -> bool:
    """Drop what is kept no longer, and tell whether there was any. Rows are in the order of their times."""
    dropped = False
    while conducts and (first := next(iter(conducts.values()))).time <= since:
        del conducts[first.position,]
        dropped = True
    return dropped
