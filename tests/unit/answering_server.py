"""A server that answers any rpc with what it was given, and keeps what it was asked.

async with answering_server() as server:
    server.answers["Decide"] = DecideResponse(...)   # A list: the frames of a stream.

As a fixture: `server = answering_server.server`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rapport.change.v1 import change_service_pb2
from rapport.consent.v1 import consent_service_pb2
from rapport.contact.v1 import contact_service_pb2
from rapport.customer.v1 import customer_service_pb2
from rapport.relationship.v1 import relationship_service_pb2
from rapport.report.v1 import report_service_pb2

_FILES: tuple[Any, ...] = (
    change_service_pb2,
    consent_service_pb2,
    contact_service_pb2,
    customer_service_pb2,
    relationship_service_pb2,
    report_service_pb2,
)


@dataclass
class AnsweringServer:
    """What it answers, and what it was asked."""

    target: str = ""
    answers: dict[str, Message | list[Message]] = field(default_factory=dict)
    """By the name of the rpc; without one, an empty answer."""
    asked: list[Any] = field(default_factory=list)
    """Requests, in the order they came."""

    @property
    def last(self) -> Any:
        """The request that came last."""
        return self.asked[-1]

    def answer(self, method: MethodDescriptor) -> Message | list[Message]:
        """Return what a method answers."""
        empty: Message | list[Message] = [] if method.server_streaming else GetMessageClass(method.output_type)()
        return self.answers.get(method.name, empty)


@asynccontextmanager
async def answering_server() -> AsyncIterator[AnsweringServer]:
    """Serve every rpc about consents, customers, contacts, relationships and changes, and every report."""
    answering = AnsweringServer()
    server = grpc.aio.server()
    for module in _FILES:
        file: FileDescriptor = module.DESCRIPTOR
        for service in file.services_by_name.values():
            handlers = {method.name: _handler(answering, method) for method in service.methods}
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    answering.target = f"127.0.0.1:{port}"
    try:
        yield answering
    finally:
        await server.stop(None)


@pytest.fixture
async def server() -> AsyncIterator[AnsweringServer]:
    """Serve for one test."""
    async with answering_server() as answering:
        yield answering


def _handler(answering: AnsweringServer, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
    async def one(request: Message, _: Any) -> Any:
        answering.asked.append(request)
        return answering.answer(method)

    async def many(request: Message, _: Any) -> AsyncIterator[Any]:
        answering.asked.append(request)
        for frame in answering.answer(method):  # type: ignore[union-attr]  # Streams are given lists.
            yield frame

    request_class, response_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
    return make(
        many if method.server_streaming else one,
        request_class.FromString,
        response_class.SerializeToString,
    )
