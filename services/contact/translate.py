"""From requests about contacts to steps and points of view, and from receipts to responses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ledger.contact.deciding import AbortContact
from ledger.domain.contact_policy import filled
from ledger.domain.contact_policy_rules import faults_of_policy
from ledger.domain.decider import Step
from ledger.domain.errors import Rejected, Violation
from ledger.domain.identifiers import relationship_stream
from ledger.domain.policy import PolicyState
from ledger.domain.publishing import CONTACT
from ledger.domain.suppression import AddSuppression, ImportSuppression, LiftSuppression, Suppression
from ledger.domain.times import microseconds
from ledger.policy.valuation import unknown as policy_unknown
from ledger.requests import Receipt
from ledger.views import View
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import SUPPRESSION_REASON_EXTERNAL_LIST, SuppressionAdded
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from rapport.type.v1.window_pb2 import Window
from services.runtime.times import set_time
from services.runtime.translating import as_of_told, context_of, place_of, time_of
from services.runtime.validation import check

NO_POLICY: Final = Violation("contact_policy_version", "must be a published version, unless a policy is given")
"""What is wrong with a request that names no contact policy where one must be named."""


def abort_steps(request: pb.AbortContactRequest) -> Sequence[Step]:
    """Return the step of an AbortContact.

    Raises:
        Invalid: the request breaks rules; every violation is named.
    """
    check(request)
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    return (AbortContact(stream_id, request.abort, time_of(request), context_of(request)),)


def aborted(receipt: Receipt) -> pb.AbortContactResponse:
    """Return the answer to an AbortContact."""
    place = place_of(receipt)
    response = pb.AbortContactResponse(position=place.position, version=place.version, replayed=receipt.replayed)
    set_time(response.record_time, receipt.record_time)
    return response


def add_steps(request: pb.AddSuppressionRequest) -> Sequence[Step]:
    """Return the step of an AddSuppression; raises as `abort_steps`."""
    check(request, *_list_faults(request.suppression))
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    return (AddSuppression(stream_id, request.suppression, time_of(request), context_of(request)),)


def added(receipt: Receipt) -> pb.AddSuppressionResponse:
    """Return the answer to an AddSuppression."""
    place = place_of(receipt)
    response = pb.AddSuppressionResponse(position=place.position, version=place.version, replayed=receipt.replayed)
    set_time(response.record_time, receipt.record_time)
    return response


def lift_steps(request: pb.LiftSuppressionRequest) -> Sequence[Step]:
    """Return the step of a LiftSuppression; raises as `abort_steps`."""
    nobody = () if request.context.actor else (Violation("context.actor", "must say who lifts it"),)
    check(request, *nobody)
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    return (LiftSuppression(stream_id, request.lift, time_of(request), context_of(request)),)


def lifted(receipt: Receipt) -> pb.LiftSuppressionResponse:
    """Return the answer to a LiftSuppression."""
    place = place_of(receipt)
    response = pb.LiftSuppressionResponse(position=place.position, version=place.version, replayed=receipt.replayed)
    set_time(response.record_time, receipt.record_time)
    return response


def import_steps(request: pb.ImportSuppressionsRequest) -> Sequence[Step]:
    """Return the steps of an ImportSuppressions, one for each entry; raises as `abort_steps`."""
    check(request)
    organization_id, context = request.organization_id, context_of(request)
    return [
        ImportSuppression(relationship_stream(organization_id, entry.customer_id), _listed(request, entry), context)
        for entry in request.entries
    ]


def imported(receipt: Receipt) -> pb.ImportSuppressionsResponse:
    """Return the answer to an ImportSuppressions."""
    added_count = sum(1 for step in receipt.steps if step.places)
    response = pb.ImportSuppressionsResponse(
        added_count=added_count,
        known_count=len(receipt.steps) - added_count,
        position=receipt.position,
        replayed=receipt.replayed,
    )
    set_time(response.record_time, receipt.record_time)
    return response


def suppressions(found: Sequence[Suppression], view: View) -> pb.GetSuppressionsResponse:
    """Return the answer to a GetSuppressions."""
    response = pb.GetSuppressionsResponse(position=view.position, as_of=as_of_told(view.occur_time, view.position))
    for each in found:
        told = response.suppressions.add(
            suppression=each.message, position=each.position, lifted_position=each.lifted_position
        )
        set_time(told.added_time, each.occur_time)
        if each.lifted_position:
            set_time(told.lifted_time, each.lifted_time)
    return response


def policy_faults(
    request: pb.SimulateDecisionRequest | pb.SimulatePolicyRequest, published: PolicyState, now: int
) -> Iterator[Violation]:
    """Yield what is wrong with the contact policy that a request gives. `now`: microseconds."""
    if not request.HasField("contact_policy"):
        return
    if request.contact_policy_version:
        yield Violation("contact_policy_version", "must be 0 where a policy is given")
    for fault in faults_of_policy(request.contact_policy, published.purposes.current.by_slug, now):
        yield fault.violation._replace(field=f"contact_policy.{fault.violation.field}")


def other_policy(
    request: pb.SimulateDecisionRequest | pb.SimulatePolicyRequest, published: PolicyState
) -> ContactPolicy | None:
    """Return the contact policy that a request names or gives, whole; None: it does neither.

    Raises:
        Rejected: POLICY_UNKNOWN.
    """
    if request.HasField("contact_policy"):
        return filled(request.contact_policy)
    version = request.contact_policy_version
    if not version:
        return None
    found = published.contact.version(version)
    if found is None:
        raise policy_unknown(CONTACT, version)
    return found.policy


def bounds(window: Window, field: str) -> tuple[int | None, int | None]:
    """Return the bounds of a window, (from, to], in microseconds; None: it has none on that side.

    Raises:
        Rejected: WINDOW_INVALID.
    """
    begin = microseconds(getattr(window, "from")) if window.HasField("from") else None
    end = microseconds(window.to) if window.HasField("to") else None
    if begin is not None and end is not None and begin >= end:
        reason = reasons.ERROR_REASON_WINDOW_INVALID
        description = "must end after it begins"
        raise Rejected(reason, f"the window {description}", [Violation(field, description, reason)])
    return begin, end


def unknown(organization_id: str, customer_id: str) -> Rejected:
    """Return the refusal of a relationship in which nothing was recorded."""
    return Rejected(
        reasons.ERROR_REASON_RELATIONSHIP_UNKNOWN,
        "nothing was recorded between the two; check both ids",
        organization_id=organization_id,
        customer_id=customer_id,
    )


def _listed(request: pb.ImportSuppressionsRequest, entry: pb.SuppressionEntry) -> SuppressionAdded:
    return SuppressionAdded(
        reason=SUPPRESSION_REASON_EXTERNAL_LIST,
        channel=entry.channel,
        contact_point_id=entry.contact_point_id,
        list_name=request.list_name,
        list_version=request.list_version,
        list_sha256=request.list_sha256,
        list_time=request.list_time if request.HasField("list_time") else None,
    )


def _list_faults(suppression: SuppressionAdded) -> list[Violation]:
    if suppression.reason != SUPPRESSION_REASON_EXTERNAL_LIST:
        return []
    description = "value is required for EXTERNAL_LIST"
    return [
        Violation(f"suppression.{name}", description)
        for name in ("list_name", "list_version")
        if not getattr(suppression, name)
    ]
