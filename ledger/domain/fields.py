"""Fields by their paths: how refusals name them, and which is the first to differ in a resend (reciprocity.md 9.1)."""

from collections.abc import Sequence
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import microseconds


def field_path(path: str, field: str) -> str:
    """Return the path of a field of the message at `path`; the field itself where that is empty."""
    return f"{path}.{field}" if path else field


def first_difference(stored: Message, asked: Message, leeway: int = 0) -> str | None:
    """Return the path of the first field, by field number, in which two messages of one type differ, or None.

    Lists are compared item by item, then by length: an item that only one has differs as a whole. Example:
    `legs[2].amount.units`. Times differ unless `same_time(..., leeway)`. Fields unknown to this release do not count.
    """
    descriptor = cast(Descriptor, stored.DESCRIPTOR)  # The stubs name the two implementations apart.
    for field in sorted(descriptor.fields, key=lambda field: field.number):
        path = _difference(field, stored, asked, leeway)
        if path is not None:
            return path
    return None


def same_time(stored: int, asked: int, leeway: int) -> bool:
    """Tell whether a time in a resend is the one of the first request, in microseconds.

    A time that was set back to the server's clock is known only to lie up to `leeway`, the tolerance, after the one
    that was stored.
    """
    return stored <= asked <= stored + leeway


def _difference(field: FieldDescriptor, stored: Message, asked: Message, leeway: int) -> str | None:
    name = field.name
    if field.has_presence and stored.HasField(name) != asked.HasField(name):
        return name
    ours, theirs = getattr(stored, name), getattr(asked, name)
    if field.is_repeated:
        return _difference_of_lists(name, ours, theirs, leeway)
    return _difference_of_values(name, ours, theirs, leeway)


def _difference_of_lists(name: str, ours: Sequence[Any], theirs: Sequence[Any], leeway: int) -> str | None:
    for index, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        path = _difference_of_values(f"{name}[{index}]", our, their, leeway)
        if path is not None:
            return path
    if len(ours) != len(theirs):
        return f"{name}[{min(len(ours), len(theirs))}]"
    return None


def _difference_of_values(path: str, our: Any, their: Any, leeway: int) -> str | None:
    if isinstance(our, Timestamp):
        return None if same_time(microseconds(our), microseconds(their), leeway) else path
    if not isinstance(our, Message):
        return None if our == their else path
    inner = first_difference(our, their, leeway)
    return None if inner is None else f"{path}.{inner}"
