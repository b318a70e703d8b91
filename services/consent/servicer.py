"""The rpcs of ConsentService: translate, execute or look, translate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import grpc

from ledger.domain.decider import Step
from ledger.domain.errors import Rejected
from ledger.log.personal import split
from ledger.requests import Receipt, Request
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.consent.v1 import consent_service_pb2_grpc as stubs
from rapport.errors.v1 import error_reason_pb2 as reasons
from services.consent import steps, translate
from services.consent.acts import Acts
from services.consent.history import history
from services.consent.receipts import Receipts
from services.consent.seeing import see, see_apart
from services.runtime.app import App
from services.runtime.ingest import Loading
from services.runtime.translating import as_of_told
from services.runtime.validation import check, check_size, in_list, request_id

SERVICE: Final = "rapport.consent.v1.ConsentService"

_APPLY: Final = f"/{SERVICE}/ApplyConsents"

Context = grpc.aio.ServicerContext[Any, Any]

LOADING: Final = Loading(
    f"/{SERVICE}/IngestConsents",
    steps.item_steps,
    translate.item_recorded,
    translate.item_failed,
    translate.frame_answered,
)


def mount(server: grpc.aio.Server, app: App) -> None:
    """Add ConsentService to a server."""
    stubs.add_ConsentServiceServicer_to_server(Servicer(app), server)


class Servicer(Acts, Receipts, stubs.ConsentServiceServicer):
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
        return translate.written(pb.GiveConsentResponse(), await self._record("GiveConsent", request, steps.give_steps))

    async def RefuseConsent(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RefuseConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RefuseConsentResponse:
        """Record that the customer was asked and said no."""
        return translate.written(
            pb.RefuseConsentResponse(), await self._record_no("RefuseConsent", request, steps.refuse_steps)
        )

    async def WithdrawConsent(  # noqa: N802  # Named by the proto.
        self,
        request: pb.WithdrawConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.WithdrawConsentResponse:
        """Record that the customer took something back."""
        return translate.ended(
            pb.WithdrawConsentResponse(), await self._record_no("WithdrawConsent", request, steps.withdraw_steps)
        )

    async def ApplyConsents(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ApplyConsentsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ApplyConsentsResponse:
        """Record many acts, all or none."""
        check_size(len(request.items), self._app.settings.batch_items_max)
        asked = Request(_APPLY, request.organization_id, request_id(request), request)
        try:
            receipt = await self._execute(asked, partial(steps.batch_steps, request), len(request.items))
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
        return await self._consents(request)

    async def GetConsentHistory(  # noqa: N802  # Named by the proto.
        self,
        request: acts.GetConsentHistoryRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.GetConsentHistoryResponse:
        """Return every act that concerns consent, and what became of it."""
        check(request)
        sight = await see_apart(self._app.ledger, request)
        view = sight.view
        facts = await self._app.ledger.facts(sight.stream_id, view)
        return acts.GetConsentHistoryResponse(
            entries=history(sight, facts),
            position=view.position,
            as_of=as_of_told(view.occur_time, view.position),
        )

    async def _consents(self, request: pb.GetConsentsRequest) -> pb.GetConsentsResponse:
        """Return the status of cells, those too that nobody could ask for: an act may have named them."""
        sight = await see(self._app.ledger, request)
        view = sight.view
        return translate.consents(request, sight.state.consents, sight.terms, view.occur_time, view.position)

    async def _record(self, name: str, request: Any, plan: Callable[[Any], Sequence[Step]]) -> Receipt:
        """Record what the steps of a request cause, which `plan` finds in it. `name`: of the rpc."""
        asked = Request(f"/{SERVICE}/{name}", request.organization_id, request_id(request), request)
        return await self._execute(asked, partial(plan, request))

    async def _record_no(self, name: str, request: Any, plan: Callable[[Any], Sequence[Step]]) -> Receipt:
        """As `_record`, of a no, which is not refused where the customer's data was erased.

        What would have to be sealed, such as its evidence, is left out then: the key is gone, and the no counts.
        """
        try:
            return await self._record(name, request, plan)
        except Rejected as refusal:
            if refusal.reason != reasons.ERROR_REASON_SUBJECT_ERASED:
                raise
        opened, _ = split(request)
        return await self._record(name, opened, plan)
