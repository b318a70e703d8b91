"""By when systems have to act on a withdrawal: days and business days, under a law, by a channel."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ledger.contact.honour import honour_due
from ledger.domain.times import from_datetime
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, HonourRule
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS


def at(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    "said, days, business_days, due",
    [
        ("2026-11-20T15:00", 10, False, "2026-11-30T15:00"),
        ("2026-11-20T15:00", 10, True, "2026-12-04T15:00"),  # A Friday.
        ("2026-11-21T09:30", 1, True, "2026-11-23T09:30"),  # A Saturday.
        ("2026-11-22T23:59", 5, True, "2026-11-27T23:59"),  # A Sunday.
        ("2026-11-16T00:00", 5, True, "2026-11-23T00:00"),  # A Monday.
    ],
)
def test_days_are_counted_to_the_same_time_of_day(said: str, days: int, business_days: bool, due: str) -> None:
    policy = ContactPolicy(honour=[HonourRule(days=days, business_days=business_days)])

    assert at(due) == honour_due(policy, "", (), at(said))


def test_the_earliest_rule_that_holds_counts() -> None:
    policy = ContactPolicy(
        honour=[
            HonourRule(days=9, jurisdictions=["US"], channels=[CHANNEL_EMAIL]),
            HonourRule(days=3, jurisdictions=["US-CA"]),
            HonourRule(days=1, jurisdictions=["US"], channels=[CHANNEL_SMS]),
        ]
    )
    said = at("2026-11-02T00:00")

    def days(jurisdiction: str, *channels: int) -> float | None:
        due = honour_due(policy, jurisdiction, channels, said)
        return None if due is None else (due - said) / 86_400_000_000

    assert (9, 3, 1, 1) == (
        days("US", CHANNEL_EMAIL),
        days("US-CA", CHANNEL_EMAIL),
        days("US", CHANNEL_SMS, CHANNEL_EMAIL),
        days("US"),
    )
    assert days("DE") is days("") is None
