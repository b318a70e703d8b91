"""The rpcs of InteractionService: translate, execute, translate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import grpc

from ledger.domain.errors import Rejected
from ledger.requests import Request
from rapport.interaction.v1 import interaction_service_pb2 as pb
from rapport.interaction.v1 import interaction_service_pb2_grpc as stubs
from services.interaction import translate
from services.interaction.contacts import contact_steps
from services.runtime.app import App
from services.runtime.ingest import Loading
from services.runtime.validation import check_size, in_list, request_id

SERVICE: Final = "rapport.interaction.v1.InteractionService"

_RECORD: Final = f"/{SERVICE}/RecordInteraction"
_BATCH: Final = f"/{SERVICE}/BatchRecordInteractions"
_CORRECT: Final = f"/{SERVICE}/CorrectInteraction"
_RETRACT: Final = f"/{SERVICE}/RetractInteraction"

Context = grpc.aio.ServicerContext[Any, Any]

LOADING: Final = Loading(
    f"/{SERVICE}/IngestInteractions",
    translate.item_steps,
    translate.item_recorded,
    translate.item_failed,
    translate.frame_answered,
)


def mount(server: grpc.aio.Server, app: App) -> None:
    """Add InteractionService to a server."""
    stubs.add_InteractionServiceServicer_to_server(Servicer(app), server)


class Servicer(stubs.InteractionServiceServicer):
    """Records interactions. What is refused, and why, is said in `interaction_service.proto`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._execute = app.ledger.execute

    async def RecordInteraction(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RecordInteractionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RecordInteractionResponse:
        """Record one interaction."""
        asked = Request(_RECORD, request.organization_id, request_id(request), request)
        if request.interaction.decision_id:
            steps = await contact_steps(self._app.ledger, request)
            return translate.recorded(await self._execute(asked, steps))
        return translate.recorded(await self._execute(asked, partial(translate.record_steps, request)))

    async def BatchRecordInteractions(  # noqa: N802  # Named by the proto.
        self,
        request: pb.BatchRecordInteractionsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.BatchRecordInteractionsResponse:
        """Record many interactions, all or none."""
        check_size(len(request.items), self._app.settings.batch_items_max)
        asked = Request(_BATCH, request.organization_id, request_id(request), request)
        try:
            receipt = await self._execute(asked, partial(translate.batch_steps, request), len(request.items))
        except Rejected as refusal:
            raise in_list(refusal, "items") from None
        return translate.batch_recorded(receipt)

    async def IngestInteractions(  # noqa: N802  # Named by the proto.
        self,
        request_iterator: AsyncIterator[pb.IngestInteractionsRequest],
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.IngestInteractionsResponse]:
        """Record many interactions, each for itself."""
        async with aclosing(LOADING.run(self._app, request_iterator)) as responses:
            async for response in responses:
                yield response

    async def CorrectInteraction(  # noqa: N802  # Named by the proto.
        self,
        request: pb.CorrectInteractionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.CorrectInteractionResponse:
        """Replace an interaction in full."""
        asked = Request(_CORRECT, request.organization_id, request_id(request), request)
        return translate.corrected(await self._execute(asked, partial(translate.correct_steps, request)))

    async def RetractInteraction(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RetractInteractionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RetractInteractionResponse:
        """Say that an interaction should not have been recorded."""
        asked = Request(_RETRACT, request.organization_id, request_id(request), request)
        return translate.retracted(await self._execute(asked, partial(translate.retract_steps, request)))
