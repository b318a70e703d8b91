"""What the server said, as errors a program can act on; and when asking again is right."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from rapport.errors.v1 import error_reason_pb2 as reasons
from services.client import errors
from services.client.retry import Attempts, RetryPolicy, Throttle


def status(code: grpc.StatusCode, reason: str, retry_after_s: float | None = None) -> status_pb2.Status:
    told = status_pb2.Status(code=code.value[0], message=f"{reason}: as it is")
    told.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="rapport", metadata={"position": "7"}))
    if retry_after_s is not None:
        delay = Duration(nanos=int(retry_after_s * 1e9) % 10**9, seconds=int(retry_after_s))
        told.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return told


def refusal(code: grpc.StatusCode, reason: str, retry_after_s: float | None = None) -> errors.RapportError:
    return errors.from_status(status(code, reason, retry_after_s))


def test_an_error_carries_reason_metadata_and_every_violation() -> None:
    told = status(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    fields = [error_details_pb2.BadRequest.FieldViolation(field=f"items[{n}]", description="no") for n in (1, 4)]
    told.details.add().Pack(error_details_pb2.BadRequest(field_violations=fields))

    error = errors.from_status(told)

    assert isinstance(error, errors.RequestInvalid)
    assert reasons.ERROR_REASON_REQUEST_INVALID == error.reason
    assert "REQUEST_INVALID" == error.reason_name
    assert {"position": "7"} == error.metadata
    assert ["items[1]", "items[4]"] == [violation.field for violation in error.violations]
    assert "REQUEST_INVALID: as it is" == str(error)


@pytest.mark.parametrize(
    "code, expected",
    [
        (grpc.StatusCode.ALREADY_EXISTS, errors.AlreadyTaken),
        (grpc.StatusCode.NOT_FOUND, errors.NotFound),
        (grpc.StatusCode.FAILED_PRECONDITION, errors.Refused),
        (grpc.StatusCode.ABORTED, errors.Conflict),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, errors.Overloaded),
        (grpc.StatusCode.UNAVAILABLE, errors.Unavailable),
        (grpc.StatusCode.DATA_LOSS, errors.ServerFault),
        (grpc.StatusCode.INTERNAL, errors.ServerFault),
    ],
)
def test_codes_have_classes(code: grpc.StatusCode, expected: type[errors.RapportError]) -> None:
    assert expected is type(refusal(code, "INTERNAL"))


def test_a_reason_of_a_newer_server_keeps_its_name() -> None:
    error = refusal(grpc.StatusCode.FAILED_PRECONDITION, "MOON_IN_WRONG_PHASE")

    assert (reasons.ERROR_REASON_UNSPECIFIED, "MOON_IN_WRONG_PHASE") == (error.reason, error.reason_name)


@pytest.mark.parametrize(
    "code, reason, retry_after_s, expected",
    [
        (grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN", None, True),
        (grpc.StatusCode.UNAVAILABLE, "", None, True),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_TOO_SHORT", None, True),
        (grpc.StatusCode.ABORTED, "CONCURRENCY_CONFLICT", None, True),
        (grpc.StatusCode.ABORTED, "VERSION_CONFLICT", None, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS", 0.5, True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "", None, False),  # A message too large for the transport.
        (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED", None, False),
        (grpc.StatusCode.FAILED_PRECONDITION, "OCCUR_TIME_IN_FUTURE", None, False),
        (grpc.StatusCode.INTERNAL, "INTERNAL", None, False),
    ],
)
def test_only_what_passes_is_asked_again(
    code: grpc.StatusCode, reason: str, retry_after_s: float | None, expected: bool
) -> None:
    assert expected is refusal(code, reason, retry_after_s).retryable


def test_an_unknown_outcome_is_told_from_nothing_recorded() -> None:
    assert refusal(grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN").outcome_unknown
    assert refusal(grpc.StatusCode.UNAVAILABLE, "").outcome_unknown
    assert refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_TOO_SHORT").outcome_unknown
    assert not refusal(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE").outcome_unknown
    assert not refusal(grpc.StatusCode.ABORTED, "CONCURRENCY_CONFLICT").outcome_unknown


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


AWAY = refusal(grpc.StatusCode.UNAVAILABLE, "")
CONFLICT = refusal(grpc.StatusCode.ABORTED, "CONCURRENCY_CONFLICT")


def test_a_call_is_tried_four_times_and_waits_longer_each_time() -> None:
    attempts = Attempts(RetryPolicy(), Throttle())

    delays = [attempts.delay_s(AWAY) for _ in range(4)]

    assert delays[3] is None
    for number, delay_s in enumerate(delays[:3]):
        assert delay_s is not None
        assert 0.05 * 2**number <= delay_s <= 0.1 * 2**number


def test_the_servers_wish_is_honoured_unless_it_is_too_long() -> None:
    asked = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS", 1.5)
    too_long = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS", 60)

    assert 1.5 == Attempts(RetryPolicy(), Throttle()).delay_s(asked)
    assert Attempts(RetryPolicy(), Throttle()).delay_s(too_long) is None


def test_patience_outlives_a_restart_but_not_for_ever() -> None:
    clock = Clock()
    attempts = Attempts(RetryPolicy(patience_s=30), Throttle(), clock)
    for _ in range(50):
        assert attempts.delay_s(AWAY) is not None

    clock.now += 31

    assert attempts.delay_s(AWAY) is None


def test_patience_is_for_servers_that_are_away_only() -> None:
    attempts = Attempts(RetryPolicy(patience_s=30), Throttle())

    assert [True, True, True, False] == [attempts.delay_s(CONFLICT) is not None for _ in range(4)]


def test_success_begins_the_count_anew() -> None:
    attempts = Attempts(RetryPolicy(attempts=2), Throttle())
    assert attempts.delay_s(AWAY) is not None

    attempts.succeeded()

    assert attempts.delay_s(AWAY) is not None
    assert attempts.delay_s(AWAY) is None


def test_when_most_calls_fail_nobody_repeats() -> None:
    throttle = Throttle(tokens=4)
    for _ in range(2):
        Attempts(RetryPolicy(), throttle).delay_s(AWAY)

    assert Attempts(RetryPolicy(), throttle).delay_s(AWAY) is None

    for _ in range(21):
        throttle.succeeded()
    assert Attempts(RetryPolicy(), throttle).delay_s(AWAY) is not None
