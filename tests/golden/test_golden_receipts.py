"""Receipts stay what they were on the day they were issued, and speak the published vocabulary. Only ever added to.

`receipts/context_keys.json` is of our own making: the terms that receipts use, from the W3C vocabulary 2.3, and which
of them a record of each kind has to have, from its guide to ISO/IEC TS 27560. So the check needs no network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.receipt import TOPICS, receipt_of
from tests.receipt_acts import ACTS, DPV_IRIS

FOLDER = Path(__file__).parent / "receipts"
VOCABULARY = json.loads((FOLDER / "context_keys.json").read_text())
PREFIXES: dict[str, str] = VOCABULARY["prefixes"]
OURS = PREFIXES["rapport"]


def issued(name: str) -> dict[str, Any]:
    receipt: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_bytes())
    return receipt


def expanded(term: str) -> str:
    """Return a compact IRI in full; keywords, full IRIs and names without a prefix as they are."""
    prefix, colon, rest = term.partition(":")
    return PREFIXES[prefix] + rest if colon and prefix in PREFIXES else term


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a receipt below its context."""
    if isinstance(value, dict):
        yield value
        for key, each in value.items():
            if key != "@context":
                yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def kinds(node: dict[str, Any]) -> list[str]:
    found = node.get("@type", [])
    return [expanded(kind) for kind in ([found] if isinstance(found, str) else found)]


def properties(node: dict[str, Any]) -> set[str]:
    return {expanded(key) for key in node if not key.startswith("@")}


@pytest.mark.parametrize("name", ACTS)
def test_the_same_act_gives_the_receipt_that_was_issued_once(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_bytes() == receipt_of(ACTS[name], DPV_IRIS)


def test_every_receipt_that_was_ever_issued_here_has_its_act() -> None:
    assert set(ACTS) == {path.stem for path in FOLDER.glob("*.json")} - {"context_keys"}


@pytest.mark.parametrize("name", ACTS)
def test_a_receipt_brings_the_published_prefixes_and_needs_nothing_fetched(name: str) -> None:
    assert PREFIXES == issued(name)["@context"]


@pytest.mark.parametrize("name", ACTS)
def test_every_term_is_one_that_is_published_or_ours(name: str) -> None:
    published = {*VOCABULARY["properties"], *VOCABULARY["classes"]}
    used: set[str] = set()
    for node in nodes(issued(name)):
        used |= properties(node) | set(kinds(node))
        if not kinds(node) and set(node) == {"@id"}:
            used.add(expanded(node["@id"]))

    unknown = {term for term in used if not term.startswith((OURS, PREFIXES["loc"]))} - published

    assert set() == unknown - {iri for iri in DPV_IRIS.values() if iri}


@pytest.mark.parametrize("name", ACTS)
def test_what_the_guide_requires_is_there(name: str) -> None:
    receipt = issued(name)
    record = receipt["dpv:hasRecordOfActivity"]
    required = VOCABULARY["required"]
    (kind,) = kinds(record)

    assert set() == set(required["receipt"]) - properties(receipt)
    assert set() == set(required[kind]) - properties(record)
    if kind.endswith("#ConsentRecord"):
        status = record["dpv:hasConsentStatus"]
        (named, *_) = kinds(status)
        assert set() == set(required["status"]) - properties(status)
        live = named in VOCABULARY["statuses_of_consents"]
        assert live or named in VOCABULARY["statuses_of_denials"]
        assert not live or set() == set(required["consent"]) - properties(record)


def test_every_act_that_has_a_receipt_is_among_the_samples() -> None:
    assert TOPICS == {found.fact.topic for found in ACTS.values()}


def test_purposes_have_their_published_term_where_there_is_one() -> None:
    purposes = issued("given")["dpv:hasRecordOfActivity"]["dpv:hasProcess"]["dpv:hasPurpose"]

    assert [
        ("marketing.direct", ["dpv:Purpose", "https://w3id.org/dpv#DirectMarketing"]),
        ("service.care", ["dpv:Purpose"]),
        ("unheard.of", ["dpv:Purpose"]),
    ] == [(each["dct:identifier"], each["@type"]) for each in purposes]
