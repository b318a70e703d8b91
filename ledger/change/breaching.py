"""Breaches: `trust_fractured` and `preference_dishonoured` (relationship.md 15). Each is announced once, at once."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger.change.look import Draft, Look
from ledger.measure import penalties
from ledger.measure.measured import Measured
from rapport.change.v1 import change_pb2 as pb
from rapport.type.v1 import levels_pb2

_KINDS: Final = {
    levels_pb2.STRENGTH_COMPONENT_TRUST_FRACTURED: ("trust", pb.CHANGE_KIND_TRUST_FRACTURED),
    levels_pb2.STRENGTH_COMPONENT_PREFERENCE_DISHONOURED: ("contact", pb.CHANGE_KIND_PREFERENCE_DISHONOURED),
}
_MEMO: Final = "breaches told"


def breaching(look: Look) -> Iterator[Draft]:
    """Announce breaches of trust, and contacts against a decision or what was declared."""
    told, m = look.levels.told, look.measured
    # A customer may have thousands of them, and each event brings one look.
    last: _Told | None = m.record.memo.get(_MEMO)
    now = _Told(len(told), penalties.seen(m))
    if last == now and "promises" not in m.record.state.parts:
        return
    found = penalties.breaches(m, last.seen if last is not None and last.announced == now.announced else None)
    known = set(told) if found else ()
    for event in found:
        measure, kind = _told_as(event)
        if measure not in known:
            told.append(measure)
            yield Draft(kind, measure, "", "", look.cause)
    m.record.memo[_MEMO] = now._replace(announced=len(told))


class _Told(NamedTuple):
    """How many breaches were announced, all of those among what was seen."""

    announced: int
    seen: penalties.Seen


def breaches(measured: Measured) -> Iterator[tuple[str, pb.ChangeKind.ValueType]]:
    """Yield the breaches there are, as measures, with the kind of change that announces each."""
    return map(_told_as, penalties.breaches(measured))


def _told_as(event: penalties.PenaltyEvent) -> tuple[str, pb.ChangeKind.ValueType]:
    name, kind = _KINDS[event.kind]
    return f"{name}:{event.position}", kind


def excused(look: Look, before: Measured) -> None:
    """Announce no breaches that are such under a new policy only. `before`: the same under the old one."""
    known = {*look.levels.told, *(measure for measure, _ in breaches(before))}
    for measure, _ in breaches(look.measured):
        if measure not in known:
            look.levels.told.append(measure)
