"""From requests about exchanges to steps, and from receipts to responses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from google.rpc import status_pb2

from ledger.domain.decider import Step
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.exchange_known import Known
from ledger.domain.exchange_state import ExchangeState
from ledger.domain.identifiers import relationship_stream
from ledger.domain.observation import DeclareObservation
from ledger.domain.posting import PostExchange, VoidExchange
from ledger.domain.times import timestamp
from ledger.requests import Receipt, StepReceipt
from rapport.events.v1.exchange_pb2 import ExchangePosted, ExchangeRecorded, ExchangeReversed, ExchangeVoided
from rapport.exchange.v1 import exchange_service_pb2 as pb
from rapport.exchange.v1 import operation_pb2 as op
from rapport.exchange.v1.operation_pb2 import Exchange, Operation, OperationResult, Posting, Reversal, Voiding
from services.runtime.translating import context_of, time_of
from services.runtime.validation import check

Single = pb.RecordExchangeRequest | pb.PostExchangeRequest | pb.VoidExchangeRequest | pb.ReverseExchangeRequest
"""A request of one operation."""

_PARTS: Final = {
    pb.RecordExchangeRequest: "exchange",
    pb.PostExchangeRequest: "posting",
    pb.VoidExchangeRequest: "voiding",
    pb.ReverseExchangeRequest: "reversal",
}
"""Which field of it says what to do."""

What = Exchange | Posting | Voiding | Reversal
"""What to do."""

SingleResponse = TypeVar(
    "SingleResponse",
    pb.RecordExchangeResponse,
    pb.PostExchangeResponse,
    pb.VoidExchangeResponse,
    pb.ReverseExchangeResponse,
)


class Named(NamedTuple):
    """What an operation is about, so that its place is found where it had been applied before."""

    stream_id: str
    id: str
    """exchange_id or reversal_id."""
    find: Callable[[ExchangeState, str], Known | None]
    """Finds by the id what the operation recorded."""


def single_steps(request: Single) -> Sequence[Step]:
    """Return the step of a request of one operation.

    Raises:
        Invalid: the request breaks rules; every violation is named.
    """
    check(request)
    part = _PARTS[type(request)]
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    return (_step(stream_id, getattr(request, part), _expected(request), part),)


def observation_steps(request: pb.DeclareObservationRequest) -> Sequence[Step]:
    """Return the step of a DeclareObservation.

    Raises:
        Invalid: as `single_steps`.
    """
    check(request)
    step = DeclareObservation(
        stream_id=relationship_stream(request.organization_id, request.customer_id),
        event=request.observation,
        expected_version=_expected(request),
        context=context_of(request),
    )
    return (step,)


def batch_steps(request: pb.ApplyExchangesRequest) -> Sequence[Step]:
    """Return the steps of a batch, one for each operation.

    Raises:
        Invalid: as `single_steps`.
    """
    check(request)
    organization_id = request.organization_id
    return [
        _operation_step(organization_id, operation, f"operations[{index}]")
        for index, operation in enumerate(request.operations)
    ]


def item_steps(organization_id: str, item: pb.IngestExchangesItem) -> Sequence[Step]:
    """Return the step of an item that was found to keep its rules."""
    return (_operation_step(organization_id, item.operation, "operation"),)


def single_named(request: Single) -> Named:
    """Return what a request of one operation is about."""
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    return _named(stream_id, getattr(request, _PARTS[type(request)]))


def operation_named(organization_id: str, operation: Operation) -> Named:
    """Return what an operation is about."""
    return _named(relationship_stream(organization_id, operation.customer_id), _what(operation)[1])


def applied(named: Named, step: StepReceipt) -> OperationResult:
    """Return the result of an operation that recorded something."""
    (place,) = step.places
    return OperationResult(outcome=op.OUTCOME_APPLIED, id=named.id, version=place.version, position=place.position)


def applied_before(named: Named, exchanges: ExchangeState) -> OperationResult:
    """Return the result of an operation that stood recorded already, in the relationship's state since."""
    known = named.find(exchanges, named.id)
    assert known is not None, "an id is known once it was recorded"
    return OperationResult(
        outcome=op.OUTCOME_ALREADY_APPLIED, id=named.id, version=known.version, position=known.position
    )


def answered(response: type[SingleResponse], result: OperationResult, receipt: Receipt) -> SingleResponse:
    """Return the answer to a request of one operation."""
    return response(result=result, record_time=timestamp(receipt.record_time), replayed=receipt.replayed)


def observed(receipt: Receipt) -> pb.DeclareObservationResponse:
    """Return the answer to a DeclareObservation."""
    (place,) = receipt.steps[0].places
    return pb.DeclareObservationResponse(
        version=place.version,
        position=place.position,
        record_time=timestamp(receipt.record_time),
        replayed=receipt.replayed,
    )


def batch_applied(results: Sequence[OperationResult], receipt: Receipt) -> pb.ApplyExchangesResponse:
    """Return the answer to a batch: a result for each operation, in order."""
    return pb.ApplyExchangesResponse(
        results=results, record_time=timestamp(receipt.record_time), replayed=receipt.replayed
    )


def item_applied(result: OperationResult, receipt: Receipt) -> pb.IngestExchangesResult:
    """Return the result of an item that was applied, now or before."""
    return pb.IngestExchangesResult(result=result, replayed=receipt.replayed)


def item_failed(status: status_pb2.Status) -> pb.IngestExchangesResult:
    """Return the result of an item that was not applied."""
    return pb.IngestExchangesResult(error=status)


def frame_answered(results: Sequence[pb.IngestExchangesResult]) -> pb.IngestExchangesResponse:
    """Return the answer to a frame."""
    return pb.IngestExchangesResponse(results=results)


def _what(operation: Operation) -> tuple[str, What]:
    """Return the field of an operation that says what to do, and what it says."""
    kind = operation.WhichOneof("kind")
    assert kind is not None, "an operation without a kind was refused"
    return kind, getattr(operation, kind)


def _named(stream_id: str, what: What) -> Named:
    match what:
        case Exchange():
            return Named(stream_id, what.exchange_id, ExchangeState.find)
        case Reversal():
            return Named(stream_id, what.reversal_id, ExchangeState.find_reversal)
        case _:
            return Named(stream_id, what.exchange_id, ExchangeState.resolution_of)


def _operation_step(organization_id: str, operation: Operation, path: str) -> Step:
    kind, what = _what(operation)
    stream_id = relationship_stream(organization_id, operation.customer_id)
    return _step(stream_id, what, _expected(operation), f"{path}.{kind}")


def _step(stream_id: str, what: What, expected_version: int | None, path: str) -> Step:
    match what:
        case Exchange():
            return _record(stream_id, what, expected_version, path)
        case Posting():
            return _post(stream_id, what, expected_version, path)
        case Voiding():
            return _void(stream_id, what, expected_version, path)
        case _:
            return _reverse(stream_id, what, expected_version, path)


def _record(stream_id: str, exchange: Exchange, expected_version: int | None, path: str) -> RecordExchange:
    event = ExchangeRecorded(
        exchange_id=exchange.exchange_id,
        one_sided=exchange.one_sided,
        replaces=exchange.replaces,
        cause_ref=exchange.cause_ref,
        legs=exchange.legs,
    )
    if exchange.HasField("pending_until"):
        event.pending_until.CopyFrom(exchange.pending_until)
    return RecordExchange(
        stream_id=stream_id,
        event=event,
        occur_time=time_of(exchange),
        expected_version=expected_version,
        context=context_of(exchange),
        path=path,
    )


def _post(stream_id: str, posting: Posting, expected_version: int | None, path: str) -> PostExchange:
    return PostExchange(
        stream_id=stream_id,
        event=ExchangePosted(exchange_id=posting.exchange_id, units=posting.units, one_sided=posting.one_sided),
        occur_time=time_of(posting),
        expected_version=expected_version,
        context=context_of(posting),
        path=path,
    )


def _void(stream_id: str, voiding: Voiding, expected_version: int | None, path: str) -> VoidExchange:
    return VoidExchange(
        stream_id=stream_id,
        event=ExchangeVoided(exchange_id=voiding.exchange_id, reason=voiding.reason),
        occur_time=time_of(voiding),
        expected_version=expected_version,
        context=context_of(voiding),
        path=path,
    )


def _reverse(stream_id: str, reversal: Reversal, expected_version: int | None, path: str) -> ReverseExchange:
    event = ExchangeReversed(
        exchange_id=reversal.exchange_id,
        reversal_id=reversal.reversal_id,
        reason=reversal.reason,
        take_remaining_points=reversal.take_remaining_points,
    )
    match reversal.WhichOneof("effective"):
        case "at_original":
            event.at_original = reversal.at_original
        case "at":
            event.at.CopyFrom(reversal.at)
        case None:
            pass  # The decision says that a time is required.
    return ReverseExchange(
        stream_id=stream_id,
        event=event,
        expected_version=expected_version,
        context=context_of(reversal),
        path=path,
    )


def _expected(request: Single | pb.DeclareObservationRequest | Operation) -> int | None:
    return request.expected_version if request.HasField("expected_version") else None
