"""From requests about consents to steps.

A withdrawal is never turned away for its time: one that cannot be kept counts as now (consent.md 4, rule 1); an
objection neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.contact.texts import RecordText
from ledger.domain.consent import GiveConsent, RefuseConsent, RenewConsent, WithdrawConsent
from ledger.domain.consent_asking import DeferConsent, RequestConsent
from ledger.domain.consent_confirming import ConfirmConsent
from ledger.domain.consent_ending import HonourWithdrawal, InvalidateConsent, RevokeConsent
from ledger.domain.decider import Step
from ledger.domain.guardian import AppointGuardian, ReleaseGuardian
from ledger.domain.identifiers import relationship_stream
from ledger.domain.notice import ServeNotice
from ledger.domain.objection import LiftObjection, RaiseObjection
from ledger.domain.recipient_grant import GrantRecipient, RecordDisclosure, RevokeRecipient
from ledger.domain.times import END_OF_TIME, START_OF_TIME, microseconds
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.events.v1.consent_pb2 import ConsentRefused, ConsentWithdrawn, ObjectionRaised
from services.consent import faults
from services.runtime.translating import context_of, stream_of, time_of
from services.runtime.validation import check

_NANOSECONDS: Final = 1_000_000_000


def give_steps(request: pb.GiveConsentRequest) -> Sequence[Step]:
    """Return the step of a GiveConsent.

    Raises:
        Invalid: the request breaks rules; every violation is named. So do all that follow.
    """
    check(request, *faults.of_consent("consent", request.consent))
    return (GiveConsent(stream_of(request), request.consent, time_of(request), context_of(request)),)


def refuse_steps(request: pb.RefuseConsentRequest) -> Sequence[Step]:
    """Return the step of a RefuseConsent; one that says nothing refuses everything."""
    check(request)
    refusal = request.refusal if request.HasField("refusal") else ConsentRefused()
    return (RefuseConsent(stream_of(request), refusal, time_of(request), context_of(request)),)


def withdraw_steps(request: pb.WithdrawConsentRequest) -> Sequence[Step]:
    """Return the step of a WithdrawConsent; one that says nothing takes all back. Invalid: ids and sizes only."""
    check(request)
    withdrawal = request.withdrawal if request.HasField("withdrawal") else ConsentWithdrawn()
    return (WithdrawConsent(stream_of(request), withdrawal, _lenient_time(request), context_of(request)),)


def serve_steps(request: acts.ServeNoticeRequest) -> Sequence[Step]:
    """Return the step of a ServeNotice."""
    check(request, *faults.of_notice("notice", request.notice))
    return (ServeNotice(stream_of(request), request.notice, time_of(request), context_of(request)),)


def request_steps(request: acts.RequestConsentRequest) -> Sequence[Step]:
    """Return the step of a RequestConsent."""
    check(request, *faults.of_question("asked", request.asked))
    return (RequestConsent(stream_of(request), request.asked, time_of(request), context_of(request)),)


def defer_steps(request: acts.DeferConsentRequest) -> Sequence[Step]:
    """Return the step of a DeferConsent."""
    check(request)
    return (DeferConsent(stream_of(request), request.deferral, time_of(request), context_of(request)),)


def confirm_steps(request: acts.ConfirmConsentRequest) -> Sequence[Step]:
    """Return the step of a ConfirmConsent."""
    check(request)
    step = ConfirmConsent(
        stream_of(request),
        sha256(request.confirmation_token.encode()).digest(),
        tuple(request.purposes),
        request.evidence if request.HasField("evidence") else None,
        time_of(request),
        context_of(request),
    )
    return (step,)


def renew_steps(request: acts.RenewConsentRequest) -> Sequence[Step]:
    """Return the step of a RenewConsent."""
    check(request, *faults.of_renewal("renewal", request.renewal))
    return (RenewConsent(stream_of(request), request.renewal, time_of(request), context_of(request)),)


def revoke_steps(request: pb.RevokeConsentRequest) -> Sequence[Step]:
    """Return the step of a RevokeConsent."""
    check(request)
    return (RevokeConsent(stream_of(request), request.revocation, time_of(request), context_of(request)),)


def invalidate_steps(request: pb.InvalidateConsentRequest) -> Sequence[Step]:
    """Return the step of an InvalidateConsent."""
    check(request)
    return (InvalidateConsent(stream_of(request), request.invalidation, time_of(request), context_of(request)),)


def object_steps(request: acts.RaiseObjectionRequest) -> Sequence[Step]:
    """Return the step of a RaiseObjection; one that says nothing objects to everything. Invalid: ids and sizes only."""
    check(faults.judged(request))
    request.DiscardUnknownFields()
    objection = request.objection if request.HasField("objection") else ObjectionRaised()
    return (RaiseObjection(stream_of(request), objection, _lenient_time(request), context_of(request)),)


def lift_steps(request: acts.LiftObjectionRequest) -> Sequence[Step]:
    """Return the step of a LiftObjection."""
    check(request)
    return (LiftObjection(stream_of(request), request.lift, time_of(request), context_of(request)),)


def honour_steps(request: acts.HonourWithdrawalRequest) -> Sequence[Step]:
    """Return the step of a HonourWithdrawal."""
    check(request)
    return (HonourWithdrawal(stream_of(request), request.honoured, time_of(request), context_of(request)),)


def appoint_steps(request: acts.AppointGuardianRequest) -> Sequence[Step]:
    """Return the step of an AppointGuardian."""
    check(request)
    return (AppointGuardian(stream_of(request), request.guardian, time_of(request), context_of(request)),)


def release_steps(request: acts.ReleaseGuardianRequest) -> Sequence[Step]:
    """Return the step of a ReleaseGuardian."""
    check(request)
    return (ReleaseGuardian(stream_of(request), request.release, time_of(request), context_of(request)),)


def grant_steps(request: acts.GrantRecipientRequest) -> Sequence[Step]:
    """Return the step of a GrantRecipient."""
    check(request)
    return (GrantRecipient(stream_of(request), request.grant, time_of(request), context_of(request)),)


def revoke_recipient_steps(request: acts.RevokeRecipientRequest) -> Sequence[Step]:
    """Return the step of a RevokeRecipient."""
    check(request)
    return (RevokeRecipient(stream_of(request), request.revocation, time_of(request), context_of(request)),)


def disclose_steps(request: acts.RecordDisclosureRequest) -> Sequence[Step]:
    """Return the step of a RecordDisclosure."""
    check(request)
    return (RecordDisclosure(stream_of(request), request.disclosure, time_of(request), context_of(request)),)


def text_steps(request: pb.RecordInboundTextRequest) -> Sequence[Step]:
    """Return the step of a RecordInboundText."""
    check(request)
    step = RecordText(
        stream_id=stream_of(request),
        text=request.text,
        channel=request.channel,
        contact_point_id=request.contact_point_id,
        brand=request.brand,
        purpose=request.purpose,
        in_reply_to=request.in_reply_to,
        occur_time=time_of(request),
        context=context_of(request),
    )
    return (step,)


def batch_steps(request: pb.ApplyConsentsRequest) -> Sequence[Step]:
    """Return the steps of a batch, one for each act."""
    found = [fault for index, act in enumerate(request.items) for fault in faults.of_act(f"items[{index}]", act)]
    check(request, *found)
    organization_id = request.organization_id
    return [_act(organization_id, act) for act in request.items]


def item_steps(organization_id: str, item: pb.IngestConsentsItem) -> Sequence[Step]:
    """Return the step of an item that was found to keep the rules of its proto."""
    found = [*faults.of_act("act", item.act)]
    if found:
        check(item, *found)
    return (_act(organization_id, item.act),)


_ACTS: Final[dict[str, Callable[..., Step]]] = {
    "given": GiveConsent,
    "refused": RefuseConsent,
    "withdrawn": WithdrawConsent,
    "requested": RequestConsent,
    "deferred": DeferConsent,
    "renewed": RenewConsent,
    "revoked": RevokeConsent,
    "invalidated": InvalidateConsent,
    "objected": RaiseObjection,
    "notice_served": ServeNotice,
}


def _act(organization_id: str, act: pb.ConsentAct) -> Step:
    name = act.WhichOneof("act")
    assert name is not None, "the proto requires one"
    stream_id = relationship_stream(organization_id, act.customer_id)
    return _ACTS[name](stream_id, getattr(act, name), time_of(act), context_of(act))


def _lenient_time(request: Any) -> int | None:
    """Return the time of a no; None, which means now, where there is none, or none that can be kept."""
    if not request.HasField("occur_time"):
        return None
    time: Timestamp = request.occur_time
    found = microseconds(time)
    if not 0 <= time.nanos < _NANOSECONDS or found < START_OF_TIME:
        return None
    return min(found, END_OF_TIME - 1)  # Later than the clock all the same.
