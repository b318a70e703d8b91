"""The pages about relationship policies and types say what is built in, and their customer is measured as they say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from ledger.domain.built_in_relationship_policy import BUILT_IN_RELATIONSHIP_POLICY
from ledger.domain.built_in_types import BUILT_IN_TYPES
from rapport.events.v1.disclosure_pb2 import Provenance
from rapport.events.v1.interaction_pb2 import Channel, InteractionKind
from rapport.events.v1.persona_pb2 import PersonaDefined
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.type.v1 import levels_pb2 as levels
from services.cli.contact_policy_file import read_message
from tests.contact_histories import moment
from tests.measured_histories import MeasuredHistory, acted

ROOT = Path(__file__).resolve().parents[2]
POLICY = (ROOT / "docs/concepts/relationship-policy.md").read_text(encoding="utf-8")
TYPES = (ROOT / "docs/concepts/relationship-types.md").read_text(encoding="utf-8")
NOT_TOLD = {"version", "valuation_policy_id"}


def cells(page: str, header: str) -> list[list[str]]:
    """Return the cells of the page's table with a header."""
    after = page[page.index(header) :].partition("\n\n")[0]
    return [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in after.splitlines()[2:]]


def numbers(message: Message, path: str = "") -> Iterator[tuple[str, str]]:
    for field in message.DESCRIPTOR.fields:
        value, name = getattr(message, field.name), f"{path}{field.name}"
        if field.is_repeated or name in NOT_TOLD or field.type == FieldDescriptor.TYPE_BYTES:
            continue
        if isinstance(value, bool):
            yield name, str(value).lower()
        elif isinstance(value, int):
            yield name, f"{value:,}"
        elif isinstance(value, str):
            yield name, value
        elif name != "effective_from_time":
            yield from numbers(value, f"{name}.")


def names(enum: Any, values: Any, prefix: str) -> str:
    return ", ".join(enum.Name(each).removeprefix(prefix) for each in values)


def test_every_default_stands_on_the_page_with_its_number() -> None:
    told = {row[0]: row[1] for row in cells(POLICY, "| field | default | says |")}

    assert dict(numbers(BUILT_IN_RELATIONSHIP_POLICY)) == told


def test_every_list_stands_on_the_page() -> None:
    told = {row[0]: row[1] for row in cells(POLICY, "| field | default |\n")}
    policy = BUILT_IN_RELATIONSHIP_POLICY

    kinds = names(InteractionKind, policy.cadence.reopening_kinds, "INTERACTION_KIND_")
    assert sorted(kinds.split(", ")) == sorted(told["cadence.reopening_kinds"].split(", "))
    assert names(Provenance, policy.axes.sentiment_provenances, "PROVENANCE_") == told["axes.sentiment_provenances"]
    attention = [
        f"{names(Channel, [each.channel], 'CHANNEL_')} {each.seconds}" for each in policy.solicitations.attention
    ]
    assert told["solicitations.attention"].startswith(f"{', '.join(attention)};")
    assert {"cadence.reopening_kinds", "axes.sentiment_provenances", "solicitations.attention", "types.rules",
            "honouring_systems"} == set(told)  # fmt: skip


def test_what_each_act_weighs_stands_on_the_page() -> None:
    told = {
        kind: int(weight.replace(",", ""))
        for kinds, weight in cells(POLICY, "| act | weight |")
        for kind in kinds.split(", ")
    }

    weights = BUILT_IN_RELATIONSHIP_POLICY.strength.kind_weights
    assert told == {names(InteractionKind, [each.kind], "INTERACTION_KIND_"): each.weight_ppm for each in weights}


@pytest.mark.parametrize("row", cells(POLICY, "| under | AT_RISK from | LAPSED from | why |"))
def test_anna_is_at_risk_and_lapsed_when_the_page_says(row: list[str]) -> None:
    history = MeasuredHistory()
    for day in ("2026-01-01", "2026-01-15", "2026-02-04", "2026-02-14"):
        history.add(acted("VISIT"), f"{day}T10:00Z")
    sample = re.search(r"\((.*)\)", row[0])
    under = RelationshipPolicy()
    if sample:
        assert [] == read_message(ROOT / "docs/concepts" / sample[1], under).faults
        under.ClearField("types")  # Its own type is not published here.

    def level(at: int) -> int:
        return history.measured(at, under=under).lifecycle.lifecycle

    at_risk, lapsed = (moment(cell) for cell in row[1:3])
    assert [levels.LIFECYCLE_ACTIVE, levels.LIFECYCLE_AT_RISK] == [level(at_risk - 1), level(at_risk)]
    assert [levels.LIFECYCLE_AT_RISK, levels.LIFECYCLE_LAPSED] == [level(lapsed - 1), level(lapsed)]


def test_the_shipped_types_stand_on_the_page() -> None:
    rows = cells(TYPES, "| slug | axes | alias | slug | axes | alias |")
    told = {slug: (axes, alias) for row in rows for slug, axes, alias in (row[:3], row[3:])}

    signs = {"valence": " +.-", "closeness": " ID", "intensity": " SW"}
    expected = {
        each.slug: (
            " ".join(signs[field.name][value] for field, value in each.axes.ListFields()),
            each.neutral_alias,
        )
        for each in BUILT_IN_TYPES.types
        if each.slug != "rapport:stranger"
    }
    assert expected == told


def test_the_rules_stand_on_the_page_in_their_order() -> None:
    told = [(row[0], row[1]) for row in cells(TYPES, "| rule | type | where |")]

    rules = BUILT_IN_RELATIONSHIP_POLICY.types
    expected = [(str(number), rule.slug) for number, rule in enumerate(rules.rules, 1)]
    assert [*expected, ("-", rules.fallback_slug)] == told


def test_the_page_says_what_is_not_shipped() -> None:
    assert "The other 22\nnames are not shipped" in TYPES


@pytest.mark.parametrize("page, make", [(POLICY, RelationshipPolicy), (TYPES, PersonaDefined)])
def test_the_files_on_the_pages_can_be_read(page: str, make: Any, tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    file = tmp_path / "page.toml"
    file.write_text(block)

    assert tomllib.loads(block)
    assert [] == read_message(file, make()).faults
