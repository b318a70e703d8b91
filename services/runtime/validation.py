"""Whether a request keeps the rules that its proto declares: every violation at once, none with the value at fault.

Three kinds of rules: those of `buf.validate`, judged by protovalidate's native engine; that every Timestamp is one we
can keep (whole microseconds of the years 0001 to 9999, settled.md 2); and those a servicer found itself. A request that
a quick look finds to be fine (`rules.py`) goes no further. Which fields are times is worked out once per message class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2
from ledger.domain.errors import Invalid, Rejected, Violation
from ledger.domain.times import time_fault
from rapport.errors.v1 import error_reason_pb2 as reasons
from services.runtime.rules import Check, compile_look

_VALIDATOR: Final = protovalidate.Validator()
_TIMESTAMP: Final = "google.protobuf.Timestamp"
_UUID_BYTES: Final = 16

LENIENT_TIMES: Final = frozenset(
    {
        "rapport.consent.v1.RaiseObjectionRequest.occur_time",
        "rapport.consent.v1.WithdrawConsentRequest.occur_time",
    }
)
"""Times that are never refused: no withdrawal or objection is turned away for its clock (consent.md 4, rule 1)."""


def check(message: Message, *more: Violation) -> None:
    """Raise unless a request keeps all rules and nothing was found by the caller already.

    Unknown fields are dropped from `message`: they have no data class, so nobody can say that they may be stored.

    Raises:
        Invalid: with every violation once, those of the caller last.
    """
    message.DiscardUnknownFields()
    if not more and _look_of(type(message))(message):
        return
    times = _times_of(type(message))
    found = [] if times is None else _time_faults(message, times, "")
    broken = _VALIDATOR.collect_violations(message)
    if broken or found or more:
        raise Invalid(list(dict.fromkeys([*map(_violation, broken), *found, *more])))


def violations_of(message: Message) -> tuple[Violation, ...]:
    """Return what `check` would raise, as a value: for items of a frame that must not fail each other."""
    try:
        check(message)
    except Invalid as error:
        return error.violations
    return ()


def request_id(message: Any) -> bytes:
    """Return the 16 bytes of a message's `request_id`.

    Raises:
        Invalid: it is not a UUID; named with every other violation of the message.
    """
    try:
        found = bytes.fromhex(message.request_id.replace("-", ""))  # A tenth of what uuid.UUID costs.
    except ValueError:
        found = b""
    if len(found) != _UUID_BYTES:
        check(message, Violation("request_id", "must be a valid UUID"))
    return found


def check_size(items: int, items_max: int) -> None:
    """Raise unless a batch is as small as the operator wants batches to be.

    Raises:
        Rejected: BATCH_TOO_LARGE.
    """
    if items > items_max:
        raise Rejected(
            reasons.ERROR_REASON_BATCH_TOO_LARGE,
            "split the batch: it holds too many items",
            items=items,
            limit=items_max,
        )


def in_list(refusal: Rejected, field: str) -> Rejected:
    """Return the refusal of one item of a batch with its violations as the request names them: `items[3].kind`."""
    index = refusal.metadata.get("operation_index")
    if index is None or not refusal.violations:
        return refusal
    moved = [violation._replace(field=f"{field}[{index}].{violation.field}") for violation in refusal.violations]
    return Rejected(refusal.reason, str(refusal), moved, **refusal.metadata)


def _violation(found: protovalidate.Violation) -> Violation:
    violation = found.proto
    return Violation(_path(violation.field), violation.message or violation.rule_id)


def _path(field: Any) -> str:
    """Return protovalidate's path as text: `items[3].interaction.kind`."""
    path = ""
    for element in field.elements if field is not None else ():
        path += f".{element.field_name}" if path else element.field_name
        subscript = element.subscript
        if subscript is not None:
            # A key of a map is content; no request of ours has maps with free keys, and none will show up in an error.
            path += f"[{subscript.value}]" if subscript.field == "index" else "[…]"
    return path


_LOOKS: Final[dict[type[Message], Check]] = {}


def _look_of(message_class: type[Message]) -> Check:
    try:
        return _LOOKS[message_class]
    except KeyError:
        look = compile_look(message_class.DESCRIPTOR, LENIENT_TIMES)  # type: ignore[arg-type]  # As below.
        return _LOOKS.setdefault(message_class, look)


class _Times(NamedTuple):
    """The times of one message class, as a tree."""

    times: tuple[str, ...]
    lists_of_times: tuple[str, ...]
    messages: tuple[tuple[str, _Times], ...]
    lists: tuple[tuple[str, _Times], ...]


_COMPILED: Final[dict[type[Message], _Times | None]] = {}


def _times_of(message_class: type[Message]) -> _Times | None:
    try:
        return _COMPILED[message_class]
    except KeyError:
        times = _compile(message_class.DESCRIPTOR, ())  # type: ignore[arg-type]  # The stubs name two implementations.
        return _COMPILED.setdefault(message_class, times)


def _compile(descriptor: Descriptor, within: tuple[str, ...]) -> _Times | None:
    """Return the times of a message type, or None where there are none in any depth."""
    if descriptor.full_name in within:
        raise TypeError(f"{descriptor.full_name} holds itself: its times cannot be listed")
    within = (*within, descriptor.full_name)
    times = _Times(
        tuple(field.name for field in descriptor.fields if _is_time(field) and not field.is_repeated),
        tuple(field.name for field in descriptor.fields if _is_time(field) and field.is_repeated),
        tuple(_nested(descriptor.fields, within, lambda field: not field.is_repeated)),
        tuple(_nested(descriptor.fields, within, lambda field: field.is_repeated)),
    )
    return times if any(times) else None


def _is_time(field: FieldDescriptor) -> bool:
    return (
        field.message_type is not None
        and field.message_type.full_name == _TIMESTAMP
        and field.full_name not in LENIENT_TIMES
    )


def _nested(
    fields: Iterable[FieldDescriptor], within: tuple[str, ...], wanted: Callable[[FieldDescriptor], bool]
) -> Iterable[tuple[str, _Times]]:
    for field in fields:
        nested = field.message_type
        if nested is None or nested.full_name.startswith("google.protobuf.") or not wanted(field):
            continue
        if field.GetOptions().Extensions[validate_pb2.field].ignore == validate_pb2.IGNORE_ALWAYS:
            continue  # As the engine: what is in it is somebody else's to judge.
        assert not nested.GetOptions().map_entry, f"{field.full_name}: a map in a request needs a rule here"
        times = _compile(nested, within)
        if times is not None:
            yield field.name, times


def _time_faults(message: Message, times: _Times, at: str) -> list[Violation]:
    found = [
        Violation(at + name, fault)
        for name in times.times
        if message.HasField(name) and (fault := time_fault(getattr(message, name)))
    ]
    for name in times.lists_of_times:
        faults = enumerate(map(time_fault, getattr(message, name)))
        found += [Violation(f"{at}{name}[{index}]", fault) for index, fault in faults if fault]
    for name, nested in times.messages:
        if message.HasField(name):
            found += _time_faults(getattr(message, name), nested, f"{at}{name}.")
    for name, nested in times.lists:
        for index, item in enumerate(getattr(message, name)):
            found += _time_faults(item, nested, f"{at}{name}[{index}].")
    return found
