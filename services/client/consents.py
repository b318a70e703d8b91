"""Consents: given, refused, withdrawn, looked up, loaded in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.consent.v1 import consent_acts_pb2 as act_messages
from rapport.consent.v1 import consent_service_pb2 as messages
from services.client.calls import request_id_or_new
from services.client.consent_acts import ConsentActs
from services.client.ingest import IngestStream
from services.client.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.consent.v1.consent_cell_pb2 import ConsentCell
    from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentRefused, ConsentWithdrawn
    from rapport.type.v1.as_of_pb2 import AsOf
    from rapport.type.v1.event_context_pb2 import EventContext


class Consents(ConsentActs):
    """ConsentService. Every write takes a `request_id`; without one a new id is made and kept over repetitions."""

    async def give_consent(
        self,
        organization_id: str,
        customer_id: str,
        consent: ConsentGiven,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.GiveConsentResponse:
        """Record that the customer allowed something. `occur_time` default: the server's clock.

        Raises:
            RapportError: CONSENT_WITHDRAWN_SINCE, OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = messages.GiveConsentRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            consent=consent,
            context=context,
        )
        return await self._calls.call(self._consents.GiveConsent, request, timeout_s)

    async def refuse_consent(
        self,
        organization_id: str,
        customer_id: str,
        refusal: ConsentRefused | None = None,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RefuseConsentResponse:
        """Record that the customer was asked and said no. `refusal` default: everything."""
        request = messages.RefuseConsentRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            refusal=refusal,
            context=context,
        )
        return await self._calls.call(self._consents.RefuseConsent, request, timeout_s)

    async def withdraw_consent(
        self,
        organization_id: str,
        customer_id: str,
        withdrawal: ConsentWithdrawn | None = None,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.WithdrawConsentResponse:
        """Record that the customer took a consent back, whether or not one was in force. Default: everything."""
        request = messages.WithdrawConsentRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            withdrawal=withdrawal,
            context=context,
        )
        return await self._calls.call(self._consents.WithdrawConsent, request, timeout_s)

    async def apply_consents(
        self,
        organization_id: str,
        acts: Iterable[messages.ConsentAct],
        *,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.ApplyConsentsResponse:
        """Record 1 to 1,000 acts, all or none, at consecutive positions; later acts see earlier ones."""
        request = messages.ApplyConsentsRequest(
            organization_id=organization_id, request_id=request_id_or_new(request_id), items=acts
        )
        return await self._calls.call(self._consents.ApplyConsents, request, timeout_s)

    async def get_consents(
        self,
        organization_id: str,
        customer_id: str,
        *,
        cells: Iterable[ConsentCell] = (),
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetConsentsResponse:
        """Return the status of the cells asked for; without any, of every cell an act of the customer named."""
        request = messages.GetConsentsRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            as_of=as_of,
            min_position=min_position,
            cells=cells,
        )
        return await self._calls.call(self._consents.GetConsents, request, timeout_s)

    async def get_consent_history(
        self,
        organization_id: str,
        customer_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> act_messages.GetConsentHistoryResponse:
        """Return every act that concerns consent, each with what became of it, in the order of positions."""
        request = act_messages.GetConsentHistoryRequest(
            organization_id=organization_id, customer_id=customer_id, as_of=as_of, min_position=min_position
        )
        return await self._calls.call(self._consents.GetConsentHistory, request, timeout_s)

    def ingest_consents(
        self, organization_id: str, *, window: int = 4, timeout_s: float | None = None
    ) -> IngestStream[messages.IngestConsentsItem, messages.IngestConsentsResult]:
        """Return a stream that loads acts, each for itself; enter it with `async with`."""

        def frame(items: Sequence[messages.IngestConsentsItem]) -> messages.IngestConsentsRequest:
            return messages.IngestConsentsRequest(organization_id=organization_id, items=items)

        return IngestStream(self._calls, self._consents.IngestConsents, frame, window, timeout_s)
