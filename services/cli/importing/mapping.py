"""Mappings: TOML files that say what the columns of a table mean. `docs/recipes/import.md` explains them.

[source]            how the file is read, and what makes a line unique
[organization]      whose customers these are
[[assets]]          assets to register before the first line
[context]           who recorded it and so on, for every record that does not say otherwise
[values.NAME]       times, amounts, numbers, looked-up texts made of columns
[[interactions]]    each of these becomes one record of a line, unless its `when` does not hold; the keys are
[[consents]]        customer_id, occur_time, context and the fields of the event's message; consents say in `act`
[[exchanges]]       whether something was given, refused or withdrawn
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from rapport.consent.v1.consent_service_pb2 import IngestConsentsItem
from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.exchange.v1.exchange_service_pb2 import IngestExchangesItem
from rapport.interaction.v1.interaction_service_pb2 import IngestInteractionsItem
from services.cli.importing.faults import MappingError
from services.cli.importing.fields import Shape, compile_message
from services.cli.importing.source import SourceSpec, check_encoding, header_of
from services.cli.importing.values import LINE, NAME, Kind, Kinds, Maker, Row, compile_value

Record = IngestInteractionsItem | IngestConsentsItem | IngestExchangesItem
RecordType = type[IngestInteractionsItem] | type[IngestConsentsItem] | type[IngestExchangesItem]
KINDS: Final = ("interactions", "consents", "exchanges")
"""Kinds of records, in the order in which those of a line are sent."""
_ACTS: Final = ("given", "refused", "withdrawn")


@dataclass(frozen=True, slots=True)
class RecordPlan:
    """One kind of record that a line may become."""

    kind: str
    """`interactions`, `consents` or `exchanges`."""
    number: int
    """Place among the mapping's records, from 0; part of the request id, so the order of a mapping is kept."""
    message_type: RecordType
    """The item that the service takes."""
    shape: Shape
    """What it looks like."""

    def build(self, row: Row, request_id: str) -> Record | None:
        """Return the record of a line, or None where its condition does not hold.

        Raises:
            LineFault: The line does not give what it needs.
        """
        if self.shape.when is not None and not self.shape.when(row):
            return None
        record = self.message_type(request_id=request_id)
        self.shape.fill(record, row)
        return record


@dataclass(frozen=True, slots=True)
class ImportMapping:
    """A mapping, checked."""

    source: SourceSpec
    organization_id: str
    assets: tuple[AssetRegistered, ...]
    values: Mapping[str, Maker]
    records: tuple[RecordPlan, ...]

    def row(self, number: int, cells: Sequence[str]) -> Row:
        """Return the values of a line."""
        return Row(self.values, {LINE: number, **dict(zip(self.source.columns, cells, strict=True))})


def load_mapping(path: Path, file: Path, organization_id: str | None = None) -> ImportMapping:
    """Return the mapping in a TOML file. `file` is what it will be used on: its header may give the columns.

    `organization_id` takes the place of the mapping's.

    Raises:
        MappingError: It cannot be used; the message names the place.
        OSError: One of the files cannot be read.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(path.name, f"is no TOML: {error}") from error
    _only(document, ("source", "organization", "assets", "context", "values", *KINDS), path.name)
    source = _source(_section(document, "source"), file)
    kinds, makers = _values(_section(document, "values"), source)
    records = _records(document, kinds)
    if not records:
        raise MappingError(path.name, "nothing to record; add [[interactions]], [[consents]] or [[exchanges]]")
    organization = _section(document, "organization")
    _only(organization, ("id",), "organization")
    organization_id = organization_id or organization.get("id")
    if not isinstance(organization_id, str):
        raise MappingError("organization.id", "is needed: whose customers these are")
    return ImportMapping(source, organization_id, _assets(document), makers, records)


def _source(table: dict[str, Any], file: Path) -> SourceSpec:
    _only(table, [each.name for each in fields(SourceSpec)], "source")
    for name, value in table.items():
        if name == "header_lines":
            if type(value) is not int or value < 0:
                raise MappingError("source.header_lines", "is a number of lines, from 0")
        elif name in {"columns", "key"}:
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise MappingError(f"source.{name}", "is a list of names")
        elif not isinstance(value, str):
            raise MappingError(f"source.{name}", "is a text")
    if table.get("format") not in {"csv", "whitespace"}:
        raise MappingError("source.format", 'is "csv" or "whitespace"')
    if len(table.get("delimiter", ",")) != 1 or len(table.get("quote", '"')) > 1:
        raise MappingError("source", "`delimiter` is one character, `quote` one or none")
    check_encoding(table.get("encoding", "utf-8"), "source.encoding")
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
    spec = replace(SourceSpec(format=table["format"], columns=()), **given)
    if not spec.columns:
        if spec.header_lines < 1:
            raise MappingError("source", "needs `columns`, or `header_lines` with their names in the last of them")
        spec = replace(spec, columns=header_of(file, spec))
    _check_columns(spec)
    return spec


def _check_columns(spec: SourceSpec) -> None:
    for column in spec.columns:
        if NAME.match(column) is None or column == LINE or spec.columns.count(column) > 1:
            raise MappingError(
                "source.columns", f"{column!r}: names are letters, digits and _, each once, and not `line`"
            )
    for part in spec.key:
        if part != LINE and part not in spec.columns:
            raise MappingError("source.key", f"{part!r} is neither `line` nor a column")
    if not spec.key or (LINE in spec.key and len(spec.key) > 1):
        raise MappingError("source.key", 'is ["line"], or the columns that make a line unique')


def _values(table: dict[str, Any], source: SourceSpec) -> tuple[Kinds, Mapping[str, Maker]]:
    """Return what every name is, and how values are made; a value may use those above it."""
    kinds = {LINE: Kind.INTEGER} | dict.fromkeys(source.columns, Kind.TEXT)
    makers: dict[str, Maker] = {}
    for name, spec in table.items():
        place = f"values.{name}"
        if NAME.match(name) is None or name in kinds or not isinstance(spec, dict):
            raise MappingError(place, "is a table with a name of letters, digits and _ that no column has")
        kinds[name], makers[name] = compile_value(spec, kinds, place)
    return kinds, makers


def _records(document: dict[str, Any], kinds: Kinds) -> tuple[RecordPlan, ...]:
    context = _section(document, "context")
    plans: list[RecordPlan] = []
    for kind in KINDS:
        message_type, nest = _ITEMS[kind]
        tables = document.get(kind, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise MappingError(kind, f"is a list of tables, [[{kind}]]")
        for index, table in enumerate(tables):
            place = f"{kind}[{index}]"
            if "customer_id" not in table:
                raise MappingError(f"{place}.customer_id", "is needed: whose record this is")
            nested = nest({**({"context": context} if context else {}), **table}, place)
            plans.append(
                RecordPlan(kind, len(plans), message_type, compile_message(message_type, nested, kinds, place))
            )
    return tuple(plans)


def _parts(table: dict[str, Any], *names: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the entries of these names, and all others."""
    return (
        {name: value for name, value in table.items() if name in names},
        {name: value for name, value in table.items() if name not in names},
    )


def _nest_interaction(table: dict[str, Any], _: str) -> dict[str, Any]:
    own, event = _parts(table, "when", "customer_id", "occur_time", "context")
    return {**own, "interaction": event}


def _nest_consent(table: dict[str, Any], place: str) -> dict[str, Any]:
    act = table.get("act")
    if act not in _ACTS:
        raise MappingError(f"{place}.act", f"is one of {', '.join(_ACTS)}")
    when, rest = _parts(table, "when")
    own, event = _parts(rest, "customer_id", "occur_time", "context")
    event.pop("act")
    return {**when, "act": {**own, act: event}}


def _nest_exchange(table: dict[str, Any], _: str) -> dict[str, Any]:
    own, exchange = _parts(table, "when", "customer_id")
    when, customer = _parts(own, "when")
    return {**when, "operation": {**customer, "record": exchange}}


_ITEMS: Final[Mapping[str, tuple[RecordType, Callable[[dict[str, Any], str], dict[str, Any]]]]] = {
    "interactions": (IngestInteractionsItem, _nest_interaction),
    "consents": (IngestConsentsItem, _nest_consent),
    "exchanges": (IngestExchangesItem, _nest_exchange),
}


def _assets(document: dict[str, Any]) -> tuple[AssetRegistered, ...]:
    assets = []
    for index, table in enumerate(document.get("assets", [])):
        shape = compile_message(AssetRegistered, table, {}, f"assets[{index}]")
        if shape.setters or shape.when is not None:
            raise MappingError(f"assets[{index}]", "is the same for the whole file")
        assert isinstance(shape.prototype, AssetRegistered)
        assets.append(shape.prototype)
    return tuple(assets)


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise MappingError(name, f"is a table, [{name}]")
    return table


def _only(table: dict[str, Any], names: Any, place: str) -> None:
    unknown = [name for name in table if name not in names]
    if unknown:
        raise MappingError(place, f"unknown {', '.join(unknown)}; there are {', '.join(names)}")
