"""How often a customer came, and when again: calendar days in UTC, not hours (settled.md 39)."""

from __future__ import annotations

import pytest

from ledger.measure.visits import Visits, visits
from tests.contact_histories import DAY, HOUR
from tests.measured_histories import START, MeasuredHistory, acted


def came(*times: int, kind: str = "VISIT") -> MeasuredHistory:
    history = MeasuredHistory()
    for at in times:
        history.add(acted(kind), at)
    return history


@pytest.mark.parametrize(
    "again, back_after, sessions",
    [(START + DAY - 1, None, 1), (START + DAY, 1, 1), (START + 7 * DAY, 7, 2), (START + 8 * DAY - 1, 7, 2)],
)
def test_coming_back_is_counted_in_calendar_days(again: int, back_after: int | None, sessions: int) -> None:
    history = came(START + HOUR, again)

    assert Visits(sessions, back_after) == visits(history.measured(again))


def test_who_never_came_did_not_come_back() -> None:
    assert Visits(0, None) == visits(came(START, kind="VIEW").measured(START))


def test_purchases_may_be_counted_alone_and_each_for_itself() -> None:
    history = came(START, START + DAY)
    for at in (START + 2 * DAY, START + 2 * DAY, START + 5 * DAY):
        history.add(acted("PURCHASE"), at)

    assert Visits(3, 3) == visits(history.measured(START + 5 * DAY), purchases_only=True)
