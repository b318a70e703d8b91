"""The rpcs of ExchangeService: translate, execute, translate.

An operation that changed nothing, because it had been applied before under another request_id, is told with the place
of the original. That place is looked up by the operation's id once the request is durable, and is the same ever after.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import grpc

from ledger.domain.errors import Rejected
from ledger.requests import Receipt, Request
from rapport.exchange.v1 import exchange_service_pb2 as pb
from rapport.exchange.v1 import exchange_service_pb2_grpc as stubs
from rapport.exchange.v1.operation_pb2 import OperationResult
from services.exchange import translate
from services.exchange.translate import Named
from services.runtime.app import App
from services.runtime.ingest import Loading
from services.runtime.validation import check_size, request_id

SERVICE: Final = "rapport.exchange.v1.ExchangeService"

_RECORD: Final = f"/{SERVICE}/RecordExchange"
_POST: Final = f"/{SERVICE}/PostExchange"
_VOID: Final = f"/{SERVICE}/VoidExchange"
_REVERSE: Final = f"/{SERVICE}/ReverseExchange"
_OBSERVE: Final = f"/{SERVICE}/DeclareObservation"
_APPLY: Final = f"/{SERVICE}/ApplyExchanges"

Context = grpc.aio.ServicerContext[Any, Any]


def mount(server: grpc.aio.Server, app: App) -> None:
    """Add ExchangeService to a server."""
    stubs.add_ExchangeServiceServicer_to_server(Servicer(app), server)


class Servicer(stubs.ExchangeServiceServicer):
    """Records exchanges, settles and reverses them. What is refused, and why, is said in `exchange_service.proto`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._execute = app.ledger.execute

    async def RecordExchange(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RecordExchangeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RecordExchangeResponse:
        """Record one exchange."""
        return await self._alone(_RECORD, request, pb.RecordExchangeResponse)

    async def PostExchange(  # noqa: N802  # Named by the proto.
        self,
        request: pb.PostExchangeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.PostExchangeResponse:
        """Settle a pending exchange, in full or in part."""
        return await self._alone(_POST, request, pb.PostExchangeResponse)

    async def VoidExchange(  # noqa: N802  # Named by the proto.
        self,
        request: pb.VoidExchangeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.VoidExchangeResponse:
        """Say that a pending exchange came to nothing."""
        return await self._alone(_VOID, request, pb.VoidExchangeResponse)

    async def ReverseExchange(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ReverseExchangeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ReverseExchangeResponse:
        """Take back everything an exchange posted."""
        return await self._alone(_REVERSE, request, pb.ReverseExchangeResponse)

    async def ApplyExchanges(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ApplyExchangesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ApplyExchangesResponse:
        """Apply many operations, all or none."""
        check_size(len(request.operations), self._app.settings.batch_items_max)
        asked = Request(_APPLY, request.organization_id, request_id(request), request)
        try:
            receipt = await self._execute(asked, partial(translate.batch_steps, request), len(request.operations))
        except Rejected as refusal:
            if len(request.operations) == 1:
                raise refusal.at_step(0) from None  # A batch of one is a batch too.
            raise
        named = [translate.operation_named(request.organization_id, operation) for operation in request.operations]
        return translate.batch_applied(await results(self._app, named, receipt), receipt)

    async def DeclareObservation(  # noqa: N802  # Named by the proto.
        self,
        request: pb.DeclareObservationRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.DeclareObservationResponse:
        """Say since when exchanges of a category are recorded."""
        asked = Request(_OBSERVE, request.organization_id, request_id(request), request)
        return translate.observed(await self._execute(asked, partial(translate.observation_steps, request)))

    async def IngestExchanges(  # noqa: N802  # Named by the proto.
        self,
        request_iterator: AsyncIterator[pb.IngestExchangesRequest],
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.IngestExchangesResponse]:
        """Apply many operations, each for itself."""
        async with aclosing(LOADING.run(self._app, request_iterator)) as responses:
            async for response in responses:
                yield response

    async def _alone(
        self, rpc: str, request: translate.Single, response: type[translate.SingleResponse]
    ) -> translate.SingleResponse:
        """Carry out the one operation of a request."""
        asked = Request(rpc, request.organization_id, request_id(request), request)
        receipt = await self._execute(asked, partial(translate.single_steps, request))
        (result,) = await results(self._app, (translate.single_named(request),), receipt)
        return translate.answered(response, result, receipt)


async def results(app: App, operations: Sequence[Named], receipt: Receipt) -> list[OperationResult]:
    """Return what became of each operation of a request that was carried out, in order."""
    steps = receipt.steps
    before = {named.stream_id for named, step in zip(operations, steps, strict=True) if not step.places}
    if not before:
        return [translate.applied(named, step) for named, step in zip(operations, steps, strict=True)]
    looks = await app.ledger.current_many(list(before), receipt.position)
    return [
        translate.applied(named, step)
        if step.places
        else translate.applied_before(named, looks[named.stream_id].state.exchanges)
        for named, step in zip(operations, steps, strict=True)
    ]


async def _item_answer(
    app: App, organization_id: str, item: pb.IngestExchangesItem, receipt: Receipt
) -> pb.IngestExchangesResult:
    (result,) = await results(app, (translate.operation_named(organization_id, item.operation),), receipt)
    return translate.item_applied(result, receipt)


LOADING: Final = Loading(
    f"/{SERVICE}/IngestExchanges",
    translate.item_steps,
    None,
    translate.item_failed,
    translate.frame_answered,
    _item_answer,
)
