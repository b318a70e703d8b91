"""What is known of a customer, by where it comes from, and when they usually act (relationship.md 10)."""

from __future__ import annotations

from ledger.domain.decay import decay
from ledger.measure.results import Knowledge, OpenHour, Ratio
from rapport.events.v1 import attribute_pb2 as a
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import disclosure_pb2
from rapport.events.v1 import interaction_pb2 as i
from tests.contact_histories import DAY, HOUR, moment, sent
from tests.measured_histories import START, MeasuredHistory, acted

DECLARED, OBSERVED, INFERRED = (
    disclosure_pb2.PROVENANCE_DECLARED,
    disclosure_pb2.PROVENANCE_OBSERVED,
    disclosure_pb2.PROVENANCE_INFERRED,
)
MONDAY = moment("2026-03-02T00:00Z")


def catalogue(*attributes: p.AttributeDefinition, version: int = 1) -> p.AttributesPublished:
    return p.AttributesPublished(catalogue=p.AttributeCatalogue(version=version, attributes=attributes))


# Knowledge.


def test_keys_are_counted_by_provenance_as_a_hand_would() -> None:
    history = MeasuredHistory()
    for event in (
        a.AttributeRequested(key="asked"),
        a.AttributeDisclosed(key="size", code="m"),
        a.AttributeDisclosed(key="size", code="l"),
        a.AttributeDisclosed(key="colour", code="red"),
        a.AttributeInferred(key="size", code="s"),
        a.AttributeObserved(key="visits", code="many"),
        a.AttributeWithdrawn(key="colour", provenance=DECLARED),
    ):
        history.add(event, START)

    assert Knowledge(((DECLARED, 1), (OBSERVED, 1), (INFERRED, 1)), 0, 0) == history.measured(START).knowledge


def test_only_what_was_declared_makes_a_group_declared() -> None:
    history = MeasuredHistory()
    history.publish(
        catalogue(
            p.AttributeDefinition(key="colour", group="taste"),
            p.AttributeDefinition(key="loose"),
            p.AttributeDefinition(key="size", group="body"),
            p.AttributeDefinition(key="weight", group="body"),
        )
    )
    history.add(a.AttributeInferred(key="colour", code="red"), START)
    history.add(a.AttributeDisclosed(key="loose", code="x"), START)
    before = history.measured(START).knowledge
    history.add(a.AttributeDisclosed(key="size", code="m"), START)
    history.add(a.AttributeDisclosed(key="weight", code="w"), START)

    assert (0, 2) == (before.groups_declared, before.groups)
    assert (1, 2) == history.measured(START).knowledge[1:]


def test_another_catalogue_is_read_anew() -> None:
    history = MeasuredHistory()
    history.add(a.AttributeDisclosed(key="size", code="m"), START)
    history.publish(catalogue(p.AttributeDefinition(key="size", group="body")), START)
    first = history.measured(START).knowledge
    history.publish(catalogue(p.AttributeDefinition(key="colour", group="taste"), version=2), START)

    assert ((1, 1), (0, 1)) == (first[1:], history.measured(START).knowledge[1:])


# Open hours.


def test_hours_of_the_week_are_counted_from_monday_with_decay() -> None:
    history = MeasuredHistory()
    sunday_evening = MONDAY - DAY + 23 * HOUR
    for at in (sunday_evening, MONDAY, MONDAY + HOUR - 1, MONDAY + DAY + HOUR):
        history.add(acted("VIEW"), at)

    found = history.measured(MONDAY + DAY + HOUR).open_hours

    now, day, two = decay(0, 90), decay(1, 90), decay(2, 90)
    total = now + 2 * day + two
    assert (
        OpenHour(0, Ratio(2 * day, total)),
        OpenHour(25, Ratio(now, total)),
        OpenHour(167, Ratio(two, total)),
    ) == found


def test_the_same_hour_of_two_weeks_is_one_hour() -> None:
    history = MeasuredHistory()
    for week in range(3):
        history.add(acted("VISIT"), MONDAY + week * 7 * DAY + 9 * HOUR)

    (found,) = history.measured(MONDAY + 30 * DAY).open_hours

    assert (9, 1_000_000) == (found.hour_of_week, found.share.ppm)


def test_of_equal_hours_the_earlier_comes_first_and_no_more_than_twenty_four_come() -> None:
    history = MeasuredHistory()
    for hour in range(30):
        history.add(acted("VIEW"), MONDAY + (hour % 15) * HOUR + (hour // 15) * 7 * DAY, recorded=MONDAY + 8 * DAY)
    for hour in range(100, 115):
        history.add(acted("CLICK"), MONDAY + hour * HOUR, recorded=MONDAY + 8 * DAY)

    found = [each.hour_of_week for each in history.measured(MONDAY + 8 * DAY).open_hours]

    assert [*range(15), *range(100, 109)] == found


def test_only_the_customers_acts_count_and_those_too_old_no_more() -> None:
    history = MeasuredHistory()
    history.add(acted("VISIT"), MONDAY - 1794 * DAY)
    history.add(sent(), MONDAY)
    history.add(acted("DELIVERED", initiator=i.INITIATOR_UNSPECIFIED), MONDAY)

    assert () == history.measured(MONDAY).open_hours
    history.add(acted("VISIT"), MONDAY - 1793 * DAY, recorded=MONDAY)
    assert 1 == len(history.measured(MONDAY).open_hours)
