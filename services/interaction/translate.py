"""From requests about interactions to steps, and from receipts to responses."""

from __future__ import annotations

from collections.abc import Sequence

from google.rpc import status_pb2

from ledger.contact.recording import noted
from ledger.domain.decider import Step
from ledger.domain.errors import Violation
from ledger.domain.identifiers import relationship_stream
from ledger.domain.interaction import CorrectInteraction, RecordInteraction, RetractInteraction
from ledger.domain.times import timestamp
from ledger.requests import Receipt
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRetracted
from rapport.interaction.v1 import interaction_service_pb2 as pb
from services.runtime.times import set_time
from services.runtime.translating import context_of, place_of, time_of
from services.runtime.validation import check


def record_steps(request: pb.RecordInteractionRequest) -> Sequence[Step]:
    """Return the step of a RecordInteraction.

    Raises:
        Invalid: the request breaks rules; every violation is named.
    """
    check(request)
    return (record_of(request.organization_id, request),)


def batch_steps(request: pb.BatchRecordInteractionsRequest) -> Sequence[Step]:
    """Return the steps of a batch, one for each item.

    Raises:
        Invalid: as `record_steps`.
    """
    check(request)
    organization_id = request.organization_id
    return [record_of(organization_id, item) for item in request.items]


def item_steps(organization_id: str, item: pb.IngestInteractionsItem) -> Sequence[Step]:
    """Return the step of an item that was found to keep its rules."""
    return (record_of(organization_id, item),)


def correct_steps(request: pb.CorrectInteractionRequest) -> Sequence[Step]:
    """Return the step of a CorrectInteraction.

    Raises:
        Invalid: as `record_steps`.
    """
    check(request, *_correction_faults(request.correction))
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    return (CorrectInteraction(stream_id, request.correction, time_of(request), context_of(request)),)


def retract_steps(request: pb.RetractInteractionRequest) -> Sequence[Step]:
    """Return the step of a RetractInteraction.

    Raises:
        Invalid: as `record_steps`.
    """
    check(request, *_original_faults("retraction", request.retraction))
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    return (RetractInteraction(stream_id, request.retraction, context_of(request)),)


def recorded(receipt: Receipt) -> pb.RecordInteractionResponse:
    """Return the answer to a RecordInteraction; with how it stood where it names a decision."""
    place, note = place_of(receipt), receipt.steps[0].note
    response = pb.RecordInteractionResponse(position=place.position, version=place.version, replayed=receipt.replayed)
    set_time(response.record_time, receipt.record_time)
    if note:
        response.permit_status = int(noted(note))  # type: ignore[assignment]  # The numbers are the same.
    return response


def corrected(receipt: Receipt) -> pb.CorrectInteractionResponse:
    """Return the answer to a CorrectInteraction."""
    place = place_of(receipt)
    response = pb.CorrectInteractionResponse(position=place.position, version=place.version, replayed=receipt.replayed)
    set_time(response.record_time, receipt.record_time)
    return response


def retracted(receipt: Receipt) -> pb.RetractInteractionResponse:
    """Return the answer to a RetractInteraction."""
    place = place_of(receipt)
    response = pb.RetractInteractionResponse(position=place.position, version=place.version, replayed=receipt.replayed)
    set_time(response.record_time, receipt.record_time)
    return response


def batch_recorded(receipt: Receipt) -> pb.BatchRecordInteractionsResponse:
    """Return the answer to a batch: a result for each item, in order."""
    places = [step.places[0] for step in receipt.steps]
    return pb.BatchRecordInteractionsResponse(
        results=[pb.InteractionResult(position=place.position, version=place.version) for place in places],
        record_time=timestamp(receipt.record_time),
        replayed=receipt.replayed,
    )


def item_recorded(receipt: Receipt) -> pb.IngestInteractionsResult:
    """Return the result of an item that was recorded."""
    place = place_of(receipt)
    return pb.IngestInteractionsResult(position=place.position, version=place.version, replayed=receipt.replayed)


def item_failed(status: status_pb2.Status) -> pb.IngestInteractionsResult:
    """Return the result of an item that was not recorded."""
    return pb.IngestInteractionsResult(error=status)


def frame_answered(results: Sequence[pb.IngestInteractionsResult]) -> pb.IngestInteractionsResponse:
    """Return the answer to a frame."""
    return pb.IngestInteractionsResponse(results=results)


def record_of(
    organization_id: str, item: pb.RecordInteractionRequest | pb.InteractionItem | pb.IngestInteractionsItem
) -> RecordInteraction:
    """Return the command that records an item."""
    stream_id = relationship_stream(organization_id, item.customer_id)
    return RecordInteraction(stream_id, item.interaction, time_of(item), context_of(item))


def _correction_faults(correction: InteractionCorrected) -> list[Violation]:
    """Return what the event's own rules leave open: a stored correction may be of any age, a new one is complete."""
    faults = _original_faults("correction", correction)
    if not correction.HasField("replacement"):
        faults.append(Violation("correction.replacement", "value is required"))
    return faults


def _original_faults(field: str, event: InteractionCorrected | InteractionRetracted) -> list[Violation]:
    if event.original_position:
        return []
    return [Violation(f"{field}.original_position", "must be the position of the original interaction, from 1")]
