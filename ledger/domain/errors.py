"""Errors of the ledger: each has a stable reason, and the values that explain it.

    LedgerError
    ├── Refused               the request cannot be carried out as it stands; nothing was written
    │   ├── Rejected          a rule of the domain says no: the reason names the rule
    │   ├── Invalid           fields break their rules: every one of them is named
    │   ├── RequestIdReused   the request_id belongs to another request
    │   └── ConcurrencyConflict   other writers kept changing the streams that the decision read
    ├── OutcomeUnknown        the write may have happened; ask again with the same request_id
    ├── StoreClosed           the store takes no calls any more
    ├── StoreFailed           the store could not do it; nothing was written
    ├── StoreRefused          the database is set up so that nothing may be kept in it
    └── LogDamaged            stored bytes are not what they must be

The gRPC status stands beside each reason in `rapport/errors/v1/error_reason.proto`; one module of the services
translates.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.errors.v1.error_reason_pb2 import ErrorReason


class LedgerError(Exception):
    """Base of every error that the ledger raises on purpose."""

    reason: ErrorReason.ValueType = reasons.ERROR_REASON_INTERNAL

    @property
    def metadata(self) -> dict[str, str]:
        """The values that explain the reason, as text: identifiers, numbers, codes; never personal content."""
        return {}


class Violation(NamedTuple):
    """One field that breaks its rule."""

    field: str
    """Path in the request. Example: `operations[2].record.legs[0].amount.units`."""
    description: str
    """What is wrong and what would be right."""
    reason: ErrorReason.ValueType = reasons.ERROR_REASON_REQUEST_INVALID


class Refused(LedgerError):
    """The request cannot be carried out as it stands; nothing was written."""


class Rejected(Refused):
    """A rule of the domain says no.

    `violations` names the fields at fault where the reason is about fields; otherwise it is empty.
    """

    def __init__(
        self, reason: ErrorReason.ValueType, message: str, violations: Sequence[Violation] = (), **metadata: object
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.violations = tuple(violations)
        self._metadata = {name: str(value) for name, value in metadata.items()}

    @property
    def metadata(self) -> dict[str, str]:
        """The values given when it was raised, as text."""
        return self._metadata

    def at_step(self, index: int) -> "Rejected":
        """Return the same refusal, told for item `index` of a batch."""
        told = Rejected(self.reason, str(self), self.violations)
        told._metadata = {**self._metadata, "operation_index": str(index)}
        return told


class Invalid(Refused):
    """Fields of the request break their rules; every violation is named, not only the first."""

    reason = reasons.ERROR_REASON_REQUEST_INVALID

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("; ".join(f"{field}: {description}" for field, description, _ in violations))
        self.violations = tuple(violations)


class RequestIdReused(Refused):
    """The request_id was used before for a request of other content, or for another method; that one stands."""

    reason = reasons.ERROR_REASON_REQUEST_ID_REUSED

    def __init__(self, first_position: int, last_position: int) -> None:
        super().__init__("the request_id belongs to an earlier request of other content; choose a new one")
        self._places = {"first_position": str(first_position), "last_position": str(last_position)}

    @property
    def metadata(self) -> dict[str, str]:
        """Positions of what the earlier request recorded; 0 where it recorded nothing."""
        return self._places


class ConcurrencyConflict(Refused):
    """Other writers kept changing the streams that the decision read; the bounded number of attempts is used up."""

    reason = reasons.ERROR_REASON_CONCURRENCY_CONFLICT

    def __init__(self, streams: Sequence[str], attempts: int) -> None:
        super().__init__("other writers kept changing the relationship; retry with the same request_id")
        self._values = {"stream_id": ",".join(streams), "attempts": str(attempts)}

    @property
    def metadata(self) -> dict[str, str]:
        """The streams and the number of attempts."""
        return self._values


class OutcomeUnknown(LedgerError):
    """The commit was sent and its answer was lost: the events are either all stored or none of them.

    Never retried by the ledger and never called a conflict (A3). Whoever wants to know looks the request up.
    """

    reason = reasons.ERROR_REASON_OUTCOME_UNKNOWN


class StoreClosed(LedgerError):
    """The store was closed, by its owner or by itself after an error of the disk; nothing was done."""

    reason = reasons.ERROR_REASON_SHUTTING_DOWN


class StoreFailed(LedgerError):
    """The store could not do what was asked, and nothing was written."""

    reason = reasons.ERROR_REASON_STORE_UNAVAILABLE


class StoreRefused(LedgerError):
    """The database is not one to keep a ledger in: a setting that durability rests on is off, or it is not ours.

    Raised when a store is opened; the message names the setting, what it should be and what it is.
    """

    reason = reasons.ERROR_REASON_STORE_UNAVAILABLE


class LogDamaged(LedgerError):
    """A stored event cannot be read, or a position is missing. Never skipped, never waited out."""

    reason = reasons.ERROR_REASON_LOG_DAMAGED

    def __init__(self, position: int, message: str) -> None:
        super().__init__(f"position {position}: {message}")
        self._position = position

    @property
    def metadata(self) -> dict[str, str]:
        """The position at fault."""
        return {"position": str(self._position)}
