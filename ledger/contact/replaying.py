"""Replaying a recorded decision: from the facts before it, and from those before it with some of the later ones.

A replay folds what had been recorded before the decision, and asks the same question for the same instant. The
decision's own event is never part of it, also not among what was recorded later: otherwise a permit would count against
itself.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from ledger.balance.book import Book
from ledger.contact.decision import decide
from ledger.contact.drawing import draw, needs_book, read_set
from ledger.domain.contact import Decided
from ledger.domain.fact import Fact
from ledger.domain.identifiers import is_relationship, organization_of, relationship_stream
from ledger.domain.streams import initial_state
from ledger.domain.times import END_OF_TIME
from rapport.events.v1.contact_pb2 import ContactDecided, ContactQuestion
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from rapport.events.v1.identity_pb2 import IdentityLinked

Facts = Mapping[str, Sequence[Fact]]
"""By stream, in order of position: the customer's own, of everybody ever linked, and what is published."""

_ANSWER: Final = ("outcome", "decisive_reason", "defer_until")
"""What makes two answers the same answer."""


def ever_linked(stream_id: str, facts: Iterable[Fact]) -> set[str]:
    """Return the streams of those to whom a customer was ever linked directly, and its own; unlinked or not."""
    organization_id = organization_of(stream_id)
    links = (fact.event for fact in facts if isinstance(fact.event, IdentityLinked))
    return {
        relationship_stream(organization_id, customer_id)
        for link in links
        for customer_id in (link.customer_a_id, link.customer_b_id)
    }


def answer(
    stream_id: str, question: ContactQuestion, facts: Facts, at: int, until: int, policy: ContactPolicy | None = None
) -> ContactDecided:
    """Return the answer to a question at an instant, from some facts. Times are microseconds.

    `until`: what occurred later is not admitted; policies and exchanges say themselves from when on they count.
    """
    states: dict[str, Any] = {}
    for name, of_stream in facts.items():
        state = states[name] = initial_state(name, until if is_relationship(name) else END_OF_TIME)
        for fact in of_stream:
            state.evolve(fact)
    book = _book(facts[stream_id]) if needs_book(question, states[stream_id]) else None
    picture = draw(stream_id, states, at, book=book, policy=policy)
    return decide(picture, question, at, read_set(stream_id, states))


def replayed(stream_id: str, decided: Decided, facts: Facts) -> ContactDecided:
    """Return a recorded decision made again, from what had been recorded before it."""
    before = chosen(facts, decided.position, frozenset())
    return answer(stream_id, decided.message.question, before, decided.occur_time, END_OF_TIME)


def chosen(facts: Facts, decision_id: int, later: Set[int]) -> Facts:
    """Return what was recorded before a decision, and of what was recorded after it the facts at some positions."""
    return {
        name: [fact for fact in of_stream if fact.position < decision_id or fact.position in later]
        for name, of_stream in facts.items()
    }


def differing_fields(one: ContactDecided, other: ContactDecided) -> list[str]:
    """Return the names of the fields in which two decisions differ, in the order of their numbers; none: same bytes."""
    if one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True):
        return []
    fields: Sequence[FieldDescriptor] = sorted(ContactDecided.DESCRIPTOR.fields, key=lambda field: field.number)
    names = [field.name for field in fields if _value(one, field) != _value(other, field)]
    return names or ["unknown_fields"]


def same_answer(one: ContactDecided, other: ContactDecided) -> bool:
    """Tell whether two decisions say the same: outcome, reason, and until when to wait."""
    return all(getattr(one, name) == getattr(other, name) for name in _ANSWER)


def _value(decided: Message, field: FieldDescriptor) -> object:
    value = getattr(decided, field.name)
    return list(value) if field.is_repeated else (value, field.has_presence and decided.HasField(field.name))


def _book(facts: Iterable[Fact]) -> Book:
    book = Book()
    for fact in facts:
        book.evolve(fact)
    return book
