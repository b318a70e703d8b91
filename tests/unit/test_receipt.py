"""Receipts: what names the act, what is in them and what is not, and how large they get."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.domain.receipt import TOPICS, Act, ActName, named, receipt_of, scope_of
from ledger.log.personal import split
from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.events.v1 import consent_pb2 as ev
from rapport.events.v1.interaction_pb2 import Channel
from rapport.events.v1.preference_pb2 import PreferenceCleared
from tests.receipt_acts import ACTS, CONSENT, DPV_IRIS, LOG_ID, act

EVIDENCE = ev.ConsentEvidence(ip_address="203.0.113.0", user_agent="Browser", note="said so at the till")


def record(found: Act) -> Any:
    return json.loads(receipt_of(found, DPV_IRIS))["dpv:hasRecordOfActivity"]


@pytest.mark.parametrize("name", ACTS)
def test_a_receipt_names_its_act(name: str) -> None:
    receipt = receipt_of(ACTS[name], DPV_IRIS)

    assert ACTS[name].name == named(receipt)


def test_a_receipt_that_is_broken_elsewhere_still_has_its_name() -> None:
    receipt = receipt_of(ACTS["given"], DPV_IRIS)

    assert ActName(LOG_ID, "acme", "c-1", 17) == named(receipt[:-200]) == named(b"\xff" + receipt)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b'{"@id":"urn:uuid:5f1c3a52-7d0e-4b5e-9a8e-0123456789ab#acme/c-1/17"}',
        b'{"@id":"urn:uuid:5f1c3a52-7d0e-4b5e-9a8e-0123456789ab#acme/c-1/0/receipt"}',
        b'{"@id":"urn:uuid:5f1c3a52-7d0e-4b5e-9a8e-0123456789ab#acme/c-1/99999999999999999999/receipt"}',
        b'{"@id":"urn:uuid:5F1C3A52-7d0e-4b5e-9a8e-0123456789ab#acme/c-1/17/receipt"}',
        b'{"@id":"urn:uuid:5f1c3a52-7d0e-4b5e-9a8e-0123456789ab#acme/@policy/17/receipt"}',
    ],
)
def test_what_names_no_act_has_no_name(text: bytes) -> None:
    assert named(text) is None


def test_receipts_of_two_acts_never_agree() -> None:
    receipts = {receipt_of(act("consent.withdrawn.v1", ev.ConsentWithdrawn(), position=at), {}) for at in range(1, 99)}

    assert 98 == len(receipts)


@pytest.mark.parametrize(
    "event",
    [
        ev.ConsentGiven(purposes=["p"], evidence=EVIDENCE),
        ev.ConsentRenewed(consent=ev.ConsentGiven(purposes=["p"], evidence=EVIDENCE)),
        ev.ConsentRefused(purposes=["p"], evidence=EVIDENCE),
        ev.ConsentWithdrawn(purposes=["p"], evidence=EVIDENCE),
        ev.ConsentRevoked(scope=ev.ConsentScope(purposes=["p"]), reason_text="the shop at the lake was closed"),
        ev.ConsentInvalidated(scope=ev.ConsentScope(purposes=["p"]), reason_text="the court said so"),
        ev.ObjectionRaised(scope=ev.ConsentScope(purposes=["p"]), grounds_text="they ill-treat me", evidence=EVIDENCE),
    ],
    ids=lambda event: type(event).__name__,
)
def test_nothing_that_is_sealed_is_in_a_receipt(event: Message) -> None:
    (topic,) = [topic for topic, message in MESSAGE_BY_TOPIC.items() if message is type(event)]
    opened, personal = split(event)

    assert personal
    assert receipt_of(act(topic, opened), {}) == receipt_of(act(topic, event), {})


def test_a_consent_that_waits_for_its_confirmation_is_none_yet() -> None:
    waiting, confirmed = record(ACTS["given_unconfirmed"]), record(ACTS["confirmed"])

    assert ["dpv:ConsentRequested"] == waiting["dpv:hasConsentStatus"]["@type"]
    assert ["dpv:ConsentGiven"] == confirmed["dpv:hasConsentStatus"]["@type"]
    assert ["marketing.direct"] == [each["dct:identifier"] for each in confirmed["dpv:hasProcess"]["dpv:hasPurpose"]]
    # Not from when it was given on: it counts from the confirmation.
    assert "2025-03-01T00:00:17.000000Z" == confirmed["dpv:hasConsentStatus"]["rapport:validFrom"]


def test_an_act_about_every_purpose_says_so() -> None:
    assert record(ACTS["withdrawn_everything"])["dpv:hasProcess"] == {
        "@type": "dpv:Process",
        "rapport:everyPurpose": True,
    }


def test_a_basis_of_another_law_goes_by_our_code() -> None:
    assert {"@type": "dpv:LegalBasis", "dct:identifier": "SOFT_OPT_IN"} == record(ACTS["given_soft_opt_in"])[
        "dpv:hasLegalBasis"
    ]


@pytest.mark.parametrize("name", ACTS)
def test_the_scope_of_an_act_is_what_its_receipt_tells(name: str) -> None:
    scope = scope_of(ACTS[name])
    process = record(ACTS[name])["dpv:hasProcess"]

    assert list(scope.purposes) == [each["dct:identifier"] for each in process.get("dpv:hasPurpose", [])]
    assert list(scope.contact_point_ids) == process.get("rapport:contactPoint", [])
    assert list(scope.brands) == process.get("rapport:brand", [])
    assert [f"CHANNEL_{each}" for each in process.get("rapport:channel", [])] == [
        Channel.Name(each) for each in scope.channels
    ]


def test_an_event_that_is_no_act_of_consent_has_no_receipt() -> None:
    other = act("preference.cleared.v1", PreferenceCleared())

    assert "preference.cleared.v1" not in TOPICS
    for ask in (lambda: receipt_of(other, {}), lambda: scope_of(other)):
        with pytest.raises(TypeError, match=r"preference\.cleared"):
            ask()


def test_the_largest_act_has_a_receipt_that_can_be_sent_back() -> None:
    code, point = "z" * 64, "\x00" * 128  # Written as six characters each.
    consent = ev.ConsentGiven()
    consent.CopyFrom(CONSENT)
    consent.purposes[:] = [f"{index:02}{code[2:]}" for index in range(64)]
    consent.contact_point_ids[:] = [f"{index:02}{point[2:]}" for index in range(32)]
    consent.brands[:] = [code] * 2
    consent.recipients[:] = [code] * 64
    consent.data_categories[:] = [code] * 64
    consent.storage_locations[:] = [code] * 16
    consent.notice.purposes[:] = [code] * 64
    iris = dict.fromkeys(consent.purposes, "https://w3id.org/dpv#" + "x" * 235)

    receipt = receipt_of(act("consent.given.v1", consent, position=2**63 - 1), iris)

    assert len(receipt) < 131_072, len(receipt)
