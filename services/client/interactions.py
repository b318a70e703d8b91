"""Interactions: recorded, corrected, retracted, loaded in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.interaction.v1 import interaction_service_pb2 as messages
from rapport.interaction.v1.interaction_service_pb2_grpc import InteractionServiceStub
from services.client.calls import Subject, request_id_or_new
from services.client.ingest import IngestStream
from services.client.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted
    from rapport.type.v1.event_context_pb2 import EventContext


class Interactions(Subject):
    """InteractionService. Every write takes a `request_id`; without one a new id is made and kept over repetitions."""

    async def record_interaction(
        self,
        organization_id: str,
        customer_id: str,
        interaction: InteractionRecorded,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RecordInteractionResponse:
        """Record one interaction. `occur_time` default: the server's clock.

        Raises:
            RapportError: OCCUR_TIME_IN_FUTURE, REQUEST_ID_REUSED, or what any call may meet.
        """
        request = messages.RecordInteractionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            interaction=interaction,
            context=context,
        )
        return await self._calls.call(self._interactions.RecordInteraction, request, timeout_s)

    async def batch_record_interactions(
        self,
        organization_id: str,
        items: Iterable[messages.InteractionItem],
        *,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.BatchRecordInteractionsResponse:
        """Record 1 to 1,000 interactions, all or none, at consecutive positions."""
        request = messages.BatchRecordInteractionsRequest(
            organization_id=organization_id, request_id=request_id_or_new(request_id), items=items
        )
        return await self._calls.call(self._interactions.BatchRecordInteractions, request, timeout_s)

    async def correct_interaction(
        self,
        organization_id: str,
        customer_id: str,
        correction: InteractionCorrected,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.CorrectInteractionResponse:
        """Replace an interaction that was recorded wrongly, in full. `occur_time` default: that of the original.

        Raises:
            RapportError: INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call may meet.
        """
        request = messages.CorrectInteractionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            correction=correction,
            context=context,
        )
        return await self._calls.call(self._interactions.CorrectInteraction, request, timeout_s)

    async def retract_interaction(
        self,
        organization_id: str,
        customer_id: str,
        retraction: InteractionRetracted,
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RetractInteractionResponse:
        """Say that an interaction should not have been recorded at all.

        Raises:
            RapportError: INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call may meet.
        """
        request = messages.RetractInteractionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            retraction=retraction,
            context=context,
        )
        return await self._calls.call(self._interactions.RetractInteraction, request, timeout_s)

    def ingest_interactions(
        self, organization_id: str, *, window: int = 4, timeout_s: float | None = None
    ) -> IngestStream[messages.IngestInteractionsItem, messages.IngestInteractionsResult]:
        """Return a stream that loads interactions, each for itself; enter it with `async with`.

        Give every item a `request_id` that can be made again: repeating a load then adds nothing.
        """

        def frame(items: Sequence[messages.IngestInteractionsItem]) -> messages.IngestInteractionsRequest:
            return messages.IngestInteractionsRequest(organization_id=organization_id, items=items)

        return IngestStream(self._calls, self._interactions.IngestInteractions, frame, window, timeout_s)

    @property
    def _interactions(self) -> InteractionServiceStub:
        return self._calls.stub(InteractionServiceStub)
