"""What the relay publishes, and where it goes on: pure parts (audit.md 7, relationship.md 15)."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ledger.change import table
from ledger.change.reading import Changes
from ledger.change.table import Progress, StoredChange
from ledger.domain.times import timestamp
from ledger.log.entries import entry_bytes, leaf_hash
from ledger.log.envelope import join_state
from ledger.log.store import EventRow
from ledger.projections.sqlite_database import SqliteDatabase
from rapport.change.v1.change_pb2 import ChangeKind, RelationshipChange
from rapport.relay.v1.log_message_pb2 import LogMessage
from services.relay import change_source, log_source
from services.relay.source import MESSAGE_ID, Message, Place, UnknownMessage, bucket, token
from services.relay.standing import Ahead, Halted, Standing, View, standing

ROW = EventRow(
    7, "acme/c-1", 3, "consent.given.v1", 1_775_902_200_000_001, b"s" * 16, join_state(b"metadata", b"open", b"sealed")
)
CHANGE = RelationshipChange(
    change_id="bcd1a2072f73b0dcf22806a828b36896",
    number=9,
    organization_id="acme",
    subject_id="c-1",
    kind=ChangeKind.CHANGE_KIND_AT_RISK,
    subject_number=4,
    effective_time=timestamp(1_775_901_600_000_000),
    detected_time=timestamp(1_775_901_700_000_000),
)


def test_an_event_is_published_as_it_is_stored() -> None:
    message = log_source.message("log-1", ROW)

    assert (7, "log-1/7") == (message.number, message.message_id)
    assert f"rapport.log.v1.acme.{sha256(b'acme/c-1').digest()[0]}.consent.given.v1" == message.subject
    assert {
        "Rapport-Position": "7",
        "Rapport-Prev-Position": "6",
        "Rapport-Version": "3",
        "Rapport-Leaf-Hash": leaf_hash(entry_bytes(ROW)).hex(),
    } == message.headers
    body = LogMessage.FromString(message.body)
    assert (b"metadata", b"open", b"sealed") == (body.metadata, body.event, body.sealed)
    assert (7, "acme/c-1", 3, "consent.given.v1") == (body.position, body.stream_id, body.version, body.topic)
    assert timestamp(ROW.record_time) == body.record_time


def test_a_change_is_published_as_a_cloud_event_in_binary_mode() -> None:
    body = CHANGE.SerializeToString()

    message = change_source.message("log-1", 9, body)

    assert (9, CHANGE.change_id, body) == (message.number, message.message_id, message.body)
    assert f"rapport.relationship.v1.acme.{bucket('acme/c-1')}.at_risk" == message.subject
    assert {
        "ce-specversion": "1.0",
        "ce-id": CHANGE.change_id,
        "ce-source": "/organizations/acme",
        "ce-type": "rapport.relationship.at_risk.v1",
        "ce-subject": "c-1",
        "ce-time": "2026-04-11T10:00:00.000000Z",
        "ce-datacontenttype": "application/protobuf",
        "Rapport-Log-Id": "log-1",
        "Rapport-Number": "9",
        "Rapport-Prev-Number": "8",
        "Rapport-Subject-Number": "4",
    } == message.headers


def test_dots_in_ids_do_not_part_subjects() -> None:
    assert "a%2Eb" == token("a.b")
    assert "@ledger" == token("@ledger")


@pytest.mark.parametrize("headers", [{}, {MESSAGE_ID: "7"}, {MESSAGE_ID: "log-1/x"}, {MESSAGE_ID: "/7"}])
def test_a_message_that_names_no_event_is_none_of_ours(headers: dict[str, str]) -> None:
    with pytest.raises(UnknownMessage):
        log_source.LogSource.place(None, headers)  # type: ignore[arg-type]  # It needs nothing of the source.


def test_what_a_message_says_it_is_is_read_back() -> None:
    event, change = log_source.message("log-1", ROW), change_source.message("log-1", 9, CHANGE.SerializeToString())

    read: Any = log_source.LogSource.place(None, {**event.headers, MESSAGE_ID: event.message_id})  # type: ignore[arg-type]
    assert Place("log-1", 7, "log-1/7", event.headers["Rapport-Leaf-Hash"]) == read
    read = change_source.ChangeSource.place(None, {**change.headers, MESSAGE_ID: change.message_id})  # type: ignore[arg-type]
    assert Place("log-1", 9, CHANGE.change_id, "") == read


OURS = Message(5, "log/5", "subject", {"Rapport-Leaf-Hash": "aa"}, b"")


def view(place: Place | None, size: int = 5) -> View:
    return View(Place("log", 1, "log/1", ""), place, size, 17)


def test_an_empty_stream_is_filled_after_what_is_too_old_to_be_kept() -> None:
    assert Standing(3, "", 17) == standing(View(None, None, 0, 17), "log", 9, None, 3)
    assert Standing(9, "", 17) == standing(View(None, None, 0, 17), "log", 9, None, 12)


def test_the_last_stored_message_says_where_to_go_on_and_the_first_link_is_the_sequence() -> None:
    assert Standing(5, "", 17) == standing(view(Place("log", 5, "log/5", "aa")), "log", 9, OURS, 0)


@pytest.mark.parametrize(
    "place, says",
    [
        (Place("other", 5, "other/5", "aa"), "messages of log other"),
        (Place("other", 50, "other/50", "aa"), "messages of log other"),
        (Place("log", 5, "log/5", "bb"), "another past"),
        (Place("log", 5, "log/x", "aa"), "another past"),
    ],
)
def test_another_log_or_another_past_is_left_alone(place: Place, says: str) -> None:
    with pytest.raises(Halted, match=says):
        standing(view(place), "log", 9, OURS, 0)


def test_a_stream_that_is_ahead_is_waited_for() -> None:
    with pytest.raises(Ahead):
        standing(view(Place("log", 10, "log/10", "aa")), "log", 9, None, 0)


@pytest.mark.parametrize("size, holes", [(5, 0), (4, 1), (2, 3)])
def test_holes_are_what_is_missing_between_the_first_and_the_last(size: int, holes: int) -> None:
    assert holes == view(Place("log", 5, "log/5", ""), size).holes
    assert 0 == View(None, Place("log", 5, "log/5", ""), size, 17).holes


async def test_the_table_of_changes_is_a_source(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "projections.db")
    changes = Changes(database)
    rows = []
    for number in range(1, 6):
        change = RelationshipChange()
        change.CopyFrom(CHANGE)
        change.change_id, change.number = f"{number:032x}", number
        change.detected_time.CopyFrom(timestamp(number * 1_000))
        body = change.SerializeToString()
        rows.append(StoredChange(number, "acme", "c-1", change.kind, change.change_id, body))
    with database.writing() as session:
        began = table.begin_anew(session, "log-1")
    table.store(database, began, Progress("log-1", 9, 9, 5, began.events + 1), rows, [], [])

    source = change_source.ChangeSource(changes, "log-1")

    assert 5 == await source.last()
    assert [3, 4] == [message.number for message in await source.after(2, 2)]
    assert [0, 0, 2, 5] == [await source.before(time) for time in (0, 1_000, 2_001, 9_000)]
    await source.wait_beyond(4, 1.0)
    await changes.close()
    database.close()
