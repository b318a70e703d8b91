"""From receipts and states to responses of ConsentService."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from google.rpc import status_pb2

from ledger.contact.texts import TextNote
from ledger.domain.consent import Cell, CellVerdict, ConsentState, Terms, WithdrawalEffect, cells, status
from ledger.domain.consent_confirming import confirmed_position
from ledger.domain.times import END_OF_TIME, MICROSECONDS, timestamp
from ledger.requests import Receipt
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_cell_pb2
from rapport.consent.v1 import consent_service_pb2 as pb
from services.runtime.times import set_time
from services.runtime.translating import as_of_told, place_of

_Response = TypeVar("_Response")


def written(response: _Response, receipt: Receipt) -> _Response:
    """Fill in what the answer to every write says, and return it; of several events it names the first."""
    told: Any = response  # They have these fields in common, and no type.
    place = place_of(receipt)
    told.position, told.version, told.replayed = place.position, place.version, receipt.replayed
    set_time(told.record_time, receipt.record_time)
    return response


def ended(response: _Response, receipt: Receipt) -> _Response:
    """Fill in the answer to a write that may have ended consents, and return it."""
    told: Any = written(response, receipt)
    told.effect = _EFFECTS[WithdrawalEffect.noted(receipt.steps[0].note)]
    return response


def confirmed(receipt: Receipt) -> acts.ConfirmConsentResponse:
    """Return the answer to a ConfirmConsent."""
    given_position = confirmed_position(receipt.steps[0].note)
    return written(acts.ConfirmConsentResponse(given_position=given_position), receipt)


def text_recorded(receipt: Receipt) -> pb.RecordInboundTextResponse:
    """Return the answer to a RecordInboundText."""
    step = receipt.steps[0]
    note = TextNote.decoded(step.note)
    response = pb.RecordInboundTextResponse(
        reading=note.read.reading,  # type: ignore[arg-type]  # The same numbers.
        word=note.read.word,
        confirm_once=note.confirm_once,
    )
    if note.effect is not None:
        response.effect = _EFFECTS[note.effect]
        response.withdrawal_position = step.places[1].position
    return written(response, receipt)


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
    place = place_of(receipt)
    return pb.IngestConsentsResult(position=place.position, version=place.version, replayed=receipt.replayed)


def item_failed(error: status_pb2.Status) -> pb.IngestConsentsResult:
    """Return the result of an item that was not recorded."""
    return pb.IngestConsentsResult(error=error)


def frame_answered(results: Sequence[pb.IngestConsentsResult]) -> pb.IngestConsentsResponse:
    """Return the answer to a frame."""
    return pb.IngestConsentsResponse(results=results)


def consents(
    request: pb.GetConsentsRequest, state: ConsentState, terms: Terms, occur_time: int, position: int
) -> pb.GetConsentsResponse:
    """Return the statuses that a GetConsents asks for: of its cells, or of all that were ever named.

    occur_time: the instant of the view, in microseconds; a consent that ended by then is EXPIRED.
    """
    asked = [_cell(cell) for cell in request.cells] or cells(state)
    return pb.GetConsentsResponse(
        consents=[_cell_status(cell, status(state, cell, occur_time, terms)) for cell in asked],
        position=position,
        as_of=as_of_told(occur_time, position),
    )


_EFFECTS: Final[dict[WithdrawalEffect, pb.WithdrawalEffect.ValueType]] = {
    WithdrawalEffect.ENDED: pb.WITHDRAWAL_EFFECT_ENDED,
    WithdrawalEffect.NONE: pb.WITHDRAWAL_EFFECT_NONE,
}


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
