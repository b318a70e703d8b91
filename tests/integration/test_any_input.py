"""No input crashes a service, shows its inside, or stores an event that replay cannot read (I33).

Random messages, cut ones and plain noise go to every rpc. Whatever is refused is refused with a reason, and whatever is
stored keeps the rules of its event.
"""

from __future__ import annotations

import json
import random
import sys
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ledger.domain.errors import Violation
from ledger.log.envelope import split_state
from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.consent.v1.consent_acts_pb2 import RaiseObjectionRequest
from rapport.events.v1.consent_pb2 import ObjectionRaised
from services.consent.faults import judged
from services.runtime.validation import violations_of
from tests.messages import ID, fill
from tests.refusals import reason_of, status_of
from tests.server import Serving, serving

GOOD_IDS: dict[str, Any] = {"organization_id": "acme", "customer_id": "c-1", "request_id": ID}
INPUTS = 40
"""Per rpc."""
# A read may wait for a position that never comes, and a subscription never ends: there the caller's deadline decides.
WAITED = "DEADLINE_EXCEEDED"


def methods(server: Serving) -> list[MethodDescriptor]:
    """Return every rpc of ours that a server serves."""
    pool = descriptor_pool.Default()
    services = [name for name in server.app.health.services if name.startswith("rapport.")]
    return [method for name in services for method in pool.FindServiceByName(name).methods]


def an_input(method: MethodDescriptor, chance: random.Random, number: int) -> bytes:
    if number % 10 == 0:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(60)))
    message: Any = message_factory.GetMessageClass(method.input_type)()
    fill(message, chance)
    if "request_id" in method.input_type.fields_by_name and chance.random() < 0.9:
        message.request_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    if "min_position" in method.input_type.fields_by_name:
        message.min_position = chance.choice([0, 0, 1])
    raw: bytes = message.SerializeToString()
    return raw[: chance.randrange(len(raw) + 1)] if number % 10 == 1 else raw


async def reasons(server: Serving, method: MethodDescriptor, raw: bytes) -> list[str]:
    """Return the reasons for which an input was refused; a word of our own where it was not, or had none."""
    service = method.containing_service
    assert service is not None
    path = f"/{service.full_name}/{method.name}"
    parse: Any = message_factory.GetMessageClass(method.output_type).FromString
    channel: Any = server.channel
    try:
        if not method.server_streaming:
            await channel.unary_unary(path, None, parse)(raw, timeout=10)
            return ["OK"]
        if not method.client_streaming:
            return await first_frames(channel.unary_stream(path, None, parse)(raw, timeout=0.2))
        answers = [answer async for answer in channel.stream_stream(path, None, parse)(iter([raw]), timeout=10)]
        items = [result.error for answer in answers for result in answer.results if result.HasField("error")]
        return ["OK", *map(reason_of, items)]
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return [WAITED]
        return [reason_of(status_of(error))]


async def first_frames(call: Any) -> list[str]:
    for _ in range(20):
        if await call.read() is grpc.aio.EOF:
            break
    call.cancel()
    return ["OK"]


def unfit(server: Serving) -> list[str]:
    """Return the topics of stored events that do not keep the rules of their message."""
    rows = server.app.ledger.store.read_log(0, 1_000_000)
    found = [(row.topic, MESSAGE_BY_TOPIC[row.topic].FromString(split_state(row.state)[1])) for row in rows]
    return [f"{topic}: {faults}" for topic, event in found if (faults := faults_of(event))]


def faults_of(event: Any) -> tuple[Violation, ...]:
    """Return what an event breaks. An objection is taken whatever it is about, as a withdrawal is: only sizes count."""
    if isinstance(event, ObjectionRaised):
        return violations_of(judged(RaiseObjectionRequest(**GOOD_IDS, objection=event)))
    return violations_of(event)


@pytest.mark.timeout(180)
async def test_every_rpc_takes_any_input_and_stays_well(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    seen: Counter[str] = Counter()
    async with serving(tmp_path) as server:
        served = methods(server)
        for method in served:
            for number in range(INPUTS):
                seen.update(await reasons(server, method, an_input(method, chance, number)))
        health = health_pb2_grpc.HealthStub(server.channel)
        well = await health.Check(health_pb2.HealthCheckRequest())
        broken = unfit(server)
        events = server.app.ledger.head.position
        log = server.logged()

    told = {"invariant": "I33", "N": INPUTS * len(served), "violations": len(broken), "seed": seed, "seen": seen}
    sys.stdout.write(json.dumps(told) + "\n")
    assert health_pb2.HealthCheckResponse.SERVING == well.status
    assert 0 == seen["INTERNAL"]
    assert "rpc.failed" not in log
    assert "Traceback" not in log
    assert [] == broken
    assert events > 50  # Enough got through that the last two mean something.
    assert seen["REQUEST_INVALID"] > 50


async def test_an_event_that_was_stored_unchecked_would_be_seen(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: without validation before storing, an event that breaks its rules is found."""
    monkeypatch.setattr("services.interaction.translate.check", lambda *_: None)
    chance = random.Random(seed)
    async with serving(tmp_path) as server:
        (record,) = [method for method in methods(server) if method.name == "RecordInteraction"]
        for number in range(200):
            await reasons(server, record, an_input(record, chance, number))

        assert [] != unfit(server)
