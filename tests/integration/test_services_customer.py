"""CustomerService through gRPC, on SQLite: what it records, refuses, repeats, and shows as of the past."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import MICROSECONDS, microseconds, timestamp
from rapport.consent.v1 import consent_service_pb2 as consent
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.customer.v1 import customer_service_pb2 as pb
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from rapport.events.v1 import attribute_pb2, identity_pb2, preference_pb2
from rapport.events.v1.consent_pb2 import INDICATED_BY_SUBJECT, LEGAL_BASIS_CONTRACT_PERFORMANCE, ConsentGiven
from rapport.events.v1.contact_policy_pb2 import AttributeCatalogue, AttributeDefinition, ContactPolicy, CountryZones
from rapport.events.v1.disclosure_pb2 import (
    PROVENANCE_DECLARED,
    PROVENANCE_IMPORTED,
    PROVENANCE_INFERRED,
    PROVENANCE_OBSERVED,
    Provenance,
)
from rapport.events.v1.exchange_pb2 import CATEGORY_GOODS, ONE_SIDED_GIFT, PARTY_ORGANIZATION, Leg
from rapport.events.v1.interaction_pb2 import (
    CHANNEL_EMAIL,
    CHANNEL_SMS,
    DIRECTION_INBOUND,
    INITIATOR_CUSTOMER,
    INTERACTION_KIND_MESSAGE,
    InteractionRecorded,
)
from rapport.events.v1.policy_pb2 import ASSET_KIND_ITEM, AssetRegistered
from rapport.exchange.v1.exchange_service_pb2 import RecordExchangeRequest
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Exchange
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.interaction.v1.interaction_service_pb2_grpc import InteractionServiceStub
from rapport.policy.v1.contact_policies_pb2 import PublishAttributeCatalogueRequest, PublishContactPolicyRequest
from rapport.policy.v1.policy_service_pb2 import RegisterAssetsRequest
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.relationship.v1.relationship_service_pb2 import GetRelationshipRequest
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.amount_pb2 import Amount
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.event_context_pb2 import EventContext
from services.customer import servicer as customer_servicer
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving, serving

DAY = 86_400 * MICROSECONDS
MARCH = 1_740_787_200_000_000
KEY = "purchase.plans"
NOTIFY, OTHER = identity_pb2.PROMISE_KIND_NOTIFY_ME, identity_pb2.PROMISE_KIND_OTHER


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
def stub(server: Serving) -> CustomerServiceStub:
    return CustomerServiceStub(server.channel)


def who(customer_id: str = "c-1") -> dict[str, Any]:
    return {"organization_id": "acme", "customer_id": customer_id}


def new(customer_id: str = "c-1", at: int | None = None) -> dict[str, Any]:
    """Return what the requests of all writes have in common."""
    occur_time = None if at is None else timestamp(at)
    return {**who(customer_id), "request_id": str(uuid.uuid4()), "occur_time": occur_time}


def verify(
    contact_point_id: str, customer_id: str = "c-1", at: int | None = None, **more: Any
) -> pb.VerifyIdentifierRequest:
    identifier = identity_pb2.IdentifierVerified(contact_point_id=contact_point_id, kind="email", **more)
    return pb.VerifyIdentifierRequest(**new(customer_id, at), identifier=identifier)


def declare(at: int | None = None, customer_id: str = "c-1", **kind: Any) -> pb.DeclarePreferenceRequest:
    preference = preference_pb2.PreferenceDeclared(**kind)
    return pb.DeclarePreferenceRequest(**new(customer_id, at), preference=preference)


def language(tag: str) -> preference_pb2.LanguagePreference:
    return preference_pb2.LanguagePreference(language=tag)


def link(one: str, other: str, link_id: str = "l-1", at: int | None = None, actor: str = "") -> pb.LinkCustomersRequest:
    event = identity_pb2.IdentityLinked(link_id=link_id, customer_a_id=one, customer_b_id=other, evidence="email")
    return pb.LinkCustomersRequest(
        organization_id="acme",
        request_id=str(uuid.uuid4()),
        link=event,
        occur_time=None if at is None else timestamp(at),
        context=EventContext(actor=actor),
    )


def unlink(one: str, other: str, link_id: str = "l-1") -> pb.UnlinkCustomersRequest:
    return pb.UnlinkCustomersRequest(
        organization_id="acme",
        request_id=str(uuid.uuid4()),
        customer_a_id=one,
        customer_b_id=other,
        unlink=identity_pb2.IdentityUnlinked(link_id=link_id, reason="wrong"),
    )


def disclose(code: str = "soon", position: int = 1, **more: Any) -> pb.DiscloseAttributeRequest:
    fields: dict[str, Any] = {"key": KEY, "indicated_by": INDICATED_BY_SUBJECT, **more}
    event = attribute_pb2.AttributeDisclosed(code=code, interaction_position=position, **fields)
    return pb.DiscloseAttributeRequest(**new(), attribute=event)


def infer(code: str = "soon") -> pb.InferAttributeRequest:
    event = attribute_pb2.AttributeInferred(key=KEY, code=code, rule="last.purchase")
    return pb.InferAttributeRequest(**new(), attribute=event)


def make(promise_id: str = "p-1", at: int | None = None, **more: Any) -> pb.MakePromiseRequest:
    promise = identity_pb2.PromiseMade(promise_id=promise_id, **{"kind": OTHER, **more})
    return pb.MakePromiseRequest(**new(at=at), promise=promise)


def trigger(promise_id: str = "p-1", at: int | None = None) -> pb.TriggerPromiseRequest:
    return pb.TriggerPromiseRequest(**new(at=at), trigger=identity_pb2.PromiseTriggered(promise_id=promise_id))


def keep(promise_id: str = "p-1", at: int | None = None) -> pb.KeepPromiseRequest:
    return pb.KeepPromiseRequest(**new(at=at), kept=identity_pb2.PromiseKept(promise_id=promise_id))


async def talk(server: Serving, customer_id: str = "c-1", at: int | None = None) -> int:
    """Record an interaction; return its position."""
    interaction = InteractionRecorded(
        kind=INTERACTION_KIND_MESSAGE,
        direction=DIRECTION_INBOUND,
        initiator=INITIATOR_CUSTOMER,
        channel=CHANNEL_EMAIL,
    )
    request = RecordInteractionRequest(**new(customer_id, at), interaction=interaction)
    answer = await InteractionServiceStub(server.channel).RecordInteraction(request)
    return int(answer.position)


async def give_a_disc(server: Serving, customer_id: str) -> None:
    """Register what discs are counted in, and record that one was given away."""
    disc = AssetRegistered(asset="CD/0", kind=ASSET_KIND_ITEM, max_units_per_leg=9)
    register = RegisterAssetsRequest(organization_id="acme", request_id=str(uuid.uuid4()), assets=[disc])
    await PolicyServiceStub(server.channel).RegisterAssets(register)
    legs = [Leg(giver=PARTY_ORGANIZATION, category=CATEGORY_GOODS, amount=Amount(units=1, asset="CD/0"))]
    gift = Exchange(exchange_id="x-1", occur_time=timestamp(MARCH + 3), one_sided=ONE_SIDED_GIFT, legs=legs)
    recorded = RecordExchangeRequest(**who(customer_id), request_id=str(uuid.uuid4()), exchange=gift)
    await ExchangeServiceStub(server.channel).RecordExchange(recorded)


async def shown(stub: CustomerServiceStub, customer_id: str = "c-1", as_of: AsOf | None = None) -> Any:
    return await stub.GetCustomer(pb.GetCustomerRequest(**who(customer_id), as_of=as_of))


async def slots(stub: CustomerServiceStub, **asked: Any) -> list[tuple[str, str, str, str]]:
    """Return (key, provenance, standing, code) of each slot answered."""
    answer = await stub.GetAttributes(pb.GetAttributesRequest(**who(), **asked))
    return [
        (
            told.key,
            Provenance.Name(told.provenance)[11:],
            pb.AttributeStanding.Name(told.standing)[19:],
            told.code,
        )
        for told in answer.slots
    ]


def writes(position: int) -> list[tuple[str, Message]]:
    """Return a good request for each write of one event, in an order in which all of them are taken."""
    asked = attribute_pb2.AttributeRequested(key=KEY, purposes=["service.care"], reason="to.advise")
    seen = attribute_pb2.AttributeObserved(key=KEY, code="soon")
    got = attribute_pb2.AttributeObtained(key=KEY, code="x", provenance=PROVENANCE_IMPORTED, source="old.system")
    emptied = attribute_pb2.AttributeWithdrawn(key=KEY, provenance=PROVENANCE_OBSERVED)
    gone = identity_pb2.IdentifierRevoked(contact_point_id="cp-1")
    cleared = preference_pb2.PreferenceCleared(kind=preference_pb2.PREFERENCE_KIND_LANGUAGE)
    given_up = identity_pb2.PromiseCancelled(promise_id="p-2", reason=identity_pb2.PROMISE_CANCEL_REASON_CUSTOMER_ASKED)
    return [
        ("DeclareProfile", pb.DeclareProfileRequest(**new(), profile=identity_pb2.ProfileDeclared(country="DE"))),
        ("VerifyIdentifier", verify("cp-1", address="ada@example.org")),
        ("RevokeIdentifier", pb.RevokeIdentifierRequest(**new(), revocation=gone)),
        ("DeclarePreference", declare(language=language("de"))),
        ("ClearPreference", pb.ClearPreferenceRequest(**new(), clearing=cleared)),
        ("RequestAttribute", pb.RequestAttributeRequest(**new(), asked=asked)),
        ("DiscloseAttribute", disclose(position=position, text="when the paperback is out")),
        ("ObserveAttribute", pb.ObserveAttributeRequest(**new(), attribute=seen)),
        ("InferAttribute", infer()),
        ("ObtainAttribute", pb.ObtainAttributeRequest(**new(), attribute=got)),
        ("WithdrawAttribute", pb.WithdrawAttributeRequest(**new(), withdrawal=emptied)),
        ("MakePromise", make()),
        ("TriggerPromise", trigger()),
        ("KeepPromise", keep()),
        ("MakePromise", make("p-2", text="A call before the summer.")),
        ("CancelPromise", pb.CancelPromiseRequest(**new(), cancellation=given_up)),
    ]


async def test_every_write_is_recorded_once_and_answered_alike_when_it_is_repeated(
    stub: CustomerServiceStub, server: Serving
) -> None:
    told = writes(await talk(server))
    # What is recorded of the relationship as such has a test of its own (test_relationship_facts.py).
    assert {name for name, _ in told} == {
        method.name
        for method in pb.DESCRIPTOR.services_by_name["CustomerService"].methods
        if method.input_type.file is pb.DESCRIPTOR
    } - {"LinkCustomers", "UnlinkCustomers", "GetCustomer", "GetAttributes", "GetPromises"}

    last = 1
    for name, request in told:
        call = getattr(stub, name)
        first, again = await call(request), await call(request)
        assert last < first.position == server.app.ledger.head.position, name
        assert first.version > 1
        assert (False, True) == (first.replayed, again.replayed), name
        again.replayed = False
        assert first == again, name
        last = first.position


async def test_what_a_write_says_is_bounded_and_named(stub: CustomerServiceStub) -> None:
    def profile(*dates: tuple[str, str]) -> pb.DeclareProfileRequest:
        adult_from = [identity_pb2.AdultFrom(jurisdiction=law, date=date) for law, date in dates]
        return pb.DeclareProfileRequest(**new(), profile=identity_pb2.ProfileDeclared(adult_from=adult_from))

    def observed(**fields: Any) -> pb.ObserveAttributeRequest:
        return pb.ObserveAttributeRequest(**new(), attribute=attribute_pb2.AttributeObserved(key=KEY, **fields))

    def obtained(provenance: Any) -> pb.ObtainAttributeRequest:
        event = attribute_pb2.AttributeObtained(key=KEY, code="x", provenance=provenance, source="s")
        return pb.ObtainAttributeRequest(**new(), attribute=event)

    def cleared(**fields: Any) -> pb.ClearPreferenceRequest:
        return pb.ClearPreferenceRequest(**new(), clearing=preference_pb2.PreferenceCleared(**fields))

    def cancelled(**fields: Any) -> pb.CancelPromiseRequest:
        return pb.CancelPromiseRequest(**new(), cancellation=identity_pb2.PromiseCancelled(promise_id="p-1", **fields))

    both = preference_pb2.ChannelPreference(preferred=[CHANNEL_SMS], averse=[CHANNEL_EMAIL, CHANNEL_SMS])
    topics = preference_pb2.TopicPreference(wanted=["books"], excluded=["books"])
    pause = preference_pb2.Pause(until=Timestamp(seconds=1, nanos=1))
    kinds, why = preference_pb2.PreferenceKind, identity_pb2.PromiseCancelReason
    faults: list[tuple[Callable[[Any], Any], Message, list[str]]] = [
        (stub.DeclareProfile, profile(("DE", "2030-02-30")), ["profile.adult_from[0].date"]),
        (
            stub.DeclareProfile,
            profile(("DE", "2030-1-1"), ("DE", "2031-01-01")),
            ["profile.adult_from[0].date", "profile.adult_from[1].jurisdiction"],
        ),
        (stub.VerifyIdentifier, verify("cp", time_zones=["Europe/Berlin", "Mars"]), ["identifier.time_zones[1]"]),
        (
            stub.DeclarePreference,
            declare(time_zone=preference_pb2.TimeZonePreference(time_zone="Europe/Atlantis")),
            ["preference.time_zone.time_zone"],
        ),
        (stub.DeclarePreference, declare(language=language("German")), []),
        (stub.DeclarePreference, declare(language=language("de_DE")), ["preference.language.language"]),
        (stub.DeclarePreference, declare(channels=both), ["preference.channels.averse"]),
        (stub.DeclarePreference, declare(topics=topics), ["preference.topics.excluded"]),
        (stub.DeclarePreference, declare(pause=pause), ["preference.pause.until"]),
        (stub.DeclarePreference, declare(), ["preference.preference"]),
        (
            stub.ClearPreference,
            cleared(kind=kinds.PREFERENCE_KIND_LANGUAGE, channel=CHANNEL_SMS, topic="books"),
            ["clearing.channel", "clearing.topic"],
        ),
        (stub.ClearPreference, cleared(kind=kinds.PREFERENCE_KIND_PAUSE, channel=CHANNEL_SMS, topic="books"), []),
        (stub.ObserveAttribute, observed(), ["attribute.code"]),
        (stub.ObserveAttribute, observed(text="words"), []),
        (stub.DiscloseAttribute, disclose("", position=0), ["attribute.interaction_position", "attribute.code"]),
        (stub.DiscloseAttribute, disclose(indicated_by=0), ["attribute.indicated_by"]),
        (stub.ObtainAttribute, obtained(PROVENANCE_DECLARED), ["attribute.provenance"]),
        (stub.ObtainAttribute, obtained(PROVENANCE_INFERRED), ["attribute.provenance"]),
        (
            stub.RequestAttribute,
            pb.RequestAttributeRequest(**new(), asked=attribute_pb2.AttributeRequested(key=KEY)),
            ["asked.purposes", "asked.reason"],
        ),
        (stub.MakePromise, make(kind=NOTIFY), ["promise.topic"]),
        (stub.MakePromise, make("p-9", kind=NOTIFY, topic="chabon"), []),
        (
            stub.CancelPromise,
            cancelled(reason=why.PROMISE_CANCEL_REASON_CONTACT_DENIED),
            ["cancellation.decision_id"],
        ),
        (
            stub.CancelPromise,
            cancelled(reason=why.PROMISE_CANCEL_REASON_IMPOSSIBLE, decision_id=3),
            ["cancellation.decision_id"],
        ),
        (stub.LinkCustomers, link("@policy", "c/1"), ["link.customer_a_id", "link.customer_b_id"]),
        (stub.UnlinkCustomers, unlink("@policy", "c-1"), ["customer_a_id"]),
    ]
    for call, request, fields in faults:
        if not fields:
            await call(request)
            continue
        status = await refusal(call(request))
        assert "REQUEST_INVALID" == reason_of(status), request
        assert fields == fields_of(status), request


@pytest.mark.parametrize(
    "tag", ["de", "pt-BR", "zh-Hans-CN", "sl-rozaj-biske", "de-DE-u-co-phonebk", "x-klingon", "es-419"]
)
async def test_languages_are_tags_of_bcp_47(stub: CustomerServiceStub, tag: str) -> None:
    await stub.DeclarePreference(declare(language=language(tag)))


@pytest.mark.parametrize("tag", ["d", "de-", "-de", "de DE", "de_DE", "deutschland", "de--DE", "de-DE-u", "dé", "de\n"])
async def test_what_is_no_such_tag_is_refused(stub: CustomerServiceStub, tag: str) -> None:
    status = await refusal(stub.DeclarePreference(declare(language=language(tag))))

    assert ["preference.language.language"] == fields_of(status)


async def test_a_customer_is_shown_as_they_are_and_as_they_were(stub: CustomerServiceStub) -> None:
    adult = identity_pb2.AdultFrom(jurisdiction="DE", date="2030-01-31")
    profile = identity_pb2.ProfileDeclared(jurisdiction="DE", country="DE", adult_from=[adult])
    declared = await stub.DeclareProfile(pb.DeclareProfileRequest(**new(at=MARCH), profile=profile))
    verified = await stub.VerifyIdentifier(verify("cp-1", at=MARCH + DAY, time_zones=["Europe/Berlin"]))
    spoken = await stub.DeclarePreference(declare(MARCH + 2 * DAY, language=language("de")))
    later = await stub.DeclarePreference(declare(MARCH + 3 * DAY, language=language("fr")))

    now = await shown(stub)
    then = await shown(stub, as_of=AsOf(occur_time=timestamp(MARCH + 2 * DAY)))
    known = await shown(stub, as_of=AsOf(position=declared.position))

    assert (profile, declared.position) == (now.profile, now.profile_position)
    assert [("cp-1", verified.position, MARCH + DAY)] == [
        (each.identifier.contact_point_id, each.position, microseconds(each.verified_time)) for each in now.identifiers
    ]
    assert [("fr", later.position)] == [(each.declared.language.language, each.position) for each in now.preferences]
    assert [("de", spoken.position)] == [(each.declared.language.language, each.position) for each in then.preferences]
    assert [preference_pb2.PREFERENCE_KIND_LANGUAGE] == [each.kind for each in now.preferences]
    assert ["Europe/Berlin"] == now.time_zones == then.time_zones
    assert (["c-1"], []) == (now.person_customer_ids, now.links)
    assert (MARCH + 2 * DAY, later.position) == (microseconds(then.as_of.occur_time), then.as_of.position)
    assert ([], [], []) == (known.identifiers, known.preferences, known.time_zones)
    assert profile == known.profile


async def test_the_zone_that_a_customer_names_goes_before_those_of_contact_points(stub: CustomerServiceStub) -> None:
    await stub.VerifyIdentifier(verify("cp-1", time_zones=["America/Denver", "America/Chicago"]))
    assert ["America/Chicago", "America/Denver"] == (await shown(stub)).time_zones

    zone = preference_pb2.TimeZonePreference(time_zone="Australia/Lord_Howe")
    await stub.DeclarePreference(declare(time_zone=zone))

    assert ["Australia/Lord_Howe"] == (await shown(stub)).time_zones


async def test_the_zones_of_a_country_are_those_of_the_policy_and_its_default_tells_nothing(
    stub: CustomerServiceStub, server: Serving
) -> None:
    us = CountryZones(country="US", time_zones=["America/New_York", "America/Denver"])
    policy = ContactPolicy(countries=[us], default_time_zones=["Europe/Berlin"])
    request = PublishContactPolicyRequest(organization_id="acme", request_id=str(uuid.uuid4()), policy=policy)
    await PolicyServiceStub(server.channel).PublishContactPolicy(request)
    await stub.VerifyIdentifier(verify("cp-1"))
    assert [] == (await shown(stub)).time_zones

    profile = identity_pb2.ProfileDeclared(country="US-CA")
    await stub.DeclareProfile(pb.DeclareProfileRequest(**new(), profile=profile))

    assert ["America/Denver", "America/New_York"] == (await shown(stub)).time_zones


async def test_nothing_is_known_of_whom_nothing_was_recorded(stub: CustomerServiceStub, server: Serving) -> None:
    await talk(server, "c-1", MARCH)
    before = AsOf(position=1)
    for call in (
        stub.GetCustomer(pb.GetCustomerRequest(**who("c-2"))),
        stub.GetAttributes(pb.GetAttributesRequest(**who("c-2"))),
        stub.GetPromises(pb.GetPromisesRequest(**who("c-2"))),
        stub.GetCustomer(pb.GetCustomerRequest(**who("c-1"), as_of=before)),
    ):
        assert "RELATIONSHIP_UNKNOWN" == reason_of(await refusal(call))


async def test_addresses_and_words_are_sealed_and_only_told_to_be_there(
    stub: CustomerServiceStub, server: Serving
) -> None:
    secret = "4f9d2c-not-to-be-found"
    position = await talk(server)
    await stub.VerifyIdentifier(verify("cp-1", address=secret))
    await stub.DiscloseAttribute(disclose("soon", position, text=secret))
    await stub.InferAttribute(infer())
    await stub.MakePromise(make(text=secret))

    answer = await stub.GetAttributes(pb.GetAttributesRequest(**who()))
    customer, promised = await shown(stub), await stub.GetPromises(pb.GetPromisesRequest(**who()))

    assert [(PROVENANCE_DECLARED, True), (PROVENANCE_INFERRED, False)] == [
        (told.provenance, told.has_text) for told in answer.slots
    ]
    for told in (answer, customer, promised):
        assert secret.encode() not in told.SerializeToString()
    data_dir = server.app.settings.data_dir
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    assert not [path.name for path in files if secret.encode() in path.read_bytes()]


async def test_more_contact_points_of_a_kind_than_people_have_take_a_person(stub: CustomerServiceStub) -> None:
    for number in range(5):
        await stub.VerifyIdentifier(verify(f"cp-{number}"))
    sixth = verify("cp-5")

    status = await refusal(stub.VerifyIdentifier(sixth))
    assert ("IDENTIFIERS_TOO_MANY", {"kind": "email", "limit": "5"}) == (reason_of(status), metadata_of(status))

    sixth.context.actor = "clerk-7"
    await stub.VerifyIdentifier(sixth)
    assert 6 == len((await shown(stub)).identifiers)


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


async def test_what_was_inferred_is_not_known_where_what_was_declared_is_asked(stub: CustomerServiceStub) -> None:
    await stub.InferAttribute(infer("within.a.month"))

    assert [(KEY, "DECLARED", "NOT_KNOWN", "")] == await slots(stub, keys=[KEY], provenances=[PROVENANCE_DECLARED])
    assert [(KEY, "INFERRED", "KNOWN", "within.a.month")] == await slots(stub)
    assert [] == await slots(stub, keys=["unheard.of"])
    assert [("unheard.of", "OBSERVED", "NOT_KNOWN", "")] == await slots(
        stub, keys=["unheard.of"], provenances=[PROVENANCE_OBSERVED]
    )


async def test_two_slots_that_disagree_are_both_shown_and_the_inventory_counts_keys(
    stub: CustomerServiceStub, server: Serving
) -> None:
    position = await talk(server)
    await stub.DiscloseAttribute(disclose("never", position))
    await stub.InferAttribute(infer("soon"))
    asked = attribute_pb2.AttributeRequested(key="age", purposes=["service.care"], reason="to.advise")
    await stub.RequestAttribute(pb.RequestAttributeRequest(**new(), asked=asked))

    answer = await stub.GetAttributes(pb.GetAttributesRequest(**who()))

    assert [(KEY, "DECLARED", "KNOWN", "never"), (KEY, "INFERRED", "KNOWN", "soon")] == (await slots(stub))[1:]
    assert ("age", "DECLARED", "NOT_KNOWN", "") == (await slots(stub))[0]
    assert [(PROVENANCE_DECLARED, 1), (PROVENANCE_INFERRED, 1)] == [
        (each.provenance, each.keys) for each in answer.inventory
    ]
    assert [(False, "not_known"), (True, ""), (False, "no_legal_basis")] == [
        (told.usable, told.reason) for told in answer.slots
    ]


async def test_a_withdrawn_slot_had_a_value(stub: CustomerServiceStub) -> None:
    first = await stub.InferAttribute(infer("soon"))
    emptied = attribute_pb2.AttributeWithdrawn(key=KEY, provenance=PROVENANCE_INFERRED)
    await stub.WithdrawAttribute(pb.WithdrawAttributeRequest(**new(), withdrawal=emptied))

    assert [(KEY, "INFERRED", "WITHDRAWN", "")] == await slots(stub)
    assert [(KEY, "INFERRED", "KNOWN", "soon")] == await slots(stub, as_of=AsOf(position=first.position))


async def test_what_a_customer_tells_was_told_in_an_interaction_of_theirs(
    stub: CustomerServiceStub, server: Serving
) -> None:
    position = await talk(server, "c-2")

    status = await refusal(stub.DiscloseAttribute(disclose(position=position)))

    assert ("INTERACTION_UNKNOWN", {"original_position": str(position)}) == (reason_of(status), metadata_of(status))


async def test_a_published_catalogue_is_kept_to_and_says_what_values_are_for(
    stub: CustomerServiceStub, server: Serving
) -> None:
    position = await talk(server)
    await stub.InferAttribute(infer("anything"))
    before = server.app.ledger.head.position
    plans = AttributeDefinition(key=KEY, codes=["soon", "never"], purposes=["service.care", "marketing"])
    await PolicyServiceStub(server.channel).PublishAttributeCatalogue(
        PublishAttributeCatalogueRequest(
            organization_id="acme", request_id=str(uuid.uuid4()), catalogue=AttributeCatalogue(attributes=[plans])
        )
    )

    other = disclose("soon", position, key="other")
    for call in (stub.InferAttribute(infer("anything")), stub.DiscloseAttribute(other)):
        assert "ATTRIBUTE_UNKNOWN" == reason_of(await refusal(call))
    await stub.DiscloseAttribute(disclose("soon", position, purposes=["marketing.direct", "analytics.usage"]))
    seen = attribute_pb2.AttributeObserved(key=KEY, code="never", legal_basis=LEGAL_BASIS_CONTRACT_PERFORMANCE)
    await stub.ObserveAttribute(pb.ObserveAttributeRequest(**new(), attribute=seen))

    answer = await stub.GetAttributes(pb.GetAttributesRequest(**who()))
    past = await stub.GetAttributes(pb.GetAttributesRequest(**who(), as_of=AsOf(position=before)))

    assert [
        (PROVENANCE_DECLARED, ["marketing.direct"], ""),
        (PROVENANCE_OBSERVED, ["marketing", "service.care"], ""),
        (PROVENANCE_INFERRED, ["marketing", "service.care"], "no_legal_basis"),
    ] == [(told.provenance, list(told.purposes), told.reason) for told in answer.slots]
    assert [[]] == [list(told.purposes) for told in past.slots]


async def test_a_promise_breaks_by_the_clock_of_the_view_without_an_event(
    stub: CustomerServiceStub, server: Serving
) -> None:
    await stub.MakePromise(make(at=MARCH - DAY, kind=NOTIFY, topic="chabon"))
    answer = await stub.TriggerPromise(trigger(at=MARCH))
    head = server.app.ledger.head.position
    due = MARCH + 7 * DAY

    async def seen(at: int) -> tuple[str, int, int, int | None]:
        asked = pb.GetPromisesRequest(**who(), as_of=AsOf(occur_time=timestamp(at)))
        told = await stub.GetPromises(asked)
        rate = told.kept_rate_ppm if told.HasField("kept_rate_ppm") else None
        return pb.PromiseState.Name(told.promises[0].state)[14:], told.kept_count, told.broken_count, rate

    assert due == microseconds(answer.due_time)
    assert ("OPEN", 0, 0, None) == await seen(MARCH - 1)
    assert ("TRIGGERED", 0, 0, None) == await seen(due - 1)
    assert ("BROKEN", 0, 1, 0) == await seen(due)
    assert head == server.app.ledger.head.position
    late = await stub.KeepPromise(keep(at=due))
    assert pb.PROMISE_STATE_KEPT_LATE == late.state
    assert ("KEPT_LATE", 0, 1, 0) == await seen(due)
    assert ("TRIGGERED", 0, 0, None) == await seen(due - 1)

    (told,) = (await stub.GetPromises(pb.GetPromisesRequest(**who()))).promises
    assert (MARCH - DAY, MARCH, due, due, late.position) == (
        *(microseconds(time) for time in (told.made_time, told.triggered_time, told.due_time, told.ended_time)),
        told.ended_position,
    )


async def test_refusals_about_promises_name_them(stub: CustomerServiceStub) -> None:
    await stub.MakePromise(make(at=MARCH))

    status = await refusal(stub.MakePromise(make()))
    assert ("PROMISE_ID_TAKEN", "p-1") == (reason_of(status), metadata_of(status)["promise_id"])
    status = await refusal(stub.TriggerPromise(trigger("p-2")))
    assert ("PROMISE_UNKNOWN", {"promise_id": "p-2"}) == (reason_of(status), metadata_of(status))
    status = await refusal(stub.KeepPromise(keep()))
    assert ("PROMISE_NOT_OPEN", "OPEN") == (reason_of(status), metadata_of(status)["state"])
    denied = identity_pb2.PromiseCancelled(
        promise_id="p-1", reason=identity_pb2.PROMISE_CANCEL_REASON_CONTACT_DENIED, decision_id=1
    )
    status = await refusal(stub.CancelPromise(pb.CancelPromiseRequest(**new(), cancellation=denied)))
    assert ("DECISION_UNKNOWN", {"decision_id": "1"}) == (reason_of(status), metadata_of(status))


async def test_everything_is_there_after_a_restart_and_the_service_stands_alone(tmp_path: Path) -> None:
    async with serving(tmp_path, [customer_servicer]) as first:
        stub = CustomerServiceStub(first.channel)
        await stub.VerifyIdentifier(verify("cp-a", "a", at=MARCH))
        await stub.VerifyIdentifier(verify("cp-b", "b", at=MARCH))
        await stub.LinkCustomers(link("a", "b"))
        before = await shown(stub, "a", AsOf(position=first.app.ledger.head.position))
    async with serving(tmp_path, [customer_servicer]) as second:
        again = await shown(CustomerServiceStub(second.channel), "a", AsOf(position=before.position))
        for answer in (before, again):
            answer.ClearField("as_of")
        assert before == again


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
