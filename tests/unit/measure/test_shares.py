"""What each event adds to a line of the strength (relationship.md 5)."""

from __future__ import annotations

from collections import Counter

from ledger.measure.results import Share
from ledger.measure.shares import shares
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY, HOUR, did, given
from tests.measured_histories import START, MeasuredHistory, acted, told, traded

NOW = START + 10 * DAY


def of(history: MeasuredHistory, name: str, at: int = NOW) -> tuple[Share, ...]:
    """Return the shares of a line."""
    component = levels.StrengthComponent.Value(f"STRENGTH_COMPONENT_{name}")
    return next(parts for line, parts in shares(history.measured(at)) if line.component == component)


def test_a_thousand_equal_acts_share_what_the_cap_of_a_day_leaves() -> None:
    history = MeasuredHistory()
    for second in range(1_000):
        history.add(acted("PURCHASE"), NOW + second)

    parts = of(history, "INVOLVEMENT", NOW + HOUR)

    assert 138_462 == sum(part.ppm for part in parts)
    assert {138: 538, 139: 462} == Counter(part.ppm for part in parts)
    assert [139] * 462 + [138] * 538 == [part.ppm for part in parts]


def test_acts_share_involvement_by_weight_and_age() -> None:
    history = MeasuredHistory()
    history.add(acted("PURCHASE"), NOW - 90 * DAY)
    history.add(acted("VIEW"), NOW)
    history.add(acted("PURCHASE"), NOW)

    old, view, new = (part.ppm for part in of(history, "INVOLVEMENT"))

    assert abs(new - 2 * old) <= 1
    assert new // 15 <= view <= new // 15 + 1


def test_exchanges_share_reciprocity_by_what_the_customer_got() -> None:
    history = MeasuredHistory()
    history.value_euros()
    for name, paid, got in (("a", 1_000, 300), ("b", 0, 600), ("c", 100, 0)):
        history.add(traded(name, paid=paid, got=got), START)

    assert [(2, 68_182), (3, 136_363)] == [(part.position, part.ppm) for part in of(history, "RECIPROCITY")]


def test_only_repeats_without_incentive_share_preference() -> None:
    history = MeasuredHistory()
    for incentivised in (False, False, True, False):
        history.add(acted("PURCHASE", incentivised=incentivised), START)

    assert [(2, 40_000), (4, 40_000)] == [(part.position, part.ppm) for part in of(history, "PREFERENCE")]


def test_what_was_said_shares_balance_and_what_was_answered_answering() -> None:
    history = MeasuredHistory()
    asked = [history.add(did("GREETING", needs_reply=True), START) for _ in range(3)]
    for position in asked[:2]:
        history.add(told(in_reply_to=position), START)

    assert [(1, 25_000), (2, 25_000), (3, 25_000)] == [(part.position, part.ppm) for part in of(history, "BALANCE")]
    assert [(1, 25_000), (2, 25_000)] == [(part.position, part.ppm) for part in of(history, "ANSWERING")]


def test_grants_share_permission_by_the_cells_that_they_keep_live() -> None:
    history = MeasuredHistory()
    history.add(given("marketing", channels=[1, 2]), START)
    history.add(given("service.care", channels=[1]), START)
    history.add(given("community", START + DAY), START)

    assert [(1, 50_000), (2, 25_000)] == [(part.position, part.ppm) for part in of(history, "PERMISSION")]


def test_a_penalty_is_the_share_of_its_event_and_a_clamp_nobodys() -> None:
    history = MeasuredHistory()
    spam = history.add(did("MARKED_SPAM"), NOW)

    assert (Share(spam, NOW, -100_000),) == of(history, "SPAM")
    assert () == of(history, "CLAMP")
