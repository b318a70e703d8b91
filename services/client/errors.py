"""Errors of the client: what the server said, and whether asking again can help.

    RapportError
    ├── Refused               the request cannot be carried out as it stands; nothing was written
    │   ├── RequestInvalid    fields break their rules; `violations` names every one of them
    │   ├── AlreadyTaken      the request_id, or another id, belongs to something else that stands
    │   └── NotFound          nothing of that name or place
    ├── Conflict              others changed the relationship meanwhile; read again and decide again
    ├── Overloaded            the server, or its reader, is at a limit; `retry_after_s` says when to come back
    ├── Unavailable           nobody answers, the service is stopping, or its store does not work
    ├── DeadlineExceeded      the answer did not come in time
    └── ServerFault           a defect or damage on the server's side

Each carries the reason of `rapport.errors.v1.ErrorReason`, whose comments say cause and client action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import grpc
from google.rpc import error_details_pb2, status_pb2

from rapport.errors.v1 import error_reason_pb2 as reasons

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grpc import aio

DOMAIN: Final = "rapport"
_PREFIX: Final = "ERROR_REASON_"
_DETAILS_KEY: Final = "grpc-status-details-bin"
_WRITE_FAILED: Final = "Internal error from Core"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class Violation(NamedTuple):
    """One field that breaks its rule."""

    field: str
    """Path in the request. Example: `operations[2].record.legs[0].amount.units`."""
    description: str
    """What is wrong and what would be right."""
    reason: str
    """Name of the rule, where the server gave one. Example: `AMOUNT_NOT_POSITIVE`."""


class RapportError(Exception):
    """Base of every error the client raises. `str()` is the server's sentence."""

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode,
        reason: reasons.ErrorReason.ValueType = reasons.ERROR_REASON_UNSPECIFIED,
        reason_name: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        """gRPC status code."""
        self.reason = reason
        """Why; UNSPECIFIED where the answer came from the transport, or from a newer server."""
        self.reason_name = reason_name or reasons.ErrorReason.Name(reason).removeprefix(_PREFIX)
        """The reason without its prefix, as sent. Example: `REQUEST_ID_REUSED`."""
        self.metadata = dict(metadata or {})
        """The values that explain the reason, as text."""
        self.violations = tuple(violations)
        """Fields at fault."""
        self.retry_after_s = retry_after_s
        """Seconds after which the server wants to be asked again. None: it did not say."""

    @property
    def retryable(self) -> bool:
        """True when sending the same request with the same request_id again can help and cannot do harm."""
        match self.code:
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED:
                return True
            case grpc.StatusCode.ABORTED:
                # At another version than expected it will stay: only a new decision of the caller helps.
                return self.reason != reasons.ERROR_REASON_VERSION_CONFLICT
            case grpc.StatusCode.RESOURCE_EXHAUSTED:
                # Without a word of the server this is a message that is too large, today and tomorrow.
                return self.retry_after_s is not None or self.reason in _LIMITS_THAT_PASS
            case _:
                return False

    @property
    def outcome_unknown(self) -> bool:
        """True when a write may have been recorded all the same; sending it again with its request_id settles it."""
        if self.code is grpc.StatusCode.UNAVAILABLE:
            return self.reason not in _NOTHING_RECORDED
        return self.code in _MAYBE_RECORDED


class Refused(RapportError):
    """The request cannot be carried out as it stands; nothing was written."""


class RequestInvalid(Refused):
    """Fields break their rules; `violations` names every one of them."""


class AlreadyTaken(Refused):
    """The request_id, or another id, belongs to something else that stands."""


class NotFound(Refused):
    """Nothing of that name or place."""


class Conflict(RapportError):
    """Others changed the relationship meanwhile; read again and decide again."""


class Overloaded(RapportError):
    """The server, or its reader, is at a limit; `retry_after_s` says when to come back."""


class Unavailable(RapportError):
    """Nobody answers, the service is stopping, or its store does not work."""


class DeadlineExceeded(RapportError):
    """The answer did not come in time."""


class ServerFault(RapportError):
    """A defect or damage on the server's side, or an answer that breaks the protocol."""


_LIMITS_THAT_PASS: Final = {
    reasons.ERROR_REASON_TOO_MANY_CALLS,
    reasons.ERROR_REASON_TOO_MANY_STREAMS,
    reasons.ERROR_REASON_SUBSCRIBER_TOO_SLOW,
}
_NOTHING_RECORDED: Final = {
    reasons.ERROR_REASON_STORE_UNAVAILABLE,
    reasons.ERROR_REASON_SHUTTING_DOWN,
    reasons.ERROR_REASON_CLOCK_BEHIND_LOG,
}
_MAYBE_RECORDED: Final = {
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
}
_CLASSES: Final[Mapping[grpc.StatusCode, type[RapportError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: RequestInvalid,
    grpc.StatusCode.OUT_OF_RANGE: Refused,
    grpc.StatusCode.FAILED_PRECONDITION: Refused,
    grpc.StatusCode.UNIMPLEMENTED: Refused,
    grpc.StatusCode.PERMISSION_DENIED: Refused,
    grpc.StatusCode.UNAUTHENTICATED: Refused,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyTaken,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def from_status(status: status_pb2.Status) -> RapportError:
    """Return the error that a google.rpc.Status tells, such as that of one item of a stream."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    info = error_details_pb2.ErrorInfo()
    violations: list[Violation] = []
    retry_after_s: float | None = None
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            violations.extend(_violations(detail.value))
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
            retry_after_s = delay.seconds + delay.nanos / 1e9
    return _CLASSES.get(code, ServerFault)(
        status.message,
        code=code,
        reason=_reason(info),
        reason_name=info.reason,
        metadata=info.metadata,
        violations=violations,
        retry_after_s=retry_after_s,
    )


def from_call(error: aio.AioRpcError) -> RapportError:
    """Return the error of a failed call: from its details where the server sent them, else from code and message."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            return from_status(status_pb2.Status.FromString(value))
    code: object = error.code()
    if not isinstance(code, grpc.StatusCode) or error.details() == _WRITE_FAILED:
        # A write met a call that had ended: grpc.aio then hides the call's own status behind a made-up one, with code
        # and details exchanged (grpc/grpc#36066). What is sure is that the connection, or the call, is gone.
        return Unavailable("the connection broke while it was written to", code=grpc.StatusCode.UNAVAILABLE)
    return _CLASSES.get(code, ServerFault)(error.details() or code.name, code=code)


def _reason(info: error_details_pb2.ErrorInfo) -> reasons.ErrorReason.ValueType:
    """Return the reason that ErrorInfo names; UNSPECIFIED for one of another domain or of a newer server."""
    name = _PREFIX + info.reason
    if info.domain != DOMAIN or name not in reasons.ErrorReason.keys():  # noqa: SIM118  # The wrapper is no mapping.
        return reasons.ERROR_REASON_UNSPECIFIED
    return reasons.ErrorReason.Value(name)


def _violations(bad_request: bytes) -> list[Violation]:
    fields = error_details_pb2.BadRequest.FromString(bad_request).field_violations
    return [Violation(field.field, field.description, field.reason) for field in fields]
