"""From errors to what is sent: `google.rpc.Status` with one ErrorInfo (AIP-193). The one place that knows gRPC codes.

| what happened | what is sent |
|---|---|
| an error of ours (`LedgerError`) | the code beside its reason in `error_reason.proto`, the reason, its metadata |
| fields at fault | the same, and a BadRequest that names every one of them |
| something that waiting helps | the same, and a RetryInfo |
| anything else | INTERNAL with a correlation id; what it was stands in the log only |

The text of an error goes out where the caller can act on it (`Refused`, limits). What the store or the log said about
itself stays here: it may name files, hosts and queries.
"""

import secrets
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc.aio import ServicerContext

from ledger.domain.errors import Invalid, LedgerError, Refused, Rejected, Violation
from rapport.errors.v1 import error_reason_pb2
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.limits import LimitReached, Stopping
from services.runtime.logs import describe, get_log

DOMAIN: Final = "rapport"
_PREFIX: Final = "ERROR_REASON_"
_STATUS_KEY: Final = "grpc-status-details-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

RETRY_DELAYS_S: Final[dict[int, float]] = {
    reasons.ERROR_REASON_CONCURRENCY_CONFLICT: 0.02,
    reasons.ERROR_REASON_OUTCOME_UNKNOWN: 0.2,
    reasons.ERROR_REASON_STORE_UNAVAILABLE: 1.0,
    reasons.ERROR_REASON_SHUTTING_DOWN: 0.5,
    reasons.ERROR_REASON_CLOCK_BEHIND_LOG: 5.0,
    reasons.ERROR_REASON_TOO_MANY_CALLS: 0.1,
    reasons.ERROR_REASON_TOO_MANY_STREAMS: 1.0,
    reasons.ERROR_REASON_SUBSCRIBER_TOO_SLOW: 1.0,
    reasons.ERROR_REASON_PROJECTION_BEHIND: 0.2,
    reasons.ERROR_REASON_STREAM_BROKEN_OFF: 0.1,
}
"""Seconds to wait before trying again, for the reasons where waiting helps."""

MESSAGE_CHARACTERS_MAX: Final = 2_000
"""A status travels in HTTP/2 headers, of which clients accept about 8 KiB; the violations get the rest."""

VIOLATIONS_BYTES_MAX: Final = 4_000
"""Serialised violations beyond this are counted, not sent, for the same reason."""


class Sent(NamedTuple):
    """How a reason is sent."""

    name: str
    """Without the prefix of the enum. Example: `REQUEST_INVALID`."""
    code: grpc.StatusCode


class SlowReader(LedgerError):
    """The reader of a stream did not take a frame within the write timeout.

    Thrown into the generator that makes the frames; it may raise `SubscriberTooSlow` with where to resume instead.
    """

    reason = reasons.ERROR_REASON_SUBSCRIBER_TOO_SLOW


class SubscriberTooSlow(SlowReader):
    """The same, and the reader is told where to resume."""

    def __init__(self, resume_after: int) -> None:
        super().__init__("a frame was not taken within the write timeout; resume after the position given")
        self._resume_after = resume_after

    @property
    def metadata(self) -> dict[str, str]:
        """The last position the reader surely got."""
        return {"resume_after": str(self._resume_after)}


class DeadlineTooShort(LedgerError):
    """The time that a call had is over; a write may still be recorded."""

    reason = reasons.ERROR_REASON_DEADLINE_TOO_SHORT


class MethodUnknown(LedgerError):
    """The method or service is not served here."""

    reason = reasons.ERROR_REASON_METHOD_UNKNOWN


# What is told instead of the error's own text, where that speaks about our inside.
_SENTENCES: Final[dict[int, str]] = {
    reasons.ERROR_REASON_OUTCOME_UNKNOWN: "the write may or may not be recorded; retry with the same request_id",
    reasons.ERROR_REASON_STORE_UNAVAILABLE: "the store does not answer; nothing was recorded",
    reasons.ERROR_REASON_SHUTTING_DOWN: "the service is stopping; nothing was recorded",
    reasons.ERROR_REASON_CLOCK_BEHIND_LOG: "the server's clock is behind the log; nothing was recorded",
    reasons.ERROR_REASON_LOG_DAMAGED: "the log cannot be read at this place",
    reasons.ERROR_REASON_INTERNAL: "a defect of the service; report the correlation id",
}
_SPEAKS_TO_CALLERS: Final = (Refused, LimitReached, Stopping, SlowReader, DeadlineTooShort, MethodUnknown)


def _table() -> dict[int, Sent]:
    table = {}
    for value in ErrorReason.DESCRIPTOR.values:
        code = value.GetOptions().Extensions[error_reason_pb2.code]
        table[value.number] = Sent(value.name.removeprefix(_PREFIX), _CODES.get(code, grpc.StatusCode.INTERNAL))
    return table


SENT: Final = _table()
"""How every reason is sent, by number."""


def to_status(error: LedgerError) -> status_pb2.Status:
    """Return the status to send for an error of ours; it carries exactly one ErrorInfo."""
    name, code = SENT[error.reason]
    text = str(error) if isinstance(error, _SPEAKS_TO_CALLERS) else _SENTENCES.get(error.reason, "it could not be done")
    if len(text) > MESSAGE_CHARACTERS_MAX:
        text = text[:MESSAGE_CHARACTERS_MAX] + "…"
    status = status_pb2.Status(code=code.value[0], message=f"{name}: {text}")
    _add(status, error_details_pb2.ErrorInfo(reason=name, domain=DOMAIN, metadata=error.metadata))
    violations = error.violations if isinstance(error, Invalid | Rejected) else ()
    if violations:
        _add(status, _bad_request(violations))
    if (delay := RETRY_DELAYS_S.get(error.reason)) is not None:
        _add(status, error_details_pb2.RetryInfo(retry_delay=_duration(delay)))
    return status


def internal_status(correlation_id: str) -> status_pb2.Status:
    """Return the status to send for an error that nobody expected: nothing of it but an id to ask for."""
    name, code = SENT[reasons.ERROR_REASON_INTERNAL]
    status = status_pb2.Status(code=code.value[0], message=f"{name}: {_SENTENCES[reasons.ERROR_REASON_INTERNAL]}")
    info = error_details_pb2.ErrorInfo(reason=name, domain=DOMAIN, metadata={"correlation_id": correlation_id})
    _add(status, info)
    return status


def report_unexpected(error: Exception, method: str, *, with_text: bool) -> str:
    """Log an error that nobody foresaw, with where it came from; return the id that the caller is told.

    The id is 16 hexadecimal digits. with_text: log what the error says too, in development only.
    """
    correlation_id = secrets.token_hex(8)
    told = describe(error, with_text=with_text)
    get_log().error("rpc.failed", method=method, correlation_id=correlation_id, **told)
    return correlation_id


async def abort(context: ServicerContext[Any, Any], status: status_pb2.Status) -> NoReturn:
    """End the call with `status`; raises what grpc.aio needs to see raised."""
    details = ((_STATUS_KEY, status.SerializeToString()),)
    await context.abort(_CODES[status.code], status.message, details)
    raise AssertionError("abort returned")


def _bad_request(violations: Sequence[Violation]) -> error_details_pb2.BadRequest:
    request = error_details_pb2.BadRequest()
    room = VIOLATIONS_BYTES_MAX
    for number, (field, description, reason) in enumerate(violations):
        room -= len(field) + len(description) + 40
        if room < 0:
            request.field_violations.add(field="", description=f"and {len(violations) - number} more")
            break
        request.field_violations.add(field=field, description=description, reason=SENT[reason].name)
    return request


def _add(status: status_pb2.Status, detail: object) -> None:
    packed = AnyMessage()
    packed.Pack(detail)  # type: ignore[arg-type]  # google.rpc carries no types.
    status.details.append(packed)


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=round((seconds - whole) * 1_000_000_000))
