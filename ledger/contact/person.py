"""The person behind a customer id: every other customer id that live links lead to (consent.md 7).

A link joins two ids; a person may have more, each linked to some other of them. So links are followed from state to
state until they lead to nobody new. Who follows them has some of the states, and is told which others it takes.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ledger.domain.identifiers import organization_of, relationship_stream
from ledger.domain.relationship import RelationshipState


class Person(NamedTuple):
    """The customer ids of one person, as far as some states tell."""

    linked: tuple[str, ...]
    """Streams of the others whose states are there, in order of their ids."""
    missing: frozenset[str]
    """Streams that a link leads to and whose states are not there. Behind them there may be more."""


_ALONE = Person((), frozenset())


def person(stream_id: str, states: Mapping[str, RelationshipState]) -> Person:
    """Return whom live links join to a customer, directly or over others.

    `states`: by stream id, the customer's own among them; those of streams that no link leads to do not count.
    """
    if not _links(states[stream_id]):
        return _ALONE
    organization_id = organization_of(stream_id)
    seen, follow, missing = {stream_id}, [stream_id], set()
    while follow:
        for other in _links(states[follow.pop()]):
            name = relationship_stream(organization_id, other)
            if name in seen:
                continue
            seen.add(name)
            if name in states:
                follow.append(name)
            else:
                missing.add(name)
    return Person(tuple(sorted(seen - missing - {stream_id})), frozenset(missing))


def _links(state: RelationshipState) -> frozenset[str]:
    # Most customers have no links, and their states no fold of them either: it is not made only to be asked.
    return state.identity.others if "identity" in state.parts else frozenset()
