"""`rapport policy valuation` against a server: published, checked, listed and shown as people do it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rapport_command import Rapport
from tests.server import ROOT, ServerProcess

SAMPLES = ROOT / "examples" / "valuation"
SHOP = """\
policy_id = "shop"
unit_of_account = "EUR"
effective_from_time = 2026-01-01T00:00:00Z
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("policies") / "data") as running:
        yield running


@pytest.fixture
def rapport(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> Rapport:
    return Rapport(server.target, capsys)


@pytest.fixture
def shop(rapport: Rapport, request: pytest.FixtureRequest) -> str:
    """An organization of the test's own, which counts in euros and in CDs."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    assert 0 == rapport(f"asset register {name} EUR/2 --kind money --max-units 1000000")
    assert 0 == rapport(f"asset register {name} CD/0 --kind item --max-units 100")
    return name


def test_a_policy_is_published_once_and_what_is_in_force_is_told(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP + "\n")

    assert 0 == rapport("policy valuation publish", shop, file)
    told = dict(re.split(r"  +", line, maxsplit=1) for line in rapport.out.splitlines())
    assert ("shop", "1", "version 1", "yes") == (
        told["policy"],
        told["version"],
        told["in force now"],
        told["default"],
    )
    assert re.fullmatch("[0-9a-f]{64}", told["digest"])

    file.write_text("version = 1\n" + SHOP)
    assert 0 == rapport("policy valuation publish", shop, file)
    assert told["digest"] in rapport.out
    assert 0 == rapport("policy valuation check", shop, file)
    assert "shop.toml is published already as version 1 of shop" == rapport.out.splitlines()[0]
    assert 0 == rapport("log read", "--topic", "policy.valuation_published.v1", "--organization", shop)
    assert "shop version 1, 1 rule from 2026-01-01T00:00:00Z" == rapport.out.splitlines()[1].split("\t")[-1]
    assert 0 == rapport("policy valuation list", shop)
    header, row = rapport.out.splitlines()
    assert ["POLICY", "VERSION", "FROM", "UNIT", "RULES"] == header.split("\t")[:5]
    assert ["shop", "1", "2026-01-01T00:00:00Z", "EUR", "1", "yes", "yes"] == row.split("\t")[:7]


def test_a_version_for_later_is_published_and_not_in_force(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP.replace("2026-01-01", "2199-01-01"))

    assert 0 == rapport("policy valuation publish", shop, file)
    assert "none, it counts from a later time on" in rapport.out
    assert 1 == rapport("policy valuation show", shop)
    assert "POLICY_UNKNOWN" in rapport.err
    assert 0 == rapport("policy valuation show", shop, "--version", 1)
    assert 0 == rapport("policy valuation show", shop, "--as-of", "2199-01-01")


def test_rules_are_shown_with_exact_rates_and_their_source(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP.replace('rate = "1"', 'rate = "1.0000001"'))
    rapport("policy valuation publish", shop, file)

    assert 0 == rapport("policy valuation show", shop, "shop")

    *pairs, header, row = rapport.out.splitlines()
    assert "kappa            10 EUR" in pairs
    assert "EUR PER WHOLE" == header.split("\t")[5]
    assert [
        *("paid", "CUSTOMER", "GIVE", "MONEY_PAYMENT", "EUR/2"),
        *("1.0000001", "1.0000001", "1.0000001", "FACE", "a euro is a euro"),
    ] == row.split("\t")


def test_faults_of_the_file_are_all_told_and_nothing_is_sent(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP.replace('"1"', "1.0").replace('"GIVE"', '"KEEP"'))

    for verb in ("publish", "check"):
        assert 2 == rapport(f"policy valuation {verb}", shop, file)
        assert (
            'shop.toml:10: rules[0].rate (paid): floats are not exact; write units of account as a text, rate = "1.0"'
            in (rapport.err)
        )
        assert "shop.toml:7: rules[0].side (paid): must be one of GIVE, GET" in rapport.err
    rapport("policy valuation list", shop)
    assert 1 == len(rapport.out.splitlines())


def test_what_the_server_refuses_is_all_told_at_the_lines_of_the_file(
    rapport: Rapport, shop: str, tmp_path: Path
) -> None:
    file = tmp_path / "shop.toml"
    lines = [SHOP.replace('"EUR"', '"eur"')]
    rule = SHOP.partition("[[rules]]")[2]
    lines += [f"[[rules]]{rule.replace('EUR/2', 'USD/2')}".replace('"paid"', f'"r{n}"') for n in range(120)]
    file.write_text("".join(lines))

    for verb in ("publish", "check"):
        assert 1 == rapport(f"policy valuation {verb}", shop, file)
        assert "shop.toml:2: unit_of_account:" in rapport.err
        # More than a refusal has room for.
        assert 120 == rapport.err.count("[ASSET_UNKNOWN]")
        assert "shop.toml:18: rules[1].asset (r0): USD/2 is not in the registry [ASSET_UNKNOWN]" in rapport.err
    rapport("policy valuation list", shop)
    assert 1 == len(rapport.out.splitlines())


def test_a_check_tells_which_assets_have_no_value(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP)

    assert 0 == rapport("policy valuation check", shop, file)

    lines = rapport.out.splitlines()
    assert "shop.toml would be published as version 1 of shop" == lines[0]
    assert ["ASSET", "KIND", "CUSTOMER GIVES", "CUSTOMER GETS", "ORGANIZATION GIVES", "ORGANIZATION GETS"] in [
        line.split("\t") for line in lines
    ]
    assert ["CD/0", "ITEM", "-", "-", "-", "-"] in [line.split("\t") for line in lines]
    assert ["EUR/2", "MONEY", "1 rule", "-", "-", "-"] in [line.split("\t") for line in lines]
    assert "without any rule, so unvalued: CUSTOMER CD/0, ORGANIZATION CD/0, ORGANIZATION EUR/2" == lines[-1]


def test_json_is_the_answer_of_the_service(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP)

    rapport("policy valuation check", shop, file, "--json")
    assert "10000000000" == json.loads(rapport.out)["policy"]["kappaNanos"]
    rapport("policy valuation publish", shop, file, "--json")
    assert 1 == json.loads(rapport.out)["published"]["policy"]["version"]
    rapport("policy valuation list", shop, "--json")
    assert "rules" not in json.loads(rapport.out)["policies"][0]["policy"]
    rapport("policy valuation show", shop, "--json")
    assert "10000000" == json.loads(rapport.out)["published"]["policy"]["rules"][0]["rateNanos"]


def test_who_published_nothing_is_told_so(rapport: Rapport, shop: str) -> None:
    assert 2 == rapport("policy valuation show", shop)
    assert "has published no valuation policy" in rapport.err


def test_sample_policies_can_be_published_after_their_assets(rapport: Rapport) -> None:
    service = SAMPLES / "service_business.toml"
    commands = re.findall(r"^#     rapport (asset register .*)$", service.read_text(), re.MULTILINE)
    assert 8 == len(commands)
    for command in commands:
        assert 0 == rapport(command.replace("ORGANIZATION", "service"))
    assert 0 == rapport("policy valuation check service", service)
    assert "unvalued" not in rapport.out
    assert 0 == rapport("policy valuation publish service", service)

    for command in ("USD/2 --kind money --max-units 100000000", "CD/0 --kind item --max-units 10000"):
        assert 0 == rapport(f"asset register cdnow {command}")
    assert 0 == rapport("policy valuation check cdnow", SAMPLES / "purchase_history.toml")
    assert "unvalued" not in rapport.out
    assert 0 == rapport("policy valuation publish cdnow", SAMPLES / "purchase_history.toml")
