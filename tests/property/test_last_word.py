"""What holds of a customer is the last word by (occur time, position), whatever the order of recording."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.domain.attribute import ObserveAttribute, WithdrawAttribute
from ledger.domain.preference import ClearPreference, DeclarePreference
from ledger.domain.profile import DeclareProfile, VerifyIdentifier
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import preference_pb2 as preferences
from rapport.events.v1.attribute_pb2 import AttributeObserved, AttributeWithdrawn
from rapport.events.v1.disclosure_pb2 import PROVENANCE_OBSERVED
from rapport.events.v1.identity_pb2 import IdentifierVerified, ProfileDeclared
from rapport.events.v1.preference_pb2 import PreferenceCleared, PreferenceDeclared
from tests.stepping import Steps

NOW = 1_800_000_000 * MICROSECONDS
STREAM = "acme/c-1"
PAUSE = preferences.PREFERENCE_KIND_PAUSE

Said = tuple[str, str, str | None]
"""Subject, part of it, and what was said; None: no longer."""


def step(said: Said, at: int) -> Any:
    subject, part, value = said
    match subject, value:
        case "pause", None:
            return ClearPreference(STREAM, PreferenceCleared(kind=PAUSE, topic=part), at)
        case "pause", _:
            pause = preferences.Pause(topic=part)
            return DeclarePreference(STREAM, PreferenceDeclared(pause=pause, indicated_by_id=str(value)), at)
        case "attribute", None:
            event = AttributeWithdrawn(key=part, provenance=PROVENANCE_OBSERVED)
            return WithdrawAttribute(STREAM, event, at)
        case "attribute", _:
            return ObserveAttribute(STREAM, AttributeObserved(key=part, code=str(value)), at)
        case "profile", _:
            return DeclareProfile(STREAM, ProfileDeclared(country=value or ""), at)
        case _:
            return VerifyIdentifier(STREAM, IdentifierVerified(contact_point_id=part, kind="x", method=str(value)), at)


def told(state: Any) -> dict[tuple[str, str], str | None]:
    """Return what holds, by subject and part."""
    found: dict[tuple[str, str], str | None] = {}
    for part in "ab":
        pause = state.preferences.of(PAUSE, topic=part)
        found["pause", part] = None if pause is None else pause.message.indicated_by_id
        slot = state.attributes.slot(part, PROVENANCE_OBSERVED)
        found["attribute", part] = None if slot is None or slot.value is None else slot.value.code
        point = state.profile.identifier(part)
        found["point", part] = None if point is None else point.message.method
    found["profile", ""] = state.profile.country or None
    return found


def random_words(chance: random.Random) -> Iterator[tuple[Said, int]]:
    for number in range(chance.randint(1, 25)):
        subject = chance.choice(["pause", "attribute", "profile", "point"])
        part = "" if subject == "profile" else chance.choice("ab")
        ended = subject in {"pause", "attribute"} and chance.random() < 0.4
        value = None if ended else f"v{number}" if subject != "profile" else chance.choice(["DE", "FR", "AT", "PL"])
        yield (subject, part, value), NOW - chance.randint(0, 6)


@pytest.mark.parametrize("seed", range(200))
def test_the_last_word_holds_now_and_as_of_any_time_and_position(seed: int) -> None:
    words = list(random_words(random.Random(seed)))
    steps = Steps(NOW)
    for said, at in words:
        steps.do(step(said, at))

    for at in range(NOW - 7, NOW + 1):
        for known in range(len(words) + 1):
            expected: dict[tuple[str, str], str | None] = dict.fromkeys(told(Steps(NOW).state(STREAM)))
            seen = [(time, place, said) for place, (said, time) in enumerate(words[:known], start=1) if time <= at]
            for _, _, (subject, part, value) in sorted(seen, key=lambda each: each[:2]):
                expected[subject, part] = value
            assert expected == told(steps.as_of(STREAM, at, known))
