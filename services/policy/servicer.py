"""The rpcs of PolicyService: translate, execute or look, translate."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import grpc

from ledger.domain.identifiers import policy_stream
from ledger.requests import Receipt, Request
from rapport.policy.v1 import policy_service_pb2 as pb
from rapport.policy.v1 import policy_service_pb2_grpc as stubs
from services.policy import translate
from services.runtime.app import App
from services.runtime.validation import check, check_size, request_id

SERVICE: Final = "rapport.policy.v1.PolicyService"

_REGISTER: Final = f"/{SERVICE}/RegisterAssets"

Context = grpc.aio.ServicerContext[Any, Any]


def mount(server: grpc.aio.Server, app: App) -> None:
    """Add PolicyService to a server."""
    stubs.add_PolicyServiceServicer_to_server(Servicer(app), server)


class Servicer(stubs.PolicyServiceServicer):
    """Publishes an organization's assets and lists them. Errors are listed in `policy_service.proto`."""

    def __init__(self, app: App) -> None:
        self._app = app

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
        check(request)
        as_of = request.as_of if request.HasField("as_of") else None
        look = await self._app.ledger.look(policy_stream(request.organization_id), as_of, request.min_position)
        return translate.listed(look.state, look.view.position)

    async def _positions(self, organization_id: str, receipt: Receipt) -> dict[int, int]:
        """Return the positions of an organization's publications by their versions."""
        view = await self._app.ledger.resolve(None, receipt.position)
        facts = await self._app.ledger.facts(policy_stream(organization_id), view)
        return {fact.version: fact.position for fact in facts}
