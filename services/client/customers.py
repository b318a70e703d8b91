"""Customers: profile, contact points, links to other ids of the same person, and preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.customer.v1 import customer_service_pb2 as messages
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from services.client.calls import Subject, request_id_or_new
from services.client.values import timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.events.v1.identity_pb2 import (
        IdentifierRevoked,
        IdentifierVerified,
        IdentityLinked,
        IdentityUnlinked,
        ProfileDeclared,
    )
    from rapport.events.v1.preference_pb2 import PreferenceCleared, PreferenceDeclared
    from rapport.type.v1.as_of_pb2 import AsOf
    from rapport.type.v1.event_context_pb2 import EventContext


class Customers(Subject):
    """CustomerService, as far as it tells who a customer is. Writes take a `request_id` or make one."""

    async def declare_profile(
        self,
        organization_id: str,
        customer_id: str,
        profile: ProfileDeclared,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.DeclareProfileResponse:
        """Record where the customer lives and from when on they are of age; replaces the profile before it."""
        request = messages.DeclareProfileRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            profile=profile,
            context=context,
        )
        return await self._calls.call(self._customers.DeclareProfile, request, timeout_s)

    async def verify_identifier(
        self,
        organization_id: str,
        customer_id: str,
        identifier: IdentifierVerified,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.VerifyIdentifierResponse:
        """Record that a contact point was checked to be the customer's.

        Raises:
            RapportError: IDENTIFIERS_TOO_MANY, or what any call may meet.
        """
        request = messages.VerifyIdentifierRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            identifier=identifier,
            context=context,
        )
        return await self._calls.call(self._customers.VerifyIdentifier, request, timeout_s)

    async def revoke_identifier(
        self,
        organization_id: str,
        customer_id: str,
        revocation: IdentifierRevoked,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RevokeIdentifierResponse:
        """Record that a contact point is no longer the customer's.

        Raises:
            RapportError: IDENTIFIER_UNKNOWN, or what any call may meet.
        """
        request = messages.RevokeIdentifierRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            revocation=revocation,
            context=context,
        )
        return await self._calls.call(self._customers.RevokeIdentifier, request, timeout_s)

    async def link_customers(
        self,
        organization_id: str,
        link: IdentityLinked,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.LinkCustomersResponse:
        """Record in both streams, in one append, that two customer ids are one person.

        Raises:
            RapportError: LINK_ID_TAKEN, LINK_NOT_ALLOWED, RELATIONSHIP_UNKNOWN, or what any call may meet.
        """
        request = messages.LinkCustomersRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            link=link,
            context=context,
        )
        return await self._calls.call(self._customers.LinkCustomers, request, timeout_s)

    async def unlink_customers(
        self,
        organization_id: str,
        customer_a_id: str,
        customer_b_id: str,
        unlink: IdentityUnlinked,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.UnlinkCustomersResponse:
        """Record in both streams that a link was wrong.

        Raises:
            RapportError: LINK_UNKNOWN, or what any call may meet.
        """
        request = messages.UnlinkCustomersRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            customer_a_id=customer_a_id,
            customer_b_id=customer_b_id,
            unlink=unlink,
            context=context,
        )
        return await self._calls.call(self._customers.UnlinkCustomers, request, timeout_s)

    async def declare_preference(
        self,
        organization_id: str,
        customer_id: str,
        preference: PreferenceDeclared,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.DeclarePreferenceResponse:
        """Record how the customer wants to be spoken to; replaces what was declared of the same kind and scope."""
        request = messages.DeclarePreferenceRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            preference=preference,
            context=context,
        )
        return await self._calls.call(self._customers.DeclarePreference, request, timeout_s)

    async def clear_preference(
        self,
        organization_id: str,
        customer_id: str,
        clearing: PreferenceCleared,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.ClearPreferenceResponse:
        """Record that a preference no longer holds; harmless where there is none."""
        request = messages.ClearPreferenceRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            clearing=clearing,
            context=context,
        )
        return await self._calls.call(self._customers.ClearPreference, request, timeout_s)

    async def get_customer(
        self,
        organization_id: str,
        customer_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetCustomerResponse:
        """Return profile, contact points, links and preferences.

        Raises:
            RapportError: RELATIONSHIP_UNKNOWN, or what any call may meet.
        """
        request = messages.GetCustomerRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            as_of=as_of,
            min_position=min_position,
        )
        return await self._calls.call(self._customers.GetCustomer, request, timeout_s)

    @property
    def _customers(self) -> CustomerServiceStub:
        return self._calls.stub(CustomerServiceStub)
