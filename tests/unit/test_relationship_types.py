"""Types of relationship: what is shipped, and what an organization adds to it."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from ledger.domain.built_in_types import BUILT_IN_TYPES
from ledger.domain.errors import Rejected
from ledger.domain.policy import PolicyState
from ledger.domain.relationship_types import SHIPPED, is_for
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.relationship_types_pb2 import TypeAxes
from rapport.type.v1 import levels_pb2 as levels
from tests.relationship_policies import Publications, own_type, published, types

DIGEST_OF_BUILT_IN_TYPES = "e928d7ccd1a9a833e9b0487b20d104456e3266cba5571f2780bc53603a5389c7"

# relationship.md 8, as it stands there.
TABLE = """
fournier:arranged-marriage|D W|assigned|fournier:courtship|+|exploring
fournier:casual-friend|+ D W|light|fournier:dependency|I S|reliant
fournier:marriage-of-convenience|D|practical|fournier:fling|+ S|brief-enthusiasm
fournier:committed-partnership|+ I S|committed|fournier:enmity|- S|opposed
fournier:best-friendship|+ I S|close|fournier:secret-affair|+ S|private
fournier:compartmentalized-friendship|+ D|situational|fournier:enslavement|-|captive
fournier:kinship||inherited|hbr:fling|+ S|brief-enthusiasm
fournier:rebound||alternative|hbr:master-slave|S|unconditional-service
fournier:childhood-friendship|+ W|nostalgic|hbr:basic-exchange|D W|exchange
hbr:business-partners|+|cooperating|hbr:buddies|+ D|companionable
hbr:best-friends|+ I S|close|hbr:ex-friends|D W|estranged
"""
SIGNS = {
    (levels.Valence.DESCRIPTOR.name, levels.VALENCE_POSITIVE): "+",
    (levels.Valence.DESCRIPTOR.name, levels.VALENCE_NEGATIVE): "-",
    (levels.Closeness.DESCRIPTOR.name, levels.CLOSENESS_DISTANT): "D",
    (levels.Closeness.DESCRIPTOR.name, levels.CLOSENESS_INTIMATE): "I",
    (levels.Intensity.DESCRIPTOR.name, levels.INTENSITY_INTENSE): "S",
    (levels.Intensity.DESCRIPTOR.name, levels.INTENSITY_WEAK): "W",
}


def table() -> dict[str, tuple[str, str]]:
    cells = [line.split("|") for line in TABLE.strip().splitlines()]
    rows = [*(each[:3] for each in cells), *(each[3:] for each in cells)]
    return {slug: (axes, alias) for slug, axes, alias in rows}


def signs(axes: TypeAxes) -> str:
    found = [SIGNS[field.enum_type.name, value] for field, value in axes.ListFields() if field.enum_type]
    return " ".join(found)


# --- Shipped ---------------------------------------------------------------------------------------------------------


def test_the_shipped_types_are_frozen() -> None:
    assert DIGEST_OF_BUILT_IN_TYPES == sha256(BUILT_IN_TYPES.SerializeToString(deterministic=True)).hexdigest()


def test_the_shipped_types_are_those_of_the_design() -> None:
    found = {each.slug: (signs(each.axes), each.neutral_alias) for each in BUILT_IN_TYPES.types}

    assert ("", "rapport:stranger") == found.pop("rapport:stranger")
    assert table() == found
    assert 22 == len(found)


def test_of_the_article_only_the_names_that_public_text_confirms_are_shipped() -> None:
    by_source = [slug.partition(":")[0] for slug in SHIPPED]

    assert (15, 7, 1) == tuple(by_source.count(each) for each in ("fournier", "hbr", "rapport"))


@pytest.mark.parametrize("slug", SHIPPED)
def test_every_shipped_type_has_a_source_a_title_and_a_definition(slug: str) -> None:
    found = SHIPPED[slug]
    named = {"fournier": "Susan Fournier", "hbr": "Harvard Business Review", "rapport": "Rapport"}

    assert named[slug.partition(":")[0]] in found.source
    assert found.title
    assert found.definition


def test_only_the_axes_of_the_table_are_set() -> None:
    fields = {field.name for each in BUILT_IN_TYPES.types for field, _ in each.axes.ListFields()}

    assert {"valence", "closeness", "intensity"} == fields


# --- Own -------------------------------------------------------------------------------------------------------------


def test_own_types_are_added_to_the_shipped_ones_by_slug() -> None:
    state = published(types(own_type("house:b"), own_type("a:first")))

    slugs = list(state.types.current)
    assert sorted(slugs) == slugs
    assert {"house:b", "a:first", "hbr:buddies"} < set(slugs)
    assert 25 == len(slugs)


def test_an_own_type_takes_the_place_of_the_shipped_one_with_its_slug() -> None:
    own = own_type("hbr:buddies", title="Mates")
    known = published(types(own)).types.last

    assert "Mates" == known.by_slug["hbr:buddies"].title
    assert (False, True) == (known.is_shipped("hbr:buddies"), known.is_shipped("hbr:fling"))
    assert 23 == len(known.by_slug)
    assert "Buddies" == PolicyState().types.current["hbr:buddies"].title


def test_an_own_type_without_an_alias_is_called_by_its_slug() -> None:
    assert "house:regular" == published(types()).types.current["house:regular"].neutral_alias


def test_the_latest_catalogue_counts_whole() -> None:
    state = published(types(own_type("house:a")), types(own_type("house:b")))

    assert "house:a" not in state.types.current
    assert (2, [1, 2]) == (state.types.latest, [each.version for each in state.types.versions])
    first = state.types.version(1)
    assert first is not None
    assert "house:a" in first.by_slug


def test_a_catalogue_that_names_a_slug_twice_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        published(types(own_type(), own_type(title="again")))

    assert reasons.ERROR_REASON_REQUEST_INVALID == refused.value.reason
    assert ["catalogue.types[1].slug"] == [each.field for each in refused.value.violations]


def test_the_order_in_which_types_are_given_does_not_make_another_version() -> None:
    stream = Publications()
    stream.do(types(own_type("house:a"), own_type("house:b"), version=1))
    stream.do(types(own_type("house:b"), own_type("house:a"), version=1))

    assert () == stream.decision.facts


@pytest.mark.parametrize(
    "values, asked, expected",
    [
        ({}, {"industry": "banking", "brand": "x", "country": "DE"}, True),
        ({"industries": ["banking"]}, {}, True),
        ({"industries": ["banking"]}, {"industry": "banking"}, True),
        ({"industries": ["banking"]}, {"industry": "retail"}, False),
        ({"brands": ["x"]}, {"brand": "y"}, False),
        ({"countries": ["DE"]}, {"country": "DE-BY"}, True),
        ({"countries": ["DE-BY"]}, {"country": "DE"}, False),
        ({"countries": ["DE"], "brands": ["x"]}, {"country": "DE", "brand": "y"}, False),
    ],
)
def test_types_are_for_industries_brands_and_countries(
    values: dict[str, Any], asked: dict[str, str], *, expected: bool
) -> None:
    assert expected is is_for(own_type(**values), **asked)


def test_a_catalogue_that_an_entry_of_the_log_cannot_hold_is_refused_by_its_size() -> None:
    long = [own_type(f"house:{number}", source="s" * 1_000) for number in range(80)]

    with pytest.raises(Rejected) as refused:
        published(types(*long))

    assert reasons.ERROR_REASON_EVENT_TOO_LARGE == refused.value.reason
