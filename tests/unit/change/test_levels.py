import json

from ledger.change.adding import Announced, differences
from ledger.change.cohorts import cohort_id
from ledger.change.levels import Levels
from tests.contact_histories import moment


def test_levels_of_an_empty_stream_are_an_empty_object() -> None:
    assert Levels().dump() == "{}"
    assert Levels.load("") == Levels.load("{}") == Levels()


def test_equal_levels_are_equal_texts() -> None:
    one, other = Levels(score=1, cells={"b": [1], "a": [2]}), Levels(cells={"a": [2], "b": [1]}, score=1)

    assert one.dump() == other.dump() == '{"cells":{"a":[2],"b":[1]},"score":1}'


def test_what_is_written_is_read() -> None:
    levels = Levels(number=7, exists=True, missing=["KNOW"], told=["trust:3"], pending={"strength": ["weakened", 1, 2]})

    assert Levels.load(levels.dump()) == levels
    assert json.loads(levels.dump())["number"] == 7


def test_levels_made_anew_share_nothing() -> None:
    Levels().missing.append("KNOW")

    assert Levels().missing == []


def test_what_subjects_gain_or_lose_is_told_in_order() -> None:
    before, after = {"a": [3, 1], "b": [1, 1], "d": [1, 0]}, {"b": [1, 1], "c": [2, 0], "d": [1, 1]}

    assert [("a", -3, -1), ("c", 2, 0), ("d", 0, 1)] == differences(before, after)


def test_what_was_announced_of_a_sum_is_kept() -> None:
    announced = Announced(2, raised=True, last_id="x", last_time=5)

    assert Announced.load(announced.dump()) == announced
    assert Announced().dump() == ""
    assert Announced.load("") == Announced()


def test_a_cohort_is_a_programme_and_a_month_in_utc() -> None:
    assert cohort_id("club", moment("2026-05-31T23:59:59Z")) == "club/2026-05"
    assert cohort_id("", moment("2026-06-01T00:00:00Z")) == "/2026-06"
