"""Acts of consent other than giving, refusing and withdrawing: shown, asked, confirmed, renewed, ended, objected to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.consent.v1 import consent_acts_pb2 as act_messages
from rapport.consent.v1 import consent_service_pb2 as messages
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from services.client.calls import Subject, request_id_or_new
from services.client.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.events.v1.attribute_pb2 import DisclosureRecorded
    from rapport.events.v1.consent_pb2 import (
        ConsentDeferred,
        ConsentEvidence,
        ConsentInvalidated,
        ConsentRenewed,
        ConsentRequested,
        ConsentRevoked,
        GuardianAppointed,
        GuardianReleased,
        NoticeServed,
        ObjectionLifted,
        ObjectionRaised,
        RecipientGrantGiven,
        RecipientGrantRevoked,
        WithdrawalHonoured,
    )
    from rapport.events.v1.interaction_pb2 import Channel
    from rapport.type.v1.event_context_pb2 import EventContext


class ConsentActs(Subject):
    """The part of ConsentService that records what is neither given, refused nor withdrawn by name."""

    async def serve_notice(
        self,
        organization_id: str,
        customer_id: str,
        notice: NoticeServed,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.ServeNoticeResponse:
        """Record that the customer was shown a notice, whose `sha256` is that of the text.

        Raises:
            RapportError: OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = act_messages.ServeNoticeRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            notice=notice,
            context=context,
        )
        return await self._calls.call(self._consents.ServeNotice, request, timeout_s)

    async def request_consent(
        self,
        organization_id: str,
        customer_id: str,
        asked: ConsentRequested,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.RequestConsentResponse:
        """Record that the customer was asked and has not answered.

        Raises:
            RapportError: NOTICE_UNKNOWN, OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = act_messages.RequestConsentRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            asked=asked,
            context=context,
        )
        return await self._calls.call(self._consents.RequestConsent, request, timeout_s)

    async def defer_consent(
        self,
        organization_id: str,
        customer_id: str,
        deferral: ConsentDeferred,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.DeferConsentResponse:
        """Record that the customer put the question off.

        Raises:
            RapportError: NOTICE_UNKNOWN, OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = act_messages.DeferConsentRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            deferral=deferral,
            context=context,
        )
        return await self._calls.call(self._consents.DeferConsent, request, timeout_s)

    async def renew_consent(
        self,
        organization_id: str,
        customer_id: str,
        renewal: ConsentRenewed,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.RenewConsentResponse:
        """Record that the customer said again what was said before; the consent is given whole.

        Raises:
            RapportError: as `give_consent`; CONSENT_UNKNOWN, or what any call may meet.
        """
        request = act_messages.RenewConsentRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            renewal=renewal,
            context=context,
        )
        return await self._calls.call(self._consents.RenewConsent, request, timeout_s)

    async def revoke_consent(
        self,
        organization_id: str,
        customer_id: str,
        revocation: ConsentRevoked,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RevokeConsentResponse:
        """Record that somebody other than the customer ended a consent.

        Raises:
            RapportError: OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = messages.RevokeConsentRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            revocation=revocation,
            context=context,
        )
        return await self._calls.call(self._consents.RevokeConsent, request, timeout_s)

    async def invalidate_consent(
        self,
        organization_id: str,
        customer_id: str,
        invalidation: ConsentInvalidated,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.InvalidateConsentResponse:
        """Record that a consent was found never to have been valid.

        Raises:
            RapportError: OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = messages.InvalidateConsentRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            invalidation=invalidation,
            context=context,
        )
        return await self._calls.call(self._consents.InvalidateConsent, request, timeout_s)

    async def lift_objection(
        self,
        organization_id: str,
        customer_id: str,
        lift: ObjectionLifted,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.LiftObjectionResponse:
        """Record that an objection no longer stands.

        Raises:
            RapportError: OBJECTION_UNKNOWN, OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = act_messages.LiftObjectionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            lift=lift,
            context=context,
        )
        return await self._calls.call(self._consents.LiftObjection, request, timeout_s)

    async def honour_withdrawal(
        self,
        organization_id: str,
        customer_id: str,
        honoured: WithdrawalHonoured,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.HonourWithdrawalResponse:
        """Record that a system acts on a withdrawal or an objection.

        Raises:
            RapportError: WITHDRAWAL_UNKNOWN, OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = act_messages.HonourWithdrawalRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            honoured=honoured,
            context=context,
        )
        return await self._calls.call(self._consents.HonourWithdrawal, request, timeout_s)

    async def appoint_guardian(
        self,
        organization_id: str,
        customer_id: str,
        guardian: GuardianAppointed,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.AppointGuardianResponse:
        """Record who may speak for a customer who is a minor.

        Raises:
            RapportError: OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = act_messages.AppointGuardianRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            guardian=guardian,
            context=context,
        )
        return await self._calls.call(self._consents.AppointGuardian, request, timeout_s)

    async def release_guardian(
        self,
        organization_id: str,
        customer_id: str,
        release: GuardianReleased,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.ReleaseGuardianResponse:
        """Record that a guardian no longer speaks for the customer.

        Raises:
            RapportError: GUARDIAN_UNKNOWN, OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = act_messages.ReleaseGuardianRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            release=release,
            context=context,
        )
        return await self._calls.call(self._consents.ReleaseGuardian, request, timeout_s)

    async def grant_recipient(
        self,
        organization_id: str,
        customer_id: str,
        grant: RecipientGrantGiven,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.GrantRecipientResponse:
        """Record that somebody else may receive data, within bounds.

        Raises:
            RapportError: RECIPIENT_GRANT_TOO_LONG, OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = act_messages.GrantRecipientRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            grant=grant,
            context=context,
        )
        return await self._calls.call(self._consents.GrantRecipient, request, timeout_s)

    async def revoke_recipient(
        self,
        organization_id: str,
        customer_id: str,
        revocation: RecipientGrantRevoked,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.RevokeRecipientResponse:
        """Record that a recipient may no longer receive anything. Never refused."""
        request = act_messages.RevokeRecipientRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            revocation=revocation,
            context=context,
        )
        return await self._calls.call(self._consents.RevokeRecipient, request, timeout_s)

    async def record_disclosure(
        self,
        organization_id: str,
        customer_id: str,
        disclosure: DisclosureRecorded,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.RecordDisclosureResponse:
        """Record that data was passed on, allowed or not; the answer says whether a grant covered it.

        Raises:
            RapportError: OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = act_messages.RecordDisclosureRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            disclosure=disclosure,
            context=context,
        )
        return await self._calls.call(self._consents.RecordDisclosure, request, timeout_s)

    async def confirm_consent(
        self,
        organization_id: str,
        customer_id: str,
        confirmation_token: str,
        *,
        purposes: Iterable[str] = (),
        evidence: ConsentEvidence | None = None,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.ConfirmConsentResponse:
        """Record that the customer brought back the token of a consent. `purposes` default: all of the consent.

        Raises:
            RapportError: CONFIRMATION_NOT_POSSIBLE, CONSENT_WITHDRAWN_SINCE, OCCUR_TIME_IN_FUTURE, or what any call may
                meet.
        """
        request = act_messages.ConfirmConsentRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            confirmation_token=confirmation_token,
            purposes=purposes,
            evidence=evidence,
            context=context,
        )
        return await self._calls.call(self._consents.ConfirmConsent, request, timeout_s)

    async def raise_objection(
        self,
        organization_id: str,
        customer_id: str,
        objection: ObjectionRaised | None = None,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> act_messages.RaiseObjectionResponse:
        """Record that the customer objects. Default: to everything. Never refused for its scope or its time."""
        request = act_messages.RaiseObjectionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            objection=objection,
            context=context,
        )
        return await self._calls.call(self._consents.RaiseObjection, request, timeout_s)

    async def record_inbound_text(
        self,
        organization_id: str,
        customer_id: str,
        text: str,
        channel: Channel.ValueType,
        *,
        contact_point_id: str = "",
        brand: str = "",
        purpose: str = "",
        in_reply_to: int = 0,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.RecordInboundTextResponse:
        """Record what a customer wrote; where it is a word of the contact policy, also as a withdrawal.

        `purpose`: of the message that it answers, where it is known; `in_reply_to`: position of that message.

        Raises:
            RapportError: OCCUR_TIME_IN_FUTURE, or what any call may meet.
        """
        request = messages.RecordInboundTextRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            channel=channel,
            contact_point_id=contact_point_id,
            brand=brand,
            purpose=purpose,
            in_reply_to=in_reply_to,
            text=text,
            context=context,
        )
        return await self._calls.call(self._consents.RecordInboundText, request, timeout_s)

    @property
    def _consents(self) -> ConsentServiceStub:
        return self._calls.stub(ConsentServiceStub)
