"""Properties of personae: belonging is what explaining says, and rests on nothing that was taken away."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from ledger.measure import personae
from rapport.events.v1 import attribute_pb2 as a
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import disclosure_pb2 as d
from rapport.events.v1.persona_pb2 import PersonaClause
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY
from tests.measured_histories import MeasuredDraw
from tests.relationship_policies import APPROVERS, approval, has, persona, stands

KEYS, CODES = ("tea", "seat"), ("green", "black")
SLOTS = (d.PROVENANCE_DECLARED, d.PROVENANCE_OBSERVED, d.PROVENANCE_INFERRED)
BASIS = c.LEGAL_BASIS_LEGITIMATE_INTEREST_CONTROLLER


def known(draw: random.Random) -> Message:
    """Return something that fills a slot, or empties one."""
    key, code = draw.choice(KEYS), draw.choice(CODES)
    basis = draw.choice([BASIS, BASIS, c.LEGAL_BASIS_UNSPECIFIED])
    kinds: list[Callable[[], Message]] = [
        lambda: a.AttributeDisclosed(key=key, code=code, indicated_by=c.INDICATED_BY_SUBJECT, interaction_position=1),
        lambda: a.AttributeObserved(key=key, code=code, legal_basis=basis),
        lambda: a.AttributeInferred(key=key, code=code, legal_basis=basis),
        lambda: a.AttributeWithdrawn(key=key, provenance=draw.choice(SLOTS)),
    ]
    return draw.choice(kinds)()


def clause(draw: random.Random) -> PersonaClause:
    """Return a clause that holds of some and not of others."""
    negated = draw.random() < 0.4
    if draw.random() < 0.6:
        provenances = draw.choice([(), (d.PROVENANCE_DECLARED,), (d.PROVENANCE_INFERRED, d.PROVENANCE_OBSERVED)])
        codes = draw.choice([(), CODES[:1], CODES])
        return has(draw.choice(KEYS), *codes, provenances=provenances, negated=negated)
    found: list[dict[str, Any]] = [
        {"lifecycles": [levels.LIFECYCLE_ACTIVE, levels.LIFECYCLE_AT_RISK]},
        {"exists": draw.random() < 0.5},
        {"bands": [levels.STRENGTH_BAND_WEAK]},
        {"valence": levels.VALENCE_NEGATIVE, "broadcast": False},
        {"intensity": levels.INTENSITY_WEAK},
    ]
    return stands(negated=negated, **draw.choice(found))


@pytest.mark.parametrize("seed", range(10))
def test_customers_belong_where_every_clause_is_explained_to_hold(seed: int) -> None:
    drawn = MeasuredDraw(seed)
    draw, history, now = drawn.random, drawn.history, drawn.fill(20)
    for _ in range(draw.randrange(6)):
        history.add(known(draw), now - draw.randrange(1, 30) * DAY, recorded=now)
    published = [persona(*(clause(draw) for _ in range(draw.randrange(1, 4))), persona_id=f"p{n}") for n in range(20)]
    for each in published:
        each.version = 1
        history.publish(each)
        for function in APPROVERS:
            history.publish(approval(function, each.persona_id))

    m = history.measured(now)
    found = {each.persona_id: each.inferred_share.ppm for each in m.personae}
    explained = {each.persona_id: personae.explain(m, each) for each in published}

    assert found == {name: each.inferred_share.ppm for name, each in explained.items() if each.member}
    assert list(found) == sorted(found)


@pytest.mark.parametrize("seed", range(6))
def test_evidence_is_on_record_and_without_it_a_told_value_is_no_more(seed: int) -> None:
    drawn = MeasuredDraw(seed)
    draw, history, now = drawn.random, drawn.history, drawn.fill(10)
    for _ in range(6):
        history.add(known(draw), now - draw.randrange(1, 30) * DAY, recorded=now)
    asked = persona(*(has(key, code) for key in KEYS for code in CODES))

    for finding in personae.explain(history.measured(now), asked).findings:
        positions = {fact.position for _, fact in history.facts}
        assert positions.issuperset(finding.evidence)
        if finding.holds:
            less = MeasuredDraw(seed).history
            less.facts[:] = [each for each in history.facts if each[1].position not in finding.evidence]
            again = personae.explain(less.measured(now), asked).findings[finding.number - 1]
            assert finding.evidence != again.evidence
