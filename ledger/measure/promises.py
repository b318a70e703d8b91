"""Promises kept (relationship.md 12). At the due instant one that was not kept is broken, by the clock alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.domain.promise import Standing
from ledger.measure.evidence import EVIDENCE_MAX
from ledger.measure.results import Promises, Ratio, unknown
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE, UNKNOWN_REASON_NOTHING_MATURED

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


class Broken(NamedTuple):
    """A promise that was not kept in time."""

    promise_id: str
    topic: str
    """A code; empty: not said."""
    due: int
    """When it was broken. Microseconds."""
    position: int
    """Of the event that made the promise; the breach has none."""


_NONE: Final = Promises(
    kept=0, broken=0, kept_rate=unknown(UNKNOWN_REASON_NO_EVIDENCE), due=0, evidence=(), changes_at=None
)
"""Of a customer to whom nothing was promised."""


def promises(m: Measured) -> Promises:
    """Return the measure."""
    if "promises" not in m.record.state.parts:
        return _NONE
    state = m.record.state.promises
    kept, broken = state.kept, state.broken_count(m.at)
    past = state.running.until(m.at)
    due = len(state.running) - past
    nothing = UNKNOWN_REASON_NOTHING_MATURED if due else UNKNOWN_REASON_NO_EVIDENCE
    return Promises(
        kept=kept,
        broken=broken,
        kept_rate=Ratio(kept, kept + broken) if kept + broken else unknown(nothing),
        due=due,
        evidence=_evidence(m),
        changes_at=state.running.times[past] if due else None,
    )


def broken(m: Measured) -> list[Broken]:
    """Return the promises that were broken, by (due, position); those kept late are among them."""
    found = []
    for promise in m.record.state.promises.broken(m.at):
        assert promise.due_time is not None, "what was never triggered is not broken"
        found.append(Broken(promise.message.promise_id, promise.message.topic, promise.due_time, promise.position))
    return sorted(found, key=lambda each: (each.due, each.position))


def _evidence(m: Measured) -> tuple[int, ...]:
    """Return the positions of the latest promises of which it is known whether they were kept."""
    found: list[int] = []
    for promise in reversed(m.record.state.promises.all()):
        if len(found) == EVIDENCE_MAX:
            break
        if promise.standing(m.at) in {Standing.KEPT, Standing.KEPT_LATE, Standing.BROKEN}:
            found.append(promise.position)
    return tuple(reversed(found))
