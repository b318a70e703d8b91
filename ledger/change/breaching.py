"""Breaches: `trust_fractured` and `preference_dishonoured` (relationship.md 15). Each is announced once, at once."""

from collections.abc import Iterator
from typing import Final

from ledger.change.look import Draft, Look
from ledger.measure import penalties
from ledger.measure.measured import Measured
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
    for measure, kind in breaches(look.measured):
        if measure not in known:
            known.add(measure)
            told.append(measure)
            yield Draft(kind, measure, "", "", look.cause)


def breaches(measured: Measured) -> Iterator[tuple[str, pb.ChangeKind.ValueType]]:
    """Yield the breaches there are, as measures, with the kind of change that announces each."""
    for event in penalties.events(measured):
        found = _KINDS.get(event.kind)
        if found is not None:
            yield f"{found[0]}:{event.position}", found[1]


def excused(look: Look, before: Measured) -> None:
    """Announce no breaches that are such under a new policy only. `before`: the same under the old one."""
    old = {measure for measure, _ in breaches(before)}
    for measure, _ in breaches(look.measured):
        if measure not in old and measure not in look.levels.told:
            look.levels.told.append(measure)
