"""Properties of types: nobody looks too late at a ratio that a rule bounds; provenances never mix."""

from __future__ import annotations

import random

import pytest

from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.results import Axes, Ratio
from rapport.events.v1.relationship_pb2 import RelationshipTypeAssessed, RelationshipTypeDeclared
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, TypeRule, TypeRules
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY
from tests.measured_histories import START, MeasuredDraw, MeasuredHistory, acted, traded

SLUGS = ("hbr:buddies", "hbr:fling", "fournier:enmity", "hbr:best-friends")
_NONE = Ratio(0, 1)
UNKNOWN = Axes(
    levels.VALENCE_UNSPECIFIED,
    _NONE,
    levels.CLOSENESS_UNSPECIFIED,
    _NONE,
    levels.INTENSITY_UNSPECIFIED,
    _NONE,
    {},
    None,
)


def bounded(near: int, half_life_days: int) -> RelationshipPolicy:
    """Return a policy whose rules bound the ratio at and around a value in ppm, so that rounding matters."""
    rules = [
        TypeRule(slug="hbr:fling", reciprocity_max_ppm=max(0, near - 1)),
        TypeRule(slug="hbr:buddies", reciprocity_min_ppm=near, reciprocity_max_ppm=near),
        TypeRule(slug="hbr:best-friends", reciprocity_min_ppm=near + 2),
    ]
    return RelationshipPolicy(half_life_days=half_life_days, types=TypeRules(rules=rules))


def far_apart(draw: random.Random) -> MeasuredHistory:
    """Return a history of exchanges on days far apart."""
    history = MeasuredHistory()
    history.value_euros()
    history.add(acted("VISIT"), START)
    for number in range(draw.randrange(1, 5)):
        at = START + draw.randrange(400) * DAY
        paid = draw.randrange(1, 100_000)
        history.add(traded(f"p{number}", paid=paid), at, recorded=START + 400 * DAY)
        late = START + draw.randrange(400) * DAY
        history.add(traded(f"g{number}", got=draw.randrange(1, 100_000)), late, recorded=START + 400 * DAY)
    return history


@pytest.mark.parametrize("seed", range(12))
def test_the_clock_moves_no_inferred_type_before_the_instant_that_was_told(seed: int) -> None:
    """Walked from told instant to told instant; each day between two of them infers what the first one did."""
    draw = random.Random(seed)
    history = far_apart(draw)
    record, published = history.record(), history.published()
    half_life_days, start = draw.choice([7, 30, 90]), START + 401 * DAY
    free = outlook_of(published, START, RelationshipPolicy(half_life_days=half_life_days))
    weighed = Measured(record, free, start).reciprocity
    near = min(4 * 10**9, 1_000_000 * weighed.got // max(1, weighed.gave)) + draw.randrange(2)
    outlook = outlook_of(published, START, bounded(near, half_life_days))

    def types(at: int) -> tuple[str, int | None]:
        m = Measured(record, outlook, at)
        vars(m)["axes"] = UNKNOWN
        return m.types.inferred_slug, m.types.changes_at

    looks, slug, changes_at = 0, *types(start)
    for day in range(1, 200):
        at = start + day * DAY
        found, told = types(at)
        if changes_at is not None and changes_at <= at:
            looks, slug, changes_at = looks + 1, found, told
        assert slug == found
    assert looks < 199


@pytest.mark.parametrize("seed", range(6))
def test_provenances_never_mix(seed: int) -> None:
    """Without judgements the wish is the same, without wishes the actual type, and what is inferred either way."""
    draw = MeasuredDraw(seed)
    now = draw.fill(40)
    facts = list(draw.history.facts)
    rest = MeasuredHistory()
    for number in range(6):
        slug, at = draw.random.choice(SLUGS), now - draw.random.randrange(250) * DAY
        event = (
            RelationshipTypeDeclared(slug=slug) if number % 2 else RelationshipTypeAssessed(slug=slug, assessor_id="u")
        )
        draw.history.add(event, at, recorded=now)

    def measured(without: type) -> Measured:
        rest.facts[:] = [each for each in draw.history.facts if not isinstance(each[1].event, without)]
        return rest.measured(now)

    whole, unwished, unjudged = (measured(each) for each in (int, RelationshipTypeDeclared, RelationshipTypeAssessed))
    bare = MeasuredHistory()
    bare.facts[:] = facts

    assert ("", whole.types.actual_slug) == (unwished.types.desired_slug, unwished.types.actual_slug)
    assert whole.types.desired_slug == unjudged.types.desired_slug != ""
    assert unjudged.types.actual_slug == unjudged.types.inferred_slug
    inferred = {each.types.inferred_slug for each in (whole, unwished, unjudged, bare.measured(now))}
    assert 1 == len(inferred)
