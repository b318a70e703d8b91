"""`grpc.health.v1`: whether each service, and the process as a whole (the empty name), takes calls.

Not the servicer of grpcio-health-checking: its watches end only with the client, and every shutdown would wait for
them. Health is asked without limits, so that an overloaded process is not taken for a dead one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2

Context = grpc.aio.ServicerContext[Any, Any]

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN: Final = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """The state of the services of one process: all of them serve, until none does any more."""

    def __init__(self) -> None:
        self._services: set[str] = {""}
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

    def stop(self) -> None:
        """Say NOT_SERVING from now on, also to those who watch; their streams end."""
        self._stopped.set()

    async def Check(  # noqa: N802  # Named by the proto.
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Return the state of one service; NOT_FOUND for one that is not served here."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return self._status()

    async def List(  # noqa: N802  # Named by the proto.
        self,
        request: health_pb2.HealthListRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> health_pb2.HealthListResponse:
        """Return the state of every service."""
        return health_pb2.HealthListResponse(statuses={name: self._status() for name in self._services})

    async def Watch(  # noqa: N802  # Named by the proto.
        self,
        request: health_pb2.HealthCheckRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield the state now, and once more when the process stops; then the stream ends."""
        if request.service not in self._services:
            yield health_pb2.HealthCheckResponse(status=_UNKNOWN)
        elif self.serving:
            yield self._status()
        await self._stopped.wait()
        if request.service in self._services:
            yield self._status()

    def _status(self) -> health_pb2.HealthCheckResponse:
        return health_pb2.HealthCheckResponse(status=_SERVING if self.serving else _NOT_SERVING)
