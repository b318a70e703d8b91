"""Health of work beside the services: a state of its own, which does not change that of the process."""

from __future__ import annotations

from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from services.runtime import health as module
from services.runtime.health import Health

SERVES = health_pb2.HealthCheckResponse.SERVING
SERVES_NOT = health_pb2.HealthCheckResponse.NOT_SERVING
NOBODY: Any = None


async def status(health: Health, service: str) -> int:
    return int((await health.Check(health_pb2.HealthCheckRequest(service=service), NOBODY)).status)


async def test_work_that_is_not_well_says_so_and_the_process_serves_on() -> None:
    well = True
    health = Health()
    health.add("rapport.some.v1.SomeService")
    health.watch("work", lambda: well)

    before = await status(health, "work")
    well = False

    assert (SERVES, SERVES_NOT) == (before, await status(health, "work"))
    assert [SERVES, SERVES] == [await status(health, name) for name in ("", "rapport.some.v1.SomeService")]
    listed = (await health.List(health_pb2.HealthListRequest(), NOBODY)).statuses
    assert {"": SERVES, "rapport.some.v1.SomeService": SERVES, "work": SERVES_NOT} == {
        name: answer.status for name, answer in listed.items()
    }


async def test_who_watches_work_is_told_of_every_change_and_of_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PROBE_S", 0.01)
    well = True
    health = Health()
    health.watch("work", lambda: well)
    watch = health.Watch(health_pb2.HealthCheckRequest(service="work"), NOBODY)

    first = (await anext(watch)).status
    well = False
    second = (await anext(watch)).status
    well = True
    third = (await anext(watch)).status
    health.stop()
    rest = [answer.status async for answer in watch]

    assert [SERVES, SERVES_NOT, SERVES, SERVES_NOT] == [first, second, third, *rest]
