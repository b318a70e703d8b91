"""What the clock on the wall shows in a minute, and what follows from it: time as the oracle of decisions reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from rapport.events.v1 import preference_pb2 as pref

SECOND = 1_000_000
MINUTE = 60 * SECOND
QUARTER = 15 * MINUTE
DAY = 86_400 * SECOND
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(stamp: Any) -> int:
    return int(stamp.seconds) * SECOND + int(stamp.nanos) // 1000


@cache
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=500_000)
def wall(minute: int, name: str) -> datetime:
    """What the clock on the wall shows in a minute since 1970; minutes begin together everywhere."""
    return (EPOCH + timedelta(minutes=minute)).astimezone(zone(name))


def on_the_wall(at: int, name: str) -> datetime:
    return wall(at // MINUTE, name)


def months_later(at: int, months: int) -> int:
    """Same day and time of day in UTC, clamped to the month's last day (consent.md 8)."""
    start = EPOCH + timedelta(microseconds=at)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    for day in range(start.day, 27, -1):
        try:
            return (start.replace(year=year, month=month + 1, day=day) - EPOCH) // timedelta(microseconds=1)
        except ValueError:
            continue
    return (start.replace(year=year, month=month + 1) - EPOCH) // timedelta(microseconds=1)


def is_in(window: Any, at: int, name: str) -> bool:
    """Whether the clock on the wall stands in a local window; its weekdays are those on which it begins."""
    now = on_the_wall(at, name)
    minute, today = now.hour * 60 + now.minute, now.isoweekday()
    yesterday = (today - 2) % 7 + 1
    days = set(window.weekdays) or set(range(1, 8))
    if window.start_minute < window.end_minute:
        return window.start_minute <= minute < window.end_minute and today in days
    return (minute >= window.start_minute and today in days) or (minute < window.end_minute and yesterday in days)


def period_of(at: int, period: int, name: str) -> tuple[int, ...]:
    """Name the calendar period that an instant lies in, by the clock on the wall."""
    now = on_the_wall(at, name)
    if period == pref.PERIOD_DAY:
        return (now.year, now.month, now.day)
    return tuple(now.isocalendar()[:2]) if period == pref.PERIOD_WEEK else (now.year, now.month)
