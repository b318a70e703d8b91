"""Receipts of any act: canonical, named, told in full, and the same whether or not what is sealed is at hand."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import TypeVar

import pytest
from google.protobuf.message import Message

from ledger.domain.canonical_json import canonical
from ledger.domain.receipt import TOPICS, Act, ActName, named, receipt_of, scope_of
from ledger.log.personal import split
from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.events.v1 import consent_pb2 as ev
from services.runtime.validation import violations_of
from tests.messages import fill
from tests.receipt_acts import ACTS, DPV_IRIS, LOG_ID, act

ROUNDS = 200
FULL = ("given", "renewed", "refused", "withdrawn", "revoked", "invalidated", "objected_by_guardian")
"""Samples in which everything is said that can be."""
UNTOLD = {"evidence", "reason_text", "grounds_text", "confirmation_sha256"}
"""Sealed; and the hash of a token that nobody but the customer should be able to guess at."""
SAID_ANYWAY = {"legal_basis"}
"""The sample says what not saying it means."""
M = TypeVar("M", bound=Message)


def valid(message_class: type[M], chance: random.Random) -> M:
    """Return a random message that a request might carry."""
    while True:
        message = message_class()
        fill(message, chance)
        if not violations_of(message):
            return message


def an_act(topic: str, chance: random.Random) -> tuple[Act, Act]:
    """Return an act as folds see it, and as it was said, with what is sealed still in it."""
    event = valid(MESSAGE_BY_TOPIC[topic], chance)
    given = valid(ev.ConsentGiven, chance) if isinstance(event, ev.ConsentConfirmed) else None
    position, imported = chance.randrange(11, 10**9), chance.random() < 0.2
    said = act(topic, event, position=position, given=given, imported=imported)
    given_opened = None if given is None else split(given)[0]
    return act(topic, split(event)[0], position=position, given=given_opened, imported=imported), said


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_any_act_has_one_canonical_receipt(topic: str) -> None:
    chance = random.Random(f"receipts of {topic}")
    for _ in range(ROUNDS):
        opened, said = an_act(topic, chance)

        receipt = receipt_of(opened, {})

        assert canonical(json.loads(receipt)) == receipt == receipt_of(opened, {})
        assert receipt_of(said, {}) == receipt
        assert ActName(LOG_ID, "acme", "c-1", opened.name.position) == named(receipt)
        process = json.loads(receipt)["dpv:hasRecordOfActivity"]["dpv:hasProcess"]
        purposes = [each["dct:identifier"] for each in process.get("dpv:hasPurpose", [])]
        assert list(scope_of(opened).purposes) == purposes
        assert process.get("rapport:everyPurpose", False) == (not purposes)


@pytest.mark.parametrize("name", FULL)
def test_nothing_that_was_said_is_left_out(name: str) -> None:
    sample = ACTS[name]
    receipt = receipt_of(sample, DPV_IRIS)
    looked_at = set()
    for path in paths(sample.fact.event):
        changed = type(sample.fact.event)()
        changed.CopyFrom(sample.fact.event)
        clear(changed, path)

        other = receipt_of(act(sample.fact.topic, changed), DPV_IRIS)

        assert (other == receipt) == (path[-1] in SAID_ANYWAY), path
        looked_at.add(path[0])
    unsaid = {field.name for field in sample.fact.event.DESCRIPTOR.fields} - looked_at
    # A consent of the sample counts at once: that it waits for its confirmation is another sample.
    assert unsaid - UNTOLD <= {"confirmation_required"}


def paths(message: Message, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every field that is set, down to values, lists and times."""
    for field, value in message.ListFields():
        path = (*above, field.name)
        nested = field.message_type
        if nested is not None and not field.is_repeated and nested.full_name.startswith("rapport."):
            yield from paths(value, path)
        else:
            yield path


def clear(message: Message, path: tuple[str, ...]) -> None:
    """Clear the field at a path."""
    for name in path[:-1]:
        message = getattr(message, name)
    message.ClearField(path[-1])
