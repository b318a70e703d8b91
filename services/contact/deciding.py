"""Decide and BatchDecide: what the decision will rest on is brought along, and the answer read back from its event.

What is brought is a guess, made from states in memory. The step says what is missing after all (`NeedsMore`), and then
it is decided again; the ledger itself decides again where a stream has grown meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ledger.balance.book import Book
from ledger.contact.deciding import DecideContact, NeedsMore
from ledger.contact.drawing import needs_book
from ledger.contact.person import person
from ledger.domain.contact import Decided
from ledger.domain.errors import ConcurrencyConflict, Rejected
from ledger.domain.identifiers import organization_of, policy_stream, relationship_stream
from ledger.ledger import ATTEMPTS_MAX
from ledger.log.reading import fact
from ledger.requests import Receipt, Request
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.events.v1.contact_pb2 import ContactDecided
from rapport.type.v1.event_context_pb2 import EventContext
from services.contact.answers import tell_recorded
from services.contact.sights import Asked, Sights
from services.runtime.app import App
from services.runtime.times import set_time
from services.runtime.translating import context_of
from services.runtime.validation import check, check_size, in_list, request_id

_DECIDE: Final = "/rapport.contact.v1.ContactService/Decide"
_BATCH: Final = "/rapport.contact.v1.ContactService/BatchDecide"


class Deciding:
    """Decides contacts and records the answers. Lives on one event loop."""

    def __init__(self, app: App, sights: Sights) -> None:
        self._app = app
        self._ledger = app.ledger
        self._books = app.books
        self._sights = sights

    async def decide(self, request: pb.DecideRequest) -> pb.DecideResponse:
        """Decide one contact. What is refused, and why, is said in `contact_service.proto`."""
        key = request_id(request)
        check(request)
        stream_id = relationship_stream(request.organization_id, request.customer_id)
        asked = Asked(stream_id, request.question)
        context = context_of(request)
        receipt = await self._execute(Request(_DECIDE, request.organization_id, key, request), [asked], context)
        response = pb.DecideResponse(replayed=receipt.replayed)
        set_time(response.record_time, receipt.record_time)
        position = receipt.steps[0].places[0].position
        decided, at = await self._recorded(stream_id, position)
        tell_recorded(response.decision, decided, position, at)
        return response

    async def batch(self, request: pb.BatchDecideRequest) -> pb.BatchDecideResponse:
        """Decide many contacts, each on what the earlier ones left, and record the answers, all or none."""
        check_size(len(request.items), self._app.settings.batch_items_max)
        key = request_id(request)
        check(request)
        organization_id = request.organization_id
        asked = [Asked(relationship_stream(organization_id, item.customer_id), item.question) for item in request.items]
        try:
            receipt = await self._execute(Request(_BATCH, organization_id, key, request), asked, context_of(request))
        except Rejected as refusal:
            raise in_list(refusal, "items") from None
        response = pb.BatchDecideResponse(replayed=receipt.replayed)
        set_time(response.record_time, receipt.record_time)
        for each, step in zip(asked, receipt.steps, strict=True):
            position = step.places[0].position
            decided, at = await self._recorded(each.stream_id, position)
            tell_recorded(response.decisions.add(), decided, position, at)
        return response

    async def _execute(self, request: Request, asked: Sequence[Asked], context: EventContext | None) -> Receipt:
        """Record the answers to some questions.

        Raises:
            ConcurrencyConflict: links or exchanges kept changing; nothing was recorded.
            Refused: as `Ledger.execute`.
        """
        steps = self._guess(asked[0], context) if len(asked) == 1 else None
        for _ in range(ATTEMPTS_MAX):
            try:
                return await self._ledger.execute(request, steps or await self._steps(asked, context))
            except NeedsMore:
                steps = None
        raise ConcurrencyConflict([each.stream_id for each in asked], ATTEMPTS_MAX)

    def _guess(self, asked: Asked, context: EventContext | None) -> list[DecideContact] | None:
        """Return the step of one question by what is in memory; None: something of it is not."""
        stream_id, question = asked
        state = self._ledger.glance(stream_id)
        if state is None:
            return None
        book = None
        if needs_book(question, state):
            book = self._books.glance(stream_id, state.exchange_version)
            if book is None:
                return None
        # Those who are linked in the second degree are not looked for: the step names them where there are any.
        return [_step(asked, sorted(person(stream_id, {stream_id: state}).missing), book, context)]

    async def _steps(self, asked: Sequence[Asked], context: EventContext | None) -> list[DecideContact]:
        """Return the steps of some questions by what is recorded."""
        sight = await self._sights.now(asked)
        states, books = sight.states, sight.books
        return [
            _step(each, person(each.stream_id, states).linked, books.get(each.stream_id), context) for each in asked
        ]

    async def _recorded(self, stream_id: str, position: int) -> tuple[ContactDecided, int]:
        """Return a decision as it was recorded, and the instant for which it was made, in microseconds."""
        state = self._ledger.glance(stream_id)
        kept: Decided | None = None if state is None else state.contacts.find(position)
        if kept is not None:
            return kept.message, kept.occur_time
        reads = self._ledger.follower.reads
        row = await reads(reads.store.get, position)
        found = None if row is None else fact(row)
        assert found is not None, "a receipt names what was recorded"
        assert isinstance(found.event, ContactDecided)
        return found.event, found.occur_time


def _step(asked: Asked, linked: Sequence[str], book: Book | None, context: EventContext | None) -> DecideContact:
    stream_id, question = asked
    reads = policy_stream(organization_of(stream_id)), *linked
    return DecideContact(stream_id=stream_id, question=question, reads=reads, book=book, context=context)
