"""Facts of several relationships as those of one person (relationship.md 14).

Exchanges and promises are named by whoever records them, and a name is good for one relationship: two of them may have
an `order-1` each. In the view of a person both count, so those of the others are told apart by whose they are.
"""

from collections.abc import Callable
from typing import Final

from google.protobuf.message import Message

from ledger.domain.fact import Fact
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import identity_pb2 as identity

_PROMISES: Final = (
    identity.PromiseMade,
    identity.PromiseTriggered,
    identity.PromiseKept,
    identity.PromiseCancelled,
)
_EXCHANGES: Final = (x.ExchangePosted, x.ExchangeVoided, x.ExchangeReversed)


def apart(customer_id: str) -> Callable[[Fact], Fact]:
    """Return what tells the facts of a customer apart from those of others who are the same person."""

    def named(name: str) -> str:
        return f"{customer_id}/{name}" if name else ""

    def told_apart(fact: Fact) -> Fact:
        event = fact.event
        if not isinstance(event, (x.ExchangeRecorded, *_EXCHANGES, *_PROMISES)):
            return fact
        copy: Message = type(event)()
        copy.CopyFrom(event)
        if isinstance(copy, _PROMISES):
            copy.promise_id = named(copy.promise_id)
            return fact._replace(event=copy)
        assert isinstance(copy, x.ExchangeRecorded | x.ExchangePosted | x.ExchangeVoided | x.ExchangeReversed)
        copy.exchange_id = named(copy.exchange_id)
        if isinstance(copy, x.ExchangeRecorded):
            copy.replaces = named(copy.replaces)
            for use in copy.lot_uses:
                use.exchange_id = named(use.exchange_id)
        return fact._replace(event=copy)

    return told_apart
