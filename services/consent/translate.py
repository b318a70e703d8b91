"""From requests about consents to steps, and from receipts and states to responses.

A withdrawal is never turned away for its time: one that cannot be kept counts as now (consent.md 4, rule 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from ledger.domain.consent import (
    Cell,
    CellVerdict,
    ConsentState,
    GiveConsent,
    RefuseConsent,
    WithdrawalEffect,
    WithdrawConsent,
    cells,
    status,
)
from ledger.domain.decider import Step
from ledger.domain.errors import Violation
from ledger.domain.identifiers import relationship_stream
from ledger.domain.times import END_OF_TIME, MICROSECONDS, START_OF_TIME, microseconds, timestamp
from ledger.requests import Place, Receipt
from rapport.consent.v1 import consent_cell_pb2, consent_service_pb2
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentRefused, ConsentWithdrawn
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.event_context_pb2 import EventContext
from services.runtime.times import set_time
from services.runtime.validation import check

_NANOSECONDS: Final = 1_000_000_000
_DURATION_S_MAX: Final = 315_576_000_000
"""Seconds that a google.protobuf.Duration may have."""


def give_steps(request: pb.GiveConsentRequest) -> Sequence[Step]:
    """Return the step of a GiveConsent.

    Raises:
        Invalid: the request breaks rules; every violation is named.
    """
    check(request, *_consent_faults("consent", request.consent))
    return (GiveConsent(_stream(request), request.consent, _time(request), _context(request)),)


def refuse_steps(request: pb.RefuseConsentRequest) -> Sequence[Step]:
    """Return the step of a RefuseConsent; one that says nothing refuses everything.

    Raises:
        Invalid: as `give_steps`.
    """
    check(request)
    refusal = request.refusal if request.HasField("refusal") else ConsentRefused()
    return (RefuseConsent(_stream(request), refusal, _time(request), _context(request)),)


def withdraw_steps(request: pb.WithdrawConsentRequest) -> Sequence[Step]:
    """Return the step of a WithdrawConsent; one that says nothing takes everything back.

    Raises:
        Invalid: as `give_steps`; for ids and sizes only.
    """
    check(request)
    withdrawal = request.withdrawal if request.HasField("withdrawal") else ConsentWithdrawn()
    occur_time = _lenient_time(request.occur_time) if request.HasField("occur_time") else None
    return (WithdrawConsent(_stream(request), withdrawal, occur_time, _context(request)),)


def batch_steps(request: pb.ApplyConsentsRequest) -> Sequence[Step]:
    """Return the steps of a batch, one for each act.

    Raises:
        Invalid: as `give_steps`.
    """
    faults = [
        fault
        for index, act in enumerate(request.items)
        if act.HasField("given")
        for fault in _consent_faults(f"items[{index}].given", act.given)
    ]
    check(request, *faults)
    organization_id = request.organization_id
    return [_act(organization_id, act) for act in request.items]


def item_steps(organization_id: str, item: pb.IngestConsentsItem) -> Sequence[Step]:
    """Return the step of an item that was found to keep the rules of its proto.

    Raises:
        Invalid: the consent it gives is not whole.
    """
    if item.act.HasField("given"):
        check(item, *_consent_faults("act.given", item.act.given))
    return (_act(organization_id, item.act),)


def given(receipt: Receipt) -> pb.GiveConsentResponse:
    """Return the answer to a GiveConsent."""
    place = _place(receipt)
    response = pb.GiveConsentResponse(position=place.position, version=place.version, replayed=receipt.replayed)
    set_time(response.record_time, receipt.record_time)
    return response


def refused(receipt: Receipt) -> pb.RefuseConsentResponse:
    """Return the answer to a RefuseConsent."""
    place = _place(receipt)
    response = pb.RefuseConsentResponse(position=place.position, version=place.version, replayed=receipt.replayed)
    set_time(response.record_time, receipt.record_time)
    return response


def withdrawn(receipt: Receipt) -> pb.WithdrawConsentResponse:
    """Return the answer to a WithdrawConsent."""
    place = _place(receipt)
    effect = _EFFECTS[WithdrawalEffect.noted(receipt.steps[0].note)]
    response = pb.WithdrawConsentResponse(
        position=place.position, version=place.version, replayed=receipt.replayed, effect=effect
    )
    set_time(response.record_time, receipt.record_time)
    return response


def batch_applied(receipt: Receipt) -> pb.ApplyConsentsResponse:
    """Return the answer to a batch: a result for each act, in order."""
    places = [step.places[0] for step in receipt.steps]
    return pb.ApplyConsentsResponse(
        results=[pb.ConsentResult(position=place.position, version=place.version) for place in places],
        record_time=timestamp(receipt.record_time),
        replayed=receipt.replayed,
    )


def item_recorded(receipt: Receipt) -> pb.IngestConsentsResult:
    """Return the result of an item that was recorded."""
    place = _place(receipt)
    return pb.IngestConsentsResult(position=place.position, version=place.version, replayed=receipt.replayed)


def item_failed(error: status_pb2.Status) -> pb.IngestConsentsResult:
    """Return the result of an item that was not recorded."""
    return pb.IngestConsentsResult(error=error)


def frame_answered(results: Sequence[pb.IngestConsentsResult]) -> pb.IngestConsentsResponse:
    """Return the answer to a frame."""
    return pb.IngestConsentsResponse(results=results)


def consents(
    request: pb.GetConsentsRequest, state: ConsentState, occur_time: int, position: int
) -> pb.GetConsentsResponse:
    """Return the statuses that a GetConsents asks for: of its cells, or of all that were ever named.

    occur_time: the instant of the view, in microseconds; a consent that ended by then is EXPIRED.
    """
    asked = [_cell(cell) for cell in request.cells] or cells(state)
    return pb.GetConsentsResponse(
        consents=[_cell_status(cell, status(state, cell, occur_time)) for cell in asked],
        position=position,
        as_of=AsOf(occur_time=timestamp(occur_time), position=position),
    )


_EFFECTS: Final[dict[WithdrawalEffect, consent_service_pb2.WithdrawalEffect.ValueType]] = {
    WithdrawalEffect.ENDED: pb.WITHDRAWAL_EFFECT_ENDED,
    WithdrawalEffect.NONE: pb.WITHDRAWAL_EFFECT_NONE,
}


def _act(organization_id: str, act: pb.ConsentAct) -> Step:
    stream_id = relationship_stream(organization_id, act.customer_id)
    occur_time, context = _time(act), _context(act)
    match act.WhichOneof("act"):
        case "given":
            return GiveConsent(stream_id, act.given, occur_time, context)
        case "refused":
            return RefuseConsent(stream_id, act.refused, occur_time, context)
        case _:  # The proto requires one of the three.
            return WithdrawConsent(stream_id, act.withdrawn, occur_time, context)


def _stream(request: Any) -> str:
    return relationship_stream(request.organization_id, request.customer_id)


def _time(request: Any) -> int | None:
    return microseconds(request.occur_time) if request.HasField("occur_time") else None


def _context(request: Any) -> EventContext | None:
    return request.context if request.HasField("context") else None


def _lenient_time(time: Timestamp) -> int | None:
    """Return the time of a withdrawal; None, which means now, where it is none that can be kept."""
    found = microseconds(time)
    if not 0 <= time.nanos < _NANOSECONDS or found < START_OF_TIME:
        return None
    return min(found, END_OF_TIME - 1)  # Later than the clock all the same.


def _consent_faults(field: str, consent: ConsentGiven) -> list[Violation]:
    """Return what the rules of the event leave open: how long the consent holds, and the data is kept."""
    faults = []
    if consent.HasField("validity"):
        validity = consent.validity
        match validity.WhichOneof("end"):
            case None:
                faults.append(Violation(f"{field}.validity", "must say one of the five ends"))
            case "duration" if not _is_positive(validity.duration) or validity.duration.nanos:
                faults.append(Violation(f"{field}.validity.duration", "must be whole seconds, from 1"))
            case "endless" if not validity.endless:
                faults.append(Violation(f"{field}.validity.endless", "must be true where it is given"))
    if consent.HasField("retention") and not _is_positive(consent.retention):
        faults.append(Violation(f"{field}.retention", "must be longer than nothing"))
    return faults


def _is_positive(duration: Duration) -> bool:
    seconds, nanos = duration.seconds, duration.nanos
    return 0 <= seconds <= _DURATION_S_MAX and 0 <= nanos < _NANOSECONDS and (seconds > 0 or nanos > 0)


def _cell(cell: consent_cell_pb2.ConsentCell) -> Cell:
    return Cell(cell.purpose, cell.channel, cell.contact_point_id, cell.brand)


def _cell_status(cell: Cell, verdict: CellVerdict) -> consent_cell_pb2.CellStatus:
    told = consent_cell_pb2.CellStatus(
        cell=consent_cell_pb2.ConsentCell(
            purpose=cell.purpose,
            channel=cell.channel,  # type: ignore[arg-type]  # A number of the enum, kept as an int in the domain.
            contact_point_id=cell.contact_point_id,
            brand=cell.brand,
        ),
        status=verdict.status,  # type: ignore[arg-type]  # The same.
        legal_basis=verdict.legal_basis,  # type: ignore[arg-type]  # The same.
        evidence_positions=verdict.evidence,
    )
    if verdict.since is not None:
        told.since_time.CopyFrom(timestamp(verdict.since))
    if verdict.until is not None:
        told.until_time.CopyFrom(timestamp(min(verdict.until, END_OF_TIME - MICROSECONDS)))
    return told


def _place(receipt: Receipt) -> Place:
    return receipt.steps[0].places[0]
