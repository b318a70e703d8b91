"""Who is one person: links followed from state to state."""

from ledger.contact.person import Person, person
from ledger.domain.fact import Fact
from ledger.domain.identity import IDENTITY_LINKED, IDENTITY_UNLINKED
from ledger.domain.relationship import RelationshipState
from rapport.events.v1.identity_pb2 import IdentityLinked, IdentityUnlinked
from rapport.events.v1.metadata_pb2 import EventMetadata

STREAMS = tuple(f"acme/{name}" for name in "abcd")


def linked(*pairs: str, apart: str = "") -> dict[str, RelationshipState]:
    """Return the states of four customers of whom some are linked, and some of these links undone."""
    states = {name: RelationshipState() for name in STREAMS}
    for position, pair in enumerate(pairs, start=1):
        one, other = pair[0], pair[1]
        link = IdentityLinked(link_id=pair, customer_a_id=one, customer_b_id=other)
        for name in (one, other):
            state = states[f"acme/{name}"]
            state.evolve(Fact(position, position, 1, 1, IDENTITY_LINKED, link, EventMetadata()))
            if apart == pair:
                unlink = IdentityUnlinked(link_id=apart, reason="wrong")
                state.evolve(Fact(position + 9, position, 1, 1, IDENTITY_UNLINKED, unlink, EventMetadata()))
    return states


def test_who_is_linked_to_nobody_is_alone() -> None:
    assert Person((), frozenset()) == person("acme/a", linked())
    assert Person((), frozenset()) == person("acme/a", linked("bc"))


def test_links_are_followed_in_both_directions_and_over_others_round_a_ring() -> None:
    states = linked("ab", "cb", "ca")

    assert ("acme/b", "acme/c") == person("acme/a", states).linked
    assert ("acme/a", "acme/c") == person("acme/b", states).linked
    assert ("acme/a", "acme/b") == person("acme/c", states).linked


def test_what_is_not_at_hand_is_named_and_what_lies_behind_it_is_not_known() -> None:
    states = linked("ab", "bc", "cd")
    del states["acme/c"]

    assert Person(("acme/b",), frozenset({"acme/c"})) == person("acme/a", states)


def test_a_link_that_was_undone_leads_nowhere() -> None:
    assert Person(("acme/b",), frozenset()) == person("acme/a", linked("ab", "bc", apart="bc"))


def test_a_state_that_is_only_asked_for_links_gets_no_fold_of_them() -> None:
    states = linked()

    person("acme/a", states)

    assert {} == states["acme/a"].parts
