"""What was ever stored decodes, and folds, as it did on the day it was stored (I38). Samples are only ever added."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.consent import Cell, status
from ledger.domain.relationship import RelationshipState
from ledger.domain.streams import initial_state
from ledger.domain.times import END_OF_TIME
from ledger.log.envelope import split_state
from ledger.log.keys import key_check
from ledger.log.personal import merge
from ledger.log.reading import fact, facts
from ledger.log.sealing import Place, open_sealed
from ledger.log.store import EventRow
from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.events.v1.consent_pb2 import ConsentGiven
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS, InteractionCorrected, InteractionRecorded
from services.client.events import TOPICS
from tools.golden_event import sample

FOLDER = Path(__file__).parent / "events"
SAMPLES = sorted(FOLDER.glob("*.json"))
DATA_KEY = bytes(range(32))
"""The key that the samples' personal parts are sealed under."""


def row(content: dict[str, Any]) -> EventRow:
    return EventRow(
        content["position"],
        content["stream_id"],
        content["version"],
        content["topic"],
        content["record_time"],
        bytes(16),
        bytes.fromhex(content["state"]),
    )


def rows_of(stream_id: str) -> list[EventRow]:
    rows = [row(json.loads(path.read_text())) for path in SAMPLES]
    return sorted((each for each in rows if each.stream_id == stream_id), key=lambda each: each.version)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_stored_event_decodes_to_what_it_decoded_to(path: Path) -> None:
    content = json.loads(path.read_text())

    assert content == sample(row(content))


def test_every_topic_has_a_sample() -> None:
    assert set(MESSAGE_BY_TOPIC) == {json.loads(path.read_text())["topic"] for path in SAMPLES}


def test_the_client_decodes_every_topic_that_the_log_may_hold() -> None:
    assert MESSAGE_BY_TOPIC == TOPICS


def test_samples_of_a_relationship_fold_to_the_state_they_folded_to() -> None:
    expected = json.loads((Path(__file__).parent / "states.json").read_text())

    found = {name: summary(fold(until)) for name, until in VIEWS.items()}
    found |= {name: holds_and_points(until) for name, until in VIEWS_OF_HOLDS.items()}
    found |= {name: consents_and_wishes(until) for name, until in VIEWS_OF_CONSENTS.items()}
    found |= {name: facts_of_relationships(until) for name, until in VIEWS_OF_FACTS.items()}
    assert expected == found


def personal_of(stream_id: str) -> dict[str, Any]:
    """Return the events of a stream that have a sealed part, with it merged back, by topic."""
    personal = {}
    for stored in rows_of(stream_id):
        state = split_state(stored.state)
        if state.sealed:
            place = Place(stored.stream_id, stored.version, stored.topic, state.metadata, state.event)
            opened = fact(stored)
            assert opened is not None
            personal[stored.topic] = merge(opened.event, open_sealed(DATA_KEY, place, state.sealed))
    return personal


def test_sealed_parts_open_in_their_places_and_merge_back() -> None:
    personal = personal_of("acme/c-1")

    recorded, corrected = personal["interaction.recorded.v1"], personal["interaction.corrected.v1"]
    assert isinstance(recorded, InteractionRecorded)
    assert isinstance(corrected, InteractionCorrected)
    assert "The parcel came late." == recorded.summary == corrected.replacement.summary
    assert ["not this year"] == [text.text for text in recorded.attribute_texts]
    assert "It was praise." == corrected.reason_text
    given = personal["consent.given.v1"]
    assert isinstance(given, ConsentGiven)
    assert "192.0.2.0" == given.evidence.ip_address


def test_sealed_parts_of_consent_acts_promises_and_attributes_open_too() -> None:
    personal = personal_of("acme/c-3")

    assert "ann@example.org" == personal["identifier.verified.v1"].address
    assert "a browser" == personal["consent.confirmed.v1"].evidence.user_agent
    assert "https://example.org/again" == personal["consent.renewed.v1"].consent.evidence.url
    assert "Tell me when the bulbs are in." == personal["promise.made.v1"].text
    assert "a balcony, really" == personal["attribute.disclosed.v1"].text
    assert ("I teach there.", "letter 7") == (
        personal["objection.raised.v1"].grounds_text,
        personal["objection.raised.v1"].evidence.recording_reference,
    )
    assert "I moved." == personal["objection.lifted.v1"].reason_text
    assert "We no longer deliver." == personal["consent.revoked.v1"].reason_text
    assert "Decision 7/2026." == personal["consent.invalidated.v1"].reason_text


def test_sealed_parts_of_what_is_recorded_of_relationships_open_too() -> None:
    personal = personal_of("acme/c-5")

    assert {
        "common_ground.declared.v1": "We both grow tulips.",
        "relationship_type.declared.v1": "Just neighbours.",
        "relationship_type.assessed.v1": "She always waves.",
        "assessment.recorded.v1": "Not quite yet.",
        "vector.opened.v1": "A garden by June.",
        "vector.renewed.v1": "Now the hedges.",
        "obstacle.reported.v1": "Nowhere to park.",
        "value_definition.declared.v1": "Good advice, quickly.",
        "relationship.ended.v1": "We moved away.",
    } == {topic: event.text for topic, event in personal.items()}


def test_the_stream_tells_which_key_its_personal_parts_are_sealed_under() -> None:
    assert key_check(DATA_KEY) == fold(END_OF_TIME).key_check


def test_no_sample_was_ever_changed_or_removed() -> None:
    root = Path(__file__).parents[2]
    # Of a history that a shallow clone does not have, nothing can be said.
    history = subprocess.run(
        ["git", "log", "--diff-filter=MDR", "--name-only", "--format=", "--", "tests/golden/events"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "" == history.stdout.strip()


VIEWS = {
    "now": END_OF_TIME,
    "before the exchanges": 1_767_225_599_000_000,
    "before the consents": 1_767_225_597_500_000,
}


VIEWS_OF_HOLDS = {
    "holds now": END_OF_TIME,
    "holds before the reversal": 1_767_225_600_000_000 + 4 * 86_400_000_000,
    "holds before they ended": 1_767_225_600_000_000,
}


VIEWS_OF_CONSENTS = {
    "consents now": END_OF_TIME,
    "consents before the suppression": 1_772_498_540_000_000,
    "consents before the guardian left": 1_772_496_960_000_000,
}
VIEWS_OF_FACTS = {
    "facts now": END_OF_TIME,
    "facts before the garden was laid out": 1_772_669_579_000_000,
}
CELLS = [
    Cell("marketing.direct", CHANNEL_EMAIL, "cp-1", "acme-one"),
    Cell("marketing.direct", CHANNEL_SMS, "cp-1", "acme-one"),
    Cell("service.delivery"),
    Cell("research.survey"),
    Cell("community"),
]


def fold(until: int, stream_id: str = "acme/c-1") -> RelationshipState:
    state = initial_state(stream_id, until)
    assert isinstance(state, RelationshipState)
    for each in facts(rows_of(stream_id)):
        state.evolve(each)
    return state


def summary(state: RelationshipState) -> dict[str, Any]:
    """What answers are made of, as JSON."""
    totals = state.interactions.totals()
    return {
        "version": state.version,
        "first_occur_time": state.first_occur_time,
        "last_occur_time": state.last_occur_time,
        "interactions": _plain(asdict(totals)),
        "exchanges": [state.exchanges.count, state.exchanges.reversed, state.exchanges.one_sided],
        "quantities": _plain([each[:5] for each in state.exchanges.quantities()]),
    }


def holds_and_points(until: int) -> dict[str, Any]:
    """What is told of holds, and which points could be used, as JSON."""
    state = fold(until, "acme/c-2")
    at = min(until, 1_798_761_600_000_000)
    return {
        **summary(state),
        "pending": state.exchanges.pending(at),
        "holds": _plain([each[5:] for each in state.exchanges.quantities(at)]),
        "available": [lot.available(at) for lot in state.exchanges.lots.granted_by("h-1")],
    }


def consents_and_wishes(until: int) -> dict[str, Any]:
    """What is told of the subjects that contact decisions look at, as JSON."""
    state = fold(until, "acme/c-3")
    at = min(until, 1_798_761_600_000_000)
    identity = fold(until, "acme/c-4")
    return {
        "version": state.version,
        "statuses": [status(state.consents, cell, at).status for cell in CELLS],
        "objections": [each.position for each in state.objections.standing()],
        "suppressions": [
            [each.position for each in side] for side in (state.suppressions.all(), state.suppressions.standing())
        ],
        "preferences": _plain([(each.kind, each.position) for each in state.preferences.all()]),
        "wanted_topics": sorted(state.preferences.wanted_topics()),
        "profile": [state.profile.jurisdiction, state.profile.country, state.profile.adult_from("IE")],
        "identifiers": sorted(state.profile.identifiers),
        "links": [sorted(state.identity.others), sorted(identity.identity.others)],
        "guardians": [each.guardian_id for each in state.guardians.live(at)],
        "promises": _plain([each.standing(at) for each in state.promises.all()]),
        "attributes": [[key, *state.attributes.slots(key)] for key in state.attributes.keys()],  # noqa: SIM118  # No dict.
        "decisions": [each.position for each in state.contacts.decisions],
        "erased": [state.erased_position, identity.erased_position],
    }


def facts_of_relationships(until: int) -> dict[str, Any]:
    """What is told of the facts that measures of relationships read, as JSON."""
    state = fold(until, "acme/c-5")
    at = min(until, 1_798_761_600_000_000)
    told: dict[str, Any] = {
        "version": state.version,
        "ground": state.common_ground.live(),
        "wishes": [state.wishes.history(), state.wishes.assessed(at, 180 * 86_400_000_000)],
        "assessments": [(each.message.dimension, each.message.score) for each in state.assessments.latest()],
        "vectors": state.vectors.all(),
        "obstacles": state.obstacles.open(),
        "value": [state.value_questions.asked, state.value_questions.declared],
        "points of contact": [state.points_of_contact.open(), state.points_of_contact.closed()],
        "shape and end": [state.shape_wanted.shape, state.shape_wanted.position, state.ending.latest],
    }
    return {name: _plain(value) for name, value in told.items()}


def _plain(value: object) -> object:
    """Return a value as JSON gives it back: tuples as lists."""
    return json.loads(json.dumps(value))
