"""The field numbers that ADR 0001 fixes are those of the descriptors, and the numbers it keeps are free."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.annotations.v1 import data_class_pb2
from rapport.audit.v1 import audit_service_pb2
from rapport.events.v1.metadata_pb2 import EventMetadata

PAGE = Path(__file__).resolve().parents[2] / "docs" / "adr" / "0001-field-numbers.md"
HEADING = re.compile(r"### `(\w+)`(?:: `([\w.]+)`)?")
ROW = re.compile(r"\| (\d+) \| (`\w+`|kept|reserved) \| (OPEN|ID|PERSONAL|) ?\|")
STATED = ("rapport.events.v1.", "rapport.type.v1.")


class Field(NamedTuple):
    number: int
    name: str
    data_class: str


def tables() -> dict[str, list[Field]]:
    """Return the rows of each message's table, without those of numbers that have no field."""
    found: dict[str, list[Field]] = {}
    rows: list[Field] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if heading := HEADING.match(line):
            rows = found.setdefault(heading[1], [])
        elif line.startswith("### "):
            rows = []
        elif (row := ROW.match(line)) and row[2].startswith("`"):
            rows.append(Field(int(row[1]), row[2].strip("`"), row[3]))
    return found


def kept() -> Iterator[tuple[str, int]]:
    """Yield (message, number) of every number of an event that is kept or reserved."""
    message = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if heading := HEADING.match(line):
            message = heading[1]
        elif (row := ROW.match(line)) and not row[2].startswith("`"):
            yield message, int(row[1])


def stored() -> dict[str, Descriptor]:
    """Return every message of ours that is stored: the envelope, the events, and what they are made of."""
    found: dict[str, Descriptor] = {}
    pending = [descriptor(EventMetadata), *map(descriptor, MESSAGE_BY_TOPIC.values())]
    while pending:
        message = pending.pop()
        if message.name not in found and message.full_name.startswith(STATED):
            found[message.name] = message
            pending += [field.message_type for field in message.fields if field.message_type]
    return found


def descriptor(message: type[Message]) -> Descriptor:
    assert isinstance(message.DESCRIPTOR, Descriptor)
    return message.DESCRIPTOR


def described(field: FieldDescriptor) -> Field:
    data_class: int = field.GetOptions().Extensions[data_class_pb2.data_class]
    name = data_class_pb2.DataClass.Name(data_class).removeprefix("DATA_CLASS_") if data_class else ""  # type: ignore[arg-type]
    return Field(field.number, field.name, name)


def test_the_page_lists_every_field_of_every_stored_message() -> None:
    expected = {name: [described(field) for field in message.fields] for name, message in stored().items()}

    assert {name: sorted(fields) for name, fields in expected.items()} == tables()


def test_the_page_names_every_topic_with_its_message() -> None:
    named = {
        heading[2]: heading[1]
        for heading in map(HEADING.match, PAGE.read_text(encoding="utf-8").splitlines())
        if heading and heading[2]
    }

    assert {topic: message.DESCRIPTOR.name for topic, message in MESSAGE_BY_TOPIC.items()} == named


def test_numbers_kept_in_events_are_free() -> None:
    numbers = list(kept())

    assert {("ExchangeRecorded", 2), ("ExchangePosted", 2), ("ExchangeVoided", 2)} <= set(numbers)
    assert not [(name, number) for name, number in numbers if number in stored()[name].fields_by_number]


@pytest.mark.parametrize(
    "message, numbers",
    [
        (audit_service_pb2.End.DESCRIPTOR, (4,)),
    ],
    ids=lambda value: value.name if isinstance(value, Descriptor) else "",
)
def test_numbers_kept_outside_events_are_free(message: Descriptor, numbers: tuple[int, ...]) -> None:
    assert not set(numbers) & set(message.fields_by_number)
    stated = " to ".join((str(numbers[0]), str(numbers[-1]))) if len(numbers) > 2 else ", ".join(map(str, numbers))
    assert f"| `{message.full_name}` | {stated} |" in PAGE.read_text(encoding="utf-8")
