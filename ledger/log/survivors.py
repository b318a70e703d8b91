"""Which appends of a group can be stored, and where: pure, and the same for every store.

`place` is the straight path: the log has not moved, so nothing can conflict. `choose` is the careful path: given what
the database holds now, it leaves out what conflicts or repeats, and with it whatever builds on what was left out.
"""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ledger.log.store import Append, Appended, Conflict, Head, Outcome, Repeated, RequestKey, RequestRow

SALT_BYTES = 16

EventValues = tuple[int, str, int, str, int, bytes, bytes]
"""Columns of an event in the order of `EventRow`, ready to be inserted."""


class Plan(NamedTuple):
    """What to insert, and what to answer once that is durable."""

    outcomes: list[Outcome]
    events: list[EventValues]
    requests: list[RequestRow]
    head: Head


def place(group: Sequence[Append], head: Head, record_time: int) -> Plan:
    """Return the plan that stores every append of the group, after `head`."""
    outcomes: list[Outcome] = []
    events: list[EventValues] = []
    requests: list[RequestRow] = []
    salts = os.urandom(SALT_BYTES * sum(len(append.events) for append in group))
    position = head.position
    salt_at = 0
    for append in group:
        first = position + 1
        for stream_id, version, topic, state in append.events:
            position += 1
            salt = salts[salt_at : salt_at + SALT_BYTES]
            salt_at += SALT_BYTES
            events.append((position, stream_id, version, topic, record_time, salt, state))
        appended = Appended(first, position, record_time) if append.events else Appended(0, 0, record_time)
        outcomes.append(appended)
        if append.request is not None:
            requests.append(_request_row(append, append.request, appended))
    return Plan(outcomes, events, requests, Head(position, record_time) if events else head)


def choose(
    group: Sequence[Append],
    head: Head,
    record_time: int,
    versions: Mapping[str, int],
    requests: Mapping[RequestKey, RequestRow],
) -> Plan:
    """Return the plan for what can still be stored of the group.

    versions: of every stream that the group writes or reads, as the database holds it under the lock; a stream that
    is missing has version 0. requests: those of the group that were carried out.
    """
    left_out = _left_out(group, head.position + 1, versions, requests)
    plan = place([append for append, reason in zip(group, left_out, strict=True) if reason is None], head, record_time)
    stored = iter(plan.outcomes)
    rows = {RequestKey(row.organization_id, row.request_id): row for row in plan.requests}
    outcomes: list[Outcome] = []
    for reason in left_out:
        if reason is None:
            outcomes.append(next(stored))
        elif isinstance(reason, RequestKey):
            outcomes.append(Repeated(requests.get(reason) or rows[reason]))
        else:
            outcomes.append(reason)
    return plan._replace(outcomes=outcomes)


def streams_of(group: Sequence[Append]) -> list[str]:
    """Return every stream that the group writes or reads, each once."""
    written = {event.stream_id for append in group for event in append.events}
    return list(written.union(stream_id for append in group for stream_id, _ in append.read_set))


def requests_of(group: Sequence[Append]) -> list[RequestKey]:
    """Return every request of the group, each once."""
    return list({append.request for append in group if append.request is not None})


def _left_out(
    group: Sequence[Append], position: int, versions: Mapping[str, int], requests: Mapping[RequestKey, RequestRow]
) -> list[Conflict | RequestKey | None]:
    """Return for each append why it is left out: a conflict, or the request that it repeats; None: it is stored.

    position: where the first event that is stored comes to stand.
    """
    current = dict(versions)
    known = set(requests)
    # Streams that a left-out append would have written. Later appends of the group were decided as if it had, and
    # must not pass even where the version fits by chance (another process may have stored the same request).
    broken: set[str] = set()
    reasons: list[Conflict | RequestKey | None] = []
    for append in group:
        if append.request in known:
            assert append.request is not None
            reasons.append(append.request)
            broken.update(event.stream_id for event in append.events)
            continue
        grown, after = _check(append, current, broken)
        if not grown and append.first_position not in (0, position):
            grown = tuple(after)
        if grown:
            reasons.append(Conflict(grown))
            broken.update(event.stream_id for event in append.events)
            continue
        reasons.append(None)
        position += len(append.events)
        current.update(after)
        if append.request is not None:
            known.add(append.request)
    return reasons


def _check(append: Append, current: Mapping[str, int], broken: set[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the streams that stand in the way, and the versions of the written streams should nothing do so."""
    grown: dict[str, None] = {}
    after: dict[str, int] = {}
    for event in append.events:
        before = after.get(event.stream_id, current.get(event.stream_id, 0))
        if event.version != before + 1 or event.stream_id in broken:
            grown[event.stream_id] = None
        after[event.stream_id] = event.version
    for stream_id, version in append.read_set:
        if current.get(stream_id, 0) != version or stream_id in broken:
            grown[stream_id] = None
    return tuple(grown), after


def _request_row(append: Append, key: RequestKey, appended: Appended) -> RequestRow:
    return RequestRow(
        key.organization_id,
        key.request_id,
        append.fingerprint,
        appended.first_position,
        appended.last_position,
        appended.record_time,
        append.answer,
    )
