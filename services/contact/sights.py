"""What a decision is made from, brought together: the states of the person, what is published, the book of exchanges.

What shows now is shared with others: it is to be used before the next await. What shows a past moment was folded for
its reader alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ledger.balance.book import Book
from ledger.contact.drawing import needs_book
from ledger.contact.person import person
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.times import END_OF_TIME
from ledger.views import Look, View
from rapport.events.v1.contact_pb2 import ContactQuestion
from services.runtime.app import App

_ATTEMPTS: Final = 8
"""Times that links and books of now are brought in, before those who keep changing are folded as of a position."""


class Asked(NamedTuple):
    """Whom a question is about."""

    stream_id: str
    question: ContactQuestion


class Sight(NamedTuple):
    """What some decisions are made from."""

    states: Mapping[str, Any]
    """By stream id: all persons asked about, and what is published."""
    books: Mapping[str, Book]
    """By stream id, of those whose exchanges matter."""
    view: View


class Sights:
    """Brings together what decisions are made from. Lives on one event loop."""

    def __init__(self, app: App) -> None:
        self._ledger = app.ledger
        self._books = app.books

    async def now(self, asked: Sequence[Asked], min_position: int = 0) -> Sight:
        """Return what shows now, of customers of one organization; to be used before the next await.

        Raises:
            Rejected: PROJECTION_BEHIND, when the log does not reach `min_position` in time.
        """
        policies = policy_stream(organization_of(asked[0].stream_id))
        names = [policies, asked[0].stream_id]
        if len(asked) > 1:
            names = [policies, *dict.fromkeys([each.stream_id for each in asked])]
        brought: dict[str, Book] = {}
        for _ in range(_ATTEMPTS):
            looks = await self._ledger.current_many(names, min_position)
            states = {name: look.state for name, look in looks.items()}
            missing: set[str] = set()
            books: dict[str, Book] = {}
            lacking: dict[str, Look] = {}
            for stream_id, question in asked:
                missing |= person(stream_id, states).missing
                if needs_book(question, states[stream_id]):
                    wanted = states[stream_id].exchange_version
                    book = brought.get(stream_id) or self._books.glance(stream_id, wanted)
                    if book is not None and book.exchange_version == wanted:
                        books[stream_id] = book
                    else:
                        lacking[stream_id] = looks[stream_id]
            if not missing and not lacking:
                return Sight(states, books, looks[policies].view)
            names += sorted(missing)
            for stream_id, look in lacking.items():
                book = await self._books.at_version(stream_id, look.version, look.view.position)
                if book is not None:  # Held here, for so many may be asked about that they do not all stay in memory.
                    brought[stream_id] = book
        return await self.past(asked, await self._ledger.resolve(None, min_position))

    async def past(self, asked: Sequence[Asked], view: View) -> Sight:
        """Return what shows in a view, folded anew, of customers of one organization.

        Contact policies obey the view's position, not its time: from when on they count is in them.

        Raises:
            Rejected: KNOWN_AT_INSIDE_BATCH.
        """
        known = View(END_OF_TIME, view.position)
        policies = policy_stream(organization_of(asked[0].stream_id))
        states: dict[str, Any] = {policies: (await self._ledger.state_at(policies, known)).state}
        books: dict[str, Book] = {}
        for stream_id, question in asked:
            if stream_id not in states:
                states[stream_id] = (await self._ledger.state_at(stream_id, view)).state
            while missing := person(stream_id, states).missing:
                for name in sorted(missing):
                    states[name] = (await self._ledger.state_at(name, view._replace(given=False))).state
            if needs_book(question, states[stream_id]) and stream_id not in books:
                books[stream_id] = await self._books.past(stream_id, known)
        return Sight(states, books, view)
