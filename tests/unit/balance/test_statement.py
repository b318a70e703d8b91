"""Statements: opening and lines make the closing, in one view, by the days of a zone."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from ledger.balance.statement import Statement, Total, day_of, statement, whole
from ledger.balance.view import DAY, BalanceView
from ledger.balance.viewed import legs_in_view
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.events.v1 import exchange_pb2 as x
from tests.balance_facts import CUSTOMER, ORGANIZATION, Facts, grant, leg, opinion, policy, rule

RATES = (
    rule(CUSTOMER, CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2", 1),
    rule(CUSTOMER, ORGANIZATION, x.CATEGORY_GOODS, "EUR/2", 1),
)


def facts() -> Facts:
    made = Facts()
    for number, (paid, worth) in enumerate(((100, 90), (10, 40), (7, 7), (1_000, 0)), start=1):
        legs = [leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, paid, "EUR/2")]
        legs += [leg(ORGANIZATION, x.CATEGORY_GOODS, worth, "EUR/2")] if worth else []
        legs += [leg(CUSTOMER, x.CATEGORY_WAITING, 5, "MIN/0"), grant(3)] if number == 2 else []
        made.record(f"x{number}", *legs, at=number * DAY)
    made.reverse("x3", at=5 * DAY)
    return made


def told(window_from: int | None = None, window_to: int | None = None, at: int = 6 * DAY) -> Statement:
    view = BalanceView(at, CUSTOMER, window_from, window_to)
    return statement(legs_in_view(facts().book(), opinion(policy(1, *RATES), at=at), whole(view)), view)


def lines(made: Statement) -> list[tuple[str, int, int | None, int]]:
    return [(line.leg.exchange_id, line.leg.leg_no, line.value, line.running_net) for line in made.lines]


def test_opening_and_lines_make_the_closing() -> None:
    made = told(window_from=DAY, window_to=3 * DAY)

    assert Total(90, 100) == made.opening
    assert [("x2", 1, 10, -20), ("x2", 2, 40, 20), ("x2", 3, None, 20)] == lines(made)
    assert Total(130, 110) == made.closing
    assert made.lines[-1].running_net == made.closing.net


def test_without_a_window_there_is_no_opening() -> None:
    made = told()

    assert Total() == made.opening
    assert ["x1", "x1", "x2", "x2", "x2", "x4"] == [line.leg.exchange_id for line in made.lines]
    assert Total(130, 1_110) == made.closing


def test_what_is_not_yet_reversed_in_the_view_is_told() -> None:
    made = told(window_from=2 * DAY, at=4 * DAY)

    assert [("x3", 1, 7, 13), ("x3", 2, 7, 20), ("x4", 1, 1_000, -980)] == lines(made)


def test_a_leg_at_the_start_of_the_window_is_in_the_opening_and_one_at_its_end_is_a_line() -> None:
    made = told(window_from=DAY, window_to=2 * DAY)

    assert 90 == made.opening.got
    assert {"x2"} == {line.leg.exchange_id for line in made.lines}


@pytest.mark.parametrize(
    "time, zone, day",
    [
        (0, "UTC", "1970-01-01"),
        (-1, "UTC", "1969-12-31"),
        (1_767_222_000 * 10**6, "Europe/Berlin", "2026-01-01"),  # 2025-12-31 23:00 UTC.
        (1_767_222_000 * 10**6 - 1, "Europe/Berlin", "2025-12-31"),
        (1_774_742_400 * 10**6, "America/New_York", "2026-03-28"),
        (END_OF_TIME - 1, "Europe/Berlin", "9999-12-31"),
        (START_OF_TIME, "America/New_York", "0001-01-01"),
    ],
)
def test_days_are_those_of_the_zone(time: int, zone: str, day: str) -> None:
    assert day == day_of(time, ZoneInfo(zone)).isoformat()
