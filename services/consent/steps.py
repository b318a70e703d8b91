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
from rapport.type.v1.event_context_pb2 import EventContext
from services.consent import faults
from services.runtime.validation import check

_NANOSECONDS: Final = 1_000_000_000


def give_steps(request: pb.GiveConsentRequest) -> Sequence[Step]:
    """Return the step of a GiveConsent.

    Raises:
        Invalid: the request breaks rules; every violation is named. So do all that follow.
    """
    check(request, *faults.of_consent("consent", request.consent))
    return (GiveConsent(_stream(request), request.consent, _time(request), _context(request)),)


def refuse_steps(request: pb.RefuseConsentRequest) -> Sequence[Step]:
    """Return the step of a RefuseConsent; one that says nothing refuses everything."""
    check(request)
    refusal = request.refusal if request.HasField("refusal") else ConsentRefused()
    return (RefuseConsent(_stream(request), refusal, _time(request), _context(request)),)


def withdraw_steps(request: pb.WithdrawConsentRequest) -> Sequence[Step]:
    """Return the step of a WithdrawConsent; one that says nothing takes all back. Invalid: ids and sizes only."""
    check(request)
    withdrawal = request.withdrawal if request.HasField("withdrawal") else ConsentWithdrawn()
    return (WithdrawConsent(_stream(request), withdrawal, _lenient_time(request), _context(request)),)


def serve_steps(request: acts.ServeNoticeRequest) -> Sequence[Step]:
    """Return the step of a ServeNotice."""
    check(request, *faults.of_notice("notice", request.notice))
    return (ServeNotice(_stream(request), request.notice, _time(request), _context(request)),)


def request_steps(request: acts.RequestConsentRequest) -> Sequence[Step]:
    """Return the step of a RequestConsent."""
    check(request, *faults.of_question("asked", request.asked))
    return (RequestConsent(_stream(request), request.asked, _time(request), _context(request)),)


def defer_steps(request: acts.DeferConsentRequest) -> Sequence[Step]:
    """Return the step of a DeferConsent."""
    check(request)
    return (DeferConsent(_stream(request), request.deferral, _time(request), _context(request)),)


def confirm_steps(request: acts.ConfirmConsentRequest) -> Sequence[Step]:
    """Return the step of a ConfirmConsent."""
    check(request)
    step = ConfirmConsent(
        _stream(request),
        sha256(request.confirmation_token.encode()).digest(),
        tuple(request.purposes),
        request.evidence if request.HasField("evidence") else None,
        _time(request),
        _context(request),
    )
    return (step,)


def renew_steps(request: acts.RenewConsentRequest) -> Sequence[Step]:
    """Return the step of a RenewConsent."""
    check(request, *faults.of_renewal("renewal", request.renewal))
    return (RenewConsent(_stream(request), request.renewal, _time(request), _context(request)),)


def revoke_steps(request: pb.RevokeConsentRequest) -> Sequence[Step]:
    """Return the step of a RevokeConsent."""
    check(request)
    return (RevokeConsent(_stream(request), request.revocation, _time(request), _context(request)),)


def invalidate_steps(request: pb.InvalidateConsentRequest) -> Sequence[Step]:
    """Return the step of an InvalidateConsent."""
    check(request)
    return (InvalidateConsent(_stream(request), request.invalidation, _time(request), _context(request)),)


def object_steps(request: acts.RaiseObjectionRequest) -> Sequence[Step]:
    """Return the step of a RaiseObjection; one that says nothing objects to everything. Invalid: ids and sizes only."""
    check(faults.judged(request))
    request.DiscardUnknownFields()
    objection = request.objection if request.HasField("objection") else ObjectionRaised()
    return (RaiseObjection(_stream(request), objection, _lenient_time(request), _context(request)),)


def lift_steps(request: acts.LiftObjectionRequest) -> Sequence[Step]:
    """Return the step of a LiftObjection."""
    check(request)
    return (LiftObjection(_stream(request), request.lift, _time(request), _context(request)),)


def honour_steps(request: acts.HonourWithdrawalRequest) -> Sequence[Step]:
    """Return the step of a HonourWithdrawal."""
    check(request)
    return (HonourWithdrawal(_stream(request), request.honoured, _time(request), _context(request)),)


def appoint_steps(request: acts.AppointGuardianRequest) -> Sequence[Step]:
    """Return the step of an AppointGuardian."""
    check(request)
    return (AppointGuardian(_stream(request), request.guardian, _time(request), _context(request)),)


def release_steps(request: acts.ReleaseGuardianRequest) -> Sequence[Step]:
    """Return the step of a ReleaseGuardian."""
    check(request)
    return (ReleaseGuardian(_stream(request), request.release, _time(request), _context(request)),)


def grant_steps(request: acts.GrantRecipientRequest) -> Sequence[Step]:
    """Return the step of a GrantRecipient."""
    check(request)
    return (GrantRecipient(_stream(request), request.grant, _time(request), _context(request)),)


def revoke_recipient_steps(request: acts.RevokeRecipientRequest) -> Sequence[Step]:
    """Return the step of a RevokeRecipient."""
    check(request)
    return (RevokeRecipient(_stream(request), request.revocation, _time(request), _context(request)),)


def disclose_steps(request: acts.RecordDisclosureRequest) -> Sequence[Step]:
    """Return the step of a RecordDisclosure."""
    check(request)
    return (RecordDisclosure(_stream(request), request.disclosure, _time(request), _context(request)),)


def text_steps(request: pb.RecordInboundTextRequest) -> Sequence[Step]:
    """Return the step of a RecordInboundText."""
    check(request)
    step = RecordText(
        stream_id=_stream(request),
        text=request.text,
        channel=request.channel,
        contact_point_id=request.contact_point_id,
        brand=request.brand,
        purpose=request.purpose,
        in_reply_to=request.in_reply_to,
        occur_time=_time(request),
        context=_context(request),
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
    return _ACTS[name](stream_id, getattr(act, name), _time(act), _context(act))


def _stream(request: Any) -> str:
    return relationship_stream(request.organization_id, request.customer_id)


def _time(request: Any) -> int | None:
    return microseconds(request.occur_time) if request.HasField("occur_time") else None


def _context(request: Any) -> EventContext | None:
    return request.context if request.HasField("context") else None


def _lenient_time(request: Any) -> int | None:
    """Return the time of a no; None, which means now, where there is none, or none that can be kept."""
    if not request.HasField("occur_time"):
        return None
    time: Timestamp = request.occur_time
    found = microseconds(time)
    if not 0 <= time.nanos < _NANOSECONDS or found < START_OF_TIME:
        return None
    return min(found, END_OF_TIME - 1)  # Later than the clock all the same.
