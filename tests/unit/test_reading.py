"""Reading stored rows: facts for folds, parts for replay, and what is said of bytes that cannot be read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.errors import LogDamaged
from ledger.domain.times import timestamp
from ledger.log import reading
from ledger.log.envelope import join_state
from ledger.log.sqlite_store import SqliteStore
from ledger.log.store import Append, EventRow, NewEvent
from rapport.events.v1.consent_pb2 import ConsentWithdrawn
from rapport.events.v1.interaction_pb2 import InteractionRecorded
from rapport.events.v1.metadata_pb2 import EventMetadata

METADATA = EventMetadata(occur_time=timestamp(1_767_225_600_000_001), actor="crm", external_id="order-7")
WITHDRAWN = ConsentWithdrawn(purposes=["newsletter"])


def row(position: int = 7, topic: str = "consent.withdrawn.v1", state: bytes | None = None) -> EventRow:
    stored = join_state(METADATA.SerializeToString(), WITHDRAWN.SerializeToString()) if state is None else state
    return EventRow(position, "acme/c-1", 3, topic, 1_767_225_600_000_009, b"s" * 16, stored)


def test_a_fact_holds_place_times_topic_and_both_messages() -> None:
    (fact,) = reading.facts([row()])

    assert (7, 3, 1_767_225_600_000_009, 1_767_225_600_000_001) == fact[:4]
    assert "consent.withdrawn.v1" == fact.topic
    assert WITHDRAWN == fact.event
    assert METADATA == fact.metadata


def test_facts_come_in_the_order_of_their_rows() -> None:
    rows = [row(position) for position in (3, 5, 9)]

    assert [3, 5, 9] == [fact.position for fact in reading.facts(rows)]


def test_an_unknown_topic_gives_no_fact_and_keeps_its_parts() -> None:
    unknown = row(topic="os.system")

    assert [] == list(reading.facts([unknown]))
    assert reading.fact(unknown) is None
    assert WITHDRAWN.SerializeToString() == reading.parts(unknown).event
    assert "order-7" == reading.metadata(unknown).external_id


def test_the_sealed_part_enters_no_fact() -> None:
    sealed = row(state=join_state(METADATA.SerializeToString(), WITHDRAWN.SerializeToString(), b"sealed bytes"))

    assert reading.fact(row()) == reading.fact(sealed)


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"\x00\x00\x00\x01",
        b"\xff\xff\xff\xff" + b"x" * 20,
        join_state(b"", b"") + b"left over",
        join_state(b"", b"")[:-1],
        join_state(b"\xff", b""),
        join_state(b"", b"\xff"),
    ],
    ids=[
        "empty",
        "one length",
        "length too large",
        "left over",
        "cut short",
        "metadata no message",
        "event no message",
    ],
)
def test_bytes_that_cannot_be_read_are_damage_at_their_position(state: bytes) -> None:
    with pytest.raises(LogDamaged) as damage:
        reading.fact(row(position=41, state=state))

    assert {"position": "41"} == damage.value.metadata


@given(st.binary(max_size=60))
def test_any_bytes_are_a_fact_or_damage_and_nothing_else(state: bytes) -> None:
    try:
        fact = reading.fact(row(state=state))
    except LogDamaged:
        return
    assert fact is not None


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_times_of_all_years_come_back(occur_time: int) -> None:
    metadata = EventMetadata(occur_time=timestamp(occur_time))
    fact = reading.fact(row(topic="interaction.recorded.v1", state=join_state(metadata.SerializeToString(), b"")))

    assert fact is not None
    assert occur_time == fact.occur_time
    assert InteractionRecorded() == fact.event


def test_pages_hold_the_whole_range_in_order(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "log.db"))
    events = tuple(NewEvent("acme/c-1", version, "t", b"") for version in range(1, 11))
    store.append([Append(events)], 0, 1, 0)

    pages = [[event.position for event in page] for page in reading.pages(store, 2, 9, size=3)]

    assert [[3, 4, 5], [6, 7, 8], [9]] == pages
    store.close()


@pytest.mark.parametrize("positions, at_least, missing", [([1, 2, 4], 0, 3), ([2], 0, 1), ([1, 2], 3, 3), ([], 1, 1)])
def test_a_hole_is_damage_at_the_first_missing_position(positions: list[int], at_least: int, missing: int) -> None:
    with pytest.raises(LogDamaged) as damage:
        reading.check_dense([row(position) for position in positions], 0, at_least)

    assert {"position": str(missing)} == damage.value.metadata
