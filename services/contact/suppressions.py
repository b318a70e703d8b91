"""The rpcs about suppressions: who cannot, or must not, be reached."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import grpc

from ledger.domain.errors import Rejected
from ledger.domain.identifiers import relationship_stream
from ledger.requests import Request
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.contact.v1 import contact_service_pb2_grpc as stubs
from services.contact import translate
from services.runtime.app import App
from services.runtime.validation import check, check_size, in_list, request_id

_ADD: Final = "/rapport.contact.v1.ContactService/AddSuppression"
_LIFT: Final = "/rapport.contact.v1.ContactService/LiftSuppression"
_IMPORT: Final = "/rapport.contact.v1.ContactService/ImportSuppressions"

Context = grpc.aio.ServicerContext[Any, Any]


class Suppressions(stubs.ContactServiceServicer):
    """Records and shows suppressions. What is refused, and why, is said in `contact_service.proto`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._ledger = app.ledger

    async def AddSuppression(  # noqa: N802  # Named by the proto.
        self,
        request: pb.AddSuppressionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.AddSuppressionResponse:
        """Record that a customer cannot or must not be reached."""
        asked = Request(_ADD, request.organization_id, request_id(request), request)
        return translate.added(await self._ledger.execute(asked, partial(translate.add_steps, request)))

    async def LiftSuppression(  # noqa: N802  # Named by the proto.
        self,
        request: pb.LiftSuppressionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.LiftSuppressionResponse:
        """Record that a suppression no longer stands."""
        asked = Request(_LIFT, request.organization_id, request_id(request), request)
        return translate.lifted(await self._ledger.execute(asked, partial(translate.lift_steps, request)))

    async def ImportSuppressions(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ImportSuppressionsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ImportSuppressionsResponse:
        """Record a part of a list, all or none."""
        check_size(len(request.entries), self._app.settings.batch_items_max)
        asked = Request(_IMPORT, request.organization_id, request_id(request), request)
        try:
            steps = partial(translate.import_steps, request)
            return translate.imported(await self._ledger.execute(asked, steps, len(request.entries)))
        except Rejected as refusal:
            raise in_list(refusal, "entries") from None

    async def GetSuppressions(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetSuppressionsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetSuppressionsResponse:
        """Return the suppressions of a customer, now or as of a past moment."""
        check(request)
        stream_id = relationship_stream(request.organization_id, request.customer_id)
        as_of = request.as_of if request.HasField("as_of") else None
        look = await self._ledger.look(stream_id, as_of, request.min_position)
        if not look.version:
            raise translate.unknown(request.organization_id, request.customer_id)
        return translate.suppressions(look.state.suppressions.all(), look.view)
