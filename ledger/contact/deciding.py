"""Deciding a contact, and giving a permit back: the two commands of contact decisions (consent.md 6).

A decision is appended under the condition that no stream of its read set has grown since it was read, so that every
withdrawal before a PERMIT was seen by it. Which streams those are is found out by deciding: links lead to further ones.
"""

from dataclasses import dataclass
from typing import ClassVar

from ledger.balance.book import Book
from ledger.contact.decision import decide
from ledger.contact.drawing import draw, latest_record_time, needs_book, read_set
from ledger.contact.permits import PermitStatus, permit_status
from ledger.contact.person import person
from ledger.domain.contact import CONTACT_ABORTED, CONTACT_DECIDED
from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, NewFact
from ledger.domain.relationship import RelationshipState
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.contact_pb2 import ContactAborted, ContactQuestion
from rapport.type.v1.event_context_pb2 import EventContext


class NeedsMore(Rejected):
    """The decision rests on more than is at hand. No client sees it: who decides brings that, and decides again."""

    def __init__(self, linked: frozenset[str], *, book: bool) -> None:
        super().__init__(
            reasons.ERROR_REASON_CONCURRENCY_CONFLICT, "the relationship's links or exchanges kept changing; retry"
        )
        self.linked = linked
        """Streams of all customer ids of the person that are known to have to be read, without the one asked about."""
        self.book = book
        """Whether the book of the relationship's exchanges as it is now is needed."""

    def at_step(self, index: int) -> "NeedsMore":  # noqa: ARG002  # Whoever brings it knows all steps.
        """Return this; a batch is told which of its items lack something by their streams."""
        return self


@dataclass(frozen=True, slots=True)
class DecideContact:
    """Decide whether a customer may be contacted now, and record the answer, whatever it is."""

    needs_state: ClassVar[bool] = True
    names_positions: ClassVar[bool] = True

    stream_id: str
    question: ContactQuestion
    reads: tuple[str, ...]
    """The organization's policy stream, and those of the other customer ids of the person, as far as they are known; a
    stream that no link leads to any more does no harm."""
    book: Book | None = None
    """The relationship's exchanges, as of now. None: there are none, or nobody asked yet."""
    context: EventContext | None = None

    def decide(self, state: RelationshipState, setting: Setting) -> Decision:
        """Return the answer as a fact. Its instant is now, or the record time of the latest fact that it rests on.

        Raises:
            NeedsMore: links lead to streams that are not read, or the book is not that of the exchanges.
        """
        states = {**setting.others, self.stream_id: state}
        book = self._require_all(state, states)
        at = max(setting.now, latest_record_time(self.stream_id, states))
        picture = draw(self.stream_id, states, at, book=book)
        event = decide(picture, self.question, at, read_set(self.stream_id, states))
        return Decision((NewFact(CONTACT_DECIDED, event, at, defaulted=True, context=self.context),))

    def _require_all(self, state: RelationshipState, states: dict[str, RelationshipState]) -> Book | None:
        """Return the book, where one is needed; it and all states are at hand then."""
        linked, missing = person(self.stream_id, states)
        weighs = needs_book(self.question, state)
        lacks_book = weighs and (self.book is None or self.book.exchange_version != state.exchange_version)
        if missing or lacks_book:
            raise NeedsMore(missing.union(linked), book=lacks_book)
        return self.book if weighs else None


@dataclass(frozen=True, slots=True)
class AbortContact:
    """Record that a permit will not be used, so that it no longer counts against how often."""

    needs_state: ClassVar[bool] = True

    stream_id: str
    abort: ContactAborted
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """Nothing: whether it is void does not matter, for a void permit counts too until it is given back."""
        return ()

    def decide(self, state: RelationshipState, setting: Setting) -> Decision:
        """Return the fact.

        Raises:
            Rejected: DECISION_UNKNOWN; PERMIT_NOT_OPEN for one that was used, is over, or was given back;
                OCCUR_TIME_IN_FUTURE.
        """
        decision_id = self.abort.decision_id
        at = max(setting.now, state.last_record_time)
        status = permit_status(state, decision_id, at).status
        if status == PermitStatus.UNKNOWN:
            raise Rejected(
                reasons.ERROR_REASON_DECISION_UNKNOWN,
                "the position does not name a decision of this relationship; name the decision_id that Decide answered",
                decision_id=decision_id,
            )
        if status not in (PermitStatus.OPEN, PermitStatus.VOID):
            raise Rejected(
                reasons.ERROR_REASON_PERMIT_NOT_OPEN,
                "the decision gave no permit, or it was used, is over or was given back; it counts no more",
                decision_id=decision_id,
                permit_status=status.name,
            )
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(CONTACT_ABORTED, self.abort, when, self.context),))
