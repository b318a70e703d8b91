"""`rapport customer` and `rapport preference`: what is sent, and what is printed."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError

import pytest

from ledger.domain.times import timestamp
from rapport.customer.v1 import customer_service_pb2 as pb
from rapport.events.v1 import attribute_pb2, consent_pb2, disclosure_pb2, identity_pb2
from rapport.events.v1 import preference_pb2 as ev
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS, CHANNEL_VOICE_LIVE
from rapport.type.v1.as_of_pb2 import AsOf
from services.cli import exits
from services.cli.__main__ import main
from services.cli.words import sha256, window, window_text
from tests.unit import answering_server
from tests.unit.answering_server import AnsweringServer
from tests.unit.command_line import pairs, run

MARCH = 1_740_787_200_000_000
VIEW = AsOf(occur_time=timestamp(MARCH), position=9)

server = answering_server.server


def tables(printed: str) -> list[list[str]]:
    return [line.split("\t") for line in printed.splitlines() if "\t" in line]


def quiet(start: int, end: int, *weekdays: int) -> ev.LocalWindow:
    return ev.LocalWindow(start_minute=start, end_minute=end, weekdays=weekdays)  # type: ignore[arg-type]  # Numbers of the enum.


@pytest.mark.parametrize(
    "text, expected, again",
    [
        ("21:00-08:00", quiet(1260, 480), "21:00-08:00"),
        ("0:00-23:59", quiet(0, 1439), "00:00-23:59"),
        ("sat,sun@00:00-12:00", quiet(0, 720, 6, 7), "sat,sun@00:00-12:00"),
        ("MON-WED@08:00-18:00", quiet(480, 1080, 1, 2, 3), "mon,tue,wed@08:00-18:00"),
        ("fri-mon,sat@08:00-09:00", quiet(480, 540, 5, 6, 7, 1), "fri,sat,sun,mon@08:00-09:00"),
    ],
)
def test_spans_of_local_time(text: str, expected: ev.LocalWindow, again: str) -> None:
    assert expected == window(text)
    assert again == window_text(window(text))
    assert expected == window(again)


@pytest.mark.parametrize(
    "text", ["21-8", "24:00-08:00", "21:60-08:00", "yesterday", "xyz@08:00-09:00", "mon-xyz@08:00-09:00"]
)
def test_what_is_no_span_of_local_time_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        window(text)


@pytest.mark.parametrize("text", ["", "0b", "0g" * 32, "0b" * 33, " " + "0b" * 31 + "0"])
def test_what_is_no_sha256_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        sha256(text)


@pytest.mark.parametrize(
    "command, expected, text",
    [
        (
            "channels acme c-1 --prefer email sms --never voice_live",
            ev.PreferenceDeclared(
                channels=ev.ChannelPreference(preferred=[CHANNEL_EMAIL, CHANNEL_SMS], averse=[CHANNEL_VOICE_LIVE])
            ),
            "EMAIL, SMS; never VOICE_LIVE",
        ),
        (
            "topics acme c-1 --want books --never wine",
            ev.PreferenceDeclared(topics=ev.TopicPreference(wanted=["books"], excluded=["wine"])),
            "books; never wine",
        ),
        (
            "frequency acme c-1 --at-most 1 --per week --channel email --topic books",
            ev.PreferenceDeclared(
                frequency=ev.FrequencyPreference(count=1, period=ev.PERIOD_WEEK, channel=CHANNEL_EMAIL, topic="books")
            ),
            "at most 1 a week by EMAIL about books",
        ),
        (
            "quiet-hours acme c-1 21:00-08:00 sat,sun@00:00-12:00",
            ev.PreferenceDeclared(quiet_hours=ev.QuietHours(windows=[quiet(1260, 480), quiet(0, 720, 6, 7)])),
            "21:00-08:00, sat,sun@00:00-12:00",
        ),
        ("quiet-hours acme c-1", ev.PreferenceDeclared(quiet_hours=ev.QuietHours()), "at no hour"),
        (
            "pause acme c-1 --until 2025-03-01T00:00:00Z --channel sms --topic books",
            ev.PreferenceDeclared(pause=ev.Pause(until=timestamp(MARCH), channel=CHANNEL_SMS, topic="books")),
            "until 2025-03-01T00:00:00Z by SMS about books",
        ),
        ("pause acme c-1", ev.PreferenceDeclared(pause=ev.Pause()), "without end"),
        (
            "language acme c-1 de-AT",
            ev.PreferenceDeclared(language=ev.LanguagePreference(language="de-AT")),
            "de-AT",
        ),
        (
            "hours-wanted acme c-1 mon@08:00-12:00",
            ev.PreferenceDeclared(hours_wanted=ev.HoursWanted(windows=[quiet(480, 720, 1)])),
            "mon@08:00-12:00",
        ),
        (
            "time-zone acme c-1 Europe/Berlin --indicated-by guardian --indicated-by-id g-1 --told-in 7",
            ev.PreferenceDeclared(
                time_zone=ev.TimeZonePreference(time_zone="Europe/Berlin"),
                indicated_by=consent_pb2.INDICATED_BY_GUARDIAN,
                indicated_by_id="g-1",
                interaction_position=7,
            ),
            "Europe/Berlin",
        ),
    ],
)
async def test_a_preference_is_declared_and_shown_in_the_same_words(
    server: AnsweringServer,
    capsys: pytest.CaptureFixture[str],
    command: str,
    expected: ev.PreferenceDeclared,
    text: str,
) -> None:
    assert exits.OK == await run(server, f"preference declare {command}")
    assert expected == server.last.preference
    assert text == pairs(capsys.readouterr().out)["declared"]

    server.answers["GetCustomer"] = pb.GetCustomerResponse(
        as_of=VIEW,
        time_zones=["Europe/Berlin"],
        preferences=[pb.Preference(declared=expected, kind=ev.PREFERENCE_KIND_QUIET_HOURS, position=8)],
    )
    assert exits.OK == await run(server, "preference show acme c-1")
    printed = capsys.readouterr().out
    assert "Europe/Berlin" == pairs(printed)["time zones"]
    assert ["quiet-hours", text, "", "8"] == tables(printed)[1][:4]


async def test_a_preference_is_cleared_by_its_kind_and_scope(server: AnsweringServer) -> None:
    await run(server, "preference clear acme c-1 frequency --channel email --topic books")

    assert (
        ev.PreferenceCleared(kind=ev.PREFERENCE_KIND_FREQUENCY, channel=CHANNEL_EMAIL, topic="books")
        == server.last.clearing
    )


@pytest.mark.parametrize("kind", ["channels", "topics"])
def test_nothing_declared_is_no_declaration(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    assert exits.USAGE == main(f"preference declare {kind} acme c-1 --target 127.0.0.1:1".split())
    assert "rapport preference clear" in capsys.readouterr().err


async def test_preferences_come_as_json_one_a_line(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["GetCustomer"] = pb.GetCustomerResponse(preferences=[pb.Preference(position=8)] * 2)

    await run(server, "preference show acme c-1 --json")

    assert [{"position": "8"}] * 2 == [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def test_a_profile_holds_no_date_of_birth_and_is_sent_whole(server: AnsweringServer) -> None:
    await run(
        server,
        "customer profile acme c-1 --jurisdiction AT --country AT --adult-from AT=2030-05-17 --provenance declared",
    )

    assert (
        identity_pb2.ProfileDeclared(
            jurisdiction="AT",
            country="AT",
            adult_from=[identity_pb2.AdultFrom(jurisdiction="AT", date="2030-05-17")],
            provenance=disclosure_pb2.PROVENANCE_DECLARED,
        )
        == server.last.profile
    )


async def test_contact_points_are_verified_and_revoked(server: AnsweringServer) -> None:
    await run(
        server,
        "customer identifier verify acme c-1 cp-1 --kind email --method link --country AT --time-zone Europe/Vienna"
        " --shared --address a@example.org",
    )
    verified = server.last.identifier
    await run(server, "customer identifier revoke acme c-1 cp-1 --reason moved")

    assert (
        identity_pb2.IdentifierVerified(
            contact_point_id="cp-1",
            kind="email",
            method="link",
            country="AT",
            time_zones=["Europe/Vienna"],
            shared=True,
            address="a@example.org",
        )
        == verified
    )
    assert identity_pb2.IdentifierRevoked(contact_point_id="cp-1", reason="moved") == server.last.revocation


async def test_customers_are_linked_and_unlinked(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["LinkCustomers"] = pb.LinkCustomersResponse(position_a=4, position_b=5)

    await run(server, "customer link acme c-1 c-2 --link-id l-1 --evidence same.account --rule r-1")
    link = server.last.link
    printed = pairs(capsys.readouterr().out)
    await run(server, "customer unlink acme c-1 c-2 --link-id l-1 --reason wrong")

    assert (
        identity_pb2.IdentityLinked(
            link_id="l-1", customer_a_id="c-1", customer_b_id="c-2", evidence="same.account", rule="r-1"
        )
        == link
    )
    assert ("4", "5") == (printed["position a"], printed["position b"])
    assert ("c-1", "c-2", identity_pb2.IdentityUnlinked(link_id="l-1", reason="wrong")) == (
        server.last.customer_a_id,
        server.last.customer_b_id,
        server.last.unlink,
    )


async def test_a_customer_is_shown_with_all_that_decisions_need(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["GetCustomer"] = pb.GetCustomerResponse(
        as_of=VIEW,
        profile=identity_pb2.ProfileDeclared(
            jurisdiction="AT", adult_from=[identity_pb2.AdultFrom(jurisdiction="AT", date="2030-05-17")]
        ),
        profile_position=3,
        person_customer_ids=["c-1", "c-2"],
        identifiers=[
            pb.Identifier(
                identifier=identity_pb2.IdentifierVerified(contact_point_id="cp-1", kind="email", shared=True),
                position=4,
                verified_time=timestamp(MARCH),
            )
        ],
        links=[pb.Link(link=identity_pb2.IdentityLinked(link_id="l-1", customer_a_id="c-1"), position=5)],
        preferences=[pb.Preference(kind=ev.PREFERENCE_KIND_LANGUAGE)],
    )

    assert exits.OK == await run(server, "customer show acme c-1 --known-at 9")

    assert 9 == server.last.as_of.position
    printed = capsys.readouterr().out
    shown = pairs(printed)
    assert ("c-1, c-2", "AT", "AT 2030-05-17", "3", "nothing is known") == (
        shown["person"],
        shown["jurisdiction"],
        shown["of age from"],
        shown["profile at"],
        shown["time zones"],
    )
    assert ["cp-1", "l-1", "language"] == [row[0] for row in tables(printed)[1::2]]


@pytest.mark.parametrize(
    "command, field, expected",
    [
        (
            "request acme c-1 size --purpose p --reason r --channel email",
            "asked",
            attribute_pb2.AttributeRequested(key="size", purposes=["p"], reason="r", channel=CHANNEL_EMAIL),
        ),
        (
            "disclose acme c-1 size --code xl --told-in 7 --purpose p",
            "attribute",
            attribute_pb2.AttributeDisclosed(
                key="size",
                code="xl",
                interaction_position=7,
                purposes=["p"],
                indicated_by=consent_pb2.INDICATED_BY_SUBJECT,
            ),
        ),
        (
            "observe acme c-1 size --code xl --basis consent --evidence 3 4",
            "attribute",
            attribute_pb2.AttributeObserved(
                key="size", code="xl", legal_basis=consent_pb2.LEGAL_BASIS_CONSENT, evidence_positions=[3, 4]
            ),
        ),
        (
            "infer acme c-1 size --text roomy --rule m-1",
            "attribute",
            attribute_pb2.AttributeInferred(key="size", text="roomy", rule="m-1"),
        ),
        (
            "obtain acme c-1 size --code xl --provenance assessed --source clerk-1",
            "attribute",
            attribute_pb2.AttributeObtained(
                key="size", code="xl", provenance=disclosure_pb2.PROVENANCE_ASSESSED, source="clerk-1"
            ),
        ),
        (
            "withdraw acme c-1 size --provenance inferred --reason asked",
            "withdrawal",
            attribute_pb2.AttributeWithdrawn(key="size", provenance=disclosure_pb2.PROVENANCE_INFERRED, reason="asked"),
        ),
    ],
)
async def test_what_is_learned_goes_to_the_slot_of_how_it_was_learned(
    server: AnsweringServer, command: str, field: str, expected: object
) -> None:
    assert exits.OK == await run(server, f"customer attribute {command}")

    assert expected == getattr(server.last, field)


async def test_attributes_are_shown_slot_by_slot(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["GetAttributes"] = pb.GetAttributesResponse(
        as_of=VIEW,
        slots=[
            pb.AttributeSlot(
                key="size",
                provenance=disclosure_pb2.PROVENANCE_DECLARED,
                standing=pb.ATTRIBUTE_STANDING_NOT_KNOWN,
            ),
            pb.AttributeSlot(
                key="size",
                provenance=disclosure_pb2.PROVENANCE_INFERRED,
                standing=pb.ATTRIBUTE_STANDING_KNOWN,
                has_text=True,
                position=8,
                purposes=["p"],
                reason="no.basis",
            ),
        ],
        inventory=[pb.ProvenanceCount(provenance=disclosure_pb2.PROVENANCE_INFERRED, keys=2)],
    )

    await run(server, "customer attribute show acme c-1 --key size --provenance declared inferred")

    assert (["size"], [1, 3]) == (list(server.last.keys), list(server.last.provenances))
    printed = capsys.readouterr().out
    assert "INFERRED 2" == pairs(printed)["keys known"]
    assert [
        ["size", "DECLARED", "NOT_KNOWN", "", "", "", "", "no"],
        ["size", "INFERRED", "KNOWN", "words, sealed", "", "8", "p", "no: no.basis"],
    ] == tables(printed)[1:]


async def test_promises_are_made_and_ended(server: AnsweringServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers["TriggerPromise"] = pb.TriggerPromiseResponse(due_time=timestamp(MARCH))
    server.answers["KeepPromise"] = pb.KeepPromiseResponse(state=pb.PROMISE_STATE_KEPT_LATE)

    await run(server, "customer promise make acme c-1 pr-1 --topic books --within 60 --text", "when it is back")
    made = server.last.promise
    await run(server, "customer promise trigger acme c-1 pr-1")
    triggered = pairs(capsys.readouterr().out)
    await run(server, "customer promise keep acme c-1 pr-1 --by 8")
    kept, how = server.last.kept, pairs(capsys.readouterr().out)
    await run(server, "customer promise cancel acme c-1 pr-1 --reason contact_denied --decision 12")

    assert (
        identity_pb2.PromiseMade(
            promise_id="pr-1",
            kind=identity_pb2.PROMISE_KIND_NOTIFY_ME,
            topic="books",
            sla_seconds=60,
            text="when it is back",
        )
        == made
    )
    assert "2025-03-01T00:00:00Z" == triggered["keep it by"]
    assert (8, "KEPT_LATE") == (kept.interaction_position, how["state"])
    assert (
        identity_pb2.PromiseCancelled(
            promise_id="pr-1", reason=identity_pb2.PROMISE_CANCEL_REASON_CONTACT_DENIED, decision_id=12
        )
        == server.last.cancellation
    )


async def test_promises_are_shown_with_the_rate_of_those_kept(
    server: AnsweringServer, capsys: pytest.CaptureFixture[str]
) -> None:
    promise = identity_pb2.PromiseMade(promise_id="pr-1", kind=identity_pb2.PROMISE_KIND_NOTIFY_ME, topic="books")
    server.answers["GetPromises"] = pb.GetPromisesResponse(
        as_of=VIEW,
        promises=[pb.Promise(promise=promise, state=pb.PROMISE_STATE_BROKEN, due_time=timestamp(MARCH))],
        kept_count=3,
        broken_count=1,
        kept_rate_ppm=750_000,
    )

    await run(server, "customer promise show acme c-1")

    printed = capsys.readouterr().out
    assert ("3", "1", "0.750 (750,000 ppm)") == tuple(pairs(printed)[name] for name in ("kept", "broken", "kept rate"))
    assert ["pr-1", "NOTIFY_ME", "books", "BROKEN"] == tables(printed)[1][:4]


@pytest.mark.parametrize(
    "command",
    [
        "customer profile acme c-1 --adult-from 2030-05-17",
        "customer link acme c-1 c-2 --link-id l-1",
        "customer attribute disclose acme c-1 size --code xl",
        "customer promise make acme c-1",
        "preference declare frequency acme c-1 --at-most 1",
        "preference declare quiet-hours acme c-1 21-8",
        "preference clear acme c-1 mood",
    ],
)
def test_what_is_not_understood_ends_with_2(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command.split())

    assert exits.USAGE == ended.value.code
    assert capsys.readouterr().err
