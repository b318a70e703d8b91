"""Tables of a mapping as protobuf messages.

Keys are the names of the message's fields. What is constant is set once, in a prototype that every line copies; what
depends on the line is set by setters, worked out when the mapping is read. A value may be

    a constant           channel = "WEB"                  enums by their short or full names
    a template           order_id = "shop-{order}"        columns and values by name
    conditional          one_sided = { when = "paid = 0", value = "GIFT" }, with `otherwise` where there is another
    a list               attributes of repeated fields
    a table              of a message field; its own `when` decides whether the message is there at all
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from rapport.type.v1.amount_pb2 import Amount
from services.cli.importing.conditions import Condition, compile_condition
from services.cli.importing.faults import LineFault, MappingError
from services.cli.importing.values import Kind, Kinds, Quantity, Row, compile_template, names_in, only_name
from services.client.values import amount, to_units

Setter = Callable[[Any, Row], None]
_TEXT_TYPES: Final = {FieldDescriptor.TYPE_STRING}


class Shape(NamedTuple):
    """A message as the mapping describes it."""

    prototype: Message
    """What is the same on every line."""
    setters: tuple[Setter, ...]
    """What is not, in the order of the mapping."""
    when: Condition | None
    """Whether it is there. None: always."""

    def fill(self, message: Message, row: Row) -> None:
        """Make an empty message what it is for one line.

        Raises:
            LineFault: A value cannot be had from the line.
        """
        message.MergeFrom(self.prototype)
        for setter in self.setters:
            setter(message, row)


def compile_message(message_type: type[Message], table: dict[str, Any], kinds: Kinds, place: str) -> Shape:
    """Return the shape of a message of this type.

    Raises:
        MappingError: A field is not there, or its value does not fit.
    """
    table = dict(table)
    when = table.pop("when", None)
    condition = None if when is None else compile_condition(_text(when, place), kinds, f"{place}.when")
    prototype = message_type()
    setters = []
    for name, value in table.items():
        setter = _compile_field(prototype, name, value, kinds, f"{place}.{name}")
        if setter is not None:
            setters.append(setter)
    return Shape(prototype, tuple(setters), condition)


def _compile_field(prototype: Message, name: str, value: Any, kinds: Kinds, place: str) -> Setter | None:
    """Set what is constant in the prototype; return what sets the rest on each line, if there is any."""
    found = prototype.DESCRIPTOR.fields_by_name.get(name)
    if found is None:
        known = ", ".join(each.name for each in prototype.DESCRIPTOR.fields)
        raise MappingError(place, f"{prototype.DESCRIPTOR.name} has no such field; it has {known}")
    field = cast("FieldDescriptor", found)
    if field.is_repeated:
        return _compile_repeated(field, value, kinds, place)
    if _is_table_of_fields(field):
        return _compile_nested(prototype, field, value, kinds, place)
    assign = _assigner(field)
    if _is_constant(value, kinds, place):
        assign(prototype, _compile_scalar(field, value, kinds, place)(Row({}, {})))
        return None
    get = _compile_scalar(field, value, kinds, place)

    def set_field(message: Any, row: Row) -> None:
        got = get(row)
        if got is not None:
            assign(message, got)

    return set_field


def _compile_nested(prototype: Message, field: FieldDescriptor, value: Any, kinds: Kinds, place: str) -> Setter | None:
    shape = compile_message(_class_of(field), _table(value, place), kinds, place)
    name, when, setters = field.name, shape.when, shape.setters
    if when is None:
        # Always there: its constants go into the parent's prototype, and are copied with it in one go.
        part = getattr(prototype, name)
        part.SetInParent()
        part.MergeFrom(shape.prototype)

    def set_message(message: Any, row: Row) -> None:
        part = getattr(message, name)
        for setter in setters:
            setter(part, row)

    def add_message(message: Any, row: Row) -> None:
        assert when is not None
        if when(row):
            part = getattr(message, name)
            part.SetInParent()
            shape.fill(part, row)

    return add_message if when is not None else set_message if setters else None


def _compile_repeated(field: FieldDescriptor, values: Any, kinds: Kinds, place: str) -> Setter:
    if not isinstance(values, list):
        raise MappingError(place, "is a list")
    name = field.name
    if _is_table_of_fields(field):
        shapes = [
            compile_message(_class_of(field), _table(value, f"{place}[{index}]"), kinds, f"{place}[{index}]")
            for index, value in enumerate(values)
        ]

        def add_messages(message: Any, row: Row) -> None:
            for shape in shapes:
                if shape.when is None or shape.when(row):
                    shape.fill(getattr(message, name).add(), row)

        return add_messages
    getters = [_compile_scalar(field, value, kinds, f"{place}[{index}]") for index, value in enumerate(values)]

    def add_values(message: Any, row: Row) -> None:
        found = [get(row) for get in getters]
        getattr(message, name).extend([value for value in found if value is not None])

    return add_values


def _is_constant(value: Any, kinds: Kinds, place: str) -> bool:
    """Tell whether a field's value is the same on every line."""
    return not isinstance(value, dict) and not (isinstance(value, str) and names_in(value, kinds, place))


def _compile_scalar(field: FieldDescriptor, value: Any, kinds: Kinds, place: str) -> Callable[[Row], Any]:
    """Return what gives a field's value on a line; None leaves the field out."""
    if isinstance(value, dict):
        return _compile_conditional(field, value, kinds, place)
    if not isinstance(value, str):
        return _compile_literal(field, value, place)
    if not names_in(value, kinds, place):
        convert = _from_text(field, place)
        try:
            constant = convert(value.replace("{{", "{").replace("}}", "}"))
        except ValueError as error:
            raise MappingError(place, str(error)) from error
        return lambda _: constant
    wanted = _KINDS_OF_MESSAGES.get(_message_name(field))
    if wanted is not None:
        return _compile_reference(value, wanted, kinds, place)
    text, convert = compile_template(value, kinds, place), _from_text(field, place)

    def get(row: Row) -> Any:
        found = text(row)
        if not found:
            return None
        try:
            return convert(found)
        except ValueError as error:
            raise LineFault(f"{field.name}: {error}") from error

    return get


def _compile_conditional(
    field: FieldDescriptor, spec: dict[str, Any], kinds: Kinds, place: str
) -> Callable[[Row], Any]:
    unknown = spec.keys() - {"when", "value", "otherwise"}
    if unknown or "when" not in spec or "value" not in spec:
        raise MappingError(place, 'is { when = "...", value = ... }, and `otherwise` where there is another value')
    when = compile_condition(_text(spec["when"], place), kinds, f"{place}.when")
    value = _compile_scalar(field, spec["value"], kinds, f"{place}.value")
    otherwise: Callable[[Row], Any] = lambda _: None  # noqa: E731  # One of two values of the same name.
    if "otherwise" in spec:
        otherwise = _compile_scalar(field, spec["otherwise"], kinds, f"{place}.otherwise")
    return lambda row: value(row) if when(row) else otherwise(row)


def _compile_reference(template: str, wanted: Kind, kinds: Kinds, place: str) -> Callable[[Row], Any]:
    """Return what gives a time or an amount: a value of that type, by its name alone."""
    name = only_name(template)
    if name is None or kinds[name] is not wanted:
        raise MappingError(place, f'is a value of type {wanted.value} by its name alone, such as "{{name}}"')
    return lambda row: row[name]


def _compile_literal(field: FieldDescriptor, value: Any, place: str) -> Callable[[Row], Any]:
    """Return what gives a number or truth value written as such."""
    fits = field.cpp_type == FieldDescriptor.CPPTYPE_BOOL if isinstance(value, bool) else _is_integer(field)
    if not fits or not isinstance(value, (bool, int)):
        raise MappingError(place, f"{value!r} does not fit {field.name}")
    return lambda _: value


def _from_text(field: FieldDescriptor, place: str) -> Callable[[str], Any]:
    """Return what reads a field's value from text; it raises ValueError where the text is no such value."""
    if field.enum_type is not None:
        return _enum_reader(field)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and field.type in _TEXT_TYPES:
        return lambda text: text
    if _is_integer(field):
        return lambda text: to_units(text, 0)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _truth
    if _message_name(field) == Amount.DESCRIPTOR.full_name:
        return _quantity
    if _message_name(field) == Timestamp.DESCRIPTOR.full_name:
        return _instant
    raise MappingError(place, f"{field.name} cannot be filled from a table")


def _enum_reader(field: FieldDescriptor) -> Callable[[str], int]:
    assert field.enum_type is not None
    values = field.enum_type.values_by_name
    prefix = field.enum_type.values_by_number[0].name.removesuffix("UNSPECIFIED")
    numbers = {short: value.number for name, value in values.items() for short in (name, name.removeprefix(prefix))}

    def read(text: str) -> int:
        if text not in numbers:
            known = ", ".join(name.removeprefix(prefix) for name in values if values[name].number)
            raise ValueError(f"{text!r} is none of {known}")
        return numbers[text]

    return read


def _truth(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _quantity(text: str) -> Quantity:
    found = amount(text)
    return Quantity(found.units, found.asset)


def _instant(text: str) -> Timestamp:
    instant = Timestamp()
    instant.FromJsonString(text)
    return instant


def _assigner(field: FieldDescriptor) -> Callable[[Any, Any], None]:
    """Return what sets a field that holds one value: a number, a text, a time or an amount."""
    name = field.name
    if _message_name(field) == Timestamp.DESCRIPTOR.full_name:
        return lambda message, value: getattr(message, name).CopyFrom(value)
    if _message_name(field) == Amount.DESCRIPTOR.full_name:

        def assign_amount(message: Any, value: Quantity) -> None:
            part = getattr(message, name)
            assign_units(part, value.units)
            part.asset = value.asset

        assign_units = _assigner(Amount.DESCRIPTOR.fields_by_name["units"])
        return assign_amount

    def assign(message: Any, value: Any) -> None:
        try:
            setattr(message, name, value)
        except ValueError as error:  # Beyond the range of the field's number.
            raise LineFault(f"{name}: {error}") from error

    return assign


def _is_integer(field: FieldDescriptor) -> bool:
    return field.cpp_type in {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }


_KINDS_OF_MESSAGES: Final = {Amount.DESCRIPTOR.full_name: Kind.AMOUNT, Timestamp.DESCRIPTOR.full_name: Kind.TIME}


def _message_name(field: FieldDescriptor) -> str:
    return field.message_type.full_name if field.message_type is not None else ""


def _is_table_of_fields(field: FieldDescriptor) -> bool:
    """Tell whether a field is a message that the mapping writes as a table; times and amounts are values."""
    return field.message_type is not None and field.message_type.full_name not in _KINDS_OF_MESSAGES


def _class_of(field: FieldDescriptor) -> type[Message]:
    assert field.message_type is not None
    return GetMessageClass(field.message_type)


def _table(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MappingError(place, "is a table")
    return value


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise MappingError(place, '`when` is a condition in quotes, such as "paid > 0"')
    return value
