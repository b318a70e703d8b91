"""What servicers translate alike: whose stream a request is about, when and by whom, and where an answer stands."""

from __future__ import annotations

from typing import Any

from ledger.domain.identifiers import relationship_stream
from ledger.domain.times import microseconds, timestamp
from ledger.requests import Place, Receipt
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.event_context_pb2 import EventContext


def stream_of(request: Any) -> str:
    """Return the stream of the relationship that a request names."""
    return relationship_stream(request.organization_id, request.customer_id)


def time_of(request: Any) -> int | None:
    """Return when something happened, in microseconds; None, which means now, where that is not said."""
    return microseconds(request.occur_time) if request.HasField("occur_time") else None


def context_of(request: Any) -> EventContext | None:
    """Return who recorded it and what it belongs to, where that is said."""
    return request.context if request.HasField("context") else None


def place_of(receipt: Receipt) -> Place:
    """Return where the first fact of the first step was recorded, or stands."""
    return receipt.steps[0].places[0]


def as_of_told(occur_time: int, position: int) -> AsOf:
    """Return a point of view as it is told, both axes set. `occur_time`: microseconds."""
    return AsOf(occur_time=timestamp(occur_time), position=position)
