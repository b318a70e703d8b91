"""Values of a line: its cells, and what the mapping makes of them.

A value is worked out when it is first asked for, so that one nobody needs for a line cannot spoil the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from google.protobuf.timestamp_pb2 import Timestamp

from services.cli.importing.faults import LineFault, MappingError
from services.client.values import ASSET, amount_text, scale_of, time_text, timestamp, to_units

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
LINE: Final = "line"
"""Name of the line's number, from 1, the header lines counted. Always there."""


class Quantity(NamedTuple):
    """An amount read from a line; unlike an Amount it may be 0 or negative, so that conditions can ask."""

    units: int
    asset: str

    @property
    def number(self) -> Decimal:
        """The decimal number. Example: 12.50."""
        return Decimal(self.units).scaleb(-scale_of(self.asset))


Value = str | int | Quantity | Timestamp | None
"""A cell or a lookup; a whole number; an amount; a time; nothing, where an optional one is empty."""


class Kind(Enum):
    """What a value is, for those who check a mapping; the names are those of `type`."""

    TEXT = "text"
    INTEGER = "integer"
    AMOUNT = "amount"
    TIME = "time"


class Row(dict[str, Any]):
    """Values of one line by name."""

    __slots__ = ("_plan",)

    def __init__(self, plan: Mapping[str, Callable[[Row], Value]], cells: Mapping[str, Value]) -> None:
        super().__init__(cells)
        self._plan = plan

    def __missing__(self, name: str) -> Value:
        value = self._plan[name](self)
        self[name] = value
        return value


Maker = Callable[[Row], Value]
Kinds = Mapping[str, Kind]


def as_text(value: Value) -> str:
    """Return a value as it stands in a template."""
    match value:
        case str():
            return value
        case Quantity():
            return amount_text(*value).partition(" ")[0]
        case Timestamp():
            return time_text(value)
        case None:
            return ""
        case _:
            return str(value)


_PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|([{}])")


def names_in(template: str, kinds: Kinds, place: str) -> list[str]:
    """Return the names a template uses.

    Raises:
        MappingError: A name is not known, or a brace stands alone.
    """
    names = []
    for match in _PLACEHOLDER.finditer(template):
        if match[2] is not None:
            raise MappingError(place, f"a single {match[2]!r} in {template!r}; write it twice to mean the character")
        if match[1] is not None:
            if match[1] not in kinds:
                known = ", ".join(kinds)
                raise MappingError(place, f"{{{match[1]}}} is neither a column nor a value; there are {known}")
            names.append(match[1])
    return names


def only_name(template: str) -> str | None:
    """Return the name, where a template is nothing but one placeholder."""
    match = _PLACEHOLDER.fullmatch(template)
    return match[1] if match is not None else None


def compile_template(template: str, kinds: Kinds, place: str) -> Callable[[Row], str]:
    """Return what fills a template in. `{name}` is a column or value, `{{` and `}}` are braces.

    Raises:
        MappingError: As `names_in`.
    """
    names_in(template, kinds, place)
    name = only_name(template)
    if name is not None:
        return lambda row: as_text(row[name])
    parts: list[tuple[str, str | None]] = []
    end = 0
    for match in _PLACEHOLDER.finditer(template):
        literal = template[end : match.start()] + ("" if match[1] is not None else match[0][0])
        parts.append((literal, match[1]))
        end = match.end()
    rest = template[end:]
    return lambda row: "".join([text + (as_text(row[name]) if name else "") for text, name in parts]) + rest


def compile_value(spec: dict[str, Any], kinds: Kinds, place: str) -> tuple[Kind, Maker]:
    """Return the kind of a value and what works it out. `kinds` are the columns and the values declared before.

    Raises:
        MappingError: The specification is not one of those below.
    """
    spec = dict(spec)
    kind = spec.pop("type", None)
    source = spec.pop("from", None)
    optional = spec.pop("optional", False)
    if not isinstance(source, str) or not isinstance(optional, bool):
        raise MappingError(place, 'needs `from`, a template such as "{column}"; `optional` is true or false')
    text = compile_template(source, kinds, place)
    if kind not in _COMPILERS:
        raise MappingError(place, f"`type` is one of {', '.join(_COMPILERS)}")
    made, convert = _COMPILERS[kind](spec, kinds, place)
    if spec:
        raise MappingError(place, f"unknown {', '.join(spec)} for a value of type {kind}")
    return made, _checked(text, convert, optional, place.rpartition(".")[2])


Convert = Callable[[str, Row], Value]


def _checked(text: Callable[[Row], str], convert: Convert, optional: bool, name: str) -> Maker:
    def make(row: Row) -> Value:
        found = text(row)
        if not found and optional:
            return None
        try:
            return convert(found, row)
        except ValueError as error:
            raise LineFault(f"{name}: {error}") from error

    return make


def _text(spec: dict[str, Any], _: Kinds, place: str) -> tuple[Kind, Convert]:
    lookup = spec.pop("lookup", None)
    otherwise = spec.pop("otherwise", None)
    if lookup is None:
        return Kind.TEXT, lambda text, _: text
    if not isinstance(lookup, dict) or not all(isinstance(value, str) for value in [*lookup.values(), otherwise or ""]):
        raise MappingError(place, '`lookup` is a table such as { M = "EMAIL" }, `otherwise` a text')

    def convert(text: str, _: Row) -> Value:
        found = lookup.get(text, otherwise)
        if found is None:
            raise ValueError(f"{text!r} is not in the lookup")
        return str(found)

    return Kind.TEXT, convert


def _integer(_: dict[str, Any], __: Kinds, ___: str) -> tuple[Kind, Convert]:
    return Kind.INTEGER, lambda text, _: to_units(text, 0)


def _amount(spec: dict[str, Any], kinds: Kinds, place: str) -> tuple[Kind, Convert]:
    asset = spec.pop("asset", None)
    mark = spec.pop("decimal_mark", ".")
    group = spec.pop("group_mark", "")
    absolute = spec.pop("absolute", False)
    if not isinstance(asset, str) or not (names_in(asset, kinds, place) or ASSET.match(asset)):
        raise MappingError(place, '`asset` is CODE/scale such as "EUR/2", or a template that gives one')
    if mark not in {".", ","} or group not in {"", ".", ",", " ", "'"} or mark == group:
        raise MappingError(place, '`decimal_mark` is "." or ",", `group_mark` another mark or nothing')
    asset_of = compile_template(asset, kinds, place)

    def convert(text: str, row: Row) -> Value:
        name = asset_of(row)
        plain = text.replace(group, "") if group else text
        units = to_units(plain if mark == "." else plain.replace(".", "?").replace(mark, "."), scale_of(name))
        return Quantity(abs(units) if absolute else units, name)

    return Kind.AMOUNT, convert


def _time(spec: dict[str, Any], _: Kinds, place: str) -> tuple[Kind, Convert]:
    form = spec.pop("format", "iso")
    zone_name = spec.pop("zone", None)
    try:
        zone = None if zone_name is None else UTC if zone_name == "UTC" else ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, TypeError) as error:
        raise MappingError(place, f"{zone_name!r} is no time zone; write one such as Europe/Berlin, or UTC") from error
    if not isinstance(form, str):
        raise MappingError(place, '`format` is "iso", "unix", or a format of strptime such as "%d.%m.%Y %H:%M"')
    if form == "unix":
        return Kind.TIME, lambda text, _: _from_unix(text)
    if zone is None and form != "iso" and "%z" not in form:
        raise MappingError(place, "needs `zone`: without one the time could be any of two dozen")

    # Dates repeat from line to line; reading one costs as much as building the message it goes into.
    @lru_cache(maxsize=4096)
    def parse(text: str) -> Timestamp:
        time = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007  # Zone: next.
        return timestamp(_in_zone(time, zone))

    return Kind.TIME, lambda text, _: parse(text)


def _from_unix(text: str) -> Timestamp:
    seconds, micros = divmod(to_units(text, 6), 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def _in_zone(time: datetime, zone: tzinfo | None) -> datetime:
    """Return a time with its zone: its own, else the mapping's. A time said twice a year counts as the earlier one."""
    if time.tzinfo is not None:
        return time
    if zone is None:
        raise ValueError(f"{time.isoformat()} names no zone, and the mapping gives none")
    placed = time.replace(tzinfo=zone)
    if placed.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != time:
        raise ValueError(f"{time.isoformat()} does not exist in {zone}: the clocks are set forward over it")
    return placed


_COMPILERS: Final[Mapping[str, Callable[[dict[str, Any], Kinds, str], tuple[Kind, Convert]]]] = {
    "text": _text,
    "integer": _integer,
    "amount": _amount,
    "time": _time,
}
