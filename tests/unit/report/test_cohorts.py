"""Who came back (relationship.md 9): the worked examples, bounds to the microsecond, cohorts and their alarms."""

from __future__ import annotations

import random
from fractions import Fraction
from math import ceil, floor, isqrt

import pytest

from ledger.domain.built_in_relationship_policy import BUILT_IN_RELATIONSHIP_POLICY
from ledger.measure.results import Ratio
from ledger.measure.rules import rules_of
from ledger.report.cohorts import Cohorts, CohortsAsked, acted_in, wilson
from ledger.report.rows import Rows
from ledger.report.shapes import ActDay, Join
from ledger.report.spans import DAY, Span, month_of, month_text
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_TOO_FEW
from tests.contact_histories import moment

RULES = rules_of(BUILT_IN_RELATIONSHIP_POLICY)
JOINED = moment("2026-05-10T12:00Z")
D7 = CohortsAsked(7, 35)


def act_days(*times: int) -> list[ActDay]:
    found: dict[int, list[int]] = {}
    for time in sorted(times):
        found.setdefault(time // DAY, []).append(time)
    return [ActDay(day, of_day[0], of_day[-1]) for day, of_day in found.items()]


def member(*acts: int, joined: int = JOINED, programme: str = "club") -> Rows:
    return Rows("c", {Join: [Join(programme, month_of(joined), joined)], ActDay: act_days(*acts)})


def cohort(members: list[Rows], at: int, asked: CohortsAsked = D7):  # type: ignore[no-untyped-def]
    cohorts = Cohorts(asked, RULES, at)
    for each in members:
        cohorts.add(each)
    (found,) = cohorts.cohorts()
    return found


@pytest.mark.parametrize("n, k, expected", [(100, 9, (48_071, 162_264)), (30, 0, (0, 113_518))])
def test_the_interval_is_that_of_the_design(n: int, k: int, expected: tuple[int, int]) -> None:
    assert expected == wilson(n, k)


def test_the_interval_encloses_the_exact_one_and_hardly_more() -> None:
    draw, z2 = random.Random(9), Fraction(196, 100) ** 2
    for _ in range(300):
        n = draw.choice([1, 2, 30, 100, 10_000, 10**9])
        k = draw.randrange(n + 1)
        # The root to 40 digits, so that its error is far below a millionth.
        root = Fraction(isqrt(int(z2 * (4 * Fraction(k * (n - k), n) + z2) * 10**80)), 10**40)
        exact = [(2 * k + z2 + sign * root) / (2 * (n + z2)) * 10**6 for sign in (-1, 1)]
        low, high = wilson(n, k)
        assert max(0, floor(exact[0]) - 1) <= low <= max(0, floor(exact[0] + Fraction(1, 10**6)))
        assert min(10**6, ceil(exact[1] - Fraction(1, 10**6))) <= high <= min(10**6, ceil(exact[1]) + 1)


def test_nine_of_a_hundred_is_an_alarm_and_ten_is_none() -> None:
    for came, alarm in ((9, True), (10, False)):
        members = [member(JOINED + 8 * DAY) for _ in range(came)] + [member() for _ in range(100 - came)]

        found = cohort(members, JOINED + 35 * DAY)

        assert (100, came, 0, Ratio(came, 100), alarm) == (
            found.members, found.returned, found.censored, found.rate, found.alarm,
        )  # fmt: skip


def test_fewer_than_thirty_are_too_few_and_no_alarm() -> None:
    found = cohort([member() for _ in range(29)], JOINED + 35 * DAY)
    assert (29, UNKNOWN_REASON_TOO_FEW, False) == (found.members, found.rate.unknown, found.alarm)
    assert wilson(29, 0) == found.interval

    found = cohort([member() for _ in range(30)], JOINED + 35 * DAY)
    assert (0, (0, 113_518), True) == (found.rate.ppm, found.interval, found.alarm)


@pytest.mark.parametrize(
    "after, came",
    [
        (7 * DAY - 1, 0),
        (7 * DAY, 1),
        (35 * DAY - 1, 1),
        (35 * DAY, 0),
    ],
)
def test_a_week_to_the_microsecond(after: int, came: int) -> None:
    assert came == cohort([member(JOINED + after)], JOINED + 36 * DAY).returned


def test_a_member_counts_from_the_end_of_their_time_on() -> None:
    came = [member(JOINED + 8 * DAY)]
    assert (0, 1) == cohort(came, JOINED + 34 * DAY)[2:5:2]
    assert 1 == cohort(came, JOINED + 35 * DAY - 1).censored
    assert (1, 1, 0) == cohort(came, JOINED + 35 * DAY)[2:5]


def test_days_answer_as_all_acts_do() -> None:
    draw = random.Random(3)
    for _ in range(2_000):
        acts = [draw.randrange(6 * 24) * (DAY // 24) + draw.choice([-1, 0, 1]) for _ in range(draw.randrange(5))]
        begin = draw.randrange(6 * 24) * (DAY // 24)
        end = begin + draw.randrange(1, 4) * DAY
        assert any(begin <= time < end for time in acts) == acted_in(act_days(*acts), begin, end)


def test_cohorts_are_of_programmes_or_of_months_and_of_a_span() -> None:
    june, at = moment("2026-06-01T00:00Z"), moment("2026-09-01T00:00Z")
    members = [member(), member(joined=june), member(joined=june - 1, programme="salon")]

    def keys(asked: CohortsAsked) -> list[tuple[str, str, int]]:
        cohorts = Cohorts(asked, RULES, at)
        for each in members:
            cohorts.add(each)
        return [each[:3] for each in cohorts.cohorts()]

    assert [("club", "", 2), ("salon", "", 1)] == keys(D7)
    assert [("club", "2026-05", 1), ("club", "2026-06", 1), ("salon", "2026-05", 1)] == keys(D7._replace(by_month=True))
    assert [("salon", "", 1)] == keys(D7._replace(programme="salon"))
    assert [("club", "", 1)] == keys(D7._replace(joined=Span(june - 1, june)))


def test_without_a_programme_all_join_by_their_first_act() -> None:
    asked = CohortsAsked(7, 35, from_first_act=True, by_month=True)

    found = cohort([member(JOINED - DAY, JOINED + 6 * DAY), member()], JOINED + 90 * DAY, asked)

    assert ("", "2026-05", 1, 1) == found[:4]


def test_months_are_counted_and_told() -> None:
    for text in ("0001-01", "1969-12", "1970-01", "2026-12", "9999-12"):
        assert text == month_text(month_of(moment(f"{text}-01T00:00Z")))
    assert month_of(moment("2026-06-01T00:00Z")) == month_of(moment("2026-06-01T00:00Z") - 1) + 1
