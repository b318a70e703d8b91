"""What an organization publishes: the assets exchanges are counted in, and what they are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.policy.v1 import policy_service_pb2 as messages
from services.client.calls import request_id_or_new
from services.client.contact_policies import ContactPolicies
from services.client.relationship_policies import RelationshipPolicies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.events.v1.policy_pb2 import AssetRegistered
    from rapport.events.v1.valuation_pb2 import ValuationPolicy
    from rapport.type.v1.as_of_pb2 import AsOf
    from rapport.type.v1.event_context_pb2 import EventContext


class Policies(ContactPolicies, RelationshipPolicies):
    """PolicyService. Reads take a point of view (`values.view` makes one) and a `min_position`."""

    async def register_assets(
        self,
        organization_id: str,
        assets: Iterable[AssetRegistered],
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RegisterAssetsResponse:
        """Register 1 to 100 assets, or raise their limits, all or none; what is registered already changes nothing.

        Raises:
            RapportError: ASSET_CODE_TAKEN, or what any call may meet.
        """
        request = messages.RegisterAssetsRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            assets=assets,
            context=context,
        )
        return await self._calls.call(self._policies.RegisterAssets, request, timeout_s)

    async def list_assets(
        self,
        organization_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ListAssetsResponse:
        """Return the organization's assets, ordered by code."""
        request = messages.ListAssetsRequest(organization_id=organization_id, as_of=as_of, min_position=min_position)
        return await self._calls.call(self._policies.ListAssets, request, timeout_s)

    async def publish_valuation_policy(
        self,
        organization_id: str,
        policy: ValuationPolicy,
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.PublishValuationPolicyResponse:
        """Publish a version of a valuation policy; the same content under the same version changes nothing.

        Raises:
            RapportError: ASSET_UNKNOWN, POLICY_RULES_CONFLICT, RATE_OUT_OF_RANGE, POLICY_VERSION_TAKEN,
                POLICY_UNIT_CHANGED, or what any call may meet. It may name fewer faults than a check does.
        """
        request = messages.PublishValuationPolicyRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            policy=policy,
            context=context,
        )
        return await self._calls.call(self._policies.PublishValuationPolicy, request, timeout_s)

    async def check_valuation_policy(
        self, organization_id: str, policy: ValuationPolicy, *, timeout_s: float | None = None
    ) -> messages.CheckValuationPolicyResponse:
        """Return every fault for which publishing a policy would be refused; publish nothing."""
        request = messages.CheckValuationPolicyRequest(organization_id=organization_id, policy=policy)
        return await self._calls.call(self._policies.CheckValuationPolicy, request, timeout_s)

    async def list_valuation_policies(
        self,
        organization_id: str,
        policy_id: str = "",
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ListValuationPoliciesResponse:
        """Return the versions of one policy, or of all, without their rules, ordered by policy_id and version."""
        request = messages.ListValuationPoliciesRequest(
            organization_id=organization_id, as_of=as_of, min_position=min_position, policy_id=policy_id
        )
        return await self._calls.call(self._policies.ListValuationPolicies, request, timeout_s)

    async def get_valuation_policy(
        self,
        organization_id: str,
        policy_id: str,
        version: int = 0,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetValuationPolicyResponse:
        """Return a version of a valuation policy, whole; version 0: the one in force.

        Raises:
            RapportError: POLICY_UNKNOWN, or as `list_valuation_policies`.
        """
        request = messages.GetValuationPolicyRequest(
            organization_id=organization_id,
            as_of=as_of,
            min_position=min_position,
            policy_id=policy_id,
            version=version,
        )
        return await self._calls.call(self._policies.GetValuationPolicy, request, timeout_s)
