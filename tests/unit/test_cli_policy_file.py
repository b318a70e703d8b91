"""Valuation policies as TOML: exact amounts, no floats, and every fault with its line, table and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import valuation_pb2 as v
from services.cli.exits import UsageFault
from services.cli.policy_file import PolicyFile, nanos_per_minor_unit, per_whole_unit, read_policy, units_of_account
from tests.server import ROOT

HEAD = """\
policy_id = "shop"
unit_of_account = "EUR"
effective_from_time = 2026-01-01T01:00:00+01:00
"""
RULE = """
[[rules]]
rule_id = "paid"
perspective = "CUSTOMER"
side = "GIVE"
category = "MONEY_PAYMENT"
asset = "EUR/2"
rate = "1"
method = "FACE"
source = "a euro is a euro"
"""


def read(tmp_path: Path, text: str) -> PolicyFile:
    path = tmp_path / "shop.toml"
    path.write_text(text)
    return read_policy(path)


def faults(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    return [(fault.place, fault.description) for fault in read(tmp_path, text).faults]


def with_rule(**changes: str | None) -> str:
    """A file whose one rule has other keys: TOML values by key, None: not there."""
    lines = dict(line.split(" = ", 1) for line in RULE.splitlines() if " = " in line)
    merged = {**lines, **changes}
    return HEAD + "\n[[rules]]\n" + "\n".join(f"{key} = {value}" for key, value in merged.items() if value is not None)


def test_a_file_becomes_the_policy_it_describes(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
version = 3
kappa = "2.5"
trend_days = 30
[[labels]]
name = "FAIR"
up_to_ppm = 50_000
"""
        + RULE
        + """
[[rules]]
rule_id = "points"
perspective = "ORGANIZATION"
side = "GIVE"
group = "POINTS"
asset = "PT/0"
rate = "0.01"
low_nanos = 7
high = 1
method = "IMPUTED"
source = "what they cost"
redemption_ppm = 800_000
[[rules]]
rule_id = "any"
perspective = "CUSTOMER"
side = "GET"
any_category = true
asset = "MIN/0"
rate_nanos = 9
low_nanos = 9
high_nanos = 9
method = "SURVEY_WTP"
source = "asked"
"""
    )

    file = read(tmp_path, text)

    assert [] == file.faults
    assert (
        v.ValuationPolicy(
            policy_id="shop",
            version=3,
            unit_of_account="EUR",
            effective_from_time=Timestamp(seconds=1_767_225_600),
            kappa_nanos=2_500_000_000,
            labels=[v.ValuationLabel(name="FAIR", up_to_ppm=50_000)],
            trend_days=30,
            rules=[
                v.ValuationRule(
                    rule_id="paid",
                    perspective=x.PARTY_CUSTOMER,
                    side=v.SIDE_GIVE,
                    category=x.CATEGORY_MONEY_PAYMENT,
                    asset="EUR/2",
                    rate_nanos=10_000_000,
                    low_nanos=10_000_000,
                    high_nanos=10_000_000,
                    method=v.VALUATION_METHOD_FACE,
                    source="a euro is a euro",
                ),
                v.ValuationRule(
                    rule_id="points",
                    perspective=x.PARTY_ORGANIZATION,
                    side=v.SIDE_GIVE,
                    group="POINTS",
                    asset="PT/0",
                    rate_nanos=10_000_000,
                    low_nanos=7,
                    high_nanos=1_000_000_000,
                    method=v.VALUATION_METHOD_IMPUTED,
                    source="what they cost",
                    redemption_ppm=800_000,
                ),
                v.ValuationRule(
                    rule_id="any",
                    perspective=x.PARTY_CUSTOMER,
                    side=v.SIDE_GET,
                    any_category=True,
                    asset="MIN/0",
                    rate_nanos=9,
                    low_nanos=9,
                    high_nanos=9,
                    method=v.VALUATION_METHOD_SURVEY_WTP,
                    source="asked",
                ),
            ],
        )
        == file.policy
    )


def test_what_is_left_out_is_left_to_the_server(tmp_path: Path) -> None:
    policy = read(tmp_path, HEAD + RULE).policy

    assert (0, 0, False, 0, b"") == (
        policy.version,
        policy.trend_days,
        policy.HasField("kappa_nanos"),
        len(policy.labels),
        policy.digest,
    )


def test_a_kappa_of_zero_is_said(tmp_path: Path) -> None:
    assert read(tmp_path, HEAD + 'kappa = "0"\n' + RULE).policy.HasField("kappa_nanos")
    assert 7 == read(tmp_path, HEAD + "kappa_nanos = 7\n" + RULE).policy.kappa_nanos


@pytest.mark.parametrize(
    "number, asset, nanos",
    [
        ("1", "EUR/2", 10_000_000),
        ("0.10", "MIN/0", 100_000_000),
        (2, "MIN/0", 2_000_000_000),
        ("0.0000001", "EUR/2", 1),
        ("0.000000001", "MIN/0", 1),
        ("123456789.987654321", "MIN/0", 123_456_789_987_654_321),
        ("1", "WEI/9", 1),
        ("1000", "WEI/12", 1),
    ],
)
def test_a_rate_in_units_of_account_is_exact_and_comes_back_as_it_was(
    number: str | int, asset: str, nanos: int
) -> None:
    assert nanos == nanos_per_minor_unit(number, asset)
    assert nanos == nanos_per_minor_unit(per_whole_unit(nanos, asset), asset)


@pytest.mark.parametrize(
    "number, asset",
    [("0.00000001", "EUR/2"), ("0.0000000001", "MIN/0"), ("0.1", "WEI/9"), ("1", "WEI/12"), ("1e3", "MIN/0")],
)
def test_a_rate_that_is_no_whole_number_of_nanos_is_refused_and_never_rounded(number: str, asset: str) -> None:
    with pytest.raises(ValueError, match=asset):
        nanos_per_minor_unit(number, asset)


def test_nanos_are_told_as_units_of_account() -> None:
    assert ["0", "0.000000001", "2.5", "10"] == [units_of_account(n) for n in (0, 1, 2_500_000_000, 10**10)]


@pytest.mark.parametrize("key", ["rate", "low", "high"])
def test_a_float_is_refused_and_told_as_the_text_to_write(tmp_path: Path, key: str) -> None:
    text = with_rule(**{key: "0.30000000000000004"})

    ((place, description),) = faults(tmp_path, text)

    assert f"rules[0].{key}" == place
    assert f'{key} = "0.30000000000000004"' in description
    assert f"{key}_nanos" in description


@pytest.mark.parametrize("line", ["kappa = 1.5", "kappa = 1e3", "kappa = nan", "kappa = true", "kappa = [1]"])
def test_a_kappa_is_no_float_and_no_other_thing(tmp_path: Path, line: str) -> None:
    assert ["kappa"] == [place for place, _ in faults(tmp_path, f"{HEAD}{line}\n{RULE}")]


@pytest.mark.parametrize("line", ["version = 1.0", "trend_days = 1.0", 'version = "1"', "version = true"])
def test_whole_numbers_are_whole_numbers(tmp_path: Path, line: str) -> None:
    assert [line.partition(" ")[0]] == [place for place, _ in faults(tmp_path, f"{HEAD}{line}\n{RULE}")]


@pytest.mark.parametrize(
    "changes, key, words",
    [
        ({"rate": None}, "rate", "is needed"),
        ({"rate_nanos": "1"}, "rate", "given twice"),
        ({"rate": '"one"'}, "rate", "no decimal number"),
        ({"rate": '"0.00000001"'}, "rate", "round"),
        ({"rate": None, "rate_nanos": "1.0"}, "rate_nanos", "whole number"),
        ({"rate": None, "rate_nanos": str(2**63)}, "rate_nanos", "out of range"),
        ({"method": '"LIST_PRICE"', "high": '"1"'}, "low", "is needed"),
        ({"method": '"FREE"'}, "method", "FACE, LIST_PRICE"),
        ({"side": '"give"'}, "side", "GIVE, GET"),
        ({"perspective": None}, "perspective", "is needed"),
        ({"category": '"MONEY"'}, "category", "MONEY_PAYMENT"),
        ({"category": None}, "category", "exactly one"),
        ({"group": '"MONEY"'}, "group", "exactly one"),
        ({"category": None, "any_category": "false"}, "any_category", "true"),
        ({"source": None}, "source", "is needed"),
        ({"sources": '"x"'}, "sources", "no such key"),
        ({"redemption_ppm": "0.8"}, "redemption_ppm", "whole number"),
        ({"rule_id": "1"}, "rule_id", "text"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_at_its_key(
    tmp_path: Path, changes: dict[str, str | None], key: str, words: str
) -> None:
    found = faults(tmp_path, with_rule(**changes))

    assert [f"rules[0].{key}"] == [place for place, _ in found]
    assert words in found[0][1]


@pytest.mark.parametrize("time", ["2026-01-01", "2026-01-01T00:00:00", '"2026-01-01T00:00:00Z"'])
def test_a_time_without_zone_is_refused(tmp_path: Path, time: str) -> None:
    text = (HEAD + RULE).replace("2026-01-01T01:00:00+01:00", time)

    ((place, description),) = faults(tmp_path, text)

    assert "effective_from_time" == place
    assert "zone" in description


def test_every_fault_is_told_with_file_line_table_key_and_rule(tmp_path: Path) -> None:
    text = HEAD.replace('"EUR"', "1.5") + RULE + RULE.replace('"1"', "0.1").replace('"GIVE"', '"TAKE"')

    file = read(tmp_path, text)
    told = [file.told(fault) for fault in file.faults]

    lines = text.splitlines()
    assert [
        ("unit_of_account", lines.index("unit_of_account = 1.5") + 1),
        ("rules[1].side (paid)", lines.index('side = "TAKE"') + 1),
        ("rules[1].rate (paid)", lines.index("rate = 0.1") + 1),
    ] == [(each.split(": ")[1], int(each.split(":")[1])) for each in told]
    assert all(each.startswith("shop.toml:") for each in told)


def test_keys_inside_texts_of_many_lines_are_no_keys(tmp_path: Path) -> None:
    source = 'source = """\nrate = "2"\n[[rules]]\n"""'
    file = read(tmp_path, HEAD + RULE.replace('source = "a euro is a euro"', source) + RULE)

    assert [] == file.faults
    assert (HEAD + RULE).splitlines().index('rate = "1"') + 1 == file.lines["rules[0].rate"]
    assert {"rules[0]", "rules[1]"} == {place for place in file.lines if place.endswith("]")}


def test_what_a_server_finds_is_told_where_the_file_says_it(tmp_path: Path) -> None:
    file = read(tmp_path, HEAD + RULE)

    assert "rules[0].rate" == file.fault_of("policy.rules[0].rate_nanos", "").place
    line = (HEAD + RULE).splitlines().index("[[rules]]") + 1
    # What the file does not say stands at its table, what nobody said at the file.
    assert f"shop.toml:{line}: rules[0].high_nanos (paid): x" == file.told(
        file.fault_of("policy.rules[0].high_nanos", "x")
    )
    assert "shop.toml: version: x" == file.told(file.fault_of("policy.version", "x"))


def test_a_digest_is_hexadecimal(tmp_path: Path) -> None:
    assert bytes(range(32)) == read(tmp_path, f'{HEAD}digest = "{bytes(range(32)).hex()}"\n{RULE}').policy.digest
    assert ["digest"] == [place for place, _ in faults(tmp_path, f'{HEAD}digest = "no"\n{RULE}')]


@pytest.mark.parametrize("text", ["policy_id = ", "a = 1\na = 2\n"])
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageFault, match=r"no TOML.*(line|end of document)"):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="cannot be read"):
        read_policy(tmp_path / "none.toml")


@pytest.mark.parametrize("text", ["rules = 1\n", "rules = [1]\n", 'labels = "x"\n', ""])
def test_lists_of_tables_are_lists_of_tables(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, HEAD + text)


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "valuation").glob("*.toml")), ids=lambda path: path.stem)
def test_sample_policies_can_be_read_and_say_where_every_rate_comes_from(path: Path) -> None:
    file = read_policy(path)

    assert [] == [file.told(fault) for fault in file.faults]
    assert file.policy.rules
    exact = {v.VALUATION_METHOD_FACE, v.VALUATION_METHOD_LIST_PRICE}
    for rule in file.policy.rules:
        # What is neither a price nor counted says that it is assumed, and is not told as if it were sure.
        sure = rule.method in exact or "zero" in rule.source or not rule.rate_nanos
        assert sure or (rule.low_nanos < rule.rate_nanos < rule.high_nanos), rule.rule_id


def test_the_price_of_a_cd_is_that_of_the_whole_history() -> None:
    file = read_policy(ROOT / "examples" / "valuation" / "purchase_history.toml")
    (rate,) = {rule.rate_nanos for rule in file.policy.rules if rule.rule_id == "customer-gets-cds"}
    cents, cds = 250_031_563, 167_881

    assert abs(rate * cds - cents * 10_000_000) * 2 <= cds
