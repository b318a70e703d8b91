"""Which fields of a message are personal, and how an event is parted into what stays open and what is sealed.

A field is personal when its `rapport.annotations.v1.data_class` says so. `split` parts an event into the open message,
all that folds, decisions and projections ever see, and the serialised personal fields, which are sealed (`sealing.py`).
`merge` puts them together again, exactly.

The personal part is a message of the event's own type that holds only personal fields. Singular messages are descended
into; a repeated field or a map is personal as a whole or not at all, because two halves of a list would not merge back.
Which fields to look at is worked out once per message class.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple, TypeVar, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from rapport.annotations.v1.data_class_pb2 import DATA_CLASS_PERSONAL, data_class

M = TypeVar("M", bound=Message)


class PersonalInRepeated(TypeError):
    """An event's message class cannot be parted: items of a list or map that is not personal hold personal fields."""


class PersonalInRecursion(TypeError):
    """A message class holds itself, and personal fields with it: there is no list of its personal fields."""


def split(event: M) -> tuple[M, bytes]:
    """Return the open part of an event, and its serialised personal fields: empty where none is set.

    Without personal content the open part is `event` itself, else a copy. Either way unknown fields are dropped, from
    `event` too: they have no data class, so nobody can say that they may be stored in the open for ever.

    Raises:
        PersonalInRepeated, PersonalInRecursion: the message class is not fit to be an event.
    """
    event.DiscardUnknownFields()
    fields = _fields_of_event(type(event))
    if fields is None or not _any_set(event, fields):
        return event, b""
    message_class = type(event)
    opened, personal = message_class(), message_class()
    opened.CopyFrom(event)
    _move(opened, personal, fields)
    return opened, personal.SerializeToString()


def merge(opened: M, personal: bytes) -> M:
    """Return the event that `split` parted, as a new message.

    Raises:
        google.protobuf.message.DecodeError: `personal` is not a serialised message.
    """
    event = type(opened)()
    event.CopyFrom(opened)
    event.MergeFromString(personal)
    return event


def has_personal(message: Message) -> bool:
    """Say whether any personal field is set, anywhere in a message; for requests, whose lists may hold events.

    Raises:
        PersonalInRecursion: the message class holds itself, and personal fields with it.
    """
    fields = _fields_of_request(type(message))
    return fields is not None and _any_set(message, fields)


class _Kind(Enum):
    """How a field is asked whether it is set, and how it is copied."""

    IMPLICIT = auto()
    """A scalar without presence: set means not the default."""
    EXPLICIT = auto()
    """A scalar that knows whether it was set (`optional`, or in a oneof)."""
    MESSAGE = auto()
    REPEATED = auto()
    """A list or a map: set means not empty."""


class _Field(NamedTuple):
    name: str
    kind: _Kind


class _Fields(NamedTuple):
    """The personal fields of one message class, as a tree."""

    personal: tuple[_Field, ...]
    by_value: tuple[str, ...]
    """Names of those that are set when they are not empty, not zero."""
    by_presence: tuple[str, ...]
    """Names of those that know whether they were set."""
    messages: tuple[tuple[str, _Fields], ...]
    """Singular messages, not personal as a whole, that hold personal fields."""
    lists: tuple[tuple[str, _Fields], ...]
    """Lists of such messages; only in requests."""
    maps: tuple[tuple[str, _Fields], ...]
    """Maps to such messages; only in requests."""


# Worked out once per class. Two threads may work out the same class at once: they get the same.
_OF_REQUESTS: dict[type[Message], _Fields | None] = {}
_OF_EVENTS: dict[type[Message], _Fields | None] = {}


def _fields_of_request(message_class: type[Message]) -> _Fields | None:
    try:
        return _OF_REQUESTS[message_class]
    except KeyError:
        descriptor = cast(Descriptor, message_class.DESCRIPTOR)  # The stubs name the two implementations apart.
        return _OF_REQUESTS.setdefault(message_class, _compile(descriptor, ()))


def _fields_of_event(message_class: type[Message]) -> _Fields | None:
    try:
        return _OF_EVENTS[message_class]
    except KeyError:
        fields = _fields_of_request(message_class)
        _refuse_lists(message_class.DESCRIPTOR.full_name, fields)
        return _OF_EVENTS.setdefault(message_class, fields)


def _compile(descriptor: Descriptor, within: tuple[Descriptor, ...]) -> _Fields | None:
    """Return the personal fields of a message type, or None when there is none in any depth."""
    if not _reaches_personal(descriptor, set()):
        return None
    if descriptor in within:
        raise PersonalInRecursion(f"{descriptor.full_name} holds itself, and personal fields with it")
    within = (*within, descriptor)
    personal: list[_Field] = []
    messages: list[tuple[str, _Fields]] = []
    lists: list[tuple[str, _Fields]] = []
    maps: list[tuple[str, _Fields]] = []
    for field in descriptor.fields:
        if _is_personal(field):
            personal.append(_Field(field.name, _kind(field)))
            continue
        item = _item_type(field)
        fields = None if item is None else _compile(item, within)
        if fields is not None:
            place = maps if _is_map(field) else lists if field.is_repeated else messages
            place.append((field.name, fields))
    return _Fields(
        tuple(personal),
        tuple(name for name, kind in personal if kind in {_Kind.IMPLICIT, _Kind.REPEATED}),
        tuple(name for name, kind in personal if kind in {_Kind.EXPLICIT, _Kind.MESSAGE}),
        tuple(messages),
        tuple(lists),
        tuple(maps),
    )


def _reaches_personal(descriptor: Descriptor, seen: set[str]) -> bool:
    """Say whether a message type holds a personal field in any depth; types may hold each other."""
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    for field in descriptor.fields:
        if _is_personal(field):
            return True
        item = _item_type(field)
        if item is not None and _reaches_personal(item, seen):
            return True
    return False


def _refuse_lists(name: str, fields: _Fields | None) -> None:
    if fields is None:
        return
    for field_name, _ in (*fields.lists, *fields.maps):
        raise PersonalInRepeated(f"{name}.{field_name} is not personal as a whole, but its items hold personal fields")
    for field_name, nested in fields.messages:
        _refuse_lists(f"{name}.{field_name}", nested)


def _is_personal(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[data_class] == DATA_CLASS_PERSONAL)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _item_type(field: FieldDescriptor) -> Descriptor | None:
    """Return the message type of a field, of its items, or of a map's values; None for scalars."""
    item = field.message_type
    if item is not None and item.GetOptions().map_entry:
        return item.fields_by_name["value"].message_type
    return item


def _kind(field: FieldDescriptor) -> _Kind:
    if field.is_repeated:
        return _Kind.REPEATED
    if field.message_type is not None:
        return _Kind.MESSAGE
    return _Kind.EXPLICIT if field.has_presence else _Kind.IMPLICIT


def _any_set(message: Message, fields: _Fields) -> bool:
    for name in fields.by_value:
        if getattr(message, name):
            return True
    for name in fields.by_presence:
        if message.HasField(name):
            return True
    for name, nested in fields.messages:
        if message.HasField(name) and _any_set(getattr(message, name), nested):
            return True
    for name, nested in fields.lists:
        if any(_any_set(item, nested) for item in getattr(message, name)):
            return True
    for name, nested in fields.maps:  # noqa: SIM110  # A generator would cost every event, and most have no map.
        if any(_any_set(item, nested) for item in getattr(message, name).values()):
            return True
    return False


def _move(source: Message, target: Message, fields: _Fields) -> None:
    """Take the personal fields out of `source`, into `target`, an empty message of the same type."""
    for field in fields.personal:
        name, kind = field
        if kind is _Kind.IMPLICIT or (kind is _Kind.EXPLICIT and source.HasField(name)):
            setattr(target, name, getattr(source, name))
        elif kind is _Kind.REPEATED:
            getattr(target, name).MergeFrom(getattr(source, name))
        elif kind is _Kind.MESSAGE and source.HasField(name):
            getattr(target, name).MergeFrom(getattr(source, name))  # Sets it, be it empty.
        source.ClearField(name)
    for name, nested in fields.messages:
        if source.HasField(name) and _any_set(getattr(source, name), nested):
            _move(getattr(source, name), getattr(target, name), nested)
