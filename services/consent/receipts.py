"""The rpcs of ConsentService about receipts. A receipt is made from the log each time, and compared byte by byte."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from itertools import islice, product
from typing import TYPE_CHECKING, Any, Final

import grpc

from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.domain.receipt import TOPICS, Act, ActName, named, receipt_of, scope_of
from ledger.domain.times import END_OF_TIME
from ledger.log.reading import fact
from ledger.views import View
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.consent.v1 import receipt_pb2
from rapport.consent.v1.consent_cell_pb2 import ConsentCell
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import ConsentConfirmed, ConsentScope
from services.runtime.app import App
from services.runtime.validation import check

Context = grpc.aio.ServicerContext[Any, Any]

STATUSES_MAX: Final = 256
"""Cells whose status a verification tells, as many as GetConsents takes."""


class Receipts:
    """Issues receipts and checks them. Errors are listed in `consent_service.proto`."""

    _app: App

    if TYPE_CHECKING:

        async def _consents(self, request: pb.GetConsentsRequest) -> pb.GetConsentsResponse: ...

    async def IssueReceipt(  # noqa: N802  # Named by the proto.
        self,
        request: receipt_pb2.IssueReceiptRequest,
        context: Context,  # noqa: ARG002
    ) -> receipt_pb2.IssueReceiptResponse:
        """Return the receipt of an act; also of an erased customer's, for it holds nothing that is erased."""
        check(request)
        name = ActName(self._app.ledger.log_id, request.organization_id, request.customer_id, request.consent_position)
        await self._refuse_unknown(name, request.min_position)
        act = await self._act(name)
        if act is None:
            raise Rejected(
                reasons.ERROR_REASON_CONSENT_UNKNOWN,
                "the position holds no act of this customer that has a receipt; see the history of consents",
                consent_position=name.position,
            )
        receipt = await self._receipt(act)
        return receipt_pb2.IssueReceiptResponse(
            receipt=receipt,
            sha256=sha256(receipt).digest(),
            consent_position=name.position,
            version=act.fact.version,
        )

    async def VerifyReceipt(  # noqa: N802  # Named by the proto.
        self,
        request: receipt_pb2.VerifyReceiptRequest,
        context: Context,  # noqa: ARG002
    ) -> receipt_pb2.VerifyReceiptResponse:
        """Return whether a receipt is what this log attests, and what holds now of what it is about."""
        check(request)
        answer = receipt_pb2.VerifyReceiptResponse(
            verdict=receipt_pb2.RECEIPT_VERDICT_UNKNOWN,
            sha256=sha256(request.receipt).digest(),
            position=(await self._app.ledger.resolve(None)).position,
        )
        name = named(request.receipt)
        act = None if name is None else await self._standing(name)
        if name is None or act is None:
            return answer
        answer.organization_id, answer.customer_id = name.organization_id, name.customer_id
        answer.consent_position = name.position
        if await self._receipt(act) != request.receipt:
            answer.verdict = receipt_pb2.RECEIPT_VERDICT_ALTERED
            return answer
        asked = pb.GetConsentsRequest(
            organization_id=name.organization_id, customer_id=name.customer_id, cells=_cells(scope_of(act))
        )
        now = await self._consents(asked)  # As it is: a no may name what no question could.
        answer.verdict = receipt_pb2.RECEIPT_VERDICT_VALID
        answer.statuses.extend(now.consents)
        answer.position = now.position
        return answer

    async def _standing(self, name: ActName) -> Act | None:
        """Return the act of that name; None where this log has none, or its customer's data was erased."""
        if name.log_id != self._app.ledger.log_id:
            return None
        act = await self._act(name)
        if act is None:
            return None
        look = await self._app.ledger.current(relationship_stream(name.organization_id, name.customer_id))
        return None if look.state.erased_position else act

    async def _act(self, name: ActName) -> Act | None:
        """Return the act of a name in this log; None where its position holds no such act of that relationship."""
        found = await self._fact(name, name.position)
        if found is None or found.topic not in TOPICS:
            return None
        if not isinstance(found.event, ConsentConfirmed):
            return Act(name, found)
        return Act(name, found, await self._fact(name, found.event.given_position))

    async def _fact(self, name: ActName, position: int) -> Fact | None:
        """Return the fact at a position, if it is one of the relationship named."""
        ledger = self._app.ledger
        reads = ledger.follower.reads
        head = await reads(ledger.store.head)
        row = await reads(ledger.store.get, position) if 0 < position <= head.position else None
        if row is None or row.stream_id != relationship_stream(name.organization_id, name.customer_id):
            return None
        return fact(row)

    async def _receipt(self, act: Act) -> bytes:
        """Return an act's receipt: with the terms of purposes as they were published by then, whatever came later."""
        view = View(END_OF_TIME, act.name.position)
        policy = await self._app.ledger.state_at(policy_stream(act.name.organization_id), view)
        registry = policy.state.purposes.current
        return receipt_of(act, {slug: purpose.dpv_iri for slug, purpose in registry.by_slug.items()})

    async def _refuse_unknown(self, name: ActName, min_position: int) -> None:
        stream_id = relationship_stream(name.organization_id, name.customer_id)
        look = await self._app.ledger.current(stream_id, min_position)
        if not look.version:
            raise Rejected(
                reasons.ERROR_REASON_RELATIONSHIP_UNKNOWN,
                "nothing was recorded between the two; check both ids",
                organization_id=name.organization_id,
                customer_id=name.customer_id,
            )


def _cells(scope: ConsentScope) -> Iterable[ConsentCell]:
    """Return the cells that an act names, the first STATUSES_MAX; what it does not narrow counts as any."""
    cells = product(
        scope.purposes or [""], scope.channels or [0], scope.contact_point_ids or [""], scope.brands or [""]
    )
    for purpose, channel, contact_point_id, brand in islice(cells, STATUSES_MAX):
        yield ConsentCell(
            purpose=purpose,
            channel=channel,  # type: ignore[arg-type]  # UNSPECIFIED stands for any.
            contact_point_id=contact_point_id,
            brand=brand,
        )
