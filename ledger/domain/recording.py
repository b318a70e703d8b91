"""From an event and its time to what a decision returns."""

from google.protobuf.message import Message

from ledger.domain.decider import Occurrence
from ledger.domain.fact import NewFact
from rapport.type.v1.event_context_pb2 import EventContext


def new_fact(topic: str, event: Message, when: Occurrence, context: EventContext | None) -> NewFact:
    """Return an event as a decision wants it recorded."""
    return NewFact(
        topic=topic,
        event=event,
        occur_time=when.time,
        defaulted=when.defaulted,
        clamped=when.clamped,
        context=context,
    )
