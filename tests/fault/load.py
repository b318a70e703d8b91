"""Clients that write while servers die: everything is sent again with its request_id until it is answered."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from uuid import UUID

import grpc

from rapport.consent.v1 import consent_service_pb2 as consent
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.events.v1.interaction_pb2 import DIRECTION_INBOUND, INTERACTION_KIND_MESSAGE, INTERACTION_KIND_VISIT
from rapport.interaction.v1 import interaction_service_pb2 as interaction
from rapport.interaction.v1.interaction_service_pb2_grpc import InteractionServiceStub
from tests.fault.history import History, Operation

ATTEMPT_S = 5.0
RETRIED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
}
"""Codes after which the request may have been carried out, or may be sent again."""

ORGANIZATION = "acme"


class Load:
    """Some clients and what they saw. Requests are drawn from `seed`, so a run can be repeated."""

    def __init__(self, seed: int, customers: int = 6) -> None:
        self.history = History()
        self._chance = random.Random(seed)
        self._customers = customers
        self._sent: dict[UUID, interaction.RecordInteractionRequest | consent.WithdrawConsentRequest] = {}

    async def write(self, targets: Sequence[str], count: int, clients: int) -> None:
        """Send `count` new requests from `clients` clients in parallel; stop early when no server answers any more."""
        left = iter(range(count))
        async with asyncio.TaskGroup() as tasks:
            for number in range(clients):
                tasks.create_task(self._write_all(targets[number % len(targets)], left))

    async def finish(self, target: str) -> None:
        """Send everything that was not answered again, and a third of the rest, until all is answered."""
        operations = [
            operation for operation in self.history.operations if not operation.ended or self._chance.random() < 1 / 3
        ]
        async with grpc.aio.insecure_channel(target) as channel:
            for operation in operations:
                if not operation.refused:
                    assert await self._send(channel, operation), f"request {operation.request_id} was never answered"

    async def _write_all(self, target: str, left: object) -> None:
        async with grpc.aio.insecure_channel(target) as channel:
            for _ in left:  # type: ignore[attr-defined]
                operation = self._new_operation()
                if not await self._send(channel, operation):
                    return

    def _new_operation(self) -> Operation:
        request_id = UUID(int=self._chance.getrandbits(128), version=4)
        customer = f"c-{self._chance.randrange(self._customers)}"
        operation = Operation(request_id, f"{ORGANIZATION}/{customer}", time.monotonic())
        self.history.operations.append(operation)
        self._sent[request_id] = self._request(customer, str(request_id))
        return operation

    def _request(
        self, customer: str, request_id: str
    ) -> interaction.RecordInteractionRequest | consent.WithdrawConsentRequest:
        kind = self._chance.random()
        if kind < 0.2:
            return consent.WithdrawConsentRequest(
                organization_id=ORGANIZATION, customer_id=customer, request_id=request_id
            )
        request = interaction.RecordInteractionRequest(
            organization_id=ORGANIZATION, customer_id=customer, request_id=request_id
        )
        request.interaction.direction = DIRECTION_INBOUND
        request.interaction.kind = INTERACTION_KIND_VISIT
        if kind < 0.4:
            request.interaction.kind = INTERACTION_KIND_MESSAGE
            request.interaction.summary = "personal words"
        return request

    async def _send(self, channel: grpc.aio.Channel, operation: Operation, attempts: int = 2) -> bool:
        """Send a request up to `attempts` times; tell whether it was answered for good."""
        for _ in range(attempts):
            operation.attempts += 1
            try:
                answer = await self._call(channel, operation.request_id)
            except grpc.aio.AioRpcError as error:
                if error.code() not in RETRIED:
                    operation.refused = True
                    return True
            else:
                if operation.ended:
                    assert (operation.position, operation.version) == answer, "a retry got another answer"
                else:
                    operation.position, operation.version = answer
                    operation.ended = time.monotonic()
                return True
        return False

    async def _call(self, channel: grpc.aio.Channel, request_id: UUID) -> tuple[int, int]:
        request = self._sent[request_id]
        if isinstance(request, consent.WithdrawConsentRequest):
            withdrawn = await ConsentServiceStub(channel).WithdrawConsent(request, timeout=ATTEMPT_S)
            return withdrawn.position, withdrawn.version
        recorded = await InteractionServiceStub(channel).RecordInteraction(request, timeout=ATTEMPT_S)
        return recorded.position, recorded.version
