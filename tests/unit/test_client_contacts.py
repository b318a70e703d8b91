"""Searches and simulations in the client: everybody once and in order, counts that add up, and breaks told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest

from rapport.contact.v1.contact_service_pb2 import (
    AudienceMember,
    AudienceProgress,
    FindAudienceResponse,
    SimulatePolicyResponse,
    SimulationProgress,
)
from rapport.events.v1.contact_pb2 import ContactQuestion
from services.client import Client, RapportError, RetryPolicy, Unavailable
from tests.unit.fake_server import FakeServer, fake_server

QUICK = RetryPolicy(first_delay_s=0.001)
WINE = ContactQuestion(topic="wine")


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        yield fake


def member(customer_id: str) -> FindAudienceResponse:
    return FindAudienceResponse(member=AudienceMember(customer_id=customer_id))


def progress(last: str, looked_at: int, permits: int = 0, *, done: bool = False) -> FindAudienceResponse:
    told = AudienceProgress(looked_at_count=looked_at, permit_count=permits, last_customer_id=last, done=done)
    return FindAudienceResponse(progress=told)


async def test_a_search_that_breaks_goes_on_and_tells_of_each_once_with_counts_over_all(server: FakeServer) -> None:
    server.contacts.searches = [
        [member("a"), progress("b", 2, 1), member("c"), member("d"), grpc.StatusCode.UNAVAILABLE],
        [member("c"), member("d"), member("f"), progress("f", 4, 3)],  # Ends without being done.
        [member("g"), progress("h", 2, 1, done=True)],
    ]

    async with Client(server.target, retry=QUICK) as client:
        frames = [frame async for frame in client.find_audience("shop", WINE, after_customer_id="A")]

    assert ["a", "c", "d", "f", "g"] == [frame.member.customer_id for frame in frames if frame.HasField("member")]
    counts = [frame.progress for frame in frames if frame.HasField("progress")]
    assert [(2, 1), (6, 4), (8, 5)] == [(each.looked_at_count, each.permit_count) for each in counts]
    assert ["A", "b", "f"] == [request.after_customer_id for request in server.contacts.asked]


async def test_a_search_ends_with_what_waiting_does_not_mend(server: FakeServer) -> None:
    server.contacts.searches = [[member("a"), (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_REQUEST_INVALID")]]

    async with Client(server.target, retry=QUICK) as client:
        with pytest.raises(RapportError):
            [frame async for frame in client.find_audience("shop", WINE)]

    assert 1 == len(server.contacts.asked)


async def test_a_simulation_that_was_not_done_is_no_simulation(server: FakeServer) -> None:
    half = SimulatePolicyResponse(progress=SimulationProgress(decisions_count=500))
    whole = SimulatePolicyResponse(progress=SimulationProgress(decisions_count=501, done=True))
    server.contacts.simulations = [[half, whole], [half]]

    async with Client(server.target, retry=QUICK) as client:
        frames = [frame async for frame in client.simulate_policy("shop", contact_policy_version=1)]
        assert [half, whole] == frames
        with pytest.raises(Unavailable):
            [frame async for frame in client.simulate_policy("shop", contact_policy_version=1)]
