"""From errors to google.rpc.Status: one ErrorInfo, the code of the proto, nothing of our inside."""

from __future__ import annotations

import grpc
import pytest

from ledger.domain.errors import (
    ConcurrencyConflict,
    Invalid,
    LedgerError,
    LogDamaged,
    OutcomeUnknown,
    Rejected,
    RequestIdReused,
    StoreClosed,
    StoreFailed,
    Violation,
)
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.errors.v1.error_reason_pb2 import ErrorReason
from services.runtime.errors import SENT, internal_status, to_status
from services.runtime.limits import LimitReached, Limits, Stopping
from services.runtime.validation import in_list
from tests.refusals import fields_of, metadata_of, reason_of, retry_delay_s

INSIDE = "connection to 10.0.0.7 failed for user app"


@pytest.mark.parametrize(
    "error, code, reason, waits",
    [
        (Invalid([Violation("a", "b")]), grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID", False),
        (RequestIdReused(3, 4), grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED", False),
        (ConcurrencyConflict(["a/b"], 16), grpc.StatusCode.ABORTED, "CONCURRENCY_CONFLICT", True),
        (OutcomeUnknown(INSIDE), grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN", True),
        (StoreClosed(INSIDE), grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", True),
        (StoreFailed(INSIDE), grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", True),
        (LogDamaged(7, INSIDE), grpc.StatusCode.DATA_LOSS, "LOG_DAMAGED", False),
        (LedgerError(INSIDE), grpc.StatusCode.INTERNAL, "INTERNAL", False),
    ],
)
def test_each_error_has_its_code_and_reason(
    error: LedgerError, code: grpc.StatusCode, reason: str, waits: bool
) -> None:
    status = to_status(error)

    assert (code.value[0], reason) == (status.code, reason_of(status))
    assert error.metadata == metadata_of(status)
    assert waits == (retry_delay_s(status) is not None)
    assert INSIDE not in str(status)
    assert status.message.startswith(f"{reason}: ")


def test_a_refusal_says_its_reason_in_words_and_values() -> None:
    refusal = Rejected(reasons.ERROR_REASON_AMOUNT_OVER_LIMIT, "split the exchange", asset="EUR/2", limit=5)

    status = to_status(refusal)

    assert "AMOUNT_OVER_LIMIT: split the exchange" == status.message
    assert {"asset": "EUR/2", "limit": "5"} == metadata_of(status)


def test_every_violation_is_named() -> None:
    violations = [Violation(f"items[{number}].customer_id", "is wrong") for number in range(20)]

    assert [violation.field for violation in violations] == fields_of(to_status(Invalid(violations)))


def test_a_flood_of_violations_still_fits_into_headers_and_is_counted() -> None:
    violations = [Violation(f"items[{number}].customer_id", "is wrong " * 10) for number in range(1000)]

    status = to_status(Invalid(violations))

    assert status.ByteSize() < 8_000
    assert status.ByteSize() > 4_000


def test_a_violation_inside_a_batch_is_named_where_it_is() -> None:
    refusal = Rejected(reasons.ERROR_REASON_LEGS_COUNT, "too many", [Violation("legs", "at most 64")], legs=65)

    told = in_list(refusal.at_step(3), "operations")

    assert ["operations[3].legs"] == fields_of(to_status(told))
    assert {"legs": "65", "operation_index": "3"} == told.metadata
    assert refusal is in_list(refusal, "operations")


def test_a_defect_is_told_by_its_correlation_id_alone() -> None:
    status = internal_status("0123456789abcdef")

    assert grpc.StatusCode.INTERNAL.value[0] == status.code
    assert {"correlation_id": "0123456789abcdef"} == metadata_of(status)


def test_every_reason_has_a_code() -> None:
    without = [value.name for value in ErrorReason.DESCRIPTOR.values if not SENT[value.number].name]

    assert [] == without
    assert grpc.StatusCode.OK not in {sent.code for number, sent in SENT.items() if number}


def test_limits_count_what_is_open_and_forget_who_is_gone() -> None:
    limits = Limits(calls_max=1, streams_max=3, streams_per_caller_max=2)

    limits.enter_call()
    limits.enter_stream("a")
    limits.enter_stream("a")

    with pytest.raises(LimitReached, match="calls"):
        limits.enter_call()
    with pytest.raises(LimitReached, match="caller"):
        limits.enter_stream("a")
    limits.enter_stream("b")
    with pytest.raises(LimitReached, match="service"):
        limits.enter_stream("c")
    limits.leave_stream("a")
    limits.enter_stream("c")
    limits.leave_call()
    limits.enter_call()
    assert (1, 3) == (limits.calls, limits.streams)


def test_nothing_begins_while_stopping() -> None:
    limits = Limits(calls_max=1, streams_max=1, streams_per_caller_max=1)
    limits.stopping = True

    with pytest.raises(Stopping):
        limits.enter_call()
    with pytest.raises(Stopping):
        limits.enter_stream("a")
    assert (0, 0) == (limits.calls, limits.streams)
