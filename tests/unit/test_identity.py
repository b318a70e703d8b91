"""Links: in both streams at once, refused where they say nothing, and undone without a trace."""

from typing import Any

import pytest

from ledger.contact.person import person
from ledger.domain.identity import IDENTITY_LINKED, IDENTITY_UNLINKED, Joined, LinkCustomers, UnlinkCustomers
from ledger.domain.profile import VerifyIdentifier
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import MICROSECONDS
from rapport.events.v1.identity_pb2 import IdentifierVerified, IdentityLinked, IdentityUnlinked
from rapport.type.v1.event_context_pb2 import EventContext
from tests.stepping import Steps

NOW = 1_800_000_000 * MICROSECONDS
PERSON = EventContext(actor="clerk-7")
NAMES = "abcd"


def stream(name: str) -> str:
    return f"acme/{name}"


@pytest.fixture
def steps() -> Steps:
    """Four customers, each with a contact point of its own."""
    steps = Steps(NOW)
    for name in NAMES:
        verify(steps, name, f"cp-{name}")
    return steps


def verify(steps: Steps, name: str, contact_point_id: str, **more: Any) -> None:
    identifier = IdentifierVerified(contact_point_id=contact_point_id, kind="email", **more)
    steps.do(VerifyIdentifier(stream(name), identifier))


def link(
    one: str, other: str, link_id: str = "", at: int | None = None, context: EventContext | None = None
) -> tuple[LinkCustomers, Joined]:
    event = IdentityLinked(link_id=link_id or one + other, customer_a_id=one, customer_b_id=other, evidence="email")
    first = LinkCustomers(stream(one), stream(other), event, at, context)
    return first, Joined(stream(other), first)


def unlink(one: str, other: str, link_id: str = "", at: int | None = None) -> tuple[UnlinkCustomers, Joined]:
    event = IdentityUnlinked(link_id=link_id or one + other, reason="wrong")
    first = UnlinkCustomers(stream(one), other, event, at)
    return first, Joined(stream(other), first)


def people(steps: Steps, at: int | None = None) -> set[str]:
    """Return who is one person, each as the letters of their customer ids."""
    states: dict[str, RelationshipState] = {
        stream(name): steps.state(stream(name)) if at is None else steps.as_of(stream(name), at) for name in NAMES
    }
    found = set()
    for name in NAMES:
        linked = person(stream(name), states).linked
        found.add("".join(sorted(each.partition("/")[2] for each in (stream(name), *linked))))
    return found


def test_a_link_stands_in_both_streams_with_one_content_and_one_time(steps: Steps) -> None:
    steps.do(*link("a", "b"))

    one, other = (steps.facts[stream(name)][-1] for name in "ab")
    assert (one.event, one.occur_time, one.position + 1) == (other.event, other.occur_time, other.position)
    assert {"ab", "c", "d"} == people(steps)


def test_a_customer_is_not_linked_to_itself(steps: Steps) -> None:
    assert ("LINK_NOT_ALLOWED", {"cause": "SELF"}) == steps.refused(*link("a", "a"))


def test_two_who_are_linked_are_not_linked_again_in_either_direction_also_by_a_person(steps: Steps) -> None:
    steps.do(*link("a", "b"))

    assert ("LINK_NOT_ALLOWED", {"cause": "LINKED"}) == steps.refused(*link("a", "b", "again"))
    assert ("LINK_NOT_ALLOWED", {"cause": "LINKED"}) == steps.refused(*link("b", "a", "again", context=PERSON))
    steps.do(*link("b", "c"))
    steps.do(*link("a", "c"))  # One person already, over b; the two themselves have no link.


@pytest.mark.parametrize("names", ["ab", "bc", "ca"])
def test_the_id_of_a_link_is_never_used_again_by_any_of_its_customers(steps: Steps, names: str) -> None:
    steps.do(*link("a", "b", "l-1"))
    first = steps.facts[stream("a")][-1].position
    steps.do(*link("c", "d", "l-2"))
    steps.do(*unlink("b", "a", "l-1"))

    link_id = {"bc": "l-2"}.get(names, "l-1")
    reason, values = steps.refused(*link(names[0], names[1], link_id))

    assert ("LINK_ID_TAKEN", link_id) == (reason, values["link_id"])
    assert names == "bc" or str(first) == values["position"]


def test_who_is_unknown_is_not_linked(steps: Steps) -> None:
    for pair in (("a", "x"), ("x", "a")):
        assert ("RELATIONSHIP_UNKNOWN", {"organization_id": "acme", "customer_id": "x"}) == steps.refused(*link(*pair))


@pytest.mark.parametrize("shared_at", ["a", "b", "ab"])
def test_no_link_is_made_by_itself_on_what_several_people_use(steps: Steps, shared_at: str) -> None:
    for name in "ab":
        verify(steps, name, "switchboard", shared=name in shared_at)

    assert ("LINK_NOT_ALLOWED", {"cause": "SHARED_IDENTIFIER"}) == steps.refused(*link("a", "b"))
    steps.do(*link("a", "b", context=PERSON))


@pytest.mark.parametrize("name", ["null", "-1", "0000000", "Anonymous"])
def test_no_link_is_made_by_itself_on_what_says_nothing(steps: Steps, name: str) -> None:
    for customer in "ab":
        verify(steps, customer, name)

    assert ("LINK_NOT_ALLOWED", {"cause": "SHARED_IDENTIFIER"}) == steps.refused(*link("a", "b"))


def test_one_contact_point_of_their_own_in_common_is_ground_enough(steps: Steps) -> None:
    for name in "ab":
        verify(steps, name, "switchboard", shared=True)
        verify(steps, name, "mobile")

    steps.do(*link("a", "b"))

    assert "ab" in people(steps)


def test_only_the_two_of_a_link_that_holds_are_unlinked(steps: Steps) -> None:
    steps.do(*link("a", "b", "l-1"))

    assert ("LINK_UNKNOWN", {"link_id": "l-2"}) == steps.refused(*unlink("a", "b", "l-2"))
    assert "LINK_UNKNOWN" == steps.refused(*unlink("a", "c", "l-1"))[0]
    assert "LINK_UNKNOWN" == steps.refused(*unlink("c", "a", "l-1"))[0]
    assert "LINK_UNKNOWN" == steps.refused(*unlink("a", "a", "l-1"))[0]
    steps.do(*unlink("b", "a", "l-1"))  # Named in the other order.
    assert "LINK_UNKNOWN" == steps.refused(*unlink("a", "b", "l-1"))[0]


def test_of_a_chain_one_link_less_leaves_two_people(steps: Steps) -> None:
    steps.do(*link("a", "b"))
    steps.do(*link("b", "c"))
    assert {"abc", "d"} == people(steps)

    steps.do(*unlink("a", "b"))

    assert {"a", "bc", "d"} == people(steps)


def test_a_view_from_before_the_link_shows_two_and_one_from_before_the_end_shows_one(steps: Steps) -> None:
    steps.do(*link("a", "b", at=NOW - 9))
    steps.do(*unlink("a", "b", at=NOW - 5))

    assert {"a", "b", "c", "d"} == people(steps, NOW - 10)
    assert {"ab", "c", "d"} == people(steps, NOW - 9)
    assert {"ab", "c", "d"} == people(steps, NOW - 6)
    assert {"a", "b", "c", "d"} == people(steps, NOW - 5)


def test_a_link_recorded_twice_under_one_id_counts_once_and_not_again_once_undone(steps: Steps) -> None:
    event = IdentityLinked(link_id="l-1", customer_a_id="a", customer_b_id="b", evidence="email")
    again = IdentityLinked(link_id="l-1", customer_a_id="a", customer_b_id="c", evidence="email")
    identity = steps.state(stream("a")).identity

    steps.put(stream("a"), IDENTITY_LINKED, event)
    steps.put(stream("a"), IDENTITY_LINKED, again)
    assert {"a", "b"} == identity.others
    steps.put(stream("a"), IDENTITY_UNLINKED, IdentityUnlinked(link_id="l-1", reason="wrong"))
    steps.put(stream("a"), IDENTITY_LINKED, again)
    assert {} == identity.links


def test_what_lies_in_the_future_is_refused(steps: Steps) -> None:
    assert "OCCUR_TIME_IN_FUTURE" == steps.refused(*link("a", "b", at=NOW + 10**12))[0]
