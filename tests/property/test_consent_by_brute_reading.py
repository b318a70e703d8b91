"""Statuses of consent against the rules read word by word (consent.md 1, property 12)."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, product

import pytest
from google.protobuf.message import Message

from ledger.domain.consent import Cell, ConsentState, status
from ledger.domain.fact import Fact
from ledger.domain.times import timestamp
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1.metadata_pb2 import EventMetadata
from tests.oracles import consent_brute as brute
from tests.oracles.consent_brute import Act

RANDOM_HISTORIES = int(os.environ.get("RAPPORT_TEST_CONSENT_HISTORIES", "2000"))
PURPOSES = ("marketing", "marketing.direct", "marketing.social", "marketing.direct.sms", "service.care")
CELLS = [
    brute.Cell(*parts)
    for parts in [
        *product(("marketing", "marketing.direct", "marketing.direct.sms"), (1, 0), ("cp-1", ""), ("",)),
        *product(("marketing.social", "service.care"), (1, 2), ("cp-2",), ("north", "")),
    ]
]
INSTANTS = (3, 5, 6, 9)


def narrowed(act: Act) -> dict[str, Sequence[str] | Sequence[int]]:
    return {
        "purposes": act.purposes,
        "channels": act.channels,
        "contact_point_ids": act.points,
        "brands": act.brands,
    }


def notice(act: Act) -> c.NoticeReference | None:
    return c.NoticeReference(notice_id="n", purposes=act.listed) if act.listed else None


def given(act: Act) -> c.ConsentGiven:
    event = c.ConsentGiven(**narrowed(act), notice=notice(act), confirmation_required=act.unconfirmed)  # type: ignore[arg-type]
    if act.start is not None:
        event.valid_from_time.CopyFrom(timestamp(act.start))
    if act.until != brute.FOR_EVER:
        event.validity.until_time.CopyFrom(timestamp(act.until))
    return event


def event_of(act: Act) -> Message:
    scope = c.ConsentScope(**narrowed(act))  # type: ignore[arg-type]
    match act.kind:
        case "GIVEN":
            return given(act)
        case "RENEWED":
            return c.ConsentRenewed(consent=given(act))
        case "CONFIRMED":
            return c.ConsentConfirmed(given_position=act.confirms, purposes=act.purposes)
        case "REFUSED":
            return c.ConsentRefused(**narrowed(act))  # type: ignore[arg-type]
        case "WITHDRAWN":
            return c.ConsentWithdrawn(**narrowed(act))  # type: ignore[arg-type]
        case "REVOKED":
            return c.ConsentRevoked(scope=scope)
        case "INVALIDATED":
            return c.ConsentInvalidated(scope=scope)
        case "REQUESTED":
            return c.ConsentRequested(scope=scope, notice=notice(act))
        case _:
            return c.ConsentDeferred(scope=scope, notice=notice(act))


TOPIC = {"REQUEST_DEFERRED": "deferred"}


def state_of(acts: Sequence[Act], until: int) -> ConsentState:
    state = ConsentState(until)
    for version, act in enumerate(sorted(acts, key=lambda act: act.position), 1):
        topic = f"consent.{TOPIC.get(act.kind, act.kind.lower())}.v1"
        state.evolve(Fact(act.position, version, 99, act.occur, topic, event_of(act), EventMetadata()))
    return state


def told(state: ConsentState, cell: brute.Cell, at: int) -> str:
    return c.ConsentStatus.Name(status(state, Cell(*cell), at).status).removeprefix("CONSENT_STATUS_")  # type: ignore[arg-type]


def differences(acts: Sequence[Act], at: int, seen: Counter[str]) -> Iterator[str]:
    state = state_of(acts, at)
    for cell in CELLS:
        expected, found = brute.statuses(acts, cell, at), told(state, cell, at)
        seen[found] += 1
        if found not in expected:
            yield f"{cell} at {at}: expected {expected}, found {found}, of {list(acts)}"


# Four lists of ten acts; what is asked of every subset of at most seven of each.
YES_AND_NO = [
    ("GIVEN", 2, {"purposes": ("marketing", "marketing.direct")}),
    ("REFUSED", 2, {"purposes": ("marketing",)}),
    ("GIVEN", 3, {"purposes": ("marketing.direct",), "channels": (1,)}),
    ("WITHDRAWN", 3, {"channels": (1,), "points": ("cp-1",)}),
    ("RENEWED", 4, {"purposes": ("marketing.direct", "service.care"), "points": ("cp-1",)}),
    ("REVOKED", 4, {"purposes": ("service.care",)}),
    ("GIVEN", 1, {"purposes": ("service.care", "marketing.social"), "until": 5}),
    ("INVALIDATED", 5, {"purposes": ("marketing.direct",), "brands": ("north",)}),
    ("RENEWED", 5, {"purposes": ("marketing",), "listed": ("marketing.direct.sms", "service.care")}),
    ("WITHDRAWN", 1, {}),
]
ASKED = [
    ("REQUESTED", 1, {"purposes": ("marketing",), "listed": ("marketing.direct",)}),
    ("REQUEST_DEFERRED", 2, {"purposes": ("marketing.direct",), "channels": (1,)}),
    ("REQUESTED", 3, {"purposes": ("service.care",)}),
    ("GIVEN", 2, {"purposes": ("marketing",), "listed": ("marketing.direct",), "until": 5}),
    ("REFUSED", 3, {"purposes": ("service",)}),
    ("GIVEN", 4, {"purposes": ("marketing.direct",), "start": 6}),
    ("GIVEN", 4, {"purposes": ("marketing.direct.sms",), "start": 2, "until": 4}),
    ("REVOKED", 5, {"purposes": ("marketing.direct",), "points": ("cp-1",)}),
    ("RENEWED", 5, {"purposes": ("marketing.direct",), "until": 6}),
    ("REQUEST_DEFERRED", 1, {"purposes": ("service.care", "marketing.social"), "brands": ("north",)}),
]
CONFIRMED = [
    ("GIVEN", 1, {"purposes": ("marketing.direct", "service.care"), "unconfirmed": True}),
    ("CONFIRMED", 3, {"confirms": 1}),
    ("GIVEN", 2, {"purposes": ("marketing",), "listed": ("marketing.direct",), "unconfirmed": True, "until": 6}),
    ("CONFIRMED", 5, {"confirms": 3, "purposes": ("marketing",)}),
    ("WITHDRAWN", 2, {"purposes": ("marketing.direct",), "channels": (1,)}),
    ("GIVEN", 4, {"purposes": ("service.care", "marketing.direct"), "unconfirmed": True}),
    ("CONFIRMED", 5, {"confirms": 6, "purposes": ("service.care",)}),
    ("RENEWED", 5, {"purposes": ("marketing.direct",), "unconfirmed": False}),
    ("GIVEN", 1, {"purposes": ("marketing.direct",), "until": 3}),
    ("REQUEST_DEFERRED", 1, {"purposes": ("marketing.direct",)}),
]


@pytest.mark.parametrize("pool", [YES_AND_NO, ASKED, CONFIRMED], ids=["yes and no", "asked", "confirmed"])
def test_the_status_of_every_subset_of_seven_acts_is_that_of_the_rules_read_word_by_word(
    pool: list[tuple[str, int, dict[str, object]]],
) -> None:
    acts = [Act(kind, position, occur, **more) for position, (kind, occur, more) in enumerate(pool, 1)]  # type: ignore[arg-type]
    seen: Counter[str] = Counter()

    wrong = [
        line
        for size in range(8)
        for chosen in combinations(acts, size)
        if all(act.kind != "CONFIRMED" or act.confirms in {one.position for one in chosen} for act in chosen)
        for at in INSTANTS
        for line in differences(chosen, at, seen)
    ]

    assert [] == wrong[:3], f"{len(wrong)} differ"
    assert len(seen) >= 6, seen


KINDS = (
    *("GIVEN", "GIVEN", "GIVEN", "RENEWED", "CONFIRMED", "CONFIRMED", "REQUESTED", "REQUEST_DEFERRED"),
    *("REFUSED", "WITHDRAWN", "REVOKED", "INVALIDATED"),
)


def a_history(chance: random.Random) -> list[Act]:
    """Return up to 12 acts, in order of position, whose instants and scopes meet often."""
    acts: list[Act] = []
    for position in range(1, chance.randrange(1, 13)):
        kind = chance.choice(KINDS)
        occur, purposes = chance.randrange(1, 7), tuple(chance.sample(PURPOSES, chance.choice([1, 1, 2])))
        waiting = [
            act
            for act in acts
            if act.unconfirmed and act.occur <= occur and all(each.confirms != act.position for each in acts)
        ]
        if kind == "CONFIRMED":
            if waiting:
                grant = chance.choice(waiting)
                part = () if chance.random() < 0.5 else (chance.choice(grant.purposes),)
                acts.append(Act(kind, position, occur, part, confirms=grant.position))
            continue
        is_yes = kind in brute.GRANTS
        start = occur if chance.random() < 0.8 else chance.randrange(1, 9)
        acts.append(
            Act(
                kind,
                position,
                occur,
                purposes if kind not in brute.DENIALS or chance.random() < 0.8 else (),
                chance.choice([(), (), (1,), (1, 2)]),
                chance.choice([(), (), ("cp-1",), ("cp-1", "cp-2")]),
                chance.choice([(), (), (), ("north",)]),
                tuple(chance.sample(PURPOSES, 2)) if chance.random() < 0.5 else (),
                start if is_yes and start != occur else None,
                chance.choice([brute.FOR_EVER, brute.FOR_EVER, start + chance.randrange(1, 5)]),
                kind == "GIVEN" and chance.random() < 0.3,
            )
        )
    return acts


@pytest.mark.timeout(600)
def test_the_status_of_any_history_is_that_of_the_rules_read_word_by_word(seed: int) -> None:
    chance = random.Random(seed)
    seen: Counter[str] = Counter()

    wrong = [
        line for _ in range(RANDOM_HISTORIES) for line in differences(a_history(chance), chance.choice(INSTANTS), seen)
    ]

    assert [] == wrong[:3], f"{len(wrong)} differ"
    assert len(seen) == 10, seen  # Every status there is.
