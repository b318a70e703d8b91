"""Whether every text that reaches the log says if it is personal (invariant I29).

A field of strings or bytes that an event or a request can hold, at any depth, carries a data class. In events, what
repeats is personal as a whole or not at all: the stored event is split into an open and a sealed part, and the two
merge back exactly only if no list is torn in two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from rapport.annotations.v1.data_class_pb2 import DATA_CLASS_PERSONAL, DATA_CLASS_UNSPECIFIED, data_class
from tools.proto_tree import is_repeated, map_entry, our_nodes, type_of

TEXT: Final = frozenset({"string", "bytes"})
EVENTS: Final = "rapport.events."


@dataclass(frozen=True, slots=True)
class Protos:
    """The messages of ours, and which of them begin a journey into the log."""

    messages: dict[str, DescriptorProto]
    events: frozenset[str]
    """Messages of the event packages."""
    requests: frozenset[str]
    """Messages that an rpc takes."""


def read(files: Sequence[FileDescriptorProto]) -> Protos:
    """Return the messages of `files`."""
    messages = {node.name: node.proto for node in our_nodes(files, "message")}
    requests = {node.proto.input_type.removeprefix(".") for node in our_nodes(files, "rpc")}
    return Protos(
        messages=messages,
        events=frozenset(name for name in messages if name.startswith(EVENTS)),
        requests=frozenset(requests),
    )


def problems(files: Sequence[FileDescriptorProto]) -> list[str]:
    """Return what is wrong, as sentences that name the field; empty when all is well."""
    protos = read(files)
    recorded = reachable(protos, protos.events)
    wrong = []
    for name in sorted(recorded | reachable(protos, protos.requests)):
        message = protos.messages[name]
        for field in message.field:
            wrong += unclassed(name, message, field)
            if name in recorded:
                wrong += torn(protos, name, message, field)
    return wrong


def reachable(protos: Protos, roots: frozenset[str]) -> set[str]:
    """Return the messages of ours that those of `roots` can hold at any depth, and `roots` themselves."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or name not in protos.messages:
            continue
        found.add(name)
        waiting += [type_of(field) for _, field in values(protos.messages[name])]
    return found


def values(message: DescriptorProto) -> Iterator[tuple[FieldDescriptorProto, FieldDescriptorProto]]:
    """Yield each field with the field that describes one value of it; for a map, its keys and its values."""
    for field in message.field:
        entry = map_entry(field, message)
        for described in entry.field if entry is not None else (field,):
            yield field, described


def unclassed(name: str, message: DescriptorProto, field: FieldDescriptorProto) -> list[str]:
    """Return a complaint where `field` holds text and has no data class."""
    holds_text = any(own is field and type_of(one) in TEXT for own, one in values(message))
    if holds_text and class_of(field) == DATA_CLASS_UNSPECIFIED:
        return [f"{name}.{field.name}: holds text and has no data_class; say whether it is open, an id or personal"]
    return []


def torn(protos: Protos, name: str, message: DescriptorProto, field: FieldDescriptorProto) -> list[str]:
    """Return a complaint where a list or a map of an event, or a message marked as a whole, is personal in part."""
    below = {
        where: personal for own, one in values(message) if own is field for where, personal in texts(protos, one, name)
    }
    if class_of(field) == DATA_CLASS_PERSONAL:
        in_part = [where for where, personal in below.items() if not personal and where != f"{name}.{field.name}"]
        return [f"{name}.{field.name}: is personal as a whole, but {where} is not" for where in in_part]
    if is_repeated(field):
        personal_parts = [where for where, personal in below.items() if personal]
        return [f"{name}.{field.name}: repeats, and is not personal, but {where} is" for where in personal_parts]
    return []


def texts(protos: Protos, field: FieldDescriptorProto, name: str) -> list[tuple[str, bool]]:
    """Return the places of text that a value of `field` can hold, and whether each is personal.

    Text of the key or value of a map has the class of the map, which the caller knows; here it is left out.
    """
    held = type_of(field)
    if held in TEXT:
        return [(f"{name}.{field.name}", class_of(field) == DATA_CLASS_PERSONAL)] if class_of(field) else []
    return [
        (f"{inner}.{own.name}", class_of(own) == DATA_CLASS_PERSONAL)
        for inner in sorted(reachable(protos, frozenset({held})))
        for own in protos.messages[inner].field
        if any(of is own and type_of(one) in TEXT for of, one in values(protos.messages[inner])) or class_of(own)
    ]


def class_of(field: FieldDescriptorProto) -> int:
    """Return the data class of the field; 0 where it has none."""
    return int(field.options.Extensions[data_class])
