"""Promises: made, triggered, kept or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.customer.v1 import customer_service_pb2 as messages
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from services.client.calls import Subject, request_id_or_new
from services.client.values import timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.events.v1.identity_pb2 import PromiseCancelled, PromiseKept, PromiseMade, PromiseTriggered
    from rapport.type.v1.as_of_pb2 import AsOf
    from rapport.type.v1.event_context_pb2 import EventContext


class Promises(Subject):
    """CustomerService, as far as it tells what was promised to a customer. Writes take a `request_id` or make one."""

    async def make_promise(
        self,
        organization_id: str,
        customer_id: str,
        promise: PromiseMade,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.MakePromiseResponse:
        """Record a promise.

        Raises:
            RapportError: PROMISE_ID_TAKEN, or what any call may meet.
        """
        request = messages.MakePromiseRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            promise=promise,
            context=context,
        )
        return await self._calls.call(self._customers.MakePromise, request, timeout_s)

    async def trigger_promise(
        self,
        organization_id: str,
        customer_id: str,
        trigger: PromiseTriggered,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.TriggerPromiseResponse:
        """Record that what was awaited has happened, at `occur_time`; the answer says when the promise is due.

        Raises:
            RapportError: PROMISE_UNKNOWN, PROMISE_NOT_OPEN, or what any call may meet.
        """
        request = messages.TriggerPromiseRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            trigger=trigger,
            context=context,
        )
        return await self._calls.call(self._customers.TriggerPromise, request, timeout_s)

    async def keep_promise(
        self,
        organization_id: str,
        customer_id: str,
        kept: PromiseKept,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.KeepPromiseResponse:
        """Record that a promise was kept, in time or late.

        Raises:
            RapportError: PROMISE_UNKNOWN, PROMISE_NOT_OPEN, INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any
                call may meet.
        """
        request = messages.KeepPromiseRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            kept=kept,
            context=context,
        )
        return await self._calls.call(self._customers.KeepPromise, request, timeout_s)

    async def cancel_promise(
        self,
        organization_id: str,
        customer_id: str,
        cancellation: PromiseCancelled,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.CancelPromiseResponse:
        """Record that a promise was given up with a reason.

        Raises:
            RapportError: DECISION_UNKNOWN, PROMISE_UNKNOWN, PROMISE_NOT_OPEN, or what any call may meet.
        """
        request = messages.CancelPromiseRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            cancellation=cancellation,
            context=context,
        )
        return await self._calls.call(self._customers.CancelPromise, request, timeout_s)

    async def get_promises(
        self,
        organization_id: str,
        customer_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetPromisesResponse:
        """Return the promises and the rate of those kept.

        Raises:
            RapportError: RELATIONSHIP_UNKNOWN, or what any call may meet.
        """
        request = messages.GetPromisesRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            as_of=as_of,
            min_position=min_position,
        )
        return await self._calls.call(self._customers.GetPromises, request, timeout_s)

    @property
    def _customers(self) -> CustomerServiceStub:
        return self._calls.stub(CustomerServiceStub)
