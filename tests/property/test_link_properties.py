"""Links and their undoing, over random histories: a link that was undone leaves nothing behind (relationship.md 14)."""

from __future__ import annotations

import random

import pytest

from ledger.contact.person import person
from ledger.domain.errors import Rejected
from ledger.domain.identity import Joined, LinkCustomers, UnlinkCustomers
from ledger.domain.profile import VerifyIdentifier
from ledger.domain.times import MICROSECONDS
from rapport.events.v1.identity_pb2 import IdentifierVerified, IdentityLinked, IdentityUnlinked
from tests.stepping import Steps

NOW = 1_800_000_000 * MICROSECONDS
NAMES = "abcdef"
Edge = tuple[str, str]


def stream(name: str) -> str:
    return f"acme/{name}"


def begun() -> Steps:
    steps = Steps(NOW)
    for name in NAMES:
        identifier = IdentifierVerified(contact_point_id=f"cp-{name}", kind="email")
        steps.do(VerifyIdentifier(stream(name), identifier, NOW - 1000))
    return steps


def link(steps: Steps, edge: Edge, link_id: str, at: int) -> None:
    one, other = edge
    event = IdentityLinked(link_id=link_id, customer_a_id=one, customer_b_id=other, evidence="email")
    first = LinkCustomers(stream(one), stream(other), event, at)
    steps.do(first, Joined(stream(other), first))


def unlink(steps: Steps, edge: Edge, link_id: str, at: int) -> None:
    one, other = edge
    first = UnlinkCustomers(stream(one), other, IdentityUnlinked(link_id=link_id, reason="wrong"), at)
    steps.do(first, Joined(stream(other), first))


def people(steps: Steps, at: int) -> dict[str, frozenset[str]]:
    """Return the customer ids of each customer's person, as of an instant."""
    states = {stream(name): steps.as_of(stream(name), at) for name in NAMES}
    return {
        name: frozenset({name, *(each.partition("/")[2] for each in person(stream(name), states).linked)})
        for name in NAMES
    }


def components(edges: set[frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return the same by growing sets of names until none grows: no graph is walked."""
    groups = {name: {name} for name in NAMES}
    for _ in NAMES:
        for edge in edges:
            joined = set().union(*(groups[name] for name in edge))
            for name in joined:
                groups[name] = joined
    return {name: frozenset(group) for name, group in groups.items()}


@pytest.mark.parametrize("seed", range(150))
def test_who_is_one_person_at_any_time_follows_from_the_links_that_held_then(seed: int) -> None:
    chance = random.Random(seed)
    steps, live, history = begun(), dict[str, Edge](), list[tuple[int, set[frozenset[str]]]]()
    for number in range(14):
        at = NOW - 500 + number * chance.randint(0, 9)
        at = max([at, *(time for time, _ in history)])
        if live and chance.random() < 0.4:
            link_id = chance.choice(sorted(live))
            one, other = live.pop(link_id)
            unlink(steps, (one, other) if chance.random() < 0.5 else (other, one), link_id, at)
        else:
            one, other = chance.sample(NAMES, 2)
            held = frozenset((one, other)) in {frozenset(edge) for edge in live.values()}
            try:
                link(steps, (one, other), f"l-{number}", at)
            except Rejected:
                assert held
                continue
            assert not held
            live[f"l-{number}"] = one, other
        history.append((at, {frozenset(edge) for edge in live.values()}))

    assert components(history[-1][1]) == people(steps, NOW)
    for at in {time for time, _ in history}:
        last = [edges for time, edges in history if time <= at][-1]
        assert components(last) == people(steps, at)


@pytest.mark.parametrize("seed", range(60))
def test_the_order_of_links_does_not_matter_and_linked_then_unlinked_is_never_linked(seed: int) -> None:
    chance = random.Random(seed)
    edges = [tuple(sorted(chance.sample(NAMES, 2))) for _ in range(8)]
    kept = {edge: f"l-{edge[0]}{edge[1]}" for edge in edges[:4]}
    undone = {edge: f"x-{edge[0]}{edge[1]}" for edge in edges[4:] if edge not in kept}
    plain, busy = begun(), begun()
    for edge, link_id in kept.items():
        link(plain, (edge[0], edge[1]), link_id, NOW - 100)

    acts = [*kept.items(), *undone.items()]
    chance.shuffle(acts)
    for edge, link_id in acts:
        link(busy, (edge[0], edge[1]), link_id, NOW - 100)
    ends = list(undone.items())
    chance.shuffle(ends)
    for edge, link_id in ends:
        unlink(busy, (edge[0], edge[1]), link_id, NOW - 100)

    assert people(plain, NOW) == people(busy, NOW)
    for name in NAMES:
        one, other = (steps.state(stream(name)).identity for steps in (plain, busy))
        assert {link_id: each.message for link_id, each in one.links.items()} == {
            link_id: each.message for link_id, each in other.links.items()
        }
        assert one.others == other.others
