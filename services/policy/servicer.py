"""The rpcs of PolicyService: translate, execute or look, translate."""

from __future__ import annotations

from functools import partial
from typing import Final

import grpc

from ledger.domain.identifiers import policy_stream
from ledger.requests import Receipt, Request
from rapport.policy.v1 import policy_service_pb2 as pb
from rapport.policy.v1 import policy_service_pb2_grpc as stubs
from services.policy import translate, valuations
from services.policy.attributes import Attributes
from services.policy.contact import ContactPolicies
from services.policy.personae import Personae
from services.policy.purposes import Purposes
from services.policy.relationship import RelationshipPolicies
from services.policy.rpcs import SERVICE as _SERVICE
from services.policy.rpcs import Context
from services.policy.types import Types
from services.runtime.app import App
from services.runtime.validation import check_size, request_id

SERVICE: Final = _SERVICE

_REGISTER: Final = f"/{SERVICE}/RegisterAssets"


def mount(server: grpc.aio.Server, app: App) -> None:
    """Add PolicyService to a server."""
    stubs.add_PolicyServiceServicer_to_server(Servicer(app), server)


class Servicer(
    ContactPolicies, Purposes, Attributes, RelationshipPolicies, Types, Personae, stubs.PolicyServiceServicer
):
    """Publishes what an organization goes by; of it assets and valuation policies here, the rest where its bases are.

    Errors are listed in `policy_service.proto`.
    """

    async def RegisterAssets(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RegisterAssetsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RegisterAssetsResponse:
        """Register assets, or raise their limits, all or none."""
        check_size(len(request.assets), self._app.settings.batch_items_max)
        asked = Request(_REGISTER, request.organization_id, request_id(request), request)
        steps = partial(translate.register_steps, request)
        receipt = await self._app.ledger.execute(asked, steps, len(request.assets))
        positions = await self._positions(request.organization_id, receipt) if translate.unchanged(receipt) else {}
        return translate.registered(request, receipt, positions)

    async def ListAssets(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListAssetsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListAssetsResponse:
        """Return the registry, now or as of a past moment."""
        look = await self._look(request)
        return translate.listed(look.state, look.view.position)

    async def PublishValuationPolicy(  # noqa: N802  # Named by the proto.
        self,
        request: pb.PublishValuationPolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.PublishValuationPolicyResponse:
        """Publish a version of a valuation policy."""
        receipt, state = await self._publish(request, partial(valuations.publish_steps, request))
        return valuations.published(receipt, state)

    async def CheckValuationPolicy(  # noqa: N802  # Named by the proto.
        self,
        request: pb.CheckValuationPolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.CheckValuationPolicyResponse:
        """Say what publishing a policy would say, every fault at once."""
        valuations.check_asked(request)
        look = await self._app.ledger.current(policy_stream(request.organization_id))
        return valuations.checked(request.policy, look.state, look.view.position)

    async def ListValuationPolicies(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListValuationPoliciesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListValuationPoliciesResponse:
        """Return versions of valuation policies, now or as of a past moment."""
        look = await self._look(request)
        return valuations.listed(look.state, request.policy_id, look.view.occur_time, look.view.position)

    async def GetValuationPolicy(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetValuationPolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetValuationPolicyResponse:
        """Return one version of a valuation policy, whole."""
        look = await self._look(request)
        view = look.view
        return valuations.shown(look.state, request.policy_id, request.version, view.occur_time, view.position)

    async def _positions(self, organization_id: str, receipt: Receipt) -> dict[int, int]:
        """Return the positions of an organization's publications by their versions."""
        view = await self._app.ledger.resolve(None, receipt.position)
        facts = await self._app.ledger.facts(policy_stream(organization_id), view)
        return {fact.version: fact.position for fact in facts}
