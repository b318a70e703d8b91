"""Exchanges of value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.exchange.v1 import exchange_service_pb2 as messages
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from services.client.calls import Subject, request_id_or_new
from services.client.ingest import IngestStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rapport.events.v1.exchange_pb2 import ObservationDeclared
    from rapport.exchange.v1.operation_pb2 import Exchange, Operation, Posting, Reversal, Voiding
    from rapport.type.v1.event_context_pb2 import EventContext


class Exchanges(Subject):
    """ExchangeService. Every write takes a `request_id`; without one a new id is made and kept over repetitions."""

    async def record_exchange(
        self,
        organization_id: str,
        customer_id: str,
        exchange: Exchange,
        *,
        expected_version: int | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RecordExchangeResponse:
        """Record one exchange; a new `exchange_id` with the same content as before changes nothing.

        Raises:
            RapportError: ASSET_UNKNOWN, ONE_SIDED_NOT_DECLARED, VERSION_CONFLICT and others the proto lists.
        """
        request = messages.RecordExchangeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            expected_version=expected_version,
            exchange=exchange,
        )
        return await self._calls.call(self._exchanges.RecordExchange, request, timeout_s)

    async def post_exchange(
        self,
        organization_id: str,
        customer_id: str,
        posting: Posting,
        *,
        expected_version: int | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.PostExchangeResponse:
        """Settle a pending exchange; without units in full, otherwise what is not posted is voided with it.

        Raises:
            RapportError: EXCHANGE_ALREADY_RESOLVED, HOLD_ENDED, POSTED_UNITS_INVALID and others the proto lists.
        """
        request = messages.PostExchangeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            expected_version=expected_version,
            posting=posting,
        )
        return await self._calls.call(self._exchanges.PostExchange, request, timeout_s)

    async def void_exchange(
        self,
        organization_id: str,
        customer_id: str,
        voiding: Voiding,
        *,
        expected_version: int | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.VoidExchangeResponse:
        """Say that a pending exchange came to nothing.

        Raises:
            RapportError: EXCHANGE_ALREADY_RESOLVED, HOLD_ENDED and others the proto lists.
        """
        request = messages.VoidExchangeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            expected_version=expected_version,
            voiding=voiding,
        )
        return await self._calls.call(self._exchanges.VoidExchange, request, timeout_s)

    async def reverse_exchange(
        self,
        organization_id: str,
        customer_id: str,
        reversal: Reversal,
        *,
        expected_version: int | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.ReverseExchangeResponse:
        """Take back everything an exchange posted.

        Raises:
            RapportError: EXCHANGE_UNKNOWN, EXCHANGE_ALREADY_REVERSED, LOT_CONSUMED and others the proto lists.
        """
        request = messages.ReverseExchangeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            expected_version=expected_version,
            reversal=reversal,
        )
        return await self._calls.call(self._exchanges.ReverseExchange, request, timeout_s)

    async def apply_exchanges(
        self,
        organization_id: str,
        operations: Iterable[Operation],
        *,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.ApplyExchangesResponse:
        """Apply 1 to 1,000 operations, all or none, at consecutive positions; later ones see earlier ones.

        Raises:
            RapportError: The first refusal, with `operation_index` in its metadata.
        """
        request = messages.ApplyExchangesRequest(
            organization_id=organization_id, request_id=request_id_or_new(request_id), operations=operations
        )
        return await self._calls.call(self._exchanges.ApplyExchanges, request, timeout_s)

    async def declare_observation(
        self,
        organization_id: str,
        customer_id: str,
        observation: ObservationDeclared,
        *,
        expected_version: int | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.DeclareObservationResponse:
        """Say since when exchanges of a category are recorded in a relationship; of several the earliest counts.

        Raises:
            RapportError: OCCUR_TIME_IN_FUTURE, VERSION_CONFLICT, or what any call may meet.
        """
        request = messages.DeclareObservationRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            expected_version=expected_version,
            observation=observation,
            context=context,
        )
        return await self._calls.call(self._exchanges.DeclareObservation, request, timeout_s)

    def ingest_exchanges(
        self, organization_id: str, *, window: int = 4, timeout_s: float | None = None
    ) -> IngestStream[messages.IngestExchangesItem, messages.IngestExchangesResult]:
        """Return a stream that loads operations, each for itself; enter it with `async with`."""

        def frame(items: Sequence[messages.IngestExchangesItem]) -> messages.IngestExchangesRequest:
            return messages.IngestExchangesRequest(organization_id=organization_id, items=items)

        return IngestStream(self._calls, self._exchanges.IngestExchanges, frame, window, timeout_s)

    @property
    def _exchanges(self) -> ExchangeServiceStub:
        return self._calls.stub(ExchangeServiceStub)
