"""Evidence, and what else is made when somebody reads it: made once, and equal to what it is made of."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.measure.evidence import Evidence, WhenRead


def test_a_row_is_made_when_it_is_first_read_and_once() -> None:
    made: list[str] = []

    def make(name: str) -> Iterator[int]:
        made.append(name)
        yield from (3, 1, 2)

    row = WhenRead(make, "a")

    assert [] == made
    assert (3, (1, 2), 3) == (row[0], row[1:], len(row))
    assert [3, 1, 2] == list(row)
    assert ["a"] == made


def test_a_row_equals_what_it_is_made_of() -> None:
    row = WhenRead(lambda: (3, 1))

    assert (3, 1) == row
    assert row == WhenRead(lambda: (3, 1))
    assert row != WhenRead(lambda: (1, 3))
    assert hash(row) == hash((3, 1))


def test_evidence_is_found_by_name_of_what_it_was_asked_about() -> None:
    found = Evidence({"some": lambda first: (first, 5, first - 1), "none": lambda _: ()}, 9)

    assert {"some": (5, 8, 9), "none": ()} == dict(found)
