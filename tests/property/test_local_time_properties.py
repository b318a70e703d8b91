"""Local time by steps over the changes of clocks, against a scan of every minute with the standard library alone."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ledger.contact.local_time import Hours, allowed, first_allowed, first_broken, period_of
from ledger.domain.time_zones import zone
from rapport.events.v1 import preference_pb2 as pref
from rapport.events.v1.preference_pb2 import LocalWindow

MINUTE = 60_000_000
DAY = 1440 * MINUTE
NEAR_CHANGES = {
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00"),
    "Australia/Lord_Howe": ("2026-04-04T15:00", "2026-10-03T15:30"),
    "Pacific/Apia": ("2011-12-30T10:00", "2012-03-31T14:00"),
    "America/Sao_Paulo": ("2018-11-04T03:00", "2018-02-18T02:00"),
    "America/Havana": ("2026-03-08T05:00", "2026-11-01T05:00"),
    "Africa/Casablanca": ("2026-02-15T02:00", "2026-03-22T02:00"),
    "Asia/Kathmandu": ("1985-12-31T18:30", "2026-06-01T00:00"),
}
"""Zones with instants of UTC at which their clocks change, or in one case once did."""
HISTORIES = 12
SCAN_DAYS = 9
PERIODS = (pref.PERIOD_DAY, pref.PERIOD_WEEK, pref.PERIOD_MONTH)


def utc(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def is_in(windows: list[LocalWindow], at: datetime, name: ZoneInfo) -> bool:
    local = at.astimezone(name)
    now = local.hour * 60 + local.minute
    for window in windows:
        for days_ago in (0, 1):
            begins_on = (local.date() - timedelta(days=days_ago)).isoweekday()
            length = (window.end_minute - window.start_minute) % 1440 or 1440
            since = now + 1440 * days_ago - window.start_minute
            if (not window.weekdays or begins_on in window.weekdays) and 0 <= since < length:
                return True
    return False


def some_windows(draw: random.Random) -> list[LocalWindow]:
    def minute() -> int:
        return draw.choice((draw.randrange(1440), draw.randrange(0, 1440, 30), 0, 120, 1380))

    return [
        LocalWindow(
            start_minute=minute(),
            end_minute=minute(),
            weekdays=draw.sample(range(1, 8), draw.choice((0, 0, 2, 5))),  # type: ignore[arg-type]
        )
        for _ in range(draw.randrange(1, 4))
    ]


def near(draw: random.Random, text: str) -> int:
    change = (datetime.fromisoformat(text).replace(tzinfo=UTC) - utc(0)) // timedelta(minutes=1)
    return (change + draw.randrange(-36 * 60, 12 * 60)) * MINUTE


@pytest.mark.parametrize("name", NEAR_CHANGES)
def test_windows_open_and_close_at_the_minutes_that_a_scan_finds(seed: int, name: str) -> None:
    draw = random.Random(f"{seed}/hours")
    for _ in range(HISTORIES):
        windows, inside = some_windows(draw), draw.random() < 0.5
        names = [name] if draw.random() < 0.7 else [name, draw.choice(list(NEAR_CHANGES))]
        at = near(draw, draw.choice(NEAR_CHANGES[name]))
        rules = [(each, Hours(windows, inside=inside)) for each in names]
        zones = [zone(each) for each in names]

        def may(instant: int) -> bool:
            return all(is_in(windows, utc(instant), each) == inside for each in zones)  # noqa: B023 # Asked at once.

        scanned = range(at, at + SCAN_DAYS * DAY, MINUTE)
        opens = next((instant for instant in scanned if may(instant)), None)
        found = first_allowed(rules, at)
        assert allowed(rules, at) == (opens == at)
        assert (opens == found) if opens is not None else (found > scanned[-1])
        if opens is not None:
            closes = next((instant for instant in scanned if instant > opens and not may(instant)), None)
            broken = first_broken(rules, opens)
            assert closes == broken if closes is not None else broken is None or broken > scanned[-1]
        inside_minute = at + draw.randrange(MINUTE)
        assert allowed(rules, inside_minute) == may(at)


@pytest.mark.parametrize("name", NEAR_CHANGES)
@pytest.mark.parametrize("period", PERIODS)
def test_periods_begin_and_end_at_the_minutes_that_a_scan_finds(seed: int, name: str, period: int) -> None:
    draw = random.Random(f"{seed}/periods")

    def label(instant: int) -> tuple[int, ...]:
        local = utc(instant).astimezone(zone(name))
        if period == pref.PERIOD_MONTH:
            return local.year, local.month
        return local.isocalendar()[:2] if period == pref.PERIOD_WEEK else (local.toordinal(),)

    for _ in range(4):
        at = near(draw, draw.choice(NEAR_CHANGES[name])) + draw.randrange(MINUTE)
        start, end = period_of(name, period, at)

        assert start <= at < end
        scanned = [start, *range(start - start % MINUTE + MINUTE, end, 7 * MINUTE), end - 1]
        assert {label(at)} == {label(instant) for instant in scanned}
        assert label(start - 1) != label(at) != label(end)
