"""Contact policies, purposes and attributes as TOML: what becomes of them, and every fault with its line and place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.domain.contact_policy_rules import unsourced
from ledger.domain.policy import PolicyState
from ledger.domain.publishing import checked
from ledger.domain.registry_rules import faults_of_catalogue, faults_of_registry
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import (
    AttributeCatalogue,
    ContactPolicy,
    GuardianConsentAtAge,
    PurposeRegistry,
)
from rapport.events.v1.preference_pb2 import PERIOD_WEEK, WEEKDAY_SATURDAY, WEEKDAY_SUNDAY
from services.cli.contact_policy_file import MessageFile, read_message
from services.cli.exits import UsageFault
from services.cli.toml_file import line_numbers
from tests.contact_policies import fold

SAMPLES = Path(__file__).resolve().parents[2] / "examples" / "contact"
NOW = 1_795_392_000 * MICROSECONDS
"""2026-11-23."""
WHOLE = """\
version = 3
effective_from_time = 2026-01-01T01:00:00+01:00
default_jurisdiction = "DE"
cap_defers = true
guardian_consent_at_age = "KEEP_AND_ASK"

[[basis_rules]]
legal_basis = "SOFT_OPT_IN"
channels = ["EMAIL", "SMS"]
months = 12
source = "a law"
checked_on = 2026-11-22

[[legal_windows]]
window = { start = "08:30", end = "24:00", weekdays = ["SATURDAY", "SUNDAY"] }

[[caps]]
count = 0
period = "WEEK"

[keywords]
words = ["STOP"]
source = "a rule"
checked_on = "2026-11-21"
note = "of words"

[[sources]]
field = "caps[0]"
source = "the board"
checked_on = 2026-11-20
"""


def read(tmp_path: Path, text: str, message: Any = None) -> MessageFile[Any]:
    path = tmp_path / "shop.toml"
    path.write_text(text)
    return read_message(path, ContactPolicy() if message is None else message)


def told(tmp_path: Path, text: str, message: Any = None) -> list[str]:
    file = read(tmp_path, text, message)
    return [file.told(fault) for fault in file.faults]


def test_a_file_becomes_the_policy_it_describes(tmp_path: Path) -> None:
    file = read(tmp_path, WHOLE)

    assert not file.faults
    policy = file.message
    assert (3, 1_767_225_600) == (policy.version, policy.effective_from_time.seconds)
    assert ("DE", True) == (policy.default_jurisdiction, policy.cap_defers)
    assert GuardianConsentAtAge.GUARDIAN_CONSENT_AT_AGE_KEEP_AND_ASK == policy.guardian_consent_at_age
    (rule,) = policy.basis_rules
    assert (c.LEGAL_BASIS_SOFT_OPT_IN, 12) == (rule.legal_basis, rule.months)
    assert [i.CHANNEL_EMAIL, i.CHANNEL_SMS] == list(rule.channels)
    window = policy.legal_windows[0].window
    assert (510, 0, [WEEKDAY_SATURDAY, WEEKDAY_SUNDAY]) == (
        window.start_minute,
        window.end_minute,
        list(window.weekdays),
    )
    assert (0, PERIOD_WEEK) == (policy.caps[0].count, policy.caps[0].period)
    assert ["STOP"] == list(policy.keywords.words)


def test_what_a_table_says_about_its_source_becomes_a_source_of_the_policy(tmp_path: Path) -> None:
    policy = read(tmp_path, WHOLE).message

    assert [
        ("basis_rules[0]", "a law", "2026-11-22", ""),
        ("keywords", "a rule", "2026-11-21", "of words"),
        ("caps[0]", "the board", "2026-11-20", ""),
    ] == [(each.field, each.source, each.checked_on, each.note) for each in policy.sources]


def test_what_a_server_finds_is_told_where_the_file_says_it(tmp_path: Path) -> None:
    file = read(tmp_path, WHOLE)

    paths = {
        "policy.basis_rules[0].months": "shop.toml:10: basis_rules[0].months: no",
        "policy.basis_rules[0].channels[1]": "shop.toml:9: basis_rules[0].channels[1]: no",
        "policy.legal_windows[0].window.start_minute": "shop.toml:15: legal_windows[0].window.start: no",
        "policy.sources[0].checked_on": "shop.toml:12: basis_rules[0].checked_on: no",
        "policy.sources[1].note": "shop.toml:25: keywords.note: no",
        "policy.sources[2].field": "shop.toml:28: sources[0].field: no",
        "policy.streak_max": "shop.toml: streak_max: no",
    }
    assert paths == {path: file.told(file.fault_of(path, "no")) for path in paths}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("search_days = 1.5", "shop.toml:1: search_days: must be a whole number without a point"),
        ('search_days = "5"', "shop.toml:1: search_days: must be a whole number"),
        ("search_days = true", "shop.toml:1: search_days: must be a whole number"),
        ("search_days = -1", "shop.toml:1: search_days: is out of range"),
        ("cap_defers = 1", "shop.toml:1: cap_defers: must be true or false"),
        ("default_jurisdiction = 5", "shop.toml:1: default_jurisdiction: must be a text in quotes"),
        ('default_time_zones = "UTC"', "shop.toml:1: default_time_zones: must be a list: texts in quotes"),
        ("default_time_zones = [1]", "shop.toml:1: default_time_zones[0]: must be texts in quotes"),
        (
            'guardian_consent_at_age = "end"',
            "shop.toml:1: guardian_consent_at_age: must be one of END, KEEP_AND_ASK",
        ),
        (
            "effective_from_time = 2026-01-01T00:00:00",
            "shop.toml:1: effective_from_time: must be a time with its zone, without quotes: 2026-01-01T00:00:00Z",
        ),
        ("keywords = 5", "shop.toml:1: keywords: must be a table"),
        ("caps = 5", "shop.toml:1: caps: must be a list: of tables"),
        ("caps = [5]", "shop.toml:1: caps[0]: must be a table"),
        ('[[caps]]\nperiod = "DAY"', "shop.toml:1: caps[0].count: is needed"),
        ('[[attention_seconds]]\nchannel = "SMS"', "shop.toml:1: attention_seconds[0].seconds: is needed"),
        (
            '[[legal_windows]]\n[legal_windows.window]\nstart = "08:00"',
            "shop.toml:2: legal_windows[0].window.end: is needed",
        ),
        (
            '[[legal_windows]]\nwindow = { start = 8, end = "21:00" }',
            'shop.toml:2: legal_windows[0].window.start: must be a time of day as a text: "08:00"',
        ),
        (
            '[[legal_windows]]\nwindow = { start = "25:00", end = "21:00" }',
            'shop.toml:2: legal_windows[0].window.start: must be a time of day as a text: "08:00"',
        ),
        (
            '[[honour]]\ndays = 1\nnote = "x"\nchecked_on = 2026-01-01',
            "shop.toml:1: honour[0].source: is needed: whoever names a source says when they looked",
        ),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert [expected] == told(tmp_path, text)


def test_an_unknown_key_is_told_with_those_there_are(tmp_path: Path) -> None:
    (fault,) = told(tmp_path, "[[honour]]\ndays = 1\nhours = 5")

    assert "shop.toml:3: honour[0].hours: there is no such key; there are jurisdictions, channels, days" in fault
    assert fault.endswith("source, checked_on, note")


def test_a_source_is_no_key_of_the_policy_itself_and_none_of_a_registry(tmp_path: Path) -> None:
    (of_policy,) = told(tmp_path, 'source = "x"\nchecked_on = 2026-01-01\n')[:1]
    (of_purpose,) = told(tmp_path, '[[purposes]]\nslug = "a"\nsource = "x"', PurposeRegistry())

    assert of_policy.startswith("shop.toml:1: source: there is no such key")
    assert of_purpose.startswith("shop.toml:3: purposes[0].source: there is no such key")


def test_every_fault_is_told(tmp_path: Path) -> None:
    assert 3 == len(told(tmp_path, 'search_days = "x"\nnonsense = 1\ncaps = 1\n'))


def test_what_is_no_toml_or_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="is no TOML"):
        read(tmp_path, "= 5")
    with pytest.raises(UsageFault, match="cannot be read"):
        read_message(tmp_path / "nowhere.toml", ContactPolicy())


def test_lines_are_found_in_tables_within_tables() -> None:
    text = '[a]\nx = 1\n[[b]]\ny = 1\n[b.c]\nz = 1\n[[b]]\n[b.c]\nz = 2\n[[b.d]]\n[[b.d]]\nw = """\n[a]\n"""\n'

    found = line_numbers(text)

    assert ["a", "a.x", "b[0]", "b[0].y", "b[0].c", "b[0].c.z"] == [*found][:6]
    assert ["b[1]", "b[1].c", "b[1].c.z", "b[1].d[0]", "b[1].d[1]", "b[1].d[1].w"] == [*found][6:]
    assert [*range(1, 13)] == [*found.values()]


# --- Samples ---------------------------------------------------------------------------------------------------------

POLICIES = ["canada_casl", "children", "eu_newsletter", "ireland_soft_opt_in", "us_calls_and_texts"]


def test_these_are_the_samples() -> None:
    assert {"attributes", "purposes", *POLICIES} == {path.stem for path in SAMPLES.glob("*.toml")}


@pytest.mark.parametrize("name", POLICIES)
def test_a_sample_could_be_published_and_says_where_every_legal_number_comes_from(name: str) -> None:
    file = read_message(SAMPLES / f"{name}.toml", ContactPolicy())
    purposes = read_message(SAMPLES / "purposes.toml", PurposeRegistry()).message

    assert not file.faults
    for state in (PolicyState(), fold(purposes)):
        found, _ = checked(file.message, state, NOW)
        assert [] == found
    assert [] == unsourced(file.message)
    assert file.message.sources
    assert {"2026-11-22"} == {each.checked_on for each in file.message.sources}


@pytest.mark.parametrize("name", [*POLICIES, "purposes"])
def test_a_sample_says_that_it_is_no_legal_advice(name: str) -> None:
    head = (SAMPLES / f"{name}.toml").read_text().partition("\n[[")[0]

    assert "Nothing here is legal advice." in head


def test_a_sample_of_secondary_sources_says_so_at_each_of_them() -> None:
    policy = read_message(SAMPLES / "us_calls_and_texts.toml", ContactPolicy()).message

    assert all("Secondary source" in each.note for each in policy.sources)


def test_the_registries_of_the_samples_could_be_published() -> None:
    purposes = read_message(SAMPLES / "purposes.toml", PurposeRegistry())
    attributes = read_message(SAMPLES / "attributes.toml", AttributeCatalogue())

    assert not [*purposes.faults, *attributes.faults]
    assert [] == list(faults_of_registry(purposes.message))
    assert [] == list(faults_of_catalogue(attributes.message, {each.slug for each in purposes.message.purposes}))


@pytest.mark.parametrize(
    "name, expected",
    [
        ("canada_casl", {"IMPLIED_EXISTING_BUSINESS": (24, 0), "IMPLIED_INQUIRY": (6, 0)}),
        ("ireland_soft_opt_in", {"SOFT_OPT_IN": (0, 12)}),
        ("eu_newsletter", {"SOFT_OPT_IN": (0, 0)}),
    ],
)
def test_the_months_of_the_samples_are_those_of_the_design(name: str, expected: dict[str, tuple[int, int]]) -> None:
    policy = read_message(SAMPLES / f"{name}.toml", ContactPolicy()).message

    found = {
        c.LegalBasis.Name(rule.legal_basis).removeprefix("LEGAL_BASIS_"): (rule.months, rule.first_contact_months)
        for rule in policy.basis_rules
        if rule.legal_basis >= c.LEGAL_BASIS_SOFT_OPT_IN
    }
    assert expected == found
    assert all("IE" not in rule.jurisdictions for rule in policy.basis_rules) or name == "ireland_soft_opt_in"
