"""CustomerService through gRPC, on SQLite: what it records, refuses, repeats, and shows as of the past."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import microseconds, timestamp
from rapport.customer.v1 import customer_service_pb2 as pb
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from rapport.events.v1 import attribute_pb2, identity_pb2, preference_pb2
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, CountryZones
from rapport.events.v1.disclosure_pb2 import (
    PROVENANCE_DECLARED,
    PROVENANCE_IMPORTED,
    PROVENANCE_INFERRED,
    PROVENANCE_OBSERVED,
)
from rapport.events.v1.interaction_pb2 import (
    CHANNEL_EMAIL,
    CHANNEL_SMS,
)
from rapport.policy.v1.contact_policies_pb2 import PublishContactPolicyRequest
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from services.customer import servicer as customer_servicer
from tests.customer_calls import (
    DAY,
    KEY,
    MARCH,
    NOTIFY,
    declare,
    disclose,
    infer,
    keep,
    language,
    link,
    make,
    new,
    server,
    shown,
    stub,
    talk,
    trigger,
    unlink,
    verify,
    who,
)
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import Serving, serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""

Asked = tuple[Callable[[Any], Any], Message, list[str]]
"""A call, what it is asked with, and the fields that are refused."""


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


async def test_what_is_said_of_who_somebody_is_and_prefers_is_bounded_and_named(stub: CustomerServiceStub) -> None:
    def profile(*dates: tuple[str, str]) -> pb.DeclareProfileRequest:
        adult_from = [identity_pb2.AdultFrom(jurisdiction=law, date=date) for law, date in dates]
        return pb.DeclareProfileRequest(**new(), profile=identity_pb2.ProfileDeclared(adult_from=adult_from))

    def cleared(**fields: Any) -> pb.ClearPreferenceRequest:
        return pb.ClearPreferenceRequest(**new(), clearing=preference_pb2.PreferenceCleared(**fields))

    both = preference_pb2.ChannelPreference(preferred=[CHANNEL_SMS], averse=[CHANNEL_EMAIL, CHANNEL_SMS])
    topics = preference_pb2.TopicPreference(wanted=["books"], excluded=["books"])
    pause = preference_pb2.Pause(until=Timestamp(seconds=1, nanos=1))
    kinds = preference_pb2.PreferenceKind
    asked: list[Asked] = [
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
    ]
    await see_what_is_named(asked)


async def test_what_is_said_of_facts_promises_and_links_is_bounded_and_named(stub: CustomerServiceStub) -> None:
    def observed(**fields: Any) -> pb.ObserveAttributeRequest:
        return pb.ObserveAttributeRequest(**new(), attribute=attribute_pb2.AttributeObserved(key=KEY, **fields))

    def obtained(provenance: Any) -> pb.ObtainAttributeRequest:
        event = attribute_pb2.AttributeObtained(key=KEY, code="x", provenance=provenance, source="s")
        return pb.ObtainAttributeRequest(**new(), attribute=event)

    def cancelled(**fields: Any) -> pb.CancelPromiseRequest:
        return pb.CancelPromiseRequest(**new(), cancellation=identity_pb2.PromiseCancelled(promise_id="p-1", **fields))

    why = identity_pb2.PromiseCancelReason
    asked: list[Asked] = [
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
    await see_what_is_named(asked)


async def see_what_is_named(asked: list[Asked]) -> None:
    """See that each request is refused for the fields that are told with it, or taken where there are none."""
    for call, request, fields in asked:
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
