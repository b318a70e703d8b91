"""From requests about customers to steps, and from receipts to responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from ledger.domain.attribute import (
    DiscloseAttribute,
    InferAttribute,
    ObserveAttribute,
    ObtainAttribute,
    RequestAttribute,
    WithdrawAttribute,
)
from ledger.domain.decider import Step
from ledger.domain.errors import Rejected
from ledger.domain.identifiers import relationship_stream
from ledger.domain.identity import Joined, LinkCustomers, UnlinkCustomers
from ledger.domain.preference import ClearPreference, DeclarePreference
from ledger.domain.profile import DeclareProfile, RevokeIdentifier, VerifyIdentifier, is_void
from ledger.domain.promise import (
    CancelPromise,
    KeepPromise,
    MakePromise,
    Standing,
    TriggerPromise,
    noted_due,
)
from ledger.requests import Receipt
from rapport.customer.v1 import customer_service_pb2 as pb
from rapport.events.v1.identity_pb2 import IdentifierVerified
from services.customer import faults
from services.runtime.times import set_time
from services.runtime.translating import context_of, stream_of, time_of
from services.runtime.validation import check

STATES: Final[dict[Standing, pb.PromiseState.ValueType]] = {
    standing: pb.PromiseState.Value(f"PROMISE_STATE_{standing.name}") for standing in Standing
}
"""Where a promise stands, as answers say it."""

_Response = TypeVar("_Response")


def profile_steps(request: pb.DeclareProfileRequest) -> Sequence[Step]:
    """Return the step of a DeclareProfile.

    Raises:
        Invalid: the request breaks rules; every violation is named. So do all that follow.
    """
    check(request, *faults.profile_faults(request.profile))
    return (DeclareProfile(stream_of(request), request.profile, time_of(request), context_of(request)),)


def verify_steps(request: pb.VerifyIdentifierRequest) -> Sequence[Step]:
    """Return the step of a VerifyIdentifier; a contact point whose address is nobody's is recorded as shared.

    Here, while the address can be read: it is sealed, so whoever links later cannot see that it says nothing.
    """
    check(request, *faults.identifier_faults(request.identifier))
    identifier = request.identifier
    if identifier.address and is_void(identifier.address):
        identifier = IdentifierVerified()
        identifier.CopyFrom(request.identifier)
        identifier.shared = True
    return (VerifyIdentifier(stream_of(request), identifier, time_of(request), context_of(request)),)


def revoke_steps(request: pb.RevokeIdentifierRequest) -> Sequence[Step]:
    """Return the step of a RevokeIdentifier."""
    check(request)
    return (RevokeIdentifier(stream_of(request), request.revocation, time_of(request), context_of(request)),)


def link_steps(request: pb.LinkCustomersRequest) -> Sequence[Step]:
    """Return the two steps of a LinkCustomers, one for each stream; all is asked in the first."""
    check(request, *faults.link_faults(request.link))
    link = request.link
    stream_id = relationship_stream(request.organization_id, link.customer_a_id)
    other = relationship_stream(request.organization_id, link.customer_b_id)
    first = LinkCustomers(stream_id, other, link, time_of(request), context_of(request))
    return (first, Joined(other, first))


def unlink_steps(request: pb.UnlinkCustomersRequest) -> Sequence[Step]:
    """Return the two steps of an UnlinkCustomers, one for each stream; all is asked in the first."""
    check(request)
    stream_id = relationship_stream(request.organization_id, request.customer_a_id)
    other = relationship_stream(request.organization_id, request.customer_b_id)
    first = UnlinkCustomers(stream_id, request.customer_b_id, request.unlink, time_of(request), context_of(request))
    return (first, Joined(other, first))


def declare_steps(request: pb.DeclarePreferenceRequest) -> Sequence[Step]:
    """Return the step of a DeclarePreference."""
    check(request, *faults.preference_faults(request.preference))
    return (DeclarePreference(stream_of(request), request.preference, time_of(request), context_of(request)),)


def clear_steps(request: pb.ClearPreferenceRequest) -> Sequence[Step]:
    """Return the step of a ClearPreference."""
    check(request, *faults.clearing_faults(request.clearing))
    return (ClearPreference(stream_of(request), request.clearing, time_of(request), context_of(request)),)


def request_steps(request: pb.RequestAttributeRequest) -> Sequence[Step]:
    """Return the step of a RequestAttribute."""
    check(request)
    return (RequestAttribute(stream_of(request), request.asked, time_of(request), context_of(request)),)


def disclose_steps(request: pb.DiscloseAttributeRequest) -> Sequence[Step]:
    """Return the step of a DiscloseAttribute."""
    check(request, *faults.value_faults(request.attribute))
    return (DiscloseAttribute(stream_of(request), request.attribute, time_of(request), context_of(request)),)


def observe_steps(request: pb.ObserveAttributeRequest) -> Sequence[Step]:
    """Return the step of an ObserveAttribute."""
    check(request, *faults.value_faults(request.attribute))
    return (ObserveAttribute(stream_of(request), request.attribute, time_of(request), context_of(request)),)


def infer_steps(request: pb.InferAttributeRequest) -> Sequence[Step]:
    """Return the step of an InferAttribute."""
    check(request, *faults.value_faults(request.attribute))
    return (InferAttribute(stream_of(request), request.attribute, time_of(request), context_of(request)),)


def obtain_steps(request: pb.ObtainAttributeRequest) -> Sequence[Step]:
    """Return the step of an ObtainAttribute."""
    check(request, *faults.value_faults(request.attribute))
    return (ObtainAttribute(stream_of(request), request.attribute, time_of(request), context_of(request)),)


def withdraw_steps(request: pb.WithdrawAttributeRequest) -> Sequence[Step]:
    """Return the step of a WithdrawAttribute."""
    check(request)
    return (WithdrawAttribute(stream_of(request), request.withdrawal, time_of(request), context_of(request)),)


def promise_steps(request: pb.MakePromiseRequest) -> Sequence[Step]:
    """Return the step of a MakePromise."""
    check(request, *faults.promise_faults(request.promise))
    return (MakePromise(stream_of(request), request.promise, time_of(request), context_of(request)),)


def trigger_steps(request: pb.TriggerPromiseRequest) -> Sequence[Step]:
    """Return the step of a TriggerPromise."""
    check(request)
    return (TriggerPromise(stream_of(request), request.trigger, time_of(request), context_of(request)),)


def keep_steps(request: pb.KeepPromiseRequest) -> Sequence[Step]:
    """Return the step of a KeepPromise."""
    check(request)
    return (KeepPromise(stream_of(request), request.kept, time_of(request), context_of(request)),)


def cancel_steps(request: pb.CancelPromiseRequest) -> Sequence[Step]:
    """Return the step of a CancelPromise."""
    check(request, *faults.cancellation_faults(request.cancellation))
    return (CancelPromise(stream_of(request), request.cancellation, time_of(request), context_of(request)),)


def written(response: _Response, receipt: Receipt) -> _Response:
    """Fill in what the answer to every write of one event says, and return it."""
    told: Any = response  # They have these fields in common, and no type.
    ((place,),) = (step.places for step in receipt.steps)
    told.position, told.version, told.replayed = place.position, place.version, receipt.replayed
    set_time(told.record_time, receipt.record_time)
    return response


def triggered(receipt: Receipt) -> pb.TriggerPromiseResponse:
    """Return the answer to a TriggerPromise."""
    response = written(pb.TriggerPromiseResponse(), receipt)
    set_time(response.due_time, noted_due(receipt.steps[0].note))
    return response


def kept(receipt: Receipt) -> pb.KeepPromiseResponse:
    """Return the answer to a KeepPromise."""
    response = written(pb.KeepPromiseResponse(), receipt)
    (number,) = receipt.steps[0].note
    response.state = STATES[Standing(number)]
    return response


def joined(response: _Response, receipt: Receipt) -> _Response:
    """Fill in what the answer to a write of two streams says, and return it."""
    told: Any = response  # As in `written`.
    told.position_a, told.position_b = (step.places[0].position for step in receipt.steps)
    told.replayed = receipt.replayed
    set_time(told.record_time, receipt.record_time)
    return response


def alone(refusal: Rejected) -> Rejected:
    """Return a refusal as the caller asked: a link is one thing to ask, though it takes a step for each stream."""
    values = {name: value for name, value in refusal.metadata.items() if name != "operation_index"}
    return Rejected(refusal.reason, str(refusal), refusal.violations, **values)
