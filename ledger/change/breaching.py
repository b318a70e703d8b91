"""Breaches: `trust_fractured` and `preference_dishonoured` (relationship.md 15). Each is announced once, at once."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger.change.look import Draft, Look
from ledger.measure import penalties
from ledger.measure.measured import Measured
from rapport.change.v1 import change_pb2 as pb
from rapport.type.v1 import levels_pb2

_TRUST: Final = "trust"
_KINDS: Final = {
    levels_pb2.STRENGTH_COMPONENT_TRUST_FRACTURED: (_TRUST, pb.CHANGE_KIND_TRUST_FRACTURED),
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
    known = {*told, *_broken_on(look, found)} if found or told else ()
    for event in found:
        measure, kind = _told_as(event)
        if measure not in known:
            told.append(measure)
            yield Draft(kind, measure, "", "", look.cause)
    m.record.memo[_MEMO] = now._replace(announced=len(told))


def _broken_on(look: Look, found: list[penalties.PenaltyEvent]) -> list[str]:
    """Return the measures of promises on topics on which trust is broken, and was said to be; forget other topics.

    What breaks it is the second breach on a topic. Which one that is may change with what comes late, and that breaks
    nothing anew; once there are fewer breaches, the next one does.
    """
    told, state = look.levels.told, look.measured.record.state
    if not told or "promises" not in state.parts:
        return []
    topics = {f"{_TRUST}:{promise.position}": promise.message.topic for promise in state.promises.all()}
    measures = {_told_as(event)[0] for event in found}
    broken = {topics[measure] for measure in measures if measure in topics}
    said = {topics[measure] for measure in told if measure in topics}
    told[:] = [measure for measure in told if measure not in topics or topics[measure] in broken]
    return [measure for measure in measures if topics.get(measure) in said]


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
