"""Calendar months, and whose law holds where."""

from __future__ import annotations

import pytest

from ledger.domain.jurisdictions import under
from ledger.domain.months import months_after
from ledger.domain.times import END_OF_TIME
from tests.contact_histories import moment


@pytest.mark.parametrize(
    "start, months, expected",
    [
        ("2026-03-31T10:00Z", 6, "2026-09-30T10:00Z"),
        ("2026-01-31T00:00:00.000001Z", 1, "2026-02-28T00:00:00.000001Z"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2026-12-15", 1, "2027-01-15"),
        ("2026-11-30", 13, "2027-12-30"),
        ("1969-12-31T23:59Z", 2, "1970-02-28T23:59Z"),
        ("2026-05-05", 0, "2026-05-05"),
    ],
)
def test_the_same_day_months_later_or_the_last_one_there_is(start: str, months: int, expected: str) -> None:
    assert moment(expected) == months_after(moment(start), months)


def test_what_would_end_after_the_year_9999_has_no_end() -> None:
    assert moment("9999-12-01") == months_after(moment("9999-11-01"), 1)
    assert END_OF_TIME == months_after(moment("9999-12-01"), 1)


@pytest.mark.parametrize(
    "law, place, holds",
    [
        ([], "", True),
        ([], "DE", True),
        (["DE"], "DE", True),
        (["US"], "US-CA", True),
        (["US-CA"], "US", False),
        (["US-CA"], "US-CA", True),
        (["US-CA"], "US-NY", False),
        (["FR", "DE"], "DE-BY", True),
        (["DE"], "", False),
    ],
)
def test_the_law_of_a_country_holds_in_its_regions(law: list[str], place: str, holds: bool) -> None:
    assert holds == under(law, place)
