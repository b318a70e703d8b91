"""The rpcs of ConsentService about acts other than giving, refusing and withdrawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from ledger.domain.decider import Step
from ledger.domain.identifiers import relationship_stream
from ledger.requests import Receipt
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as pb
from services.consent import steps, translate
from services.runtime.app import App

Context = grpc.aio.ServicerContext[Any, Any]


class Acts:
    """Records what was shown, asked, put off, confirmed, renewed, ended by others, objected to, and who may take part.

    Errors are listed in `consent_service.proto`.
    """

    _app: App

    async def _record(self, name: str, request: Any, plan: Callable[[Any], Sequence[Step]]) -> Receipt:
        """Record what the steps of a request cause; `name`: of the rpc."""
        raise NotImplementedError

    async def _record_no(self, name: str, request: Any, plan: Callable[[Any], Sequence[Step]]) -> Receipt:
        """Record a no, also of a customer whose data was erased."""
        raise NotImplementedError

    async def ServeNotice(  # noqa: N802  # Named by the proto.
        self,
        request: acts.ServeNoticeRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.ServeNoticeResponse:
        """Record that the customer was shown a notice."""
        receipt = await self._record("ServeNotice", request, steps.serve_steps)
        return translate.written(acts.ServeNoticeResponse(), receipt)

    async def RequestConsent(  # noqa: N802  # Named by the proto.
        self,
        request: acts.RequestConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.RequestConsentResponse:
        """Record that the customer was asked."""
        receipt = await self._record("RequestConsent", request, steps.request_steps)
        return translate.written(acts.RequestConsentResponse(), receipt)

    async def DeferConsent(  # noqa: N802  # Named by the proto.
        self,
        request: acts.DeferConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.DeferConsentResponse:
        """Record that the customer put the question off."""
        receipt = await self._record("DeferConsent", request, steps.defer_steps)
        return translate.written(acts.DeferConsentResponse(), receipt)

    async def ConfirmConsent(  # noqa: N802  # Named by the proto.
        self,
        request: acts.ConfirmConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.ConfirmConsentResponse:
        """Record the second step of a double opt-in."""
        return translate.confirmed(await self._record("ConfirmConsent", request, steps.confirm_steps))

    async def RenewConsent(  # noqa: N802  # Named by the proto.
        self,
        request: acts.RenewConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.RenewConsentResponse:
        """Record that the customer said again what was said before."""
        receipt = await self._record("RenewConsent", request, steps.renew_steps)
        return translate.written(acts.RenewConsentResponse(), receipt)

    async def RevokeConsent(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RevokeConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RevokeConsentResponse:
        """Record that somebody other than the customer ended a consent."""
        receipt = await self._record("RevokeConsent", request, steps.revoke_steps)
        return translate.ended(pb.RevokeConsentResponse(), receipt)

    async def InvalidateConsent(  # noqa: N802  # Named by the proto.
        self,
        request: pb.InvalidateConsentRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.InvalidateConsentResponse:
        """Record that a consent was found never to have been valid."""
        receipt = await self._record("InvalidateConsent", request, steps.invalidate_steps)
        return translate.ended(pb.InvalidateConsentResponse(), receipt)

    async def RaiseObjection(  # noqa: N802  # Named by the proto.
        self,
        request: acts.RaiseObjectionRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.RaiseObjectionResponse:
        """Record that the customer objects."""
        receipt = await self._record_no("RaiseObjection", request, steps.object_steps)
        return translate.written(acts.RaiseObjectionResponse(), receipt)

    async def LiftObjection(  # noqa: N802  # Named by the proto.
        self,
        request: acts.LiftObjectionRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.LiftObjectionResponse:
        """Record that an objection no longer stands."""
        receipt = await self._record("LiftObjection", request, steps.lift_steps)
        return translate.written(acts.LiftObjectionResponse(), receipt)

    async def HonourWithdrawal(  # noqa: N802  # Named by the proto.
        self,
        request: acts.HonourWithdrawalRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.HonourWithdrawalResponse:
        """Record that a system acts on a withdrawal or an objection."""
        receipt = await self._record("HonourWithdrawal", request, steps.honour_steps)
        return translate.written(acts.HonourWithdrawalResponse(), receipt)

    async def AppointGuardian(  # noqa: N802  # Named by the proto.
        self,
        request: acts.AppointGuardianRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.AppointGuardianResponse:
        """Record who may speak for a minor."""
        receipt = await self._record("AppointGuardian", request, steps.appoint_steps)
        return translate.written(acts.AppointGuardianResponse(), receipt)

    async def ReleaseGuardian(  # noqa: N802  # Named by the proto.
        self,
        request: acts.ReleaseGuardianRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.ReleaseGuardianResponse:
        """Record that a guardian no longer speaks for the customer."""
        receipt = await self._record("ReleaseGuardian", request, steps.release_steps)
        return translate.written(acts.ReleaseGuardianResponse(), receipt)

    async def GrantRecipient(  # noqa: N802  # Named by the proto.
        self,
        request: acts.GrantRecipientRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.GrantRecipientResponse:
        """Record that somebody else may receive data, within bounds."""
        receipt = await self._record("GrantRecipient", request, steps.grant_steps)
        return translate.written(acts.GrantRecipientResponse(), receipt)

    async def RevokeRecipient(  # noqa: N802  # Named by the proto.
        self,
        request: acts.RevokeRecipientRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.RevokeRecipientResponse:
        """Record that a recipient may no longer receive anything."""
        receipt = await self._record("RevokeRecipient", request, steps.revoke_recipient_steps)
        return translate.written(acts.RevokeRecipientResponse(), receipt)

    async def RecordDisclosure(  # noqa: N802  # Named by the proto.
        self,
        request: acts.RecordDisclosureRequest,
        context: Context,  # noqa: ARG002
    ) -> acts.RecordDisclosureResponse:
        """Record that data was passed on, allowed or not."""
        receipt = await self._record("RecordDisclosure", request, steps.disclose_steps)
        response = translate.written(acts.RecordDisclosureResponse(), receipt)
        stream_id = relationship_stream(request.organization_id, request.customer_id)
        look = await self._app.ledger.current(stream_id, receipt.position)
        response.grant_position = look.state.recipient_grants.used_by(response.position)
        response.within_grant = bool(response.grant_position)
        return response

    async def RecordInboundText(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RecordInboundTextRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RecordInboundTextResponse:
        """Record what a customer wrote, and a withdrawal where it is one."""
        return translate.text_recorded(await self._record("RecordInboundText", request, steps.text_steps))
