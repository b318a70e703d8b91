"""Suppressions through gRPC: added, lifted by somebody, imported once for each version of a list, shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger.domain.times import MICROSECONDS, timestamp
from rapport.contact.v1.contact_service_pb2 import SuppressionEntry
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1.consent_pb2 import SuppressionAdded, SuppressionLifted
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.event_context_pb2 import EventContext
from services.client import Client, NotFound, RapportError, RequestInvalid, new_request_id
from tests.contact_calls import ORGANIZATION, PERMIT, Shop, told
from tests.server import Serving, serving

CLERK = EventContext(actor="clerk")
LEGAL = SuppressionAdded(reason=c.SUPPRESSION_REASON_LEGAL)
SUPPRESSED = ("DENY", "SUPPRESSED_LEGAL")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
async def shop(server: Serving) -> AsyncIterator[Shop]:
    async with Client(server.target) as client:
        yield Shop(client)


async def test_a_suppression_denies_until_somebody_lifts_it_and_no_consent_does(shop: Shop) -> None:
    await shop.give()
    added = await shop.client.add_suppression(ORGANIZATION, "c-1", LEGAL)
    assert SUPPRESSED == told(await shop.decide())
    await shop.give()
    assert SUPPRESSED == told(await shop.decide())

    lift = SuppressionLifted(added_position=added.position, reason="court.order")
    lifted = await shop.client.lift_suppression(ORGANIZATION, "c-1", lift, CLERK)
    assert PERMIT == told(await shop.decide())
    shown = await shop.client.get_suppressions(ORGANIZATION, "c-1")

    (each,) = shown.suppressions
    assert (LEGAL, added.position, added.record_time) == (each.suppression, each.position, each.added_time)
    assert (lifted.position, lifted.record_time) == (each.lifted_position, each.lifted_time)
    assert await shop.head() == shown.position
    before = await shop.client.get_suppressions(ORGANIZATION, "c-1", as_of=AsOf(position=lifted.position - 1))
    assert 0 == before.suppressions[0].lifted_position


async def test_a_lifting_needs_somebody_and_something_that_stands(shop: Shop) -> None:
    added = await shop.client.add_suppression(ORGANIZATION, "c-1", LEGAL)
    lift = SuppressionLifted(added_position=added.position, reason="mistake")
    with pytest.raises(RequestInvalid) as nobody:
        await shop.client.lift_suppression(ORGANIZATION, "c-1", lift, EventContext())
    assert ["context.actor"] == [each.field for each in nobody.value.violations]

    request_id = new_request_id()
    first = await shop.client.lift_suppression(ORGANIZATION, "c-1", lift, CLERK, request_id=request_id)
    again = await shop.client.lift_suppression(ORGANIZATION, "c-1", lift, CLERK, request_id=request_id)
    assert (first.position, False, True) == (again.position, first.replayed, again.replayed)
    for customer_id, position in (("c-1", added.position), ("c-1", 10**6), ("c-2", added.position)):
        other = SuppressionLifted(added_position=position, reason="mistake")
        with pytest.raises(NotFound) as refused:
            await shop.client.lift_suppression(ORGANIZATION, customer_id, other, CLERK)
        assert "SUPPRESSION_UNKNOWN" == refused.value.reason_name
        assert {"added_position": str(position)} == refused.value.metadata


async def test_one_of_a_list_names_the_list(shop: Shop) -> None:
    nameless = SuppressionAdded(reason=c.SUPPRESSION_REASON_EXTERNAL_LIST)
    with pytest.raises(RequestInvalid) as refused:
        await shop.client.add_suppression(ORGANIZATION, "c-1", nameless)

    fields = [each.field for each in refused.value.violations]
    assert ["suppression.list_name", "suppression.list_version"] == fields
    late = timestamp(4_102_444_800 * MICROSECONDS)
    with pytest.raises(RapportError) as future:
        await shop.client.add_suppression(ORGANIZATION, "c-1", LEGAL, occur_time=late)
    assert "OCCUR_TIME_IN_FUTURE" == future.value.reason_name


async def test_a_list_is_imported_once_for_each_of_its_versions(shop: Shop) -> None:
    entries = [SuppressionEntry(customer_id=name, channel=CHANNEL_EMAIL) for name in ("a", "b", "a")]
    entries.append(SuppressionEntry(customer_id="a", channel=CHANNEL_SMS, contact_point_id="cp"))
    request_id = new_request_id()
    await shop.give("a")

    first = await shop.client.import_suppressions(ORGANIZATION, "register", "7", entries, request_id=request_id)
    again = await shop.client.import_suppressions(ORGANIZATION, "register", "7", entries, request_id=request_id)
    assert (3, 1, False) == (first.added_count, first.known_count, first.replayed)
    assert (3, 1, True) == (again.added_count, again.known_count, again.replayed)
    assert first.position == again.position == await shop.head()
    second = await shop.client.import_suppressions(ORGANIZATION, "register", "7", entries)
    assert (0, 4, first.position) == (second.added_count, second.known_count, second.position)
    third = await shop.client.import_suppressions(ORGANIZATION, "register", "8", entries[:1], list_sha256=b"s" * 32)
    assert (1, 0) == (third.added_count, third.known_count)

    shown = (await shop.client.get_suppressions(ORGANIZATION, "a")).suppressions
    assert [("7", CHANNEL_EMAIL), ("7", CHANNEL_SMS), ("8", CHANNEL_EMAIL)] == [
        (each.suppression.list_version, each.suppression.channel) for each in shown
    ]
    assert b"s" * 32 == shown[2].suppression.list_sha256
    assert ("DENY", "SUPPRESSED_LIST") == told(await shop.decide("a"))


async def test_what_is_wrong_with_an_entry_is_named_and_nothing_is_recorded(shop: Shop) -> None:
    head = await shop.head()
    entries = [SuppressionEntry(customer_id="a"), SuppressionEntry(customer_id="@")]
    with pytest.raises(RequestInvalid) as refused:
        await shop.client.import_suppressions(ORGANIZATION, "register", "7", entries)

    assert ["entries[1].customer_id"] == [each.field for each in refused.value.violations]
    assert head == await shop.head()


async def test_suppressions_of_who_is_unknown_cannot_be_shown(shop: Shop) -> None:
    with pytest.raises(NotFound) as refused:
        await shop.client.get_suppressions(ORGANIZATION, "nobody")
    assert "RELATIONSHIP_UNKNOWN" == refused.value.reason_name
