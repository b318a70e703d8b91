"""After the commit: states follow what became durable, and callers get their receipts.

Nothing is answered before it is durable. A refusal is answered only once the streams that it rests on are known to have
been current, and the request is known not to be the repetition of one that was carried out.
"""

from collections.abc import Mapping, Sequence

from ledger.deciding import KEY_CREATED, Decided, Declined, Pass, Touched
from ledger.log.store import Appended, Conflict, EventRow, Outcome, RequestRow
from ledger.requests import Place, Receipt, StepReceipt, decode_notes
from ledger.states import States


def follow(states: States, group: Pass, outcomes: Sequence[Outcome]) -> None:
    """Let the states of the streams that the group touched follow what was stored.

    A stream of which anything was left out is forgotten, and so is one that was folded at positions other than those
    its events got in the end.
    """
    lost = _left_out(group, outcomes)
    lost.update(stream_id for stream_id, touched in group.touched.items() if touched.spoilt)
    shifts = _shifts(group, outcomes)
    record_time = _record_time(group, outcomes)
    for stream_id, touched in group.touched.items():
        moved = shifts is not None and any(shifts.get(written.offset) for written in touched.evolved)
        if stream_id in lost or moved:
            states.forget((stream_id,))
        elif touched.version != touched.entry.version:
            _follow_stream(states, group, touched, shifts or {}, record_time)


def _follow_stream(states: States, group: Pass, touched: Touched, shifts: Mapping[int, int], record_time: int) -> None:
    entry, first = touched.entry, group.head.position + 1
    last_position = first + touched.evolved[-1].offset if touched.evolved else entry.last_position
    for written in touched.pending:
        last_position = first + written.offset + shifts.get(written.offset, 0)
        entry.state.evolve(written.fact(last_position, record_time))
    states.grow(entry, touched.version, last_position)
    entry.era = states.era


def receipt_of(decided: Decided, outcome: Appended, head_position: int) -> Receipt:
    """Return the receipt of a request that was stored."""
    shift = outcome.first_position - decided.offset
    steps = tuple(
        StepReceipt(tuple(Place(place.position + shift, place.version) for place in step.places), step.note)
        for step in decided.steps
    )
    return Receipt(steps, outcome.record_time, outcome.last_position or head_position)


def first_receipt(row: RequestRow, rows: Sequence[EventRow], head_position: int) -> Receipt:
    """Return the receipt of a request that was carried out before, from what is remembered of it and its events."""
    places = [Place(event.position, event.version) for event in rows if event.topic != KEY_CREATED]
    position = row.last_position or head_position
    return Receipt(decode_notes(row.answer, places), row.record_time, position, replayed=True)


def rests_on_old(declined: Declined, group: Pass, outcomes: Sequence[Outcome], versions: Mapping[str, int]) -> bool:
    """Tell whether a refusal was made on a state that had been overtaken, or that did not come true.

    `versions`: what the store holds after the commit. Without foreign events that is what the group left behind.
    Where something of the group was left out, another process may have brought the stream to the same version.
    A state that was folded ahead may also have come true at other positions than predicted, which refusals name.
    """
    shifts, lost = _shifts(group, outcomes) or {}, _left_out(group, outcomes)
    return any(
        touched.stream_id in lost
        or versions.get(touched.stream_id, 0) != group.touched[touched.stream_id].version
        or any(shifts.get(written.offset) for written in touched.evolved)
        for touched in declined.touched
    )


def _left_out(group: Pass, outcomes: Sequence[Outcome]) -> set[str]:
    """Return the streams that the group predicted wrongly: something of it was not stored there, or they had grown."""
    streams: set[str] = set()
    for decided, outcome in zip(group.decided, outcomes, strict=True):
        if not isinstance(outcome, Appended):
            streams.update(event.stream_id for event in decided.append.events)
            streams.update(outcome.streams if isinstance(outcome, Conflict) else ())
    return streams


def _shifts(group: Pass, outcomes: Sequence[Outcome]) -> dict[int, int] | None:
    """Return how far stored events are from their predicted positions, by offset in the group; None: all are there."""
    shifts: dict[int, int] = {}
    first = group.head.position + 1
    for decided, outcome in zip(group.decided, outcomes, strict=True):
        if isinstance(outcome, Appended) and outcome.first_position not in (0, first + decided.offset):
            shift = outcome.first_position - first - decided.offset
            shifts.update((decided.offset + number, shift) for number in range(len(decided.append.events)))
    return shifts or None


def _record_time(group: Pass, outcomes: Sequence[Outcome]) -> int:
    for outcome in outcomes:
        if isinstance(outcome, Appended) and outcome.first_position:
            return outcome.record_time
    return group.record_time
