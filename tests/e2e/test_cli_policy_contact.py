"""`rapport policy contact`, `purposes` and `attributes` against a server: published, checked, listed and shown."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rapport_command import Rapport
from tests.server import ROOT, ServerProcess

SAMPLES = ROOT / "examples" / "contact"
POLICIES = ["canada_casl", "children", "eu_newsletter", "ireland_soft_opt_in", "us_calls_and_texts"]
SHOP = """\
effective_from_time = 2026-01-01T00:00:00Z
[[caps]]
count = 1
period = "WEEK"
channel = "EMAIL"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("policies") / "data") as running:
        yield running


@pytest.fixture
def rapport(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> Rapport:
    return Rapport(server.target, capsys)


@pytest.fixture
def shop() -> str:
    """An organization of the test's own."""
    return f"shop-{uuid.uuid4().hex[:12]}"


def test_a_policy_is_published_listed_and_shown(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP)

    assert 0 == rapport("policy contact publish", shop, file)
    told = rapport.pairs()
    assert ("1", "2026-01-01T00:00:00Z", "version 1") == (told["version"], told["counts from"], told["in force now"])
    assert 0 == rapport("policy contact list", shop)
    assert [["1", "2026-01-01T00:00:00Z", "yes"]] == [row[:3] for row in rapport.rows()]
    assert 0 == rapport("policy contact show", shop)
    shown = rapport.pairs()
    assert ("1", "yes", "3600 s", "DENY") == (
        shown["version"],
        shown["in force"],
        shown["a permit lasts"],
        shown["full periods"],
    )
    assert "1\tWEEK\tEMAIL\tanything\tany" in rapport.out
    assert "POSTAL\tany" in rapport.out


def test_until_one_is_published_the_built_in_one_is_shown(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    assert 0 == rapport("policy contact show", shop)
    assert ("0, built in", "yes") == (rapport.pairs()["version"], rapport.pairs()["in force"])
    assert "CONTRACT_PERFORMANCE\tall\tall\tcrm.management, order.management, payment, service" in rapport.out
    assert "PURCHASE, an exchange with money\twithout end" in rapport.out
    file = tmp_path / "shop.toml"
    file.write_text(SHOP.replace("2026-01-01", "2199-01-01"))

    assert 0 == rapport("policy contact publish", shop, file)
    assert "the built-in policy" == rapport.pairs()["in force now"]
    assert 0 == rapport("policy contact show", shop)
    assert "0, built in" == rapport.pairs()["version"]
    assert 0 == rapport("policy contact show", shop, "--version", 1)
    assert "no" == rapport.pairs()["in force"]
    assert 0 == rapport("policy contact show", shop, "--as-of", "2199-01-01")
    assert "1" == rapport.pairs()["version"]
    assert 0 == rapport("policy contact show", shop, "--as-of", "2199-01-01", "--built-in")
    assert ("0, built in", "no") == (rapport.pairs()["version"], rapport.pairs()["in force"])


def test_a_check_publishes_nothing_and_tells_what_has_no_source(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP + '[[jurisdictions]]\njurisdiction = "DE"\nminor_age = 16\n')

    assert 0 == rapport("policy contact check", shop, file)
    assert [
        "shop.toml would be published as version 1",
        "without a source, so nobody can check them: jurisdictions[0].minor_age",
    ] == rapport.out.splitlines()
    assert 0 == rapport("policy contact list", shop)
    assert [] == rapport.rows()
    assert 0 == rapport("policy contact publish", shop, file)
    file.write_text("version = 1\n" + file.read_text())
    assert 0 == rapport("policy contact check", shop, file)
    assert "shop.toml is published already as version 1" == rapport.out.splitlines()[0]


@pytest.mark.parametrize("verb", ["publish", "check"])
def test_every_fault_is_told_with_its_line(rapport: Rapport, shop: str, tmp_path: Path, verb: str) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(
        'default_time_zones = ["Mars/Olympus"]\n'
        + SHOP
        + '[[caps]]\ncount = 2\nperiod = "WEEK"\nchannel = "EMAIL"\nsource = "x"\nchecked_on = "yesterday"\n'
    )

    assert 1 == rapport(f"policy contact {verb}", shop, file)

    errors = rapport.err.splitlines()
    assert "rapport: shop.toml:1: default_time_zones[0]: must be the IANA name" in errors[0]
    assert "rapport: shop.toml:7: caps[1]: is for the period" in errors[1]
    assert errors[1].endswith("[POLICY_RULES_CONFLICT]")
    assert "rapport: shop.toml:12: caps[1].checked_on: must be a day" in errors[2]
    assert (verb == "publish") == ("is not published" in rapport.err)


@pytest.mark.parametrize("kind", ["contact", "purposes", "attributes"])
def test_a_file_that_cannot_be_read_is_told_before_anybody_is_asked(
    rapport: Rapport, shop: str, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "shop.toml"
    file.write_text("nonsense = 1\nversion = 1.5\n")

    assert 2 == rapport(f"policy {kind} publish", shop, file)
    assert [1, 2] == [int(line.split(":")[2]) for line in rapport.err.splitlines()]
    assert 2 == rapport(f"policy {kind} publish", shop, tmp_path / "nowhere.toml")
    assert "nowhere.toml cannot be read" in rapport.err


@pytest.mark.parametrize("name", POLICIES)
def test_the_samples_are_published_with_the_registry_of_samples_too(rapport: Rapport, shop: str, name: str) -> None:
    assert 0 == rapport("policy contact check", shop, SAMPLES / f"{name}.toml")
    assert f"{name}.toml would be published as version 1\n" == rapport.out
    assert 0 == rapport("policy purposes publish", shop, SAMPLES / "purposes.toml")

    assert 0 == rapport("policy contact publish", shop, SAMPLES / f"{name}.toml")
    assert "version 1" == rapport.pairs()["in force now"]
    assert 0 == rapport("policy contact show", shop)
    assert "2026-11-22" in rapport.out


def test_hours_and_words_are_shown_as_people_write_them(rapport: Rapport, shop: str) -> None:
    rapport("policy contact publish", shop, SAMPLES / "us_calls_and_texts.toml")

    assert 0 == rapport("policy contact show", shop)

    assert "08:00 to 21:00\tevery day\tUS\tSMS, VOICE_AUTOMATED, VOICE_LIVE\tMARKETING" in rapport.out
    assert "10 business days\tUS\tEMAIL" in rapport.out
    assert "STOP, QUIT, END, REVOKE, OPT OUT, CANCEL, UNSUBSCRIBE" == rapport.pairs()["words that withdraw"]


def test_purposes_are_published_and_listed(rapport: Rapport, shop: str) -> None:
    assert 0 == rapport("policy purposes list", shop)
    assert "0, built in" == rapport.out.splitlines()[0].split("  ")[-1]
    assert "marketing.direct" in rapport.out

    assert 0 == rapport("policy purposes publish", shop, SAMPLES / "purposes.toml")
    assert ("1", "13 purposes") == (rapport.pairs()["version"], rapport.pairs()["holds"])
    assert 0 == rapport("policy purposes list", shop)
    assert "1 of 1" in rapport.out
    assert ["community", "COMMUNITY", "ABSOLUTE", "CONSENT", "COMMUNITY", "The reading club"] == rapport.rows()[0][:6]
    assert 1 == rapport("policy purposes list", shop, "--version", 2)
    assert "POLICY_UNKNOWN" in rapport.err


def test_attributes_are_published_and_listed(rapport: Rapport, shop: str) -> None:
    assert 0 == rapport("policy attributes list", shop)
    assert "any key may be used" in rapport.out

    assert 0 == rapport("policy attributes publish", shop, SAMPLES / "attributes.toml")
    assert 0 == rapport("policy attributes list", shop)
    assert ["household.children", "household", "only shown", "yes, no", "365 days"] == rapport.rows()[0][:5]


def test_the_log_tells_what_was_published(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    later = tmp_path / "shop.toml"
    later.write_text(SHOP)
    for kind, file in (
        ("purposes", SAMPLES / "purposes.toml"),
        ("attributes", SAMPLES / "attributes.toml"),
        ("contact", SAMPLES / "children.toml"),
        ("contact", later),
    ):
        assert 0 == rapport(f"policy {kind} publish", shop, file)

    assert 0 == rapport("log read", "--organization", shop)

    assert [
        "version 1, 13 purposes",
        "version 1, 3 attributes",
        "version 1, from its publication on",
        "version 2, from 2026-01-01T00:00:00Z on",
    ] == [row[-1] for row in rapport.rows()]


def test_faults_of_a_registry_are_told_with_their_lines(rapport: Rapport, shop: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text('[[attributes]]\nkey = "a"\n[[attributes]]\nkey = "a"\npurposes = ["nonsense"]\n')

    assert 1 == rapport("policy attributes publish", shop, file)

    assert "shop.toml:4: attributes[1].key: must be named once" in rapport.err
    assert "shop.toml:5: attributes[1].purposes[0]: must be in the registry of purposes" in rapport.err


@pytest.mark.parametrize("kind", ["contact", "purposes", "attributes"])
def test_answers_are_json_where_it_is_asked(rapport: Rapport, shop: str, kind: str) -> None:
    sample = {"contact": "eu_newsletter"}.get(kind, kind)

    assert 0 == rapport(f"policy {kind} publish", shop, SAMPLES / f"{sample}.toml", "--json")
    assert 1 == json.loads(rapport.out)["version"]
    assert 0 == rapport(f"policy {kind} list", shop, "--json")
    assert json.loads(rapport.out)
    if kind == "contact":
        assert 0 == rapport("policy contact show", shop, "--json")
        assert 3600 == json.loads(rapport.out)["policy"]["permitSeconds"]
        assert 0 == rapport("policy contact check", shop, SAMPLES / f"{sample}.toml", "--json")
        assert 2 == json.loads(rapport.out)["policy"]["version"]
