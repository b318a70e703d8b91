"""Attributes: what is known of a customer, by where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.customer.v1 import customer_service_pb2 as messages
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from services.client.calls import Subject, request_id_or_new
from services.client.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.events.v1.attribute_pb2 import (
        AttributeDisclosed,
        AttributeInferred,
        AttributeObserved,
        AttributeObtained,
        AttributeRequested,
        AttributeWithdrawn,
    )
    from rapport.events.v1.disclosure_pb2 import Provenance
    from rapport.type.v1.as_of_pb2 import AsOf
    from rapport.type.v1.event_context_pb2 import EventContext


class Attributes(Subject):
    """CustomerService, as far as it tells what is known of a customer. Writes take a `request_id` or make one."""

    async def request_attribute(
        self,
        organization_id: str,
        customer_id: str,
        asked: AttributeRequested,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RequestAttributeResponse:
        """Record that the customer was asked for something about them, with what for and why.

        Raises:
            RapportError: ATTRIBUTE_UNKNOWN, or what any call may meet.
        """
        request = messages.RequestAttributeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            asked=asked,
            context=context,
        )
        return await self._calls.call(self._customers.RequestAttribute, request, timeout_s)

    async def disclose_attribute(
        self,
        organization_id: str,
        customer_id: str,
        attribute: AttributeDisclosed,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.DiscloseAttributeResponse:
        """Record what the customer told about themselves, in an interaction that is recorded.

        Raises:
            RapportError: ATTRIBUTE_UNKNOWN, INTERACTION_UNKNOWN, INTERACTION_RETRACTED, or what any call may meet.
        """
        request = messages.DiscloseAttributeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            attribute=attribute,
            context=context,
        )
        return await self._calls.call(self._customers.DiscloseAttribute, request, timeout_s)

    async def observe_attribute(
        self,
        organization_id: str,
        customer_id: str,
        attribute: AttributeObserved,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.ObserveAttributeResponse:
        """Record what was seen in what the customer did.

        Raises:
            RapportError: ATTRIBUTE_UNKNOWN, or what any call may meet.
        """
        request = messages.ObserveAttributeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            attribute=attribute,
            context=context,
        )
        return await self._calls.call(self._customers.ObserveAttribute, request, timeout_s)

    async def infer_attribute(
        self,
        organization_id: str,
        customer_id: str,
        attribute: AttributeInferred,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.InferAttributeResponse:
        """Record what a rule or a model concluded.

        Raises:
            RapportError: ATTRIBUTE_UNKNOWN, or what any call may meet.
        """
        request = messages.InferAttributeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            attribute=attribute,
            context=context,
        )
        return await self._calls.call(self._customers.InferAttribute, request, timeout_s)

    async def obtain_attribute(
        self,
        organization_id: str,
        customer_id: str,
        attribute: AttributeObtained,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.ObtainAttributeResponse:
        """Record what was obtained otherwise.

        Raises:
            RapportError: ATTRIBUTE_UNKNOWN, or what any call may meet.
        """
        request = messages.ObtainAttributeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            attribute=attribute,
            context=context,
        )
        return await self._calls.call(self._customers.ObtainAttribute, request, timeout_s)

    async def withdraw_attribute(
        self,
        organization_id: str,
        customer_id: str,
        withdrawal: AttributeWithdrawn,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.WithdrawAttributeResponse:
        """Empty a slot; harmless where it is empty."""
        request = messages.WithdrawAttributeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            withdrawal=withdrawal,
            context=context,
        )
        return await self._calls.call(self._customers.WithdrawAttribute, request, timeout_s)

    async def get_attributes(
        self,
        organization_id: str,
        customer_id: str,
        *,
        keys: Iterable[str] = (),
        provenances: Iterable[Provenance.ValueType] = (),
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetAttributesResponse:
        """Return slots by key and provenance, never one in place of another. Default: every slot that an event names.

        Raises:
            RapportError: RELATIONSHIP_UNKNOWN, or what any call may meet.
        """
        request = messages.GetAttributesRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            keys=keys,
            provenances=provenances,
            as_of=as_of,
            min_position=min_position,
        )
        return await self._calls.call(self._customers.GetAttributes, request, timeout_s)

    @property
    def _customers(self) -> CustomerServiceStub:
        return self._calls.stub(CustomerServiceStub)
