"""`rapport policy relationship`, `types` and `persona` against a server: published, checked, approved, shown."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rapport_command import Rapport
from tests.server import ROOT, ServerProcess

SAMPLES = ROOT / "examples" / "relationship"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("policies") / "data") as running:
        yield running


@pytest.fixture
def rapport(server: ServerProcess, capsys: pytest.CaptureFixture[str]) -> Rapport:
    return Rapport(server.target, capsys)


@pytest.fixture
def cafe() -> str:
    """An organization of the test's own."""
    return f"cafe-{uuid.uuid4().hex[:12]}"


def test_the_samples_are_published_in_their_order_and_shown(rapport: Rapport, cafe: str) -> None:
    policy = SAMPLES / "neighbourhood_cafe.toml"
    assert 1 == rapport("policy relationship check", cafe, policy)
    assert "neighbourhood_cafe.toml:" in rapport.err
    assert "types.rules[1].slug" in rapport.err
    assert "[TYPE_UNKNOWN]" in rapport.err

    assert 0 == rapport("policy types publish", cafe, SAMPLES / "cafe_types.toml")
    assert ("1", "3 types") == (rapport.pairs()["version"], rapport.pairs()["holds"])
    assert 0 == rapport("policy relationship check", cafe, policy)
    assert "neighbourhood_cafe.toml would be published as version 1\n" == rapport.out
    assert 0 == rapport("policy relationship publish", cafe, policy)
    assert ("1", "version 1") == (rapport.pairs()["version"], rapport.pairs()["in force now"])
    assert 0 == rapport("policy relationship check", cafe, policy)
    assert 0 == rapport("policy relationship list", cafe)
    assert [["1", "yes"]] == [[row[0], row[2]] for row in rapport.rows()]

    assert 0 == rapport("policy relationship show", cafe)
    shown = rapport.pairs()
    assert ("1", "yes", "45", "14") == (
        shown["version"], shown["in force"], shown["half_life_days"], shown["cadence.days_default"],
    )  # fmt: skip
    assert ["2", "cafe:regular", "lifecycles ACTIVE, valence POSITIVE, intensity INTENSE"] in rapport.rows()
    assert ["PURCHASE", "1500000"] in rapport.rows()


def test_the_built_in_policy_is_shown_with_every_number(rapport: Rapport, cafe: str) -> None:
    assert 0 == rapport("policy relationship show --built-in", cafe)

    shown = rapport.pairs()
    assert ("0, built in", "90", "300000") == (
        shown["version"], shown["half_life_days"], shown["strength.weights.involvement_ppm"],
    )  # fmt: skip
    assert ("true", "-100000") == (shown["strength.incentive_by_legs"], shown["announcements.imbalance_below_ppm"])
    assert shown["decay_sha256"].startswith("66129d74")
    assert ["5", "hbr:basic-exchange", "none of these"] in rapport.rows()


def test_faults_are_told_with_their_lines_all_at_once(rapport: Rapport, cafe: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        "half_life_days = 30\n[strength]\nmoderate_from_ppm = 900000\n[strength.weights]\nbalance_ppm = 5\n"
    )

    assert 1 == rapport("policy relationship publish", cafe, file)

    assert "strength.moderate_from_ppm" in rapport.err
    assert "strength.weights" in rapport.err
    assert "bad.toml is not published" in rapport.err
    file.write_text('half_life_dys = 30\ndecay_sha256 = "xyz"\n')
    assert 2 == rapport("policy relationship check", cafe, file)
    assert "bad.toml:1: half_life_dys: there is no such key" in rapport.err
    assert "bad.toml:2: decay_sha256: must be hexadecimal digits in quotes" in rapport.err


@pytest.mark.parametrize("command", ["policy types list", "relationship types"])
def test_types_are_listed_with_their_sources_under_either_name(rapport: Rapport, cafe: str, command: str) -> None:
    assert 0 == rapport(command, cafe)
    rows = {row[0]: row for row in rapport.rows()}
    assert 23 == len(rows)
    assert ["fournier:casual-friend", "shipped", "POSITIVE, DISTANT, WEAK", "light", "all"] == (
        rows["fournier:casual-friend"][:5]
    )
    assert all(len(row) == 7 and row[6] for row in rows.values())

    assert 0 == rapport("policy types publish", cafe, SAMPLES / "cafe_types.toml")
    assert 0 == rapport(command, cafe, "--industry", "hospitality", "--country", "FR")
    rows = {row[0]: row for row in rapport.rows()}
    assert "own" == rows["cafe:regular"][1] == rows["hbr:basic-exchange"][1]
    assert "POSITIVE, INTENSE, LONG, voluntary" == rows["cafe:regular"][2]
    assert "cafe:laptop" not in rows


def test_a_persona_is_defined_approved_and_retired(rapport: Rapport, cafe: str) -> None:
    persona = SAMPLES / "persona_quiet_regulars.toml"
    assert 1 == rapport("policy persona define", cafe, persona)
    assert "expected_types[0]" in rapport.err
    assert 0 == rapport("policy types publish", cafe, SAMPLES / "cafe_types.toml")
    assert 0 == rapport("policy persona define", cafe, persona)
    assert "3 clauses" == rapport.pairs()["holds"]

    active = []
    for function in ("MARKETING", "SERVICE", "STORE"):
        who = ("--function", function, "--approver", "u-1")
        assert 0 == rapport("policy persona approve", cafe, "quiet-regulars", 1, *who)
        active.append(rapport.pairs()["active"])
    assert ["no", "no", "yes"] == active

    assert 0 == rapport("policy persona list", cafe)
    assert [["quiet-regulars", "1", "active", "MARKETING, SERVICE, STORE"]] == [row[:4] for row in rapport.rows()]
    assert 0 == rapport("policy persona define", cafe, persona)
    assert 0 == rapport("policy persona list", cafe)
    assert [["quiet-regulars", "2", "not approved, 1 counts"]] == [row[:3] for row in rapport.rows()]
    assert 0 == rapport("policy persona retire", cafe, "quiet-regulars", "--reason", "unused")
    assert 0 == rapport("policy persona list --json", cafe)
    (found,) = json.loads(rapport.out)["personae"]
    assert found["retired"]
    assert 1 == rapport("policy persona approve", cafe, "nobody", 1, "--function", "STORE", "--approver", "u-1")
    assert "rapport policy persona list" in rapport.err


def test_the_log_tells_what_was_published(rapport: Rapport, cafe: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("half_life_days = 30\n")
    assert 0 == rapport("policy relationship publish", cafe, file)
    assert 0 == rapport("policy types publish", cafe, SAMPLES / "cafe_types.toml")
    assert 0 == rapport("policy persona define", cafe, SAMPLES / "persona_quiet_regulars.toml")

    assert 0 == rapport("log read --organization", cafe)

    for words in ("version 1, from its publication on", "version 1, 3 types", "quiet-regulars version 1, 3 clauses"):
        assert words in rapport.out
