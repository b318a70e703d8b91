"""What relationships are measured by: the relationship policy, types and personae."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.events.v1.persona_pb2 import PersonaApproved, PersonaRetired
from rapport.policy.v1 import relationship_policies_pb2 as messages
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from services.client.calls import Subject, request_id_or_new

if TYPE_CHECKING:
    from rapport.events.v1.interaction_pb2 import OurFunction
    from rapport.events.v1.persona_pb2 import PersonaDefined
    from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
    from rapport.events.v1.relationship_types_pb2 import TypeCatalogue
    from rapport.type.v1.as_of_pb2 import AsOf
    from rapport.type.v1.event_context_pb2 import EventContext


class RelationshipPolicies(Subject):
    """The part of PolicyService that is about measures. Reads take a point of view and a `min_position`."""

    async def publish_relationship_policy(
        self,
        organization_id: str,
        policy: RelationshipPolicy,
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.PublishRelationshipPolicyResponse:
        """Publish a version of the relationship policy; the same content under the same version changes nothing.

        Raises:
            RapportError: POLICY_RULES_CONFLICT, TYPE_UNKNOWN, EVENT_TOO_LARGE, POLICY_VERSION_TAKEN, or what any call
                may meet. It may name fewer faults than a check does.
        """
        request = messages.PublishRelationshipPolicyRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            policy=policy,
            context=context,
        )
        return await self._calls.call(self._publications.PublishRelationshipPolicy, request, timeout_s)

    async def check_relationship_policy(
        self, organization_id: str, policy: RelationshipPolicy, *, timeout_s: float | None = None
    ) -> messages.CheckRelationshipPolicyResponse:
        """Return every fault for which publishing a policy would be refused; publish nothing."""
        request = messages.CheckRelationshipPolicyRequest(organization_id=organization_id, policy=policy)
        return await self._calls.call(self._publications.CheckRelationshipPolicy, request, timeout_s)

    async def get_relationship_policy(
        self,
        organization_id: str,
        version: int = 0,
        *,
        built_in: bool = False,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetRelationshipPolicyResponse:
        """Return a version of the relationship policy, whole; version 0: the one in force, or the built-in one.

        Raises:
            RapportError: POLICY_UNKNOWN, or as `list_relationship_policies`.
        """
        request = messages.GetRelationshipPolicyRequest(
            organization_id=organization_id,
            as_of=as_of,
            min_position=min_position,
            version=version,
            built_in=built_in,
        )
        return await self._calls.call(self._publications.GetRelationshipPolicy, request, timeout_s)

    async def list_relationship_policies(
        self,
        organization_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ListRelationshipPoliciesResponse:
        """Return the versions of the relationship policy, ascending, without what is in them."""
        request = messages.ListRelationshipPoliciesRequest(
            organization_id=organization_id, as_of=as_of, min_position=min_position
        )
        return await self._calls.call(self._publications.ListRelationshipPolicies, request, timeout_s)

    async def publish_types(
        self,
        organization_id: str,
        catalogue: TypeCatalogue,
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.PublishTypesResponse:
        """Publish the organization's own types, whole; the same content under the same version changes nothing.

        Raises:
            RapportError: EVENT_TOO_LARGE, POLICY_VERSION_TAKEN, or what any call may meet.
        """
        request = messages.PublishTypesRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            catalogue=catalogue,
            context=context,
        )
        return await self._calls.call(self._publications.PublishTypes, request, timeout_s)

    async def list_types(
        self,
        organization_id: str,
        *,
        industry: str = "",
        brand: str = "",
        country: str = "",
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ListTypesResponse:
        """Return shipped and own types by slug; an industry, a brand or a country leaves out those not for it."""
        request = messages.ListTypesRequest(
            organization_id=organization_id,
            as_of=as_of,
            min_position=min_position,
            industry=industry,
            brand=brand,
            country=country,
        )
        return await self._calls.call(self._publications.ListTypes, request, timeout_s)

    async def define_persona(
        self,
        organization_id: str,
        persona: PersonaDefined,
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.DefinePersonaResponse:
        """Define a version of a persona; it counts once enough functions approved it.

        Raises:
            RapportError: POLICY_RULES_CONFLICT, ATTRIBUTE_UNKNOWN, TYPE_UNKNOWN, EVENT_TOO_LARGE,
                POLICY_VERSION_TAKEN, or what any call may meet.
        """
        request = messages.DefinePersonaRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            persona=persona,
            context=context,
        )
        return await self._calls.call(self._publications.DefinePersona, request, timeout_s)

    async def approve_persona(
        self,
        organization_id: str,
        persona_id: str,
        version: int,
        our_function: OurFunction.ValueType,
        approver_id: str,
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.ApprovePersonaResponse:
        """Approve a version of a persona for a function; harmless where that function did before.

        Raises:
            RapportError: PERSONA_UNKNOWN, or what any call may meet.
        """
        request = messages.ApprovePersonaRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            approval=PersonaApproved(
                persona_id=persona_id, version=version, our_function=our_function, approver_id=approver_id
            ),
            context=context,
        )
        return await self._calls.call(self._publications.ApprovePersona, request, timeout_s)

    async def retire_persona(
        self,
        organization_id: str,
        persona_id: str,
        *,
        reason: str = "",
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RetirePersonaResponse:
        """Use a persona no more; harmless where it is retired.

        Raises:
            RapportError: PERSONA_UNKNOWN, or what any call may meet.
        """
        request = messages.RetirePersonaRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            retirement=PersonaRetired(persona_id=persona_id, reason=reason),
            context=context,
        )
        return await self._calls.call(self._publications.RetirePersona, request, timeout_s)

    async def list_personae(
        self,
        organization_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ListPersonaeResponse:
        """Return the latest version of each persona, by id, with its approvals."""
        request = messages.ListPersonaeRequest(organization_id=organization_id, as_of=as_of, min_position=min_position)
        return await self._calls.call(self._publications.ListPersonae, request, timeout_s)

    @property
    def _publications(self) -> PolicyServiceStub:
        return self._calls.stub(PolicyServiceStub)
