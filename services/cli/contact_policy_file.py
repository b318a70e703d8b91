"""What an organization publishes as TOML files. `docs/concepts/contact-policy.md` shows one.

Keys are the names of the messages' fields, and values of enums go without their prefix: `legal_basis = "SOFT_OPT_IN"`.
Two things are written as people write them. Hours: `window = { start = "08:00", end = "21:00" }`. And where a number of
the law comes from stands beside it: `source`, `checked_on` and `note` in a table become an entry of `sources` with the
table's path. Every fault of a file is found, not only the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from services.cli.toml_file import Fault, Float, line_of, read_document
from services.client import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_M = TypeVar("_M", bound=Message)

_SOURCE: Final = ("source", "checked_on", "note")
_NEEDED: Final = {
    "FrequencyCap": ("count",),
    "ChannelAttention": ("seconds",),
    "LocalWindow": ("start", "end"),
    "KindWeight": ("kind", "weight_ppm"),
}
"""Keys whose absence would be taken for a 0 that nobody wrote."""
_HOURS: Final = {"start": "start_minute", "end": "end_minute"}
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


@dataclass(slots=True)
class MessageFile(Generic[_M]):
    """A file that was read: the message, as far as it could be made, and what is wrong with the rest."""

    name: str
    message: _M
    faults: list[Fault] = field(default_factory=list)
    lines: Mapping[str, int] = field(default_factory=dict)
    """Lines by place, from 1, as far as they are plain to see."""
    sources: dict[str, str] = field(default_factory=dict)
    """Places of the tables that sources were written in, by the places that these have in the message."""

    def told(self, fault: Fault) -> str:
        """Return a fault with file, line and place. Example: `shop.toml:14: basis_rules[2].months: must ...`."""
        line = line_of(self.lines, fault.place)
        where = f"{self.name}:{line}" if line else self.name
        return f"{where}: {fault.place}: {fault.description}"

    def fault_of(self, path: str, description: str) -> Fault:
        """Return what a server found at a path of the request, at the place where the file says it."""
        place = path.partition(".")[2]
        for entry, table in self.sources.items():
            if place == entry or place.startswith(f"{entry}."):
                place = f"{table}{place.removeprefix(entry)}"
        for key, minutes in _HOURS.items():
            place = f"{place.removesuffix(minutes)}{key}" if place.endswith(f".{minutes}") else place
        return Fault(place, description)


def read_message(path: Path, message: _M) -> MessageFile[_M]:
    """Fill a message from a TOML file; return it with every fault of the file.

    Raises:
        UsageFault: It cannot be read, or is no TOML.
    """
    document = read_document(path)
    file = MessageFile(path.name, message, lines=document.lines)
    _Filler(file).fill(message, document.values, "")
    return file


class _Filler:
    """Puts what a file says into a message; what cannot be put goes to the file's faults."""

    def __init__(self, file: MessageFile[Any]) -> None:
        self._file = file

    def fill(self, message: Message, values: Mapping[str, Any], place: str) -> None:
        """Set the fields of a message from a table that stands at a place of the file."""
        descriptor = cast(Descriptor, message.DESCRIPTOR)
        for key in _NEEDED.get(descriptor.name, ()):
            if key not in values and _HOURS.get(key) not in values:
                self._fault(_at(place, key), "is needed")
        keys = self._keys_of(descriptor, place)
        for key, value in values.items():
            if key not in keys:
                self._fault(_at(place, key), f"there is no such key; there are {', '.join(keys)}")
            elif key in _HOURS and _HOURS[key] in descriptor.fields_by_name:
                self._put(message, _HOURS[key], self._minutes(value, _at(place, key)), _at(place, key))
            elif key in descriptor.fields_by_name:
                self._fill_field(message, descriptor.fields_by_name[key], value, _at(place, key))
        if any(key in values and key in keys and key not in descriptor.fields_by_name for key in _SOURCE):
            self._add_source(values, place)

    def _keys_of(self, descriptor: Descriptor, place: str) -> list[str]:
        keys = [*descriptor.fields_by_name]
        if descriptor.name == "LocalWindow":
            keys = [*_HOURS, *keys]
        # A source names a field of the policy, so what is in its lists may say its own.
        policy = isinstance(self._file.message, ContactPolicy) and place and descriptor.name != "LegalSource"
        return [*keys, *_SOURCE] if policy else keys

    def _fill_field(self, message: Message, field: FieldDescriptor, value: Any, place: str) -> None:
        if not field.is_repeated:
            self._fill_one(message, field, value, place)
        elif not isinstance(value, list):
            self._fault(place, f"must be a list: {_wanted(field)}")
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for index, each in enumerate(value):
                entries = getattr(message, field.name)
                if field.name == "sources":  # Those that tables brought with them stand before it, or after.
                    self._file.sources[f"sources[{len(entries)}]"] = f"{place}[{index}]"
                self._fill_table(entries.add(), each, f"{place}[{index}]")
        else:
            found = [self._scalar(field, each, f"{place}[{index}]") for index, each in enumerate(value)]
            self._put(message, field.name, [each for each in found if each is not None], place)

    def _fill_one(self, message: Message, field: FieldDescriptor, value: Any, place: str) -> None:
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            self._put(message, field.name, self._scalar(field, value, place), place)
        elif cast(Descriptor, field.message_type).name == "Timestamp":
            if isinstance(value, datetime) and value.tzinfo is not None:
                getattr(message, field.name).CopyFrom(timestamp(value))
            else:
                self._fault(place, f"must be {_wanted(field)}")
        else:
            getattr(message, field.name).SetInParent()
            self._fill_table(getattr(message, field.name), value, place)

    def _fill_table(self, message: Message, value: Any, place: str) -> None:
        if isinstance(value, dict):
            self.fill(message, value, place)
        else:
            self._fault(place, "must be a table")

    def _scalar(self, field: FieldDescriptor, value: Any, place: str) -> Any:
        """Return the value of a field that is no message; None, and a fault, where it is none."""
        if field.type == FieldDescriptor.TYPE_ENUM:
            return self._number_of(field, value, place)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self._bytes_of(value, place)
        kind = {FieldDescriptor.TYPE_STRING: str, FieldDescriptor.TYPE_BOOL: bool}.get(field.type, int)
        if field.name == "checked_on" and type(value) is date:
            return value.isoformat()
        # A boolean is an int to Python, and a float was kept as text.
        if type(value) is not kind:
            floats = " without a point" if isinstance(value, Float) and kind is int else ""
            self._fault(place, f"must be {_wanted(field)}{floats}")
            return None
        return value

    def _bytes_of(self, value: Any, place: str) -> bytes | None:
        try:
            return bytes.fromhex(value)
        except (TypeError, ValueError):
            self._fault(place, "must be hexadecimal digits in quotes")
            return None

    def _number_of(self, field: FieldDescriptor, value: Any, place: str) -> int | None:
        enum = cast(EnumDescriptor, field.enum_type)
        prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
        names = {each.name.removeprefix(prefix): each.number for each in enum.values if each.number}
        if not isinstance(value, str) or value not in names:
            self._fault(place, f"must be one of {', '.join(names)}")
            return None
        return names[value]

    def _minutes(self, value: Any, place: str) -> int | None:
        match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            self._fault(place, 'must be a time of day as a text: "08:00"')
            return None
        return int(match[1]) * 60 + int(match[2]) if match[1] else 0

    def _add_source(self, values: Mapping[str, Any], place: str) -> None:
        for key in ("source", "checked_on"):
            if key not in values:
                self._fault(_at(place, key), "is needed: whoever names a source says when they looked")
        policy: ContactPolicy = self._file.message
        self._file.sources[f"sources[{len(policy.sources)}]"] = place
        entry = policy.sources.add(field=place)
        fields = entry.DESCRIPTOR.fields_by_name
        for key in _SOURCE:
            if key in values:
                self._fill_field(entry, fields[key], values[key], _at(place, key))

    def _put(self, message: Message, name: str, value: Any, place: str) -> None:
        if value is None:
            return
        try:
            if isinstance(value, list):
                getattr(message, name).extend(value)
            else:
                setattr(message, name, value)
        except ValueError:
            self._fault(place, "is out of range")

    def _fault(self, place: str, description: str) -> None:
        self._file.faults.append(Fault(place, description))


def _at(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _wanted(field: FieldDescriptor) -> str:
    """Return what a field holds, for people."""
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return "a time with its zone, without quotes: 2026-01-01T00:00:00Z" if not field.is_repeated else "of tables"
    if field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_ENUM}:
        return "texts in quotes" if field.is_repeated else "a text in quotes"
    return "true or false" if field.type == FieldDescriptor.TYPE_BOOL else "a whole number"
