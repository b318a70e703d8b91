"""What a prober writes: each brings about one change at once, by which it is known where it is heard."""

from __future__ import annotations

from time import time
from typing import Final

from benchmarks.load import ORGANIZATION
from rapport.events.v1 import interaction_pb2 as i
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from services.client.request_ids import new_request_id

LONG_AGO_S: Final = 1_000 * 86_400
_BOUGHT: Final = i.InteractionRecorded(
    kind=i.INTERACTION_KIND_PURCHASE,
    direction=i.DIRECTION_INBOUND,
    initiator=i.INITIATOR_CUSTOMER,
    channel=i.CHANNEL_WEB,
)


def lapsed(customer_id: str) -> RecordInteractionRequest:
    """Return a purchase of long ago of a new customer, who has lapsed with that."""
    request = RecordInteractionRequest(
        organization_id=ORGANIZATION, customer_id=customer_id, request_id=new_request_id(), interaction=_BOUGHT
    )
    request.occur_time.FromSeconds(int(time()) - LONG_AGO_S)
    return request
