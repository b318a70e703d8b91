"""FindAudience and the contact report through gRPC: who asked for a topic, in order, and what became of contacts."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.consent import GiveConsent
from ledger.domain.decider import Step
from ledger.domain.preference import DeclarePreference
from ledger.requests import Request
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.contact.v1 import decision_pb2 as d
from rapport.events.v1.consent_pb2 import ConsentGiven
from rapport.events.v1.contact_pb2 import (
    DECISION_OUTCOME_DEFER,
    DECISION_OUTCOME_DENY,
    DECISION_OUTCOME_PERMIT,
    DECISION_REASON_CHANNEL_AVERSE,
)
from rapport.events.v1.preference_pb2 import ChannelPreference, Pause, PreferenceDeclared, TopicPreference
from rapport.type.v1.window_pb2 import Window
from services.client import Client, NotFound, RapportError, RequestInvalid
from services.contact import audience
from services.contact import servicer as contact_servicer
from services.runtime.settings import Secret
from tests.contact_calls import ORGANIZATION, PERMIT, PURPOSE, Shop, mail, question, told
from tests.server import Serving, serving

WINE = question(topic="wine")
ALL = (DECISION_OUTCOME_PERMIT, DECISION_OUTCOME_DENY, DECISION_OUTCOME_DEFER)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Serving]:
    store: dict[str, Any] = (
        {} if request.param == "sqlite" else {"store_url": Secret(request.getfixturevalue("postgres_url"))}
    )
    async with serving(tmp_path, **store) as running:
        yield running


@pytest.fixture
async def shop(server: Serving) -> AsyncIterator[Shop]:
    async with Client(server.target) as client:
        yield Shop(client)


async def found(shop: Shop, asked: Any = WINE, **how: Any) -> tuple[list[pb.AudienceMember], pb.AudienceProgress]:
    """Return the members of an audience, and the last progress."""
    how = {"min_position": await shop.head(), **how}
    frames = [frame async for frame in shop.client.find_audience(ORGANIZATION, asked, **how)]
    assert [False] * (len(frames) - 1) + [True] == [frame.progress.done for frame in frames]
    return [frame.member for frame in frames if frame.HasField("member")], frames[-1].progress


async def test_who_asked_for_a_topic_is_found_in_order_with_what_a_decision_would_say(shop: Shop) -> None:
    for name in ("b", "a", "c", "d"):
        await shop.want(name, "wine", "boats")
    for name in ("a", "c", "elsewhere"):
        await shop.give(name)
    await shop.want("e", "boats")
    head = await shop.head()

    members, progress = await found(shop)

    assert ["a", "c"] == [member.customer_id for member in members]
    assert [PERMIT, PERMIT] == [told(member.decision) for member in members]
    assert members[0].decision.simulated
    assert WINE == members[0].decision.question
    counts = (progress.looked_at_count, progress.permit_count, progress.defer_count, progress.deny_count)
    assert (4, 2, 0, 2) == counts
    assert ("d", head) == (progress.last_customer_id, progress.position)
    assert head == await shop.head()


async def test_outcomes_choose_and_a_customer_id_says_where_to_go_on(shop: Shop) -> None:
    for name in ("a", "b", "c", "d"):
        await shop.want(name, "wine")
        await shop.give(name)
    await shop.withdraw("b")
    pause = PreferenceDeclared(pause=Pause(until=Timestamp(seconds=4_000_000_000)))
    await shop.client.declare_preference(ORGANIZATION, "c", pause)

    denied, _ = await found(shop, outcomes=[DECISION_OUTCOME_DENY])
    everybody, _ = await found(shop, outcomes=ALL)
    rest, progress = await found(shop, outcomes=ALL, after_customer_id="b")

    assert {"b": "CONSENT_WITHDRAWN", "c": "NO_WINDOW"} == {each.customer_id: told(each.decision)[1] for each in denied}
    assert ["a", "b", "c", "d"] == [member.customer_id for member in everybody]
    assert ["c", "d"] == [member.customer_id for member in rest]
    assert 2 == progress.looked_at_count


async def test_who_took_it_back_is_left_out_also_before_the_projection_heard_of_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        await shop.want(name, "wine")
        await shop.give(name)
    await shop.want("b", "boats")
    monkeypatch.setattr(audience, "customers_wanting", lambda *_: ["a", "b"])

    members, progress = await found(shop, outcomes=ALL)

    assert ["a"] == [member.customer_id for member in members]
    assert (1, 1, "b") == (progress.looked_at_count, progress.permit_count, progress.last_customer_id)


async def test_who_asked_no_more_or_found_another_topic_is_not_looked_at(shop: Shop) -> None:
    await shop.want("a", "wine")
    await shop.want("a", "boats")

    members, progress = await found(shop, outcomes=ALL)

    assert ([], 0, "") == (members, progress.looked_at_count, progress.last_customer_id)
    _, further = await found(shop, after_customer_id="q")
    assert "q" == further.last_customer_id


async def test_a_search_needs_a_topic_and_a_log_that_is_as_far(shop: Shop) -> None:
    with pytest.raises(RequestInvalid) as nothing:
        await found(shop, question())
    assert ["question.topic"] == [each.field for each in nothing.value.violations]
    stream = shop.client._contacts.FindAudience(
        pb.FindAudienceRequest(organization_id=ORGANIZATION, question=WINE, min_position=10**6), timeout=0.5
    )
    with pytest.raises(Exception, match="position in time"):
        await stream.read()


async def fill(server: Serving, customers: Sequence[str]) -> None:
    """Let customers ask for wine, and every second one allow marketing."""
    wine = PreferenceDeclared(topics=TopicPreference(wanted=["wine"]))
    consent = ConsentGiven(purposes=[PURPOSE])
    for start in range(0, len(customers), 500):
        streams = [f"{ORGANIZATION}/{name}" for name in customers[start : start + 500]]
        steps: list[Step] = [DeclarePreference(stream_id, wine) for stream_id in streams]
        steps += [GiveConsent(stream_id, consent) for stream_id in streams[::2]]
        await server.app.ledger.execute(Request("/test/Fill", ORGANIZATION, uuid4().bytes, wine), steps)


async def test_thousands_are_found_with_progress_and_without_holding_them(tmp_path: Path) -> None:
    # What the search holds is weighed: nothing else may be at work in this process.
    async with (
        serving(tmp_path, cache_events_max=2_000, detector="off") as server,
        Client(server.target) as client,
    ):
        shop = Shop(client)
        customers = [f"c-{n:05}" for n in range(3_000)]
        await fill(server, customers)
        head, peaks, counts = await shop.head(), [], []
        for after in (customers[2_000], ""):
            tracemalloc.start()
            frames = client.find_audience(ORGANIZATION, WINE, after_customer_id=after, min_position=head)
            counts = [frame.progress.looked_at_count async for frame in frames if frame.HasField("progress")]
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    assert [1_000, 2_000, 3_000, 3_000] == counts
    assert peaks[1] < 1.5 * peaks[0] + 4 * 2**20


async def test_the_service_finds_audiences_in_a_process_of_its_own(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, Client(server.target) as client:
        await Shop(client).want("a", "wine")
    async with serving(tmp_path, (contact_servicer,)) as server, Client(server.target) as client:
        frames = [frame async for frame in client.find_audience(ORGANIZATION, WINE, outcomes=ALL, min_position=2)]

    assert ["a"] == [frame.member.customer_id for frame in frames[:-1]]


async def test_the_report_counts_what_was_decided_and_what_became_of_it(shop: Shop) -> None:
    await shop.give()
    used = await shop.decide()
    await shop.client.record_interaction(ORGANIZATION, "c-1", mail(decision_id=used.decision_id))
    bare = await shop.client.record_interaction(ORGANIZATION, "c-1", mail())
    given_back = await shop.decide()
    await shop.client.abort_contact(ORGANIZATION, "c-1", given_back.decision_id)
    void = await shop.decide()
    averse = PreferenceDeclared(channels=ChannelPreference(averse=[question().channel]))
    await shop.client.declare_preference(ORGANIZATION, "c-1", averse)
    await shop.withdraw()
    dishonoured = await shop.client.record_interaction(ORGANIZATION, "c-1", mail(decision_id=void.decision_id))
    await shop.decide()
    report = await shop.client.get_contact_report(ORGANIZATION, "c-1")

    assert (3, 3, 1, 1, 1, 1) == (
        report.contacts,
        report.needing_decision,
        report.decided,
        report.undecided,
        report.against_decision,
        report.honoured,
    )
    assert 333_333 == report.honoured_ppm
    assert [bare.position, dishonoured.position] == [each.position for each in report.dishonoured]
    assert [d.PERMIT_STATUS_UNSPECIFIED, d.PERMIT_STATUS_VOID] == [each.permit_status for each in report.dishonoured]
    assert [DECISION_REASON_CHANNEL_AVERSE] == list(report.dishonoured[1].reasons)
    assert {DECISION_OUTCOME_PERMIT: 3, DECISION_OUTCOME_DENY: 1} == {
        each.outcome: each.count for each in report.decisions
    }
    assert (1, 1) == (report.contacts_avoided, report.permits_unused)
    assert await shop.head() == report.position == report.as_of.position


async def test_a_report_needs_a_relationship_and_a_window_that_can_be(shop: Shop) -> None:
    with pytest.raises(NotFound) as unknown:
        await shop.client.get_contact_report(ORGANIZATION, "nobody")
    assert "RELATIONSHIP_UNKNOWN" == unknown.value.reason_name
    await shop.client.give_consent(ORGANIZATION, "c-1", ConsentGiven(purposes=[PURPOSE]))
    window = Window(to=Timestamp(seconds=5))
    getattr(window, "from").seconds = 5
    with pytest.raises(RapportError) as refused:
        await shop.client.get_contact_report(ORGANIZATION, "c-1", window=window)
    assert "WINDOW_INVALID" == refused.value.reason_name
    empty = Window(to=Timestamp(seconds=6))
    assert not (await shop.client.get_contact_report(ORGANIZATION, "c-1", window=empty)).HasField("honoured_ppm")
