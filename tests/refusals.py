"""What a refused call said, taken apart for tests."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


async def refusal(call: Awaitable[Any]) -> status_pb2.Status:
    """Return the status with which a call is refused; fail when it is not."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return status_of(caught.value)


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """Return the google.rpc.Status of an error."""
    found = rpc_status.from_call(error)
    assert found is not None, error
    return found


def reason_of(status: status_pb2.Status) -> str:
    """Return the reason in a status; there is exactly one ErrorInfo in it."""
    return str(_info(status).reason)


def metadata_of(status: status_pb2.Status) -> dict[str, str]:
    """Return the values that explain the reason."""
    return dict(_info(status).metadata)


def fields_of(status: status_pb2.Status) -> list[str]:
    """Return the fields that the BadRequest of a status names."""
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Is(bad.DESCRIPTOR):
            detail.Unpack(bad)
    return [violation.field for violation in bad.field_violations]


def retry_delay_s(status: status_pb2.Status) -> float | None:
    """Return the seconds to wait that a status names, or None."""
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Is(retry.DESCRIPTOR):
            detail.Unpack(retry)
            return float(retry.retry_delay.ToTimedelta().total_seconds())
    return None


def _info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    infos = [detail for detail in status.details if detail.Is(info.DESCRIPTOR)]
    assert 1 == len(infos)
    infos[0].Unpack(info)
    assert "rapport" == info.domain
    return info
