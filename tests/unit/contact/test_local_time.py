"""Local hours and calendar periods, at the edges of days and where clocks change."""

from __future__ import annotations

import struct
from importlib.resources import files
from itertools import pairwise

import pytest

from ledger.contact.local_time import (
    DAY,
    MINUTE,
    NEVER,
    Hours,
    allowed,
    first_allowed,
    first_broken,
    offset_at,
    period_of,
    segment,
    start_of_day,
)
from ledger.domain.time_zones import zone_names
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.events.v1 import preference_pb2 as pref
from rapport.events.v1.preference_pb2 import LocalWindow
from tests.contact_histories import HOUR, moment

DAILY, WEEKLY, MONTHLY = pref.PERIOD_DAY, pref.PERIOD_WEEK, pref.PERIOD_MONTH
BERLIN, NEW_YORK, LORD_HOWE, APIA = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"
SECOND = 1_000_000


def window(start: str, end: str, *weekdays: int) -> LocalWindow:
    """Return a window between two times of day."""
    minutes = [int(each[:2]) * 60 + int(each[3:]) for each in (start, end)]
    return LocalWindow(start_minute=minutes[0], end_minute=minutes[1], weekdays=weekdays)  # type: ignore[arg-type]


def outside(*windows: LocalWindow) -> Hours:
    return Hours(windows, inside=False)


def inside(*windows: LocalWindow) -> Hours:
    return Hours(windows, inside=True)


NIGHT = outside(window("21:00", "08:00"))


@pytest.mark.parametrize(
    "zone, at, until",
    [
        (NEW_YORK, "2026-11-21T03:30Z", "2026-11-21T13:00Z"),  # Worked example 1 of consent.md 8.
        (BERLIN, "2026-03-28T21:00Z", "2026-03-29T06:00Z"),  # Example 2: nine hours.
        (BERLIN, "2026-10-24T20:00Z", "2026-10-25T07:00Z"),  # And eleven.
        ("Asia/Kathmandu", "2026-05-01T20:00Z", "2026-05-02T02:15Z"),
        (LORD_HOWE, "2026-04-04T12:00Z", "2026-04-04T21:30Z"),  # From +11:00 to +10:30 in that night.
        (LORD_HOWE, "2026-10-03T12:00Z", "2026-10-03T21:00Z"),  # And back to +11:00.
        (APIA, "2011-12-30T08:00Z", "2011-12-30T18:00Z"),  # 29 December 22:00; the 30th did not happen.
    ],
)
def test_a_night_ends_at_the_first_instant_outside_it(zone: str, at: str, until: str) -> None:
    rule = [(zone, NIGHT)]

    assert not allowed(rule, moment(at))
    assert moment(until) == first_allowed(rule, moment(at))
    assert not allowed(rule, moment(until) - 1)
    assert allowed(rule, moment(until))


def test_hours_that_are_skipped_or_doubled_need_no_rule_of_their_own() -> None:
    skipped, doubled = outside(window("02:15", "02:45")), outside(window("02:15", "02:45"))

    # On 29 March 02:00 to 03:00 did not happen in Berlin; on 25 October it happened twice.
    assert first_broken([(BERLIN, skipped)], moment("2026-03-28T12:00Z")) == moment("2026-03-30T00:15Z")
    first, second = moment("2026-10-25T00:15Z"), moment("2026-10-25T01:15Z")
    assert first_broken([(BERLIN, doubled)], moment("2026-10-24T12:00Z")) == first
    assert first_allowed([(BERLIN, doubled)], first) == first + 30 * MINUTE
    assert first_broken([(BERLIN, doubled)], first + 30 * MINUTE) == second


def test_a_window_that_a_change_of_clocks_ends_ends_there() -> None:
    early = outside(window("01:30", "02:30"))

    assert first_allowed([(BERLIN, early)], moment("2026-03-29T00:40Z")) == moment("2026-03-29T01:00Z")


def test_equal_ends_mean_24_hours_and_weekdays_the_day_on_which_a_window_begins() -> None:
    sundays, friday_nights = outside(window("00:00", "00:00", 7)), outside(window("22:00", "06:00", 5))

    assert first_broken([("UTC", sundays)], moment("2026-11-21T12:00Z")) == moment("2026-11-22T00:00Z")
    assert first_allowed([("UTC", sundays)], moment("2026-11-22T12:00Z")) == moment("2026-11-23T00:00Z")
    assert not allowed([("UTC", friday_nights)], moment("2026-11-21T05:59Z"))  # A Saturday morning.
    assert allowed([("UTC", friday_nights)], moment("2026-11-21T06:00Z"))
    assert allowed([("UTC", friday_nights)], moment("2026-11-21T23:00Z"))
    assert allowed([("UTC", friday_nights)], moment("2026-11-20T05:00Z"))


def test_windows_that_touch_or_overlap_are_one() -> None:
    both = outside(window("20:00", "23:00"), window("23:00", "06:00"), window("05:00", "07:30"))

    assert first_allowed([("UTC", both)], moment("2026-11-21T20:00Z")) == moment("2026-11-22T07:30Z")


def test_what_is_closed_for_ever_never_opens() -> None:
    assert first_allowed([(BERLIN, outside(window("00:00", "00:00")))], moment("2026-11-21")) == NEVER
    assert first_allowed([(BERLIN, inside())], moment("2026-11-21")) == NEVER
    apart = [(BERLIN, inside(window("08:00", "12:00"))), (BERLIN, outside(window("07:00", "13:00")))]
    assert first_allowed(apart, moment("2026-11-21")) == NEVER
    assert first_broken([(BERLIN, outside())], moment("2026-11-21")) is None


def test_of_several_zones_all_must_allow() -> None:
    zones = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles")
    rules = [(zone, inside(window("08:00", "21:00"))) for zone in zones]

    opens = first_allowed(rules, moment("2026-11-21T14:00Z"))  # Example 3.

    assert opens == moment("2026-11-21T16:00Z")
    assert first_broken(rules, opens) == moment("2026-11-22T02:00Z")


@pytest.mark.parametrize(
    "zone, period, at, start, end",
    [
        (NEW_YORK, WEEKLY, "2026-11-21T17:00Z", "2026-11-16T05:00Z", "2026-11-23T05:00Z"),  # Example 4.
        (BERLIN, DAILY, "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),  # 23 hours.
        (BERLIN, DAILY, "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),  # 25 hours.
        (BERLIN, MONTHLY, "2026-02-28T23:00Z", "2026-02-28T23:00Z", "2026-03-31T22:00Z"),
        (BERLIN, MONTHLY, "2028-02-29T12:00Z", "2028-01-31T23:00Z", "2028-02-29T23:00Z"),
        (LORD_HOWE, DAILY, "2026-04-04T14:00Z", "2026-04-04T13:00Z", "2026-04-05T13:30Z"),
        ("Asia/Kathmandu", WEEKLY, "2026-11-22T18:14:59Z", "2026-11-15T18:15Z", "2026-11-22T18:15Z"),
        (APIA, DAILY, "2011-12-30T10:00Z", "2011-12-30T10:00Z", "2011-12-31T10:00Z"),  # The 31st, after the 29th.
        (APIA, WEEKLY, "2011-12-30T12:00Z", "2011-12-26T10:00Z", "2012-01-01T10:00Z"),  # Six days.
        ("America/Sao_Paulo", DAILY, "2018-11-04T12:00Z", "2018-11-04T03:00Z", "2018-11-05T02:00Z"),  # From 01:00 on.
        ("UTC", MONTHLY, "2026-12-31T23:59:59.999999Z", "2026-12-01", "2027-01-01"),
    ],
)
def test_a_period_begins_when_the_clock_first_shows_it(zone: str, period: int, at: str, start: str, end: str) -> None:
    assert (moment(start), moment(end)) == period_of(zone, period, moment(at))


def test_an_hour_of_yesterday_shown_again_belongs_to_the_day_that_has_begun() -> None:
    # In 2010 the clocks of St. John's went from 00:01 back to 23:01.
    zone, change = "America/St_Johns", moment("2010-11-07T02:31Z")
    start = change - MINUTE

    assert start_of_day(zone, start // DAY) == start
    assert period_of(zone, DAILY, change)[0] == start
    assert period_of(zone, DAILY, start - 1)[1] == start


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, APIA, "UTC"])
@pytest.mark.parametrize("at", [START_OF_TIME, END_OF_TIME - 1, END_OF_TIME - 40 * DAY, moment("8400-07-01")])
def test_the_ends_of_time_have_hours_and_periods_too(zone: str, at: int) -> None:
    for period in (DAILY, WEEKLY, MONTHLY):
        start, end = period_of(zone, period, at)
        assert start <= at < end

    opens = first_allowed([(zone, NIGHT)], at)
    assert at <= opens <= at + 14 * HOUR


def test_a_cycle_of_400_years_later_clocks_change_at_the_same_times() -> None:
    early, late = moment("2430-07-01"), moment("2430-07-01") + 16 * 146_097 * DAY

    assert [offset_at(BERLIN, early + days * DAY) for days in range(0, 365, 5)] == [
        offset_at(BERLIN, late + days * DAY) for days in range(0, 365, 5)
    ]


def changes(name: str) -> list[tuple[int, int]]:
    """Return the changes of a zone's offset as its file has them (RFC 9636): when, and the new offset, in seconds."""
    data = files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()
    at, counts = 0, struct.unpack(">20x6l", data[:44])
    if data[4:5] != b"\0":
        utc, standard, leaps, times, kinds, letters = counts
        at = 44 + times * 5 + kinds * 6 + letters + leaps * 8 + standard + utc
        counts = struct.unpack(">20x6l", data[at : at + 44])
    _, _, _, times, kinds, _ = counts
    at += 44
    seconds = struct.unpack(f">{times}q", data[at : at + 8 * times])
    which = data[at + 8 * times : at + 9 * times]
    at += 9 * times
    offsets = [struct.unpack(">l", data[at + 6 * kind : at + 6 * kind + 4])[0] for kind in range(kinds)]
    found: list[tuple[int, int]] = []
    for second, kind in zip(seconds, which, strict=True):
        if offsets[kind] != (found[-1][1] if found else offsets[0]):
            found.append((second, offsets[kind]))
    return found


def test_no_zone_changes_its_offset_twice_within_the_step_in_which_changes_are_looked_for() -> None:
    nearest = min(later[0] - earlier[0] for name in zone_names() for earlier, later in pairwise(changes(name)))

    assert nearest * SECOND > 2 * DAY


@pytest.mark.parametrize(
    "name", [BERLIN, NEW_YORK, LORD_HOWE, APIA, "America/Sao_Paulo", "Africa/Casablanca", "Asia/Gaza", "Asia/Kathmandu"]
)
def test_every_change_of_the_database_is_found_to_the_second(name: str) -> None:
    for second, offset in changes(name):
        before = segment(name, second * SECOND - 1)
        assert before[1] == second * SECOND
        assert offset_at(name, second * SECOND) == offset * SECOND
