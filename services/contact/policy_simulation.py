"""SimulatePolicy: recorded decisions made again under another contact policy, in the order in which they were recorded.

Each is made from what had been recorded before it: what another policy would have permitted or denied earlier did not
happen. Memory does not grow with the log: the log is scanned a page at a time, and of the relationships some are kept
folded up to where the scan was at them last, so that one who is often decided about is not folded from the beginning
each time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any, Final

from ledger.balance.book import Book
from ledger.contact.decision import decide
from ledger.contact.drawing import draw, needs_book, read_set
from ledger.contact.person import person
from ledger.contact.replaying import same_answer
from ledger.domain.contact import CONTACT_DECIDED
from ledger.domain.fact import Fact
from ledger.domain.identifiers import customer_of, organization_of, policy_stream
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME
from ledger.ledger import Ledger
from ledger.log.reading import fact
from ledger.log.scanning import Selection, scan
from ledger.views import View
from ledger.weighed import Weighed
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.events.v1.contact_pb2 import ContactDecided
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from services.contact import translate
from services.contact.answers import tell_recorded, tell_simulated
from services.runtime.app import App
from services.runtime.limits import Stopping
from services.runtime.validation import check

PROGRESS_DECISIONS: Final = 500
"""Decisions after which a reader is told how far it is."""
_DECISIONS_AT_ONCE: Final = 16
"""Decisions made in one turn of the event loop, where nothing has to be waited for."""
_KEPT_EVENTS: Final = 50_000
"""Events folded into the relationships that are kept."""


class PolicySimulation:
    """Simulates contact policies over what was decided. Lives on one event loop."""

    def __init__(self, app: App) -> None:
        self._ledger = app.ledger
        self._reads = app.ledger.follower.reads
        self._stopping = app.stopping

    async def frames(self, request: pb.SimulatePolicyRequest) -> AsyncGenerator[pb.SimulatePolicyResponse, None]:
        """Yield the frames of a simulation. What is refused, and why, is said in `contact_service.proto`.

        Raises:
            Stopping: the service stops.
        """
        policy = await self._policy(request)
        begin, end = translate.bounds(request.window, "window")
        head = (await self._reads(self._ledger.store.head)).position
        after = 0 if begin is None else await self._reads(self._ledger.store.position_at, begin)
        to = head if end is None else min(head, await self._reads(self._ledger.store.position_at, end))
        run = _Run(self._ledger, policy, to, everything=request.all)
        selection = Selection(organization_id=request.organization_id, topics=frozenset((CONTACT_DECIDED,)))
        pages = scan(self._reads, selection, after, to)
        await run.begin(request.organization_id)
        while pages.examined < to:
            rows, examined = await pages.next()
            for row in rows:
                found = fact(row)
                if found is None or not isinstance(found.event, ContactDecided):
                    continue
                changed = await run.replay(row.stream_id, found, found.event)
                if changed is not None:
                    yield pb.SimulatePolicyResponse(changed=changed)
                if not run.decisions % PROGRESS_DECISIONS:
                    yield run.progress(found.position)
                if not run.decisions % _DECISIONS_AT_ONCE:
                    await asyncio.sleep(0)
            if self._stopping.is_set() and examined < to:
                raise Stopping("the service is stopping; ask again, nothing was recorded")
        yield run.progress(to, done=True)

    async def _policy(self, request: pb.SimulatePolicyRequest) -> ContactPolicy:
        """Return by which policy to decide.

        Raises:
            Invalid: it breaks rules, or none is named; every violation is named.
            Rejected: POLICY_UNKNOWN.
        """
        check(request)
        look = await self._ledger.current(policy_stream(request.organization_id))
        check(request, *translate.policy_faults(request, look.state, look.view.occur_time))
        policy = translate.other_policy(request, look.state)
        if policy is None:
            check(request, translate.NO_POLICY)
        assert policy is not None, "refused above"
        return policy


class _Run:
    """One simulation, under way."""

    def __init__(self, ledger: Ledger, policy: ContactPolicy, to: int, *, everything: bool) -> None:
        self.decisions = 0
        self._ledger = ledger
        self._policy = policy
        self._to = to
        self._everything = everything
        self._changed = 0
        self._moves: Counter[tuple[int, int]] = Counter()
        self._kept = _Kept(ledger)
        self._published = PolicyState()
        self._publications: list[Fact] = []

    async def begin(self, organization_id: str) -> None:
        """Read what the organization published, the latest last to be taken."""
        facts = await self._ledger.facts(policy_stream(organization_id), View(END_OF_TIME, self._to))
        self._publications = facts[::-1]

    async def replay(self, stream_id: str, found: Fact, recorded: ContactDecided) -> pb.ChangedDecision | None:
        """Return a decision under both policies; None where nobody wants to hear of it."""
        simulated = await self._decide(stream_id, found, recorded)
        same = same_answer(recorded, simulated)
        self.decisions += 1
        self._changed += not same
        self._moves[recorded.outcome, simulated.outcome] += 1
        if same and not self._everything:
            return None
        changed = pb.ChangedDecision(customer_id=customer_of(stream_id))
        tell_recorded(changed.recorded, recorded, found.position, found.occur_time)
        view = View(found.occur_time, found.position - 1)
        tell_simulated(changed.simulated, simulated, found.occur_time, view)
        return changed

    def progress(self, position: int, *, done: bool = False) -> pb.SimulatePolicyResponse:
        """Return the frame that says how far it is."""
        moves = [
            pb.OutcomeMove(recorded=recorded, simulated=simulated, count=count)  # type: ignore[arg-type]  # Enums.
            for (recorded, simulated), count in sorted(self._moves.items())
        ]
        told = pb.SimulationProgress(
            position=position,
            head_position=self._to,
            decisions_count=self.decisions,
            changed_count=self._changed,
            done=done,
            moves=moves,
        )
        return pb.SimulatePolicyResponse(progress=told)

    async def _decide(self, stream_id: str, found: Fact, recorded: ContactDecided) -> ContactDecided:
        while self._publications and self._publications[-1].position < found.position:
            self._published.evolve(self._publications.pop())
        policies = policy_stream(organization_of(stream_id))
        walk = await self._kept.up_to(stream_id, found.position)
        states: dict[str, Any] = {policies: self._published, stream_id: walk.state}
        while missing := person(stream_id, states).missing:
            for name in sorted(missing):
                states[name] = (await self._kept.up_to(name, found.position)).state
        question, at = recorded.question, found.occur_time
        book = walk.book if needs_book(question, walk.state) else None
        picture = draw(stream_id, states, at, book=book, policy=self._policy)
        return decide(picture, question, at, read_set(stream_id, states))


class _Walk:
    """A relationship folded up to some position."""

    __slots__ = ("book", "state")

    def __init__(self) -> None:
        self.state = RelationshipState()
        self.book = Book()

    def evolve(self, fact: Fact) -> None:
        self.state.evolve(fact)
        self.book.evolve(fact)


class _Kept:
    """Relationships folded up to where a scan was at them last; the least used are dropped."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._walks = Weighed[_Walk](_KEPT_EVENTS)

    async def up_to(self, stream_id: str, position: int) -> _Walk:
        """Return a relationship with what was recorded before a position; positions asked for must not fall."""
        walk = self._walks.drop(stream_id) or _Walk()  # Not kept meanwhile: it may be left half fed.
        await self._ledger.feed(stream_id, View(END_OF_TIME, position - 1), walk.evolve, walk.state.version)
        self._walks.keep(stream_id, walk, walk.state.version)
        return walk
