"""Breaches: `trust_fractured` and `preference_dishonoured` (relationship.md 15). Each is announced once, at once."""

from collections.abc import Iterator
from typing import Final

from ledger.change.look import Draft, Look
from ledger.measure import penalties
from rapport.change.v1 import change_pb2 as pb
from rapport.type.v1 import levels_pb2

_KINDS: Final = {
    levels_pb2.STRENGTH_COMPONENT_TRUST_FRACTURED: ("trust", pb.CHANGE_KIND_TRUST_FRACTURED),
    levels_pb2.STRENGTH_COMPONENT_PREFERENCE_DISHONOURED: ("contact", pb.CHANGE_KIND_PREFERENCE_DISHONOURED),
}


def breaching(look: Look) -> Iterator[Draft]:
    """Announce breaches of trust, and contacts against a decision or what was declared."""
    told = look.levels.told
    known = set(told)
    for event in penalties.events(look.measured):
        found = _KINDS.get(event.kind)
        if found is None:
            continue
        measure, kind = f"{found[0]}:{event.position}", found[1]
        if measure not in known:
            known.add(measure)
            told.append(measure)
            yield Draft(kind, measure, "", "", look.cause)
