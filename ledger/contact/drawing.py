"""A picture for a decision, drawn from the states of the streams that it rests on (consent.md 6).

Who decides, simulates or replays comes here, so that all of them see the same of the same states.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ledger.balance.book import Book
from ledger.contact.person import person
from ledger.contact.picture import Picture
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from rapport.events.v1 import interaction_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion, StreamRead
from rapport.events.v1.contact_policy_pb2 import ContactPolicy

NOT_WEIGHED = frozenset(
    {
        interaction_pb2.MESSAGE_CLASS_TRANSACTIONAL,
        interaction_pb2.MESSAGE_CLASS_SERVICE,
        interaction_pb2.MESSAGE_CLASS_COMMUNITY,
    }
)
"""Classes of messages for which it is not asked who gives more."""


def needs_book(question: ContactQuestion, state: RelationshipState) -> bool:
    """Tell whether a question cannot be decided without the book of the relationship's exchanges."""
    return state.exchange_version > 0 and question.message_class not in NOT_WEIGHED


def draw(
    stream_id: str,
    states: Mapping[str, Any],
    at: int,
    *,
    book: Book | None = None,
    policy: ContactPolicy | None = None,
) -> Picture:
    """Return the picture of a customer at an instant, in microseconds.

    `states`: by stream id, the customer's own, those of every linked one, and the organization's policies; others are
    not looked at. `policy`: decide by it at every instant, its defaults filled in; None: by what is in force.
    """
    published: PolicyState = states[policy_stream(organization_of(stream_id))]
    linked = _linked(stream_id, states)
    in_force = published.contact.in_force(at).policy if policy is None else policy
    return Picture(
        stream_id=stream_id,
        state=states[stream_id],
        policy=in_force,
        purposes=published.purposes.current.by_slug,
        linked=[states[name] for name in linked],
        published=published,
        book=book,
        policy_changes_at=published.contact.next_change(at) if policy is None else None,
    )


def read_set(stream_id: str, states: Mapping[str, Any]) -> list[StreamRead]:
    """Return what a decision rests on: the relationship, its linked ones by their ids, and what is published."""
    return [StreamRead(stream_id=name, version=states[name].version) for name in _read(stream_id, states)]


def latest_record_time(stream_id: str, states: Mapping[str, Any]) -> int:
    """Return the record time of the latest fact that a decision rests on, in microseconds.

    No decision is made for an instant before it: a clock that lags must not bring back what was withdrawn.
    """
    times: Iterator[int] = (states[name].last_record_time for name in _read(stream_id, states))
    return max(times)


def _read(stream_id: str, states: Mapping[str, Any]) -> Iterator[str]:
    yield stream_id
    yield from _linked(stream_id, states)
    yield policy_stream(organization_of(stream_id))


def _linked(stream_id: str, states: Mapping[str, Any]) -> Sequence[str]:
    return person(stream_id, states).linked
