"""A quick look at a request: whether it surely keeps the rules of its proto, so that the engine need not be asked.

protovalidate reads every field of a message through Python, set or not, in about 10 µs for a request with an event.
Most fields are not set, and most requests are fine. The look goes through the fields that are set, with checks compiled
once per message class from the same `buf.validate` options, and through their times, in about half of that.

It may only ever say yes where the engine finds nothing; a rule it does not know makes it say "not sure" wherever the
field is set. What is refused, and in which words, is always the engine's to say. A test compares the two on random
messages of every request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2
from ledger.domain.times import END_OF_TIME, MICROSECONDS, START_OF_TIME

Check = Callable[[Any], bool]
"""Whether a value surely keeps its rules."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_TIMESTAMP: Final = "google.protobuf.Timestamp"
_FIRST_SECOND: Final = START_OF_TIME // MICROSECONDS
_END_SECOND: Final = END_OF_TIME // MICROSECONDS

# What the checks below know, by the full name of the options message. Anything else set in options is not known.
_KNOWN: Final[dict[str, frozenset[str]]] = {
    "buf.validate.FieldRules": frozenset({"required", "ignore", "string", "bytes", "enum", "repeated"})
    | {"uint32", "uint64", "int32", "int64"},
    "buf.validate.StringRules": frozenset({"pattern", "uuid", "min_len", "max_len"}),
    "buf.validate.BytesRules": frozenset({"len", "min_len", "max_len"}),
    "buf.validate.EnumRules": frozenset({"defined_only", "not_in", "in"}),
    "buf.validate.RepeatedRules": frozenset({"min_items", "max_items", "unique", "items"}),
    **{
        f"buf.validate.{kind}Rules": frozenset({"gte", "lte", "gt", "lt"})
        for kind in ("UInt32", "UInt64", "Int32", "Int64")
    },
}


def compile_look(descriptor: Descriptor, lenient_times: Collection[str]) -> Check:
    """Return the look for a message type. `lenient_times`: full names of Timestamp fields that may hold anything."""
    return _Looks(lenient_times).of(descriptor)


class _Looks:
    """Compiles message types, each once."""

    def __init__(self, lenient_times: Collection[str]) -> None:
        self._lenient_times = lenient_times
        self._looks: dict[str, Check] = {}

    def of(self, descriptor: Descriptor) -> Check:
        name = descriptor.full_name
        look = self._looks.get(name)
        if look is None:
            self._looks[name] = _not_sure  # Where the type holds itself.
            look = self._looks[name] = self._compile(descriptor)
        return look

    def _compile(self, descriptor: Descriptor) -> Check:
        if descriptor.GetOptions().Extensions[validate_pb2.message].ListFields():
            return _not_sure
        # By the descriptor itself: kept alive here, it need not be made anew whenever fields are listed.
        checks: dict[FieldDescriptor, Check | None] = {}
        needed: set[FieldDescriptor] = set()
        for field in descriptor.fields:
            rules = field.GetOptions().Extensions[validate_pb2.field]
            check = None if rules.ignore == validate_pb2.IGNORE_ALWAYS else self._check(field, rules)
            checks[field] = check
            if _is_needed(field, rules, check):
                needed.add(field)
        oneofs = [
            oneof.name for oneof in descriptor.oneofs if oneof.GetOptions().Extensions[validate_pb2.oneof].required
        ]
        return _look(checks, frozenset(needed), oneofs)

    def _check(self, field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Check | None:
        """Return the check of a field's value where it is set; None where anything will do."""
        if not _all_known(rules):
            return _not_sure
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return _not_sure
        if field.is_repeated:
            if rules.repeated.unique and field.message_type is not None:
                return _not_sure
            return _list_check(rules.repeated, self._value_check(field, rules.repeated.items))
        return self._value_check(field, rules)

    def _value_check(self, field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Check | None:
        if field.message_type is None:
            return _scalar_check(field, rules)
        if field.message_type.full_name == _TIMESTAMP:
            return None if field.full_name in self._lenient_times else _is_time
        if field.message_type.full_name.startswith("google.protobuf."):
            return None
        return self.of(field.message_type)


def _look(checks: dict[FieldDescriptor, Check | None], needed: frozenset[FieldDescriptor], oneofs: list[str]) -> Check:
    def look(message: Message) -> bool:
        left = len(needed)
        for field, value in message.ListFields():
            check = checks[field]
            if check is not None and not check(value):
                return False
            if field in needed:
                left -= 1
        if left:
            return False
        for oneof in oneofs:  # noqa: SIM110  # A generator would cost more than most looks have to do here.
            if message.WhichOneof(oneof) is None:
                return False
        return True

    return look


def _is_needed(field: FieldDescriptor, rules: validate_pb2.FieldRules, check: Check | None) -> bool:
    """Tell whether a field that is not set breaks its rules, or may."""
    if rules.ignore == validate_pb2.IGNORE_ALWAYS:
        return False
    if rules.required:
        return True
    if check is None or field.has_presence or rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        return False
    return not check([] if field.is_repeated else field.default_value)


def _all_known(rules: Message) -> bool:
    known = _KNOWN.get(rules.DESCRIPTOR.full_name, frozenset())
    return all(
        field.name in known and (field.message_type is None or field.is_repeated or _all_known(value))
        for field, value in rules.ListFields()
    )


def _scalar_check(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> Check | None:
    kind = rules.WhichOneof("type")
    if kind is None:
        return None
    checks = _CHECKS[kind](getattr(rules, kind), field)
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        checks = [_or_zero(check, field.default_value) for check in checks]
    return _all_of(checks)


def _string_checks(rules: validate_pb2.StringRules, _: FieldDescriptor) -> list[Check]:
    checks: list[Check] = []
    if rules.HasField("pattern"):
        checks.append(_pattern_check(rules.pattern))
    if rules.uuid:
        checks.append(lambda value: _UUID(value) is not None)
    return [*checks, *_length_checks(rules)]


def _pattern_check(pattern: str) -> Check:
    """Return the check of a pattern that is anchored on both sides, where RE2 and `re` agree; else one never sure."""
    inner = pattern[1:-1]
    plain = not set(inner) & set("^$\\") and "(?" not in inner and "|" not in re.sub(r"\([^()]*\)|\[[^]]*\]", "", inner)
    if not (pattern.startswith("^") and pattern.endswith("$") and plain):
        return _not_sure
    fits = re.compile(inner, re.ASCII).fullmatch
    return lambda value: fits(value) is not None


def _bytes_checks(rules: validate_pb2.BytesRules, _: FieldDescriptor) -> list[Check]:
    length = rules.len
    exact: list[Check] = [lambda value: len(value) == length] if rules.HasField("len") else []
    return [*exact, *_length_checks(rules)]


def _length_checks(rules: validate_pb2.StringRules | validate_pb2.BytesRules) -> list[Check]:
    at_least, at_most = rules.min_len, rules.max_len
    checks: list[Check] = []
    if rules.HasField("min_len"):
        checks.append(lambda value: len(value) >= at_least)
    if rules.HasField("max_len"):
        checks.append(lambda value: len(value) <= at_most)
    return checks


def _enum_checks(rules: validate_pb2.EnumRules, field: FieldDescriptor) -> list[Check]:
    assert field.enum_type is not None
    defined = frozenset(field.enum_type.values_by_number)
    excluded, included = frozenset(rules.not_in), frozenset(getattr(rules, "in"))
    checks: list[Check] = []
    if rules.defined_only:
        allowed = (defined & included if included else defined) - excluded
        return [allowed.__contains__]
    if included:
        checks.append(included.__contains__)
    if excluded:
        checks.append(lambda value: value not in excluded)
    return checks


def _number_checks(rules: Any, _: FieldDescriptor) -> list[Check]:
    checks: list[Check] = []
    for name, value in ((field.name, value) for field, value in rules.ListFields()):
        checks.append(_BOUNDS[name](value))
    # Of two bounds that exclude each other protovalidate makes "outside of"; none of ours does.
    low, high = max([rules.gt, rules.gte]), max([rules.lt, rules.lte])
    return (
        checks
        if not (rules.WhichOneof("less_than") and rules.WhichOneof("greater_than")) or low < high
        else [_not_sure]
    )


_BOUNDS: Final[dict[str, Callable[[int], Check]]] = {
    "gte": lambda bound: lambda value: value >= bound,
    "gt": lambda bound: lambda value: value > bound,
    "lte": lambda bound: lambda value: value <= bound,
    "lt": lambda bound: lambda value: value < bound,
}

_CHECKS: Final[dict[str, Callable[[Any, FieldDescriptor], list[Check]]]] = {
    "string": _string_checks,
    "bytes": _bytes_checks,
    "enum": _enum_checks,
    **dict.fromkeys(("uint32", "uint64", "int32", "int64"), _number_checks),
}


def _list_check(rules: validate_pb2.RepeatedRules, item: Check | None) -> Check | None:
    checks: list[Check] = []
    at_least, at_most = rules.min_items, rules.max_items
    if rules.HasField("min_items"):
        checks.append(lambda values: len(values) >= at_least)
    if rules.HasField("max_items"):
        checks.append(lambda values: len(values) <= at_most)
    if rules.unique:
        checks.append(lambda values: len(set(values)) == len(values))
    if item is not None:
        check = item
        checks.append(lambda values: all(map(check, values)))
    return _all_of(checks)


def _is_time(time: Any) -> bool:
    """Tell whether a Timestamp can be kept, as `ledger.domain.times.time_fault` says."""
    nanos = time.nanos
    return 0 <= nanos < 1_000_000_000 and not nanos % 1000 and _FIRST_SECOND <= time.seconds < _END_SECOND


def _or_zero(check: Check, zero: object) -> Check:
    return lambda value: value == zero or check(value)


def _all_of(checks: list[Check]) -> Check | None:
    if len(checks) <= 1:
        return checks[0] if checks else None
    first, rest = checks[0], _all_of(checks[1:])
    assert rest is not None
    return lambda value: first(value) and rest(value)


def _not_sure(_: object) -> bool:
    return False
