"""Reports on an organization's relationships: of the rows that are kept for now, of a fold for the past.

Both are fed to the same functions, so now is the fold of the whole log, byte for byte. What is kept answers for the
position that it is at; where the rows rest on another policy than the one in force, a report of now is folded, too.
A fold goes through the streams of the organization some at a time, in a thread; of each only what it adds up to stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from ledger.balance.view import BalanceView
from ledger.change.reporting import KeptLevels
from ledger.domain.identifiers import customer_of, organization_range, policy_stream, relationship_stream
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME
from ledger.ledger import Ledger
from ledger.log.reading import facts
from ledger.measure.measured import Measured
from ledger.measure.outlook import Outlook, outlook_of
from ledger.measure.rules import Rules
from ledger.measure.score import score_of
from ledger.measure.strength import band_of
from ledger.policy.valuation import Opinion, valuations_of
from ledger.projections.balances import worth_by_book
from ledger.projections.database import Query
from ledger.projections.histories import STREAMS, histories
from ledger.projections.programmes import Programmes, base_of, kept_rows
from ledger.projections.projector import Projector
from ledger.report.basis import basis_of
from ledger.report.levels import Levels, Stands
from ledger.report.rows import Folded, Rows, rows_of
from ledger.views import View
from rapport.events.v1.exchange_pb2 import PARTY_ORGANIZATION
from rapport.type.v1.as_of_pb2 import AsOf
from services.relationship.translate import wants_now
from services.runtime.detecting import Detector

FOLDS_AT_ONCE: Final = 2
"""Reports that fold at the same time; others wait for their turn, as long as who asked does."""


class Report(Protocol):
    """What adds up rows."""

    @property
    def needs(self) -> Sequence[type[Any]]:
        """Kinds of rows."""
        ...

    def add(self, rows: Rows) -> None:
        """Take in one relationship; they come in the order of customer ids."""
        ...


R = TypeVar("R", bound=Report)


class Asked(NamedTuple):
    """What is asked of every report."""

    organization_id: str
    as_of: AsOf
    min_position: int
    wait_s: float
    """Seconds that what is kept may take to reach `min_position`."""


class _Sight(NamedTuple):
    """From where a fold looks."""

    organization_id: str
    view: View
    until: int
    """What occurred by then is admitted. Microseconds."""
    outlook: Outlook
    opinion: Opinion


class Reporting:
    """Makes reports. Lives on one event loop."""

    def __init__(self, ledger: Ledger, relationships: Projector, programmes: Projector, detector: Detector) -> None:
        self._ledger = ledger
        self._relationships = relationships
        self._programmes = programmes
        self._detector = detector
        self._turns = asyncio.Semaphore(FOLDS_AT_ONCE)

    async def of_rows(
        self, asked: Asked, make: Callable[[Rules, int], R], after: str = "", view: View | None = None
    ) -> tuple[R, View]:
        """Return a report and its point of view, with both axes set.

        `make`: begins the report, given the rules and the instant. `after`: only customers after this one; a report
        that is `full` is done. `view`: of an earlier page, which was of the past.

        Raises:
            Rejected: as `Ledger.resolve`; PROJECTION_BEHIND; what `make` raises.
        """
        if wants_now(asked.as_of):
            found, kept = await self._kept(asked, make, after)
            if found is not None:
                return found, kept
            sight = await self._sight(asked.organization_id, kept, END_OF_TIME)
        else:
            sight = await self._past(asked, view)
        report = make(sight.outlook.rules, sight.view.occur_time)
        await self._fold(sight, partial(_add_rows, report), self._streams(asked.organization_id, after), report)
        return report, sight.view

    async def of_levels(self, asked: Asked, view: View | None = None) -> tuple[Levels, View]:
        """Return how relationships stand, counted, and the point of view.

        `view`: that of another part of the same report.
        """
        if not wants_now(asked.as_of):
            return await self._folded_levels(await self._past(asked, view))
        found, at = await self._kept_levels(asked, view)
        sight = await self._sight(asked.organization_id, View(at, found.position), END_OF_TIME)
        if not found.whole:
            return await self._folded_levels(sight)
        passed = [relationship_stream(asked.organization_id, each) for each in found.passed]
        portions = (passed[at : at + STREAMS] for at in range(0, len(passed), STREAMS))
        await self._fold(sight, partial(_add_levels, found.levels), portions)
        return found.levels, sight.view

    # What is kept.

    async def _kept(self, asked: Asked, make: Callable[[Rules, int], R], after: str) -> tuple[R | None, View]:
        """Return the report of what is kept; None: it rests on another policy."""
        await self._programmes.wait_for(asked.min_position, asked.wait_s)
        now = (await self._ledger.resolve(AsOf())).occur_time
        return await self._programmes.read(partial(self._ask, asked.organization_id, make, after, now))

    def _ask(
        self, organization_id: str, make: Callable[[Rules, int], R], after: str, now: int, query: Query
    ) -> tuple[R | None, View]:
        projection = self._programmes.projection
        assert isinstance(projection, Programmes)
        base = base_of(query, organization_id)
        # Not before anything that is kept, though another server's clock ran ahead.
        at = max(now, base.latest_time)
        published = projection.published.at(self._ledger.store, organization_id, base.policy_version)
        outlook = outlook_of(published, at)
        view = View(at, query.generation.position)
        if base.basis not in {0, basis_of(outlook)}:
            return None, view
        report = make(outlook.rules, at)
        for rows in kept_rows(query, organization_id, report.needs, after):
            report.add(rows)
            if _is_full(report):
                break
        return report, view

    async def _kept_levels(self, asked: Asked, view: View | None) -> tuple[KeptLevels, int]:
        """Return the levels that are kept, and the instant."""
        await self._relationships.wait_for(asked.min_position, asked.wait_s)
        await self._detector.runner.wait_for(asked.min_position, asked.wait_s)
        now = (view or await self._ledger.resolve(AsOf())).occur_time
        levels = self._detector.standings.levels
        found = await self._relationships.read(lambda query: levels(query, asked.organization_id, now))
        return found, max(now, found.log_time)

    # What is folded.

    async def _past(self, asked: Asked, view: View | None = None) -> _Sight:
        if view is None:
            occur_time, position, _ = await self._ledger.resolve(asked.as_of, asked.min_position)
            view = View(occur_time, position)  # A report is no place to refuse a relationship for a split batch.
        return await self._sight(asked.organization_id, view, view.occur_time)

    async def _sight(self, organization_id: str, view: View, until: int) -> _Sight:
        """Return a view with what was published in it: that obeys the position, not the time."""
        known = View(END_OF_TIME, view.position)
        published: PolicyState = (await self._ledger.state_at(policy_stream(organization_id), known)).state
        opinion = valuations_of(published).opinion("", 0, view.occur_time)
        return _Sight(organization_id, view, until, outlook_of(published, view.occur_time), opinion)

    async def _folded_levels(self, sight: _Sight) -> tuple[Levels, View]:
        levels = Levels()
        await self._fold(sight, partial(_add_levels, levels), self._streams(sight.organization_id))
        return levels, sight.view

    def _streams(self, organization_id: str, after: str = "") -> Iterator[list[str]]:
        """Yield the streams of an organization after that of a customer, some at a time. It waits for the store."""
        begin, end = organization_range(organization_id)
        begin += after
        while True:
            names = self._ledger.store.list_streams(begin, end, STREAMS)
            yield names
            if len(names) < STREAMS:
                return
            begin = names[-1]

    async def _fold(
        self,
        sight: _Sight,
        add: Callable[[_Sight, str, Folded], None],
        portions: Iterable[list[str]],
        report: object = None,
    ) -> None:
        """Fold streams as a view has them, and add each; end early where the report is full."""
        left = iter(portions)
        async with self._turns:
            while await asyncio.to_thread(self._fold_some, sight, add, left) and not _is_full(report):
                pass

    def _fold_some(self, sight: _Sight, add: Callable[[_Sight, str, Folded], None], left: Iterator[list[str]]) -> bool:
        """Fold the next portion of streams; return whether there was one."""
        names = next(left, None)
        if names is None:
            return False
        for stream_id, pages in histories(self._ledger.store, names, sight.view.position):
            folded = Folded(sight.until)
            for rows in pages:
                folded.feed(facts(rows))
            add(sight, customer_of(stream_id), folded)
        return True


def _add_rows(report: Report, sight: _Sight, customer_id: str, folded: Folded) -> None:
    if _is_full(report):
        return
    since = sight.view.occur_time - sight.outlook.rules.window
    report.add(rows_of(customer_id, folded.record, sight.outlook, since, report.needs))


def _add_levels(levels: Levels, sight: _Sight, _: str, folded: Folded) -> None:
    m = Measured(folded.record, sight.outlook, sight.view.occur_time)
    seen = BalanceView(sight.view.occur_time, PARTY_ORGANIZATION)
    worth = worth_by_book(folded.record.book, sight.opinion, seen)
    levels.add(
        Stands(
            m.existence.exists,
            m.lifecycle.lifecycle,
            band_of(score_of(m), m.outlook.rules),
            m.contacts.shape,
            0 if worth is None else worth.net,
        )
    )


def _is_full(report: object) -> bool:
    return bool(getattr(report, "full", False))
