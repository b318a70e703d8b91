"""What an organization holds itself to when it contacts people: purposes, the contact policy, attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.policy.v1 import contact_policies_pb2 as messages
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from services.client.calls import Subject, request_id_or_new

if TYPE_CHECKING:
    from rapport.events.v1.contact_policy_pb2 import AttributeCatalogue, ContactPolicy, PurposeRegistry
    from rapport.type.v1.as_of_pb2 import AsOf
    from rapport.type.v1.event_context_pb2 import EventContext


class ContactPolicies(Subject):
    """The part of PolicyService that is about contacts. Reads take a point of view and a `min_position`."""

    async def publish_contact_policy(
        self,
        organization_id: str,
        policy: ContactPolicy,
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.PublishContactPolicyResponse:
        """Publish a version of the contact policy; the same content under the same version changes nothing.

        Raises:
            RapportError: POLICY_RULES_CONFLICT, EVENT_TOO_LARGE, POLICY_VERSION_TAKEN, or what any call may meet. It
                may name fewer faults than a check does.
        """
        request = messages.PublishContactPolicyRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            policy=policy,
            context=context,
        )
        return await self._calls.call(self._policies.PublishContactPolicy, request, timeout_s)

    async def check_contact_policy(
        self, organization_id: str, policy: ContactPolicy, *, timeout_s: float | None = None
    ) -> messages.CheckContactPolicyResponse:
        """Return every fault for which publishing a policy would be refused; publish nothing."""
        request = messages.CheckContactPolicyRequest(organization_id=organization_id, policy=policy)
        return await self._calls.call(self._policies.CheckContactPolicy, request, timeout_s)

    async def list_contact_policies(
        self,
        organization_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ListContactPoliciesResponse:
        """Return the versions of the contact policy, ascending, without what is in them."""
        request = messages.ListContactPoliciesRequest(
            organization_id=organization_id, as_of=as_of, min_position=min_position
        )
        return await self._calls.call(self._policies.ListContactPolicies, request, timeout_s)

    async def get_contact_policy(
        self,
        organization_id: str,
        version: int = 0,
        *,
        built_in: bool = False,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetContactPolicyResponse:
        """Return a version of the contact policy, whole; version 0: the one in force, or the built-in one.

        Raises:
            RapportError: POLICY_UNKNOWN, or as `list_contact_policies`.
        """
        request = messages.GetContactPolicyRequest(
            organization_id=organization_id,
            as_of=as_of,
            min_position=min_position,
            version=version,
            built_in=built_in,
        )
        return await self._calls.call(self._policies.GetContactPolicy, request, timeout_s)

    async def publish_purposes(
        self,
        organization_id: str,
        registry: PurposeRegistry,
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.PublishPurposesResponse:
        """Publish the registry of purposes, whole; the same content under the same version changes nothing.

        Raises:
            RapportError: EVENT_TOO_LARGE, POLICY_VERSION_TAKEN, or what any call may meet.
        """
        request = messages.PublishPurposesRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            registry=registry,
            context=context,
        )
        return await self._calls.call(self._policies.PublishPurposes, request, timeout_s)

    async def list_purposes(
        self,
        organization_id: str,
        version: int = 0,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ListPurposesResponse:
        """Return the registry of purposes; version 0: the one that counts, or the built-in one.

        Raises:
            RapportError: POLICY_UNKNOWN, or as `list_contact_policies`.
        """
        request = messages.ListPurposesRequest(
            organization_id=organization_id, as_of=as_of, min_position=min_position, version=version
        )
        return await self._calls.call(self._policies.ListPurposes, request, timeout_s)

    async def publish_attribute_catalogue(
        self,
        organization_id: str,
        catalogue: AttributeCatalogue,
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.PublishAttributeCatalogueResponse:
        """Publish the catalogue of attributes, whole; the same content under the same version changes nothing.

        Raises:
            RapportError: as `publish_purposes`.
        """
        request = messages.PublishAttributeCatalogueRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            catalogue=catalogue,
            context=context,
        )
        return await self._calls.call(self._policies.PublishAttributeCatalogue, request, timeout_s)

    async def list_attribute_definitions(
        self,
        organization_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ListAttributeDefinitionsResponse:
        """Return the catalogue of attributes; version 0: none is published, and any key may be used."""
        request = messages.ListAttributeDefinitionsRequest(
            organization_id=organization_id, as_of=as_of, min_position=min_position
        )
        return await self._calls.call(self._policies.ListAttributeDefinitions, request, timeout_s)

    @property
    def _policies(self) -> PolicyServiceStub:
        return self._calls.stub(PolicyServiceStub)
