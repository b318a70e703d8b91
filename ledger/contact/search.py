"""When may we, on the same events? The search for a window, and for the end of a permit (consent.md 6, settled.md 62).

Both look at one question at later instants. Times are microseconds.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ledger.contact.finding import DEFER, FAIL, Finding
from ledger.contact.local_time import NEVER
from ledger.contact.outcome import DEFERRED, PERMIT, outcome_of
from rapport.events.v1 import contact_pb2

ROUNDS_MAX: Final = 8
"""Most instants at which it is looked again for a window."""
PERMIT_ROUNDS_MAX: Final = 64
"""Most instants at which it is looked whether a permit still holds. Where that is not enough it ends at the last one:
too early is safe."""


class Sight(NamedTuple):
    """What the gates find at one instant."""

    findings: tuple[Finding, ...]
    """Of the twelve gates, in order."""
    changes_at: int | None
    """Earliest later instant at which any of it could be otherwise by the clock alone; a lower bound. None: never."""


Look = Callable[[int], Sight]
"""Evaluates the gates at an instant, under the contact policy that is in force then."""


class Window(NamedTuple):
    """Result of the search for a window."""

    findings: tuple[Finding, ...]
    """The trace: as it was found, or with the one gate that ended the search as FAIL."""
    defer_until: int | None = None
    """First instant found at which the same events give PERMIT. None: there was none, or nothing was searched."""
    ended_by: int = -1
    """Index of the gate that ended the search; -1: none did."""
    own_reason: contact_pb2.DecisionReason.ValueType = contact_pb2.DECISION_REASON_UNSPECIFIED
    """That gate's own reason."""
    retry_at: int | None = None
    """First later instant from which a search would reach the end that lay too far away. None: none did."""


def find_window(sight: Sight, look: Look, at: int, reach: int) -> Window:
    """Return from when on what is deferred may be done, or why never within `reach`, inclusive.

    `sight` is that at `at`, with a DEFER and no FAIL. Each round goes to the latest end of what defers. What fails
    there ends the search: nobody waits for what will not be allowed then.
    """
    findings = seen = sight.findings
    for _ in range(ROUNDS_MAX):
        index, until = _latest_end(seen)
        if until > at + reach:
            # What never ends never comes within reach.
            retry_at = until - reach if until < NEVER else None
            return _failed(findings, seen, index, contact_pb2.DECISION_REASON_NO_WINDOW, retry_at)
        seen = look(until).findings
        outcome, _, decisive = outcome_of(seen)
        if outcome == PERMIT:
            return Window(findings, until)
        if outcome != DEFERRED:
            return _failed(findings, seen, decisive, contact_pb2.DECISION_REASON_BASIS_ENDS_BEFORE_WINDOW)
    index, _ = _latest_end(seen)
    return _failed(findings, seen, index, contact_pb2.DECISION_REASON_NO_WINDOW)


def permit_end(sight: Sight, look: Look, limit: int) -> int:
    """Return the first instant at which the same events stop giving PERMIT, at most `limit`.

    `sight` gives PERMIT. Between the instants at which something could change nothing does: only those are looked at.
    """
    change = limit
    for _ in range(PERMIT_ROUNDS_MAX):
        if sight.changes_at is None or sight.changes_at >= limit:
            return limit
        change = sight.changes_at
        sight = look(change)
        if outcome_of(sight.findings).outcome != PERMIT:
            break
    return change


def _latest_end(findings: Sequence[Finding]) -> tuple[int, int]:
    """Return which gate defers longest, the first of several, and until when."""
    found = -1, 0
    for index, finding in enumerate(findings):
        if finding.result == DEFER:
            assert finding.until is not None, "what defers says until when"
            if found[0] < 0 or finding.until > found[1]:
                found = index, finding.until
    return found


def _failed(
    findings: tuple[Finding, ...],
    seen: Sequence[Finding],
    index: int,
    reason: contact_pb2.DecisionReason.ValueType,
    retry_at: int | None = None,
) -> Window:
    """Return a search that ended at a gate, which stands in the trace as it was last seen."""
    ended = seen[index]
    marked = ended._replace(result=FAIL, reason=reason, until=None)
    return Window((*findings[:index], marked, *findings[index + 1 :]), None, index, ended.reason, retry_at)
