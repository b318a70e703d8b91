"""A flat view of compiled protos: every message, field, enum, value, service and rpc with its full name and comment.

Rules and baselines read this instead of the nested descriptors, whose comments are kept by numbered path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

OURS: Final = "rapport."

# Field numbers of google/protobuf/descriptor.proto; a path through a file is made of them and of indexes.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE, FILE_EXTENSION = 4, 5, 6, 7
MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM, MESSAGE_ONEOF = 2, 3, 4, 8
ENUM_VALUE = 2
SERVICE_METHOD = 2


@dataclass(frozen=True, slots=True)
class Node:
    """One named thing of a file."""

    kind: str
    """`message`, `field`, `extension`, `oneof`, `enum`, `value`, `service` or `rpc`."""
    name: str
    """Full name without the leading dot: `rapport.events.v1.EventMetadata.occur_time`."""
    proto: Any
    """The descriptor: a DescriptorProto, FieldDescriptorProto and so on, by kind."""
    comment: str
    """What stands above it and behind it, in that order; empty where nothing does."""
    parent: Any
    """Descriptor of the message, enum or service it stands in; of the file for the rest."""


Path = tuple[int, ...]


def nodes(file: FileDescriptorProto) -> Iterator[Node]:
    """Yield everything `file` defines, in the order of the text within each kind; entries of maps are left out."""
    told = (place for place in file.source_code_info.location if place.leading_comments or place.trailing_comments)
    comments = {tuple(place.path): comment(place) for place in told}
    for index, message in enumerate(file.message_type):
        yield from message_nodes(message, file.package, (FILE_MESSAGE, index), comments, file)
    for index, enum in enumerate(file.enum_type):
        yield from enum_nodes(enum, file.package, (FILE_ENUM, index), comments, file)
    for index, extension in enumerate(file.extension):
        path = (FILE_EXTENSION, index)
        yield Node("extension", f"{file.package}.{extension.name}", extension, comments.get(path, ""), file)
    for index, service in enumerate(file.service):
        name, path = f"{file.package}.{service.name}", (FILE_SERVICE, index)
        yield Node("service", name, service, comments.get(path, ""), file)
        for number, rpc in enumerate(service.method):
            text = comments.get((*path, SERVICE_METHOD, number), "")
            yield Node("rpc", f"{name}.{rpc.name}", rpc, text, service)


def comment(place: Any) -> str:
    """Return the text of a location: the block directly above, then the one behind."""
    return f"{place.leading_comments}{place.trailing_comments}".strip()


def message_nodes(
    message: DescriptorProto, scope: str, path: Path, comments: dict[Path, str], parent: Any
) -> Iterator[Node]:
    """Yield `message`, its fields, oneofs, and what is nested in it."""
    name = f"{scope}.{message.name}"
    yield Node("message", name, message, comments.get(path, ""), parent)
    for index, field in enumerate(message.field):
        text = comments.get((*path, MESSAGE_FIELD, index), "")
        yield Node("field", f"{name}.{field.name}", field, text, message)
    for index, oneof in enumerate(message.oneof_decl):
        # `optional` makes a oneof behind the scenes, which nobody wrote and nobody can comment.
        if not any(field.proto3_optional and field.oneof_index == index for field in message.field):
            text = comments.get((*path, MESSAGE_ONEOF, index), "")
            yield Node("oneof", f"{name}.{oneof.name}", oneof, text, message)
    for index, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from message_nodes(nested, name, (*path, MESSAGE_NESTED, index), comments, message)
    for index, enum in enumerate(message.enum_type):
        yield from enum_nodes(enum, name, (*path, MESSAGE_ENUM, index), comments, message)


def enum_nodes(
    enum: EnumDescriptorProto, scope: str, path: Path, comments: dict[Path, str], parent: Any
) -> Iterator[Node]:
    """Yield `enum` and its values."""
    name = f"{scope}.{enum.name}"
    yield Node("enum", name, enum, comments.get(path, ""), parent)
    for index, value in enumerate(enum.value):
        text = comments.get((*path, ENUM_VALUE, index), "")
        yield Node("value", f"{name}.{value.name}", value, text, enum)


def our_files(files: Sequence[FileDescriptorProto]) -> list[FileDescriptorProto]:
    """Return the files of our packages."""
    return [file for file in files if file.package.startswith(OURS)]


def our_nodes(files: Sequence[FileDescriptorProto], *kinds: str) -> list[Node]:
    """Return the nodes of our packages, of these kinds (all where none is named)."""
    return [node for file in our_files(files) for node in nodes(file) if not kinds or node.kind in kinds]


def type_of(field: FieldDescriptorProto) -> str:
    """Return the type of one value of the field: `string`, `uint64`, or the full name of a message or enum."""
    if field.type_name:
        return field.type_name.removeprefix(".")
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def is_repeated(field: FieldDescriptorProto) -> bool:
    """Tell whether the field holds several values; a map does."""
    return field.label == FieldDescriptorProto.LABEL_REPEATED


def map_entry(field: FieldDescriptorProto, parent: DescriptorProto) -> DescriptorProto | None:
    """Return the hidden message of a map field, whose fields are `key` and `value`; None where it is no map."""
    for nested in parent.nested_type:
        if nested.options.map_entry and field.type_name.endswith(f".{parent.name}.{nested.name}"):
            return nested
    return None
