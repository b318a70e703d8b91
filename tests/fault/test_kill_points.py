"""Killed at every named fault point, under load, the server loses nothing acknowledged and doubles nothing (I1, I4)."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import product
from pathlib import Path

import grpc
import pytest

from rapport.audit.v1.audit_service_pb2 import SubscribeRequest
from rapport.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from tests.fault.history import faults
from tests.fault.load import Load
from tests.fault.stored import embedded_log
from tests.server import ServerProcess

OFTEN = [
    "append.before_lock",
    "append.after_lock",
    "append.after_insert",
    "append.before_commit",
    "append.after_commit",
    "group.before_ack",
    "follow.before_deliver",
]
SELDOM = ["keys.before_commit", "keys.after_commit", "projection.before_commit", "projection.after_commit"]
"""Keys are made for many customers at once, and projections take what waits: neither is sure to come nine times."""


async def subscribe(target: str) -> None:
    """Follow the log until the server dies, or for a few seconds."""
    async with grpc.aio.insecure_channel(target) as channel:
        with suppress(grpc.aio.AioRpcError):
            async for _ in AuditServiceStub(channel).Subscribe(SubscribeRequest(), timeout=5):
                pass


@pytest.mark.timeout(120)
@pytest.mark.parametrize("point, nth", [*product(OFTEN, [2, 9]), *product(SELDOM, [2])])
async def test_a_kill_at_a_fault_point_loses_and_doubles_nothing(
    tmp_path: Path, point: str, nth: int, seed: int
) -> None:
    load = Load(seed)
    server = ServerProcess(tmp_path, settings={"RAPPORT_TEST_FAULT": f"{point}:{nth}:kill"})
    # The first commits are those of the new log itself: killed there, it must start again as if nothing had been.
    with suppress(AssertionError), server:
        reading = asyncio.create_task(subscribe(server.target))  # Events are delivered only where somebody follows.
        await load.write([server.target], count=400, clients=8)
        await reading

    with ServerProcess(tmp_path) as restarted:
        await load.finish(restarted.target)

    assert -9 == server.returncode, f"{point} was not reached {nth} times"
    assert [] == faults(load.history, embedded_log(tmp_path)), f"seed {seed}"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("action", ["eio", "enospc"])
@pytest.mark.parametrize("point", ["append.after_insert", "append.before_commit", "append.after_commit"])
async def test_an_error_of_the_disk_is_never_an_ok_that_is_later_absent(
    tmp_path: Path, point: str, action: str, seed: int
) -> None:
    load = Load(seed)
    with ServerProcess(tmp_path, settings={"RAPPORT_TEST_FAULT": f"{point}:4:{action}"}) as server:
        await load.write([server.target], count=120, clients=8)

    with ServerProcess(tmp_path) as server:
        await load.finish(server.target)

    assert [] == faults(load.history, embedded_log(tmp_path)), f"seed {seed}"
