"""Receipts of what a customer said: issued, and checked."""

from __future__ import annotations

from rapport.consent.v1 import receipt_pb2
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from services.client.calls import Subject


class Receipts(Subject):
    """ConsentService, as far as it deals in receipts."""

    async def issue_receipt(
        self,
        organization_id: str,
        customer_id: str,
        consent_position: int,
        *,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> receipt_pb2.IssueReceiptResponse:
        """Return the receipt of an act by its log position; the same act gives the same bytes for ever.

        Raises:
            RapportError: CONSENT_UNKNOWN, RELATIONSHIP_UNKNOWN, or what any call may meet.
        """
        request = receipt_pb2.IssueReceiptRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            consent_position=consent_position,
            min_position=min_position,
        )
        return await self._calls.call(self._receipts.IssueReceipt, request, timeout_s)

    async def verify_receipt(
        self, receipt: bytes, *, timeout_s: float | None = None
    ) -> receipt_pb2.VerifyReceiptResponse:
        """Return whether a receipt is what the log attests, and what holds now of what it is about.

        It has to be the bytes that were issued: written anew, by any program, it is another file. At most 131,072.
        """
        request = receipt_pb2.VerifyReceiptRequest(receipt=receipt)
        return await self._calls.call(self._receipts.VerifyReceipt, request, timeout_s)

    @property
    def _receipts(self) -> ConsentServiceStub:
        return self._calls.stub(ConsentServiceStub)
