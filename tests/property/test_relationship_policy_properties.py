"""Properties of publishing what relationships are measured by: total on any message, idempotent, and as checked."""

from __future__ import annotations

import random
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from ledger.domain.errors import Rejected
from ledger.domain.policy import PolicyState
from ledger.domain.relationship_policy import filled
from ledger.domain.relationship_publishing import checked
from ledger.measure.outlook import next_policy_change, outlook_of
from ledger.measure.rules import rules_of
from rapport.events.v1 import relationship_policy_pb2 as p
from rapport.events.v1.persona_pb2 import PersonaDefined
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.events.v1.relationship_types_pb2 import TypeCatalogue
from tests.messages import fill
from tests.relationship_policies import NOW, Publications

BATCHES = range(8)


def drawn(chance: random.Random) -> RelationshipPolicy:
    """Return a policy that often is well-formed: a few numbers near their defaults."""
    policy, whole = RelationshipPolicy(), filled(RelationshipPolicy())
    for part in chance.sample(["cadence", "axes", "returns", "conversation", "contact_shape", "announcements"], 2):
        usual = getattr(whole, part)
        for field in chance.sample([each for each in usual.DESCRIPTOR.fields if not each.is_repeated], 2):
            setattr(getattr(policy, part), field.name, getattr(usual, field.name) + chance.choice([0, 1, 30]))
    if chance.random() < 0.5:
        policy.strength.weights.CopyFrom(p.StrengthWeights(involvement_ppm=400_000, answering_ppm=600_000))
    if chance.random() < 0.3:
        policy.effective_from_time.FromSeconds(NOW // 1_000_000 + chance.randrange(-5, 50))
    return policy


@pytest.mark.parametrize("batch", BATCHES)
def test_any_policy_is_filled_twice_as_once_and_judged_without_a_crash(batch: int) -> None:
    chance = random.Random(batch)
    for _ in range(60):
        policy = RelationshipPolicy()
        fill(policy, chance)

        whole = filled(policy)

        assert whole == filled(whole)
        faults, _ = checked(policy, PolicyState())
        assert all(each.violation.field and each.violation.description for each in faults)


@pytest.mark.parametrize("make", [TypeCatalogue, PersonaDefined])
def test_any_catalogue_and_any_persona_is_published_or_refused(make: Any) -> None:
    chance = random.Random(1)
    for _ in range(200):
        message = make()
        fill(message, chance)
        stream = Publications()
        with suppress(Rejected):
            stream.do(message)
        assert len(stream.decision.facts) == stream.state.version


@pytest.mark.parametrize("batch", BATCHES)
def test_what_a_check_finds_nothing_wrong_with_is_published_and_measured_by(batch: int) -> None:
    chance, stream = random.Random(batch), Publications()
    published = 0
    for _ in range(25):
        stream.now += chance.randrange(10) * 1_000_000
        policy = drawn(chance)
        faults, whole = checked(policy, stream.state)
        if faults:
            with pytest.raises(Rejected) as refused:
                stream.do(policy)
            assert len(faults) == len(refused.value.violations)
            continue
        published += 1
        stream.do(policy)
        version = stream.state.relationship.version(published)
        assert version is not None
        assert whole == version.stored
        assert rules_of(version.policy).version == published
    assert published


@pytest.mark.parametrize("batch", BATCHES)
def test_an_outlook_is_the_same_until_the_next_change_and_as_if_made_anew(batch: int) -> None:
    """Asked in any order; a state that is folded again knows nothing of what was asked of the first."""
    chance, stream = random.Random(batch), Publications()
    for _ in range(6):
        stream.now += chance.randrange(10) * 1_000_000
        policy = drawn(chance)
        if not checked(policy, stream.state)[0]:
            stream.do(policy)
    instants = sorted(chance.randrange(NOW - 10**7, NOW + 10**8) for _ in range(40))
    versions = {at: stream.state.relationship.in_force(at).version for at in instants}

    for at in chance.sample(instants, len(instants)):
        assert versions[at] == outlook_of(stream.state, at).rules.version
    for at, later in pairwise(instants):
        change = next_policy_change(stream.state, at)
        if change is None or later < change:
            assert versions[at] == versions[later]
