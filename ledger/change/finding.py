"""Finding changes: one batch of the log after the other, in an order that is the log's alone (relationship.md 15).

Before an event runs everything that was due before its record time, in the order of due, publications before
relationships, and ids; then the event. So what is found, and its number, do not depend on where batches end, on who
finds it, or on when: there is no clock here. What is due at the very record time of an event runs after it (settled.md
41), with the next event of a later time.

A new policy is passed on to the relationships of its organization in the order of their ids, some at a time; nothing
else is looked at meanwhile.
"""

import heapq
import json
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ledger.change import adding, detecting
from ledger.change.adding import CAMPAIGN, COHORT, Announced
from ledger.change.balancing import below
from ledger.change.dwell import is_over
from ledger.change.kept import Kept, Owner
from ledger.change.levels import Levels
from ledger.change.look import Cause, Draft, Look, caused_by_clock, caused_by_event
from ledger.change.outlooks import Outlooks, Taken
from ledger.change.records import PIECES_MAX, Linked, Records
from ledger.change.reevaluating import reevaluated
from ledger.change.sweep import Sweep
from ledger.change.table import NEVER, Aggregate, Progress, StoredChange, Watched
from ledger.change.writing import Earlier, Place, Subject, written
from ledger.domain.fact import Fact
from ledger.domain.identifiers import is_relationship, organization_of, owner_of, policy_stream, relationship_stream
from ledger.domain.policy import ASSET_REGISTERED, PolicyState
from ledger.log import reading
from ledger.log.reading import check_dense
from ledger.log.store import EventRow, Store
from ledger.measure import personae
from ledger.measure.measured import Measured
from ledger.measure.outlook import Outlook, outlook_of
from ledger.measure.record import Record
from ledger.measure.strength import band_of
from rapport.change.v1 import change_pb2 as pb

EVENTS_MAX: Final = 256
"""Events of a batch."""
TIMERS_MAX: Final = 256
"""Relationships that one batch looks at because something is due, or under a new policy, about."""
_POLICY: Final = "@policy"
_DUMPED: Final = "levels dumped"


class Found(NamedTuple):
    """What one batch found, to be stored together."""

    progress: Progress
    changes: list[StoredChange]
    watched: list[Watched]
    aggregates: list[Aggregate]
    last: EventRow | None
    """The last event looked at; None: none was."""


@dataclass(slots=True)
class _Batch:
    """One batch under way: what it has changed so far."""

    progress: Progress
    rows: dict[Owner, Watched] = field(default_factory=dict)
    """As they stood before, and as they stand now."""
    changed: set[Owner] = field(default_factory=set)
    sums: dict[tuple[str, int, str], Aggregate] = field(default_factory=dict)
    changes: list[StoredChange] = field(default_factory=list)
    dues: list[tuple[int, int, str, str]] = field(default_factory=list)
    """What is due before `end`, as a heap; some of it may be so no more."""
    end: int = 0
    """Record time of the last event of the batch."""
    last: EventRow | None = None
    """The last event looked at."""


class Finder:
    """Finds changes. Used by one thread at a time; holds what may be thrown away at any time, with `forget`."""

    def __init__(self, store: Store, kept: Kept, log_id: str, pieces_max: int = PIECES_MAX) -> None:
        """`kept`: shows what every `Found` so far has stored."""
        self.looks = 0
        """At relationships, so far."""
        self._store = store
        self._kept = kept
        self._log_id = log_id
        self._records = Records(store, pieces_max)
        self._outlooks = Outlooks(store)
        self._blank: tuple[Outlook, str] | None = None
        self._between: tuple[Sweep, Outlook, Taken] | None = None
        self._batch = _Batch(Progress())

    def forget(self) -> None:
        """Forget what is in memory: what was found last was not stored."""
        self._records.clear()
        self._outlooks.clear()
        self._between = None

    def find(
        self, progress: Progress, to: int, events_max: int = EVENTS_MAX, timers_max: int = TIMERS_MAX
    ) -> Found | None:
        """Look through the next part of the log, at most up to position `to`; return what was found, None at its end.

        Raises:
            LogDamaged: an event is missing, or cannot be read.
            StoreFailed, StoreClosed: a database does not answer.
        """
        batch = self._batch = _Batch(progress)
        if progress.sweep:
            self._sweep(Sweep.load(progress.sweep), timers_max)
        else:
            rows = self._store.read_log(progress.position, events_max, to) if progress.position < to else []
            check_dense(rows, progress.position)
            if not rows:
                return None
            self._look_through(rows, timers_max)
        progress = batch.progress._replace(
            number=progress.number + len(batch.changes), events=progress.events + 1
        )  # fmt: skip
        watched = [batch.rows[owner] for owner in sorted(batch.changed)]
        return Found(progress, batch.changes, watched, list(batch.sums.values()), batch.last)

    def _look_through(self, rows: list[EventRow], timers_max: int) -> None:
        batch = self._batch
        batch.end = rows[-1].record_time
        owners = sorted({owner_of(row.stream_id) for row in rows if is_relationship(row.stream_id)})
        batch.rows = {owner: Watched(*owner) for owner in owners} | self._kept.watched(owners)
        due = self._kept.due(batch.end, timers_max)
        batch.rows.update(((row.organization_id, row.customer_id), row) for row in due)
        batch.dues = [row.key for row in due]
        bound = due[-1].key if len(due) == timers_max else None
        for row in rows:
            if not self._run_timers(row.record_time, bound):
                return
            self._event(row)
            if batch.progress.sweep:
                return

    def _run_timers(self, before: int, bound: tuple[int, int, str, str] | None) -> bool:
        """Run what is due before an instant; return False where not all of it could be: there is more than was read."""
        batch = self._batch
        while batch.dues and batch.dues[0][0] < before:
            key = batch.dues[0]
            if bound is not None and key > bound:
                return False
            heapq.heappop(batch.dues)
            due, rank, organization_id, customer_id = key
            if self._row((organization_id, customer_id)).key != key:
                continue  # It was looked at since, and is due at another time.
            if not rank:
                self._policy_due(organization_id, due)
                if batch.progress.sweep:
                    return False
                continue
            stream_id = relationship_stream(organization_id, customer_id)
            record = self._records.at(stream_id, batch.progress.position)
            self._look(stream_id, record, None, due)
        return bound is None or bound[0] >= before

    def _event(self, row: EventRow) -> None:
        batch, stream_id = self._batch, row.stream_id
        batch.last = row
        batch.progress = batch.progress._replace(position=row.position, log_time=row.record_time)
        fact = reading.fact(row)
        if fact is None:
            return  # A topic of a later release: no fold knows it.
        if is_relationship(stream_id):
            self._look(stream_id, self._records.after(stream_id, fact), fact, row.record_time)
        elif stream_id == policy_stream(organization_of(stream_id)):
            self._published(organization_of(stream_id), fact)

    # Relationships.

    def _look(self, stream_id: str, record: Record, fact: Fact | None, at: int) -> None:
        """Look at one relationship after an event, or because something is due."""
        self.looks += 1
        owner = owner_of(stream_id)
        row, taken = self._row(owner), self._taken(owner[0])
        levels = self._levels(row, record, taken.outlook)
        cohorts, campaigns = levels.cohorts, levels.campaigns
        cause = caused_by_clock(at) if fact is None else caused_by_event(self._log_id, fact)
        look = Look(stream_id, Measured(record, taken.outlook, at), levels, cause, fact, self._linked(owner[0]))
        for draft in detecting.detect(look):
            self._announce(owner, levels, draft, at, taken.outlook)
        self._stand(owner, look)
        for kind, before, after in ((COHORT, cohorts, levels.cohorts), (CAMPAIGN, campaigns, levels.campaigns)):
            for subject_id, members, hits in adding.differences(before, after):
                self._add(owner[0], kind, subject_id, members, hits)
                self._cross(owner[0], kind, subject_id, taken.outlook, cause, at)
        look.measured.let_go()

    def _levels(self, row: Watched, record: Record, outlook: Outlook) -> Levels:
        """Return the levels of a row, to be changed.

        What was dumped last is kept beside the record with its text, and taken out while it may be changed: so it is
        what that text says.
        """
        dumped: tuple[str, Levels] | None = record.memo.pop(_DUMPED, None)
        levels = dumped[1] if dumped is not None and dumped[0] == row.levels else Levels.load(row.levels)
        if not levels.actual:
            levels.actual = self._actual_of_nothing(outlook)
        return levels

    def _actual_of_nothing(self, outlook: Outlook) -> str:
        """Return the actual type of an empty stream, from which every relationship begins."""
        if self._blank is None or self._blank[0] is not outlook:
            nothing = Measured(Record(), outlook, 0)
            self._blank = outlook, nothing.types.actual_slug
            nothing.let_go()
        return self._blank[1]

    def _linked(self, organization_id: str) -> "Linked":
        return Linked(self._records, organization_id, self._batch.progress.position)

    def _stand(self, owner: Owner, look: Look, *, waits: bool = False) -> None:
        """Take note of how a relationship stands after a look, and of when it is due.

        `waits`: something is due at this very instant, and has not run yet.
        """
        m, levels = look.measured, look.levels
        crosses_at, text = detecting.crossing(look), levels.dump()
        due = look.at if waits else detecting.due(m, levels, crosses_at)
        row = Watched(
            *owner,
            NEVER if due is None else due,
            m.record.version,
            text,
            int(m.existence.exists),
            m.lifecycle.lifecycle,
            band_of(look.score, m.outlook.rules),
            int(m.conversation.broadcast),
            int(below(look.index, m.outlook.rules)),
            int(bool(m.types.mismatches)),
            m.contacts.shape,
            m.types.desired_slug,
            m.types.actual_slug,
            NEVER if crosses_at is None else crosses_at,
            _personae(m),
        )
        self._put(owner, row)
        m.record.memo[_DUMPED] = text, levels

    def _announce(self, owner: Owner, levels: Levels, draft: Draft, at: int, outlook: Outlook) -> None:
        batch = self._batch
        levels.number += 1
        place = self._place(levels.number, at, outlook)
        earlier = levels.last.get(draft.pair) if draft.pair else None
        subject = Subject(*owner, pb.SUBJECT_KIND_RELATIONSHIP)
        change = written(draft, subject, place, None if earlier is None else Earlier(*earlier))
        if draft.pair:
            levels.last[draft.pair] = [change.change_id, draft.cause.effective_time]
        batch.changes.append(change)

    def _place(self, subject_number: int, at: int, outlook: Outlook) -> Place:
        batch = self._batch
        number = batch.progress.number + len(batch.changes) + 1
        return Place(number, subject_number, batch.progress.position, at, outlook.rules.version)

    def _row(self, owner: Owner) -> Watched:
        row = self._batch.rows.get(owner)
        if row is None:
            row = self._kept.watched([owner]).get(owner) or Watched(*owner, rank=int(owner[1] != _POLICY))
            self._batch.rows[owner] = row
        return row

    def _put(self, owner: Owner, row: Watched) -> None:
        batch = self._batch
        batch.rows[owner] = row
        batch.changed.add(owner)
        if row.due < batch.end:
            heapq.heappush(batch.dues, row.key)

    # Cohorts and campaigns.

    def _add(self, organization_id: str, kind: int, subject_id: str, members: int, hits: int) -> None:
        known = self._sum(organization_id, kind, subject_id)
        key = organization_id, kind, subject_id
        self._batch.sums[key] = known._replace(members=known.members + members, hits=known.hits + hits)

    def _sum(self, organization_id: str, kind: int, subject_id: str) -> Aggregate:
        known = self._batch.sums.get((organization_id, kind, subject_id))
        return self._kept.aggregate(organization_id, kind, subject_id) if known is None else known

    def _cross(
        self, organization_id: str, kind: int, subject_id: str, outlook: Outlook, cause: Cause, at: int,
        *, by_policy: bool = False,
    ) -> None:  # fmt: skip
        """Announce what follows from where a sum stands now."""
        key, known = (organization_id, kind, subject_id), self._sum(organization_id, kind, subject_id)
        announced = Announced.load(known.levels)
        draft = adding.crossing(known, announced.raised, outlook.rules, cause)
        if draft is None:
            return
        if by_policy:
            draft = draft._replace(kind=pb.CHANGE_KIND_POLICY_REEVALUATED, measure="policy")
        place = self._place(announced.number + 1, at, outlook)
        earlier = Earlier(announced.last_id, announced.last_time) if announced.last_id else None
        change = written(draft, Subject(organization_id, subject_id, kind), place, earlier)
        now = Announced(announced.number + 1, not announced.raised, change.change_id, cause.effective_time)
        self._batch.sums[key] = known._replace(levels=now.dump())
        self._batch.changes.append(change)

    # What organizations publish.

    def _taken(self, organization_id: str) -> Taken:
        """Return the outlook that holds for an organization."""
        taken = self._outlooks.known(organization_id)
        if taken is None:
            row = self._row((organization_id, _POLICY))
            if row.levels:
                at, position = json.loads(row.levels)
                return self._outlooks.fold(organization_id, position, at)
            published = PolicyState()
            taken = Taken(published, outlook_of(published, 0), 0)
            self._outlooks.keep(organization_id, taken)
        return taken

    def _published(self, organization_id: str, fact: Fact) -> None:
        """Take the outlook anew after an event of the organization's own stream."""
        if fact.topic == ASSET_REGISTERED:
            return  # No measure asks what may be given.
        old = self._taken(organization_id)
        published = self._outlooks.published(organization_id, fact.position)
        new = Taken(published, outlook_of(published, fact.record_time), fact.record_time)
        cause = caused_by_event(self._log_id, fact)
        self._pass_on(organization_id, old, new, fact.position - 1, cause)

    def _policy_due(self, organization_id: str, due: int) -> None:
        """Take the outlook anew at an instant from which another version counts."""
        old, position = self._taken(organization_id), self._batch.progress.position
        new = Taken(old.published, outlook_of(old.published, due), due)
        self._pass_on(organization_id, old, new, position, caused_by_clock(due))

    def _pass_on(self, organization_id: str, old: Taken, new: Taken, old_position: int, cause: Cause) -> None:
        """Begin to pass a new outlook on; keep it at once where nothing that is measured can differ."""
        position = self._batch.progress.position
        if new.outlook == old.outlook:
            self._settle(organization_id, new, position)
            return
        sweep = Sweep(organization_id, "", new.at, position, old.at, old_position, cause)
        self._between = sweep, old.outlook, new
        # Nothing of it is due meanwhile; when it is passed on, this is set.
        self._put((organization_id, _POLICY), self._row((organization_id, _POLICY))._replace(due=NEVER))
        self._batch.progress = self._batch.progress._replace(sweep=sweep.dump())

    def _settle(self, organization_id: str, taken: Taken, position: int) -> None:
        """Let an outlook hold from now on."""
        self._outlooks.keep(organization_id, taken)
        change = taken.next_change
        levels = json.dumps([taken.at, position], separators=(",", ":"))
        row = Watched(organization_id, _POLICY, NEVER if change is None else change, levels=levels, rank=0)
        self._put((organization_id, _POLICY), row)

    def _sweep(self, sweep: Sweep, limit: int) -> None:
        """Pass a new outlook on to some more relationships."""
        batch, organization_id = self._batch, sweep.organization_id
        old, new = self._outlooks_of(sweep)
        rows = self._kept.relationships(organization_id, sweep.after, limit)
        for row in rows:
            self._reevaluate(row, old, new, sweep.cause)
        if len(rows) == limit:
            batch.progress = batch.progress._replace(sweep=sweep._replace(after=rows[-1].customer_id).dump())
            return
        for known in self._kept.aggregates(organization_id):
            batch.sums.setdefault((organization_id, known.kind, known.subject_id), known)
        for key in sorted(key for key in batch.sums if key[0] == organization_id):
            self._cross(*key, new.outlook, sweep.cause, sweep.at, by_policy=True)
        self._settle(organization_id, new, sweep.position)
        self._between = None
        batch.progress = batch.progress._replace(sweep="")

    def _outlooks_of(self, sweep: Sweep) -> tuple[Outlook, Taken]:
        """Return the old outlook and the new one."""
        between = self._between
        if between is not None and between[0]._replace(after="") == sweep._replace(after=""):
            return between[1:]
        organization_id = sweep.organization_id
        old = outlook_of(self._outlooks.published(organization_id, sweep.old_position), sweep.old_at)
        published = self._outlooks.published(organization_id, sweep.position)
        new = Taken(published, outlook_of(published, sweep.at), sweep.at)
        self._between = sweep, old, new
        return old, new

    def _reevaluate(self, row: Watched, old: Outlook, new: Taken, cause: Cause) -> None:
        """Pass a new outlook on to one relationship."""
        self.looks += 1
        owner = row.organization_id, row.customer_id
        stream_id = relationship_stream(*owner)
        record = self._records.at(stream_id, self._batch.progress.position)
        levels = self._levels(row, record, old)
        cohorts, campaigns = levels.cohorts, levels.campaigns
        now, before = Measured(record, new.outlook, new.at), Measured(record, old, new.at)
        look = Look(stream_id, now, levels, cause, None, self._linked(owner[0]))
        draft = reevaluated(look, before)
        if draft is not None:
            self._announce(owner, levels, draft, new.at, new.outlook)
        self._stand(owner, look, waits=row.due <= new.at or is_over(levels, new.at))
        for kind, was, is_now in ((COHORT, cohorts, levels.cohorts), (CAMPAIGN, campaigns, levels.campaigns)):
            for subject_id, members, hits in adding.differences(was, is_now):
                self._add(owner[0], kind, subject_id, members, hits)
        now.let_go()
        before.let_go()


def _personae(measured: Measured) -> str:
    """Return the personae that a customer belongs to, each between spaces."""
    if not measured.outlook.personae:
        return ""
    ids = sorted({each.persona_id for each in personae.memberships(measured)})
    return f" {' '.join(ids)} " if ids else ""
