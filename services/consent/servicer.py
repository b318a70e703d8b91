"""The rpcs of ConsentService: translate, execute or look, translate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import grpc

from ledger.domain.errors import Rejected
from ledger.domain.identifiers import relationship_stream
from ledger.requests import Request
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.consent.v1 import consent_service_pb2_grpc as stubs
from rapport.errors.v1 import error_reason_pb2 as reasons
from services.consent import translate
from services.consent.receipts import Receipts
from services.runtime.app import App
from services.runtime.ingest import Loading
from services.runtime.validation import check, check_size, in_list, request_id

SERVICE: Final = "rapport.consent.v1.ConsentService"

_GIVE: Final = f"/{SERVICE}/GiveConsent"
_REFUSE: Final = f"/{SERVICE}/RefuseConsent"
_WITHDRAW: Final = f"/{SERVICE}/WithdrawConsent"
_APPLY: Final = f"/{SERVICE}/ApplyConsents"

Context = grpc.aio.ServicerContext[Any, Any]

LOADING: Final = Loading(
    f"/{SERVICE}/IngestConsents",
    translate.item_steps,
    translate.item_recorded,
    translate.item_failed,
    translate.frame_answered,
)


def mount(server: grpc.aio.Server, app: App) -> None:
    """Add ConsentService to a server."""
    stubs.add_ConsentServiceServicer_to_server(Servicer(app), server)


class Servicer(Receipts, stubs.ConsentServiceServicer):
    """Records acts of consent and answers what they amount to. Errors are listed in `consent_service.proto`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._execute = app.ledger.execute

    async def GiveConsent(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GiveConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GiveConsentResponse:
        """Record that the customer allowed something."""
        asked = Request(_GIVE, request.organization_id, request_id(request), request)
        return translate.given(await self._execute(asked, partial(translate.give_steps, request)))

    async def RefuseConsent(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RefuseConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RefuseConsentResponse:
        """Record that the customer was asked and said no."""
        asked = Request(_REFUSE, request.organization_id, request_id(request), request)
        return translate.refused(await self._execute(asked, partial(translate.refuse_steps, request)))

    async def WithdrawConsent(  # noqa: N802  # Named by the proto.
        self,
        request: pb.WithdrawConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.WithdrawConsentResponse:
        """Record that the customer took something back."""
        asked = Request(_WITHDRAW, request.organization_id, request_id(request), request)
        return translate.withdrawn(await self._execute(asked, partial(translate.withdraw_steps, request)))

    async def ApplyConsents(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ApplyConsentsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ApplyConsentsResponse:
        """Record many acts, all or none."""
        check_size(len(request.items), self._app.settings.batch_items_max)
        asked = Request(_APPLY, request.organization_id, request_id(request), request)
        try:
            receipt = await self._execute(asked, partial(translate.batch_steps, request), len(request.items))
        except Rejected as refusal:
            raise in_list(refusal, "items") from None
        return translate.batch_applied(receipt)

    async def IngestConsents(  # noqa: N802  # Named by the proto.
        self,
        request_iterator: AsyncIterator[pb.IngestConsentsRequest],
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.IngestConsentsResponse]:
        """Record many acts, each for itself."""
        async with aclosing(LOADING.run(self._app, request_iterator)) as responses:
            async for response in responses:
                yield response

    async def GetConsents(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetConsentsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetConsentsResponse:
        """Return the status of cells, now or as of a past moment."""
        check(request)
        stream_id = relationship_stream(request.organization_id, request.customer_id)
        as_of = request.as_of if request.HasField("as_of") else None
        look = await self._app.ledger.look(stream_id, as_of, request.min_position)
        if not look.version:
            raise Rejected(
                reasons.ERROR_REASON_RELATIONSHIP_UNKNOWN,
                "nothing was recorded between the two; check both ids",
                organization_id=request.organization_id,
                customer_id=request.customer_id,
            )
        return translate.consents(request, look.state.consents, look.view.occur_time, look.view.position)
