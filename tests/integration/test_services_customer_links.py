"""Links between customers through gRPC, on SQLite: one append in two streams, one person, and the way back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from ledger.domain.times import timestamp
from rapport.consent.v1 import consent_service_pb2 as consent
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from rapport.events.v1.consent_pb2 import ConsentGiven
from rapport.relationship.v1.relationship_service_pb2 import GetRelationshipRequest
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from tests.customer_calls import (
    MARCH,
    declare,
    give_a_disc,
    language,
    link,
    new,
    server,
    shown,
    stub,
    talk,
    unlink,
    verify,
    who,
)
from tests.refusals import metadata_of, reason_of, refusal
from tests.server import Serving, serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


async def test_two_are_linked_in_one_append_and_shown_as_one_person_from_either_side(
    stub: CustomerServiceStub, server: Serving
) -> None:
    for name in "abc":
        await talk(server, name)
    request = link("b", "a", "l-1")
    answer, again = await stub.LinkCustomers(request), await stub.LinkCustomers(request)
    await stub.LinkCustomers(link("b", "c", "l-2"))

    assert (answer.position_a + 1, answer.position_a, answer.position_b) == (
        answer.position_b,
        again.position_a,
        again.position_b,
    )
    assert (False, True) == (answer.replayed, again.replayed)
    rows = server.app.ledger.store.read_log(answer.position_a - 1, 2)
    assert ["acme/b", "acme/a"] == [row.stream_id for row in rows]
    assert 1 == len({row.record_time for row in rows})
    for name in "abc":
        person = await shown(stub, name)
        assert ["a", "b", "c"] == person.person_customer_ids
        assert [("l-1", answer.position_a), ("l-2", answer.position_b + 1)] == [
            (each.link.link_id, each.position) for each in person.links
        ]
        assert request.link == person.links[0].link


async def test_a_refused_link_leaves_nothing_in_either_stream(stub: CustomerServiceStub, server: Serving) -> None:
    for name in "ab":
        await stub.VerifyIdentifier(verify("switchboard", name, shared=True))
    head = server.app.ledger.head.position

    refused = {
        "SELF": link("a", "a"),
        "SHARED_IDENTIFIER": link("a", "b"),
    }
    for cause, request in refused.items():
        status = await refusal(stub.LinkCustomers(request))
        assert ("LINK_NOT_ALLOWED", {"cause": cause}) == (reason_of(status), metadata_of(status))
    status = await refusal(stub.LinkCustomers(link("a", "nobody")))
    assert "RELATIONSHIP_UNKNOWN" == reason_of(status)
    assert {"organization_id": "acme", "customer_id": "nobody"} == metadata_of(status)
    status = await refusal(stub.UnlinkCustomers(unlink("a", "b")))
    assert "LINK_UNKNOWN" == reason_of(status)
    assert head == server.app.ledger.head.position

    await stub.LinkCustomers(link("a", "b", actor="clerk-7"))
    await stub.UnlinkCustomers(unlink("a", "b"))
    status = await refusal(stub.LinkCustomers(link("a", "b", actor="clerk-7")))
    assert ("LINK_ID_TAKEN", "l-1") == (reason_of(status), metadata_of(status)["link_id"])


async def test_an_address_that_says_nothing_is_no_ground_for_a_link_whatever_its_id(stub: CustomerServiceStub) -> None:
    for name in "ab":
        await stub.VerifyIdentifier(verify("a-hash-of-null", name, address=" NULL "))
        await stub.VerifyIdentifier(verify(f"cp-{name}", name, address="ada@example.org"))

    status = await refusal(stub.LinkCustomers(link("a", "b")))

    assert ("LINK_NOT_ALLOWED", {"cause": "SHARED_IDENTIFIER"}) == (reason_of(status), metadata_of(status))
    shared = [each.identifier.shared for each in (await shown(stub, "a")).identifiers]
    assert [True, False] == shared


async def test_of_many_links_of_the_same_two_at_once_one_is_made(stub: CustomerServiceStub, server: Serving) -> None:
    for name in "ab":
        await talk(server, name)

    asked = [link(*pair, link_id=f"l-{number}") for number, pair in enumerate([("a", "b"), ("b", "a")] * 5)]
    answers = await asyncio.gather(*map(stub.LinkCustomers, asked), return_exceptions=True)

    assert 1 == sum(not isinstance(answer, BaseException) for answer in answers)
    assert 1 == len((await shown(stub, "a")).links) == len((await shown(stub, "b")).links)


async def test_linked_then_unlinked_is_as_never_linked_and_the_past_shows_both(tmp_path: Path) -> None:
    seen: list[list[Message]] = []
    for linking in (False, True):
        async with serving(tmp_path / str(linking)) as running:
            stub = CustomerServiceStub(running.channel)
            for name in "ab":
                await talk(running, name, MARCH)
                await stub.VerifyIdentifier(verify(f"cp-{name}", name, at=MARCH))
                await stub.DeclarePreference(declare(MARCH, name, language=language("de")))
            await give_a_disc(running, "a")
            if linking:
                await stub.LinkCustomers(link("a", "b", at=MARCH + 5))
            await give_a_disc(running, "b")
            for name, purpose in (("a", "marketing.direct"), ("b", "marketing.social")):
                given = ConsentGiven(purposes=[purpose])
                request = consent.GiveConsentRequest(**new(name, MARCH + 6), consent=given)
                await ConsentServiceStub(running.channel).GiveConsent(request)
            if linking:
                assert ["a", "b"] == (await shown(stub, "a")).person_customer_ids
                await stub.UnlinkCustomers(unlink("a", "b"))
                before = AsOf(occur_time=timestamp(MARCH + 4))
                assert ["a"] == (await shown(stub, "a", before)).person_customer_ids
                between = AsOf(occur_time=timestamp(MARCH + 5))
                assert ["a", "b"] == (await shown(stub, "b", between)).person_customer_ids
            seen.append([_timeless(each) for name in "ab" for each in await _everything(running, name)])

    assert seen[0] == seen[1]


async def test_a_link_less_parts_a_chain(stub: CustomerServiceStub, server: Serving) -> None:
    for name in "abc":
        await talk(server, name)
    await stub.LinkCustomers(link("a", "b", "l-1"))
    await stub.LinkCustomers(link("b", "c", "l-2"))

    await stub.UnlinkCustomers(unlink("b", "a", "l-1"))

    people = [list((await shown(stub, name)).person_customer_ids) for name in "abc"]
    assert [["a"], ["b", "c"], ["b", "c"]] == people


async def _everything(server: Serving, name: str) -> list[Any]:
    """Return what three services say of a customer."""
    return [
        await shown(CustomerServiceStub(server.channel), name),
        await ConsentServiceStub(server.channel).GetConsents(consent.GetConsentsRequest(**who(name))),
        await RelationshipServiceStub(server.channel).GetRelationship(GetRelationshipRequest(**who(name))),
    ]


def _timeless(message: Message) -> Message:
    """Return an answer without positions, versions, the instant of its view, and how long it is silent by then."""
    for field, value in message.ListFields():
        if "position" in field.name or "version" in field.name or field.name in {"as_of", "gap_ratio"}:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for each in value if field.is_repeated else (value,):
                _timeless(each)
    return message
