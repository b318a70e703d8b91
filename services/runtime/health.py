"""`grpc.health.v1`: whether each service, and the process as a whole (the empty name), takes calls.

Not the servicer of grpcio-health-checking: its watches end only with the client, and every shutdown would wait for
them. Health is asked without limits, so that an overloaded process is not taken for a dead one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2

Context = grpc.aio.ServicerContext[Any, Any]

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
_PROBE_S: Final = 0.5
_UNKNOWN: Final = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """The state of the services of one process: all of them serve, until none does any more.

    Work beside the services may have a name and a state of its own (`watch`); it does not change that of the process.
    """

    def __init__(self) -> None:
        self._services: set[str] = {""}
        self._probes: dict[str, Callable[[], bool]] = {}
        self._stopped = asyncio.Event()

    @property
    def serving(self) -> bool:
        """Whether the process takes calls."""
        return not self._stopped.is_set()

    @property
    def services(self) -> frozenset[str]:
        """The services that are known; the empty name is the process."""
        return frozenset(self._services)

    def add(self, service: str) -> None:
        """Let a service be known."""
        self._services.add(service)

    def watch(self, service: str, healthy: Callable[[], bool]) -> None:
        """Let a service be known whose state is asked for: it serves while `healthy()` is true."""
        self._services.add(service)
        self._probes[service] = healthy

    def stop(self) -> None:
        """Say NOT_SERVING from now on, also to those who watch; their streams end."""
        self._stopped.set()

    async def Check(  # noqa: N802  # Named by the proto.
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Return the state of one service; NOT_FOUND for one that is not served here."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return self._status(request.service)

    async def List(  # noqa: N802  # Named by the proto.
        self,
        request: health_pb2.HealthListRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> health_pb2.HealthListResponse:
        """Return the state of every service."""
        return health_pb2.HealthListResponse(statuses={name: self._status(name) for name in self._services})

    async def Watch(  # noqa: N802  # Named by the proto.
        self,
        request: health_pb2.HealthCheckRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield the state now, whenever it changes, and once more when the process stops; then the stream ends."""
        service = request.service
        if service not in self._services:
            yield health_pb2.HealthCheckResponse(status=_UNKNOWN)
        elif self.serving:
            async for status in self._changes(service):
                yield status
        await self._stopped.wait()
        if service in self._services:
            yield self._status(service)

    async def _changes(self, service: str) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield the state now, and of what has a state of its own every other one, until the process stops."""
        last = self._status(service)
        yield last
        while service in self._probes and self.serving:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_S):
                    await self._stopped.wait()
            status = self._status(service)
            if status != last and self.serving:
                yield status
            last = status

    def _status(self, service: str) -> health_pb2.HealthCheckResponse:
        healthy = self._probes.get(service)
        serves = self.serving and (healthy is None or healthy())
        return health_pb2.HealthCheckResponse(status=_SERVING if serves else _NOT_SERVING)
