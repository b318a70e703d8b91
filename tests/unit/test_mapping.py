"""Mappings: what columns become, exactly; and what is said when one cannot be used."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from rapport.consent.v1.consent_service_pb2 import IngestConsentsItem
from rapport.events.v1 import consent_pb2, exchange_pb2, interaction_pb2
from rapport.exchange.v1.exchange_service_pb2 import IngestExchangesItem
from services.cli.importing.conditions import compile_condition
from services.cli.importing.faults import LineFault, MappingError
from services.cli.importing.mapping import ImportMapping, load_mapping
from services.cli.importing.request_ids import ImportIds
from services.cli.importing.source import FileReader, Line
from services.cli.importing.values import Kind, Row, compile_value

ROOT = Path(__file__).resolve().parent.parent.parent

SOURCE = """
[source]
format = "csv"
columns = ["customer", "when_", "value", "flag"]
[organization]
id = "acme"
"""
VISIT = """
[[interactions]]
customer_id = "{customer}"
kind = "VISIT"
direction = "OBSERVED"
"""


def mapping_of(tmp_path: Path, text: str, lines: str = "") -> tuple[ImportMapping, list[Line]]:
    (tmp_path / "map.toml").write_text(textwrap.dedent(text))
    (tmp_path / "data").write_bytes(lines.encode())
    mapping = load_mapping(tmp_path / "map.toml", tmp_path / "data")
    return mapping, list(FileReader(tmp_path / "data", mapping.source).lines())


def records(mapping: ImportMapping, line: Line) -> list[Any]:
    row = mapping.row(line.number, line.cells)
    built = [plan.build(row, f"id-{plan.number}") for plan in mapping.records]
    return [record for record in built if record is not None]


def only_exchange(mapping: ImportMapping, line: Line) -> Any:
    (record,) = (each for each in records(mapping, line) if isinstance(each, IngestExchangesItem))
    return record.operation.record


# The purchase history


CDNOW = """ customer_id  date number_of_cds  dollar_value\r
 00001 19970101  1   11.77\r
 00002 19970112  1   12.00\r
 00455 19970102  2    0.00\r
"""


def cdnow(tmp_path: Path) -> tuple[ImportMapping, list[Line]]:
    return mapping_of(tmp_path, (ROOT / "examples" / "cdnow.toml").read_text(), CDNOW)


def test_a_purchase_is_an_interaction_and_an_exchange_of_money_against_goods(tmp_path: Path) -> None:
    mapping, lines = cdnow(tmp_path)

    interaction, exchange = records(mapping, lines[0])

    assert 'customer_id: "00001"' in str(interaction)
    assert 852076800 == interaction.occur_time.seconds  # 1997-01-01T00:00:00Z
    assert interaction_pb2.INTERACTION_KIND_PURCHASE == interaction.interaction.kind
    assert interaction_pb2.DIRECTION_INBOUND == interaction.interaction.direction
    assert interaction.context.historical_import
    assert "00001" == exchange.operation.customer_id
    recorded = exchange.operation.record
    assert ("cdnow-2", 852076800) == (recorded.exchange_id, recorded.occur_time.seconds)
    assert exchange_pb2.ONE_SIDED_UNSPECIFIED == recorded.one_sided
    assert recorded.context.historical_import
    assert [
        (exchange_pb2.PARTY_CUSTOMER, exchange_pb2.CATEGORY_MONEY_PAYMENT, 1177, "USD/2"),
        (exchange_pb2.PARTY_ORGANIZATION, exchange_pb2.CATEGORY_GOODS, 1, "CD/0"),
    ] == [(leg.giver, leg.category, leg.amount.units, leg.amount.asset) for leg in recorded.legs]


def test_a_purchase_of_nothing_is_a_gift_without_a_money_leg(tmp_path: Path) -> None:
    mapping, lines = cdnow(tmp_path)

    recorded = only_exchange(mapping, lines[2])

    assert exchange_pb2.ONE_SIDED_GIFT == recorded.one_sided
    assert [("CD/0", 2)] == [(leg.amount.asset, leg.amount.units) for leg in recorded.legs]


def test_line_numbers_count_the_header(tmp_path: Path) -> None:
    _, lines = cdnow(tmp_path)

    assert [2, 3, 4] == [line.number for line in lines]
    assert " 00001 19970101  1   11.77" == lines[0].text
    assert len(CDNOW) == lines[-1].end


# Source


def test_csv_records_may_span_lines_and_quote_delimiters(tmp_path: Path) -> None:
    text = 'customer,when_,value,flag\r\nc-1,"a,b","1\n2",x\r\n\r\nc-2 , y,3, \n'
    mapping, lines = mapping_of(tmp_path, SOURCE.replace("columns", "header_lines = 1\ncolumns") + VISIT, text)

    assert [(2, ("c-1", "a,b", "1\n2", "x")), (5, ("c-2", "y", "3", ""))] == [
        (line.number, tuple(line.cells)) for line in lines
    ]
    assert ["", ""] == [line.fault for line in lines]
    assert "c-1" == mapping.row(2, lines[0].cells)["customer"]


def test_columns_may_come_from_the_header(tmp_path: Path) -> None:
    text = SOURCE.replace('columns = ["customer", "when_", "value", "flag"]', "header_lines = 1\ndelimiter = ';'")
    mapping, lines = mapping_of(tmp_path, text + VISIT, "\ufeffcustomer;day\nc-1;monday\n")

    assert ("customer", "day") == mapping.source.columns
    assert ["c-1", "monday"] == list(lines[0].cells)


def test_a_faulty_line_is_told_and_the_next_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(SOURCE + VISIT)
    (tmp_path / "data").write_bytes(b"a,b,c\nc-\xff,1,2,3\nc-1,1,2,3\n")
    mapping = load_mapping(tmp_path / "map.toml", tmp_path / "data")

    lines = list(FileReader(tmp_path / "data", mapping.source).lines())

    assert ["3 columns where 4 are expected", "holds bytes that are not utf-8", ""] == [line.fault for line in lines]


def test_a_quote_that_is_never_closed_does_not_take_the_whole_file(tmp_path: Path) -> None:
    text = 'c-1,"1,2,3\n' + "c-2,1,2,3\n" * 20_000
    _, lines = mapping_of(tmp_path, SOURCE + VISIT, text)

    assert "field larger" in lines[0].fault
    assert lines[-1].fault == ""
    assert 20_001 == lines[-1].number


# Values and conditions


def value(spec: dict[str, Any], cells: dict[str, str]) -> Any:
    kinds = dict.fromkeys(cells, Kind.TEXT)
    _, make = compile_value(spec, kinds, "values.it")
    return make(Row({}, cells))


@pytest.mark.parametrize(
    "spec, cell, expected",
    [
        ({"type": "amount", "asset": "EUR/2"}, "1.25", (125, "EUR/2")),
        ({"type": "amount", "asset": "EUR/2", "decimal_mark": ",", "group_mark": "."}, "1.250,5", (125050, "EUR/2")),
        ({"type": "amount", "asset": "EUR/2", "absolute": True}, "-3", (300, "EUR/2")),
        ({"type": "integer"}, "007", 7),
        ({"type": "text", "lookup": {"M": "EMAIL"}, "otherwise": "WEB"}, "X", "WEB"),
        ({"type": "integer", "optional": True}, "", None),
    ],
)
def test_cells_become_values(spec: dict[str, Any], cell: str, expected: object) -> None:
    assert expected == value({"from": "{cell}", **spec}, {"cell": cell})


@pytest.mark.parametrize(
    "spec, cell, seconds",
    [
        ({"format": "%Y%m%d", "zone": "UTC"}, "19970101", 852076800),
        ({"format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"}, "01.07.1997 02:00", 867715200),
        ({"format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"}, "26.10.1997 02:30", 877825800),  # The first of two.
        ({}, "1997-01-01T01:00:00+01:00", 852076800),
        ({"format": "unix"}, "852076800.5", 852076800),
    ],
)
def test_times_have_a_zone(spec: dict[str, Any], cell: str, seconds: int) -> None:
    assert seconds == value({"type": "time", "from": "{cell}", **spec}, {"cell": cell}).seconds


@pytest.mark.parametrize(
    "spec, cell, reason",
    [
        ({"type": "amount", "asset": "EUR/2"}, "1.255", "it: '1.255' has more than 2 decimals"),
        ({"type": "amount", "asset": "EUR/2"}, "1,25", "it: '1,25' is no decimal number"),
        ({"type": "amount", "asset": "EUR/2", "decimal_mark": ","}, "1.25", "no decimal number"),
        ({"type": "amount", "asset": "{cell}"}, "12", "is no asset"),
        ({"type": "time", "format": "%Y%m%d", "zone": "UTC"}, "19970231", "it: day is out of range"),
        ({"type": "time", "format": "%H:%M %d.%m.%Y", "zone": "Europe/Berlin"}, "02:30 30.03.1997", "does not exist"),
        ({"type": "time"}, "1997-01-01T00:00:00", "names no zone"),
        ({"type": "text", "lookup": {"M": "EMAIL"}}, "X", "'X' is not in the lookup"),
        ({"type": "integer"}, "", "no decimal number"),
    ],
)
def test_what_cannot_be_read_is_the_lines_fault(spec: dict[str, Any], cell: str, reason: str) -> None:
    with pytest.raises(LineFault, match=reason.replace("(", r"\(")):
        value({"from": "{cell}", **spec}, {"cell": cell})


KINDS = {"paid": Kind.AMOUNT, "n": Kind.INTEGER, "flag": Kind.TEXT, "day": Kind.TIME, "none": Kind.INTEGER}


@pytest.mark.parametrize(
    "condition, expected",
    [
        ("paid > 0", True),
        ("paid = 12.50", True),
        ("12.5 <= paid and n < 8", True),
        ("n != 7 or flag = 'x'", True),
        ("not (flag = 'x')", False),
        ("n = 7 and flag != 'x' or paid > 12.49", True),
        ("day >= '1997-03-31T00:00:00Z'", True),
        ("day < '1997-03-31T02:00:00+02:00'", False),
        ("none > 0", False),
        ("none != 0", True),
        ("n < paid", True),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    made = {
        "paid": value({"type": "amount", "from": "12.50", "asset": "EUR/2"}, {}),
        "day": value({"type": "time", "from": "1997-03-31T00:00:00Z"}, {}),
    }

    assert expected is compile_condition(condition, KINDS, "when")(Row({}, {"n": 7, "flag": "x", "none": None, **made}))


@pytest.mark.parametrize(
    "condition, complaint",
    [
        ("", "missing"),
        ("paid", "comparison is missing"),
        ("paid > ", "missing"),
        ("cents > 0", "neither a column nor a value"),
        ("flag > 'a'", "texts are compared"),
        ("flag = 1", "text is compared with one of type integer"),
        ("(n = 1", "parenthesis"),
        ("n = 1 n = 2", "one too many"),
        ("__import__('os') = 1", "neither"),
        ("day > 'soon'", "write a time"),
        ("n = 1; n = 2", "cannot be read"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(condition: str, complaint: str) -> None:
    with pytest.raises(MappingError, match=complaint):
        compile_condition(condition, KINDS, "when")


# Records


FULL = (
    SOURCE
    + """
[context]
actor = "loader"
historical_import = true

[values.at]
type = "time"
from = "{when_}"
format = "%Y-%m-%d"
zone = "UTC"

[values.paid]
type = "amount"
from = "{value}"
asset = "EUR/2"

[[interactions]]
when = "flag != 'consent'"
customer_id = "{customer}"
occur_time = "{at}"
kind = "{flag}"
direction = "INBOUND"
attention_seconds = 30
cost = { when = "paid > 100", value = "0.50 EUR/2", otherwise = "{paid}" }
sentiment = { when = "paid > 5", value = "POSITIVE", provenance = "DECLARED" }
order_id = "{{{customer}}}-{line}"

[[interactions.attributes]]
key = "size"
provenance = "INFERRED"
code = "{value}"

[[consents]]
when = "flag = 'consent'"
act = "withdrawn"
customer_id = "{customer}"
occur_time = "{at}"
purposes = ["newsletter", "{value}"]
channels = ["EMAIL", { when = "paid > 1", value = "SMS" }]
context = { actor = "{customer}" }
"""
)


def test_every_field_of_an_event_can_be_filled(tmp_path: Path) -> None:
    mapping, lines = mapping_of(tmp_path, FULL, "c-1,1997-03-31,7.50,VISIT\nc-2,1997-03-31,2,consent\n")

    (interaction,) = records(mapping, lines[0])
    (consent,) = records(mapping, lines[1])

    assert "loader" == interaction.context.actor
    event = interaction.interaction
    assert interaction_pb2.INTERACTION_KIND_VISIT == event.kind
    assert (30, "{c-1}-1") == (event.attention_seconds, event.order_id)
    assert (750, "EUR/2") == (event.cost.units, event.cost.asset)
    assert interaction_pb2.SENTIMENT_VALUE_POSITIVE == event.sentiment.value
    assert [("size", "7.50")] == [(each.key, each.code) for each in event.attributes]
    assert isinstance(consent, IngestConsentsItem)
    assert ("c-2", "c-2") == (consent.act.customer_id, consent.act.context.actor)
    assert ["newsletter", "2"] == list(consent.act.withdrawn.purposes)
    assert [interaction_pb2.CHANNEL_EMAIL, interaction_pb2.CHANNEL_SMS] == list(consent.act.withdrawn.channels)


def test_a_withdrawal_of_everything_needs_no_field(tmp_path: Path) -> None:
    text = SOURCE + '[[consents]]\nact = "withdrawn"\ncustomer_id = "{customer}"\n'
    mapping, lines = mapping_of(tmp_path, text, "c-1,1,2,3\n")

    (consent,) = records(mapping, lines[0])

    assert isinstance(consent, IngestConsentsItem)
    assert consent.act.HasField("withdrawn")
    assert consent_pb2.ConsentWithdrawn() == consent.act.withdrawn


def test_a_cell_that_does_not_fit_its_field_is_the_lines_fault(tmp_path: Path) -> None:
    mapping, lines = mapping_of(tmp_path, FULL, "c-1,1997-03-31,7.50,DANCE\nc-1,1997-13-31,7.50,VISIT\n")

    with pytest.raises(LineFault, match="kind: 'DANCE' is none of MESSAGE, CALL"):
        records(mapping, lines[0])
    with pytest.raises(LineFault, match="at: "):
        records(mapping, lines[1])


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "source.format"),
        (SOURCE, "nothing to record"),
        (SOURCE + VISIT + 'colour = "red"', r"interactions\[0\].interaction.colour: InteractionRecorded has no such"),
        (SOURCE + VISIT.replace("VISIT", "DANCE"), "'DANCE' is none of MESSAGE"),
        (SOURCE + VISIT.replace("{customer}", "{client}"), "{client} is neither a column nor a value"),
        (SOURCE + VISIT.replace('customer_id = "{customer}"', ""), "customer_id: is needed"),
        (SOURCE + VISIT + 'occur_time = "{when_}"', "value of type time by its name alone"),
        (SOURCE + VISIT + 'occur_time = "yesterday"', "occur_time"),
        (SOURCE + VISIT + "attention_seconds = true", "does not fit attention_seconds"),
        (SOURCE + VISIT + 'sentiment = "POSITIVE"', "is a table"),
        (SOURCE + VISIT + "channel = { value = 'WEB' }", 'when = "..."'),
        (SOURCE + VISIT.replace("interactions", "purchases"), "unknown purchases"),
        (SOURCE.replace('"flag"', '"line"') + VISIT, "'line': names are"),
        (SOURCE.replace("csv", "excel") + VISIT, "csv"),
        (SOURCE.replace("[organization]", 'encoding = "utf-16"\n[organization]') + VISIT, "line by line"),
        (SOURCE.replace("[organization]", 'key = ["order"]\n[organization]') + VISIT, "source.key"),
        (SOURCE.replace('id = "acme"', "") + VISIT, "organization.id"),
        (SOURCE + "[values.t]\ntype = 'time'\nfrom = '{when_}'\nformat = '%Y'" + VISIT, "needs `zone`"),
        (SOURCE + "[values.t]\ntype = 'time'\nfrom = '{when_}'\nzone = 'Mars/Base'" + VISIT, "no time zone"),
        (SOURCE + "[values.customer]\ntype = 'text'\nfrom = ''" + VISIT, "that no column has"),
        (SOURCE + VISIT.replace("interactions", "consents"), "act: is one of"),
        ("[source", "is no TOML"),
    ],
)
def test_a_mapping_that_cannot_be_used_says_where_and_why(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(MappingError, match=complaint):
        mapping_of(tmp_path, text)


def test_the_mapping_of_the_recipe_works(tmp_path: Path) -> None:
    recipe = (ROOT / "docs" / "recipes" / "import.md").read_text()
    text = recipe.partition("```toml\n")[2].partition("```")[0]
    header = "order;customer;time;kind;total;currency;newsletter\n"
    lines = "o-1;c-1;17.04.2026 18:05;W;1.039,90;EUR;yes\no-1r;c-1;20.04.2026 09:00;R;-39,90;EUR;\n"
    mapping, (bought, returned) = mapping_of(tmp_path, text, header + lines)

    interaction, consent, exchange = records(mapping, bought)
    (refund,) = records(mapping, returned)

    assert interaction_pb2.CHANNEL_WEB == interaction.interaction.channel
    assert "o-1" == interaction.context.external_id
    assert ["newsletter"] == list(consent.act.given.purposes)
    assert [(exchange_pb2.PARTY_CUSTOMER, 103_990)] == [
        (leg.giver, leg.amount.units) for leg in exchange.operation.record.legs
    ]
    assert [(exchange_pb2.PARTY_ORGANIZATION, 3_990)] == [
        (leg.giver, leg.amount.units) for leg in refund.operation.record.legs
    ]


# Request ids


def test_request_ids_come_out_the_same_and_never_twice() -> None:
    ids = ImportIds("cdnow")
    made = [ids.of_line(line, record) for record in range(3) for line in range(1, 2000)]

    assert made == sorted(set(made))
    assert made == [ImportIds("cdnow").of_line(line, record) for record in range(3) for line in range(1, 2000)]
    assert not set(made) & {ImportIds("other").of_line(line, 0) for line in range(1, 2000)}
    assert {"8"} == {each[14] for each in made}


def test_request_ids_of_a_key_depend_on_the_cells_and_not_on_the_line() -> None:
    ids = ImportIds("orders")

    assert ids.of_key(("a", "bc"), 0) == ids.of_key(("a", "bc"), 0)
    distinct = {ids.of_key(key, record) for key in (("a", "bc"), ("ab", "c"), ("abc",)) for record in (0, 1)}
    assert 6 == len(distinct | {ImportIds("other").of_key(("a", "bc"), 0)}) - 1


def test_request_ids_are_fixed_for_ever() -> None:
    # Whoever changes these doubles what users import again.
    assert "b7ed64fd-5428-8001-8000-0000084675ec" == ImportIds("cdnow").of_line(2, 1)
    assert "df689dd7-0f9b-8000-b3a0-9de1527a9064" == ImportIds("cdnow").of_key(("order-7",), 0)
