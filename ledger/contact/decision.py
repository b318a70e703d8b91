"""May we contact them now, and why: the twelve gates and the answer (consent.md 6).

All gates are always evaluated, in order. The answer follows from their results alone; what is deferred is looked at
again at later instants on the same events, so that at `defer_until` they give PERMIT. Everything that the answer of the
rpc says is in the event, and the event is made of a picture, a question and an instant, and nothing else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.contact.finding import PASS, SKIPPED, Finding, earliest
from ledger.contact.gates import (
    basis,
    denial,
    frequency,
    hours,
    minor,
    pacing,
    parties,
    preference,
    reciprocity,
    subject,
    suppression,
    waste,
)
from ledger.contact.local_time import NEVER
from ledger.contact.obligations import obligations
from ledger.contact.outcome import DEFERRED, DENY, PERMIT, outcome_of
from ledger.contact.picture import Picture
from ledger.contact.search import Look, Sight, Window, find_window, permit_end
from ledger.contact.terms import said
from ledger.contact.zones import TZDATA_VERSION
from ledger.domain.times import END_OF_TIME, MICROSECONDS, timestamp
from rapport.events.v1 import contact_pb2
from rapport.events.v1.contact_pb2 import ContactDecided, ContactQuestion, GateFinding, StreamRead

MODEL_VERSION: Final = 1
"""Version of the rules of this package. Whoever changes an answer that they give raises it."""
EVIDENCE_MAX: Final = 64
"""Most positions told of one gate, and of a basis."""

_DAY: Final = 86_400 * MICROSECONDS
_GATES: Final = tuple(number for number in contact_pb2.Gate.values() if number)
_BASIS: Final = _GATES.index(contact_pb2.GATE_BASIS)
_RECIPROCITY: Final = _GATES.index(contact_pb2.GATE_RECIPROCITY)


def evaluate(picture: Picture, question: ContactQuestion, at: int) -> tuple[Finding, ...]:
    """Return what each of the twelve gates finds at an instant, in microseconds, in order."""
    told = said(picture, question, at)
    return (
        subject.gate(picture, question, at),
        suppression.gate(picture, question, at),
        minor.gate(picture, question, at),
        denial.gate(picture, question, at, told),
        basis.gate(picture, question, at, told),
        parties.gate(picture, question, at),
        preference.gate(picture, question, at),
        frequency.gate(picture, question, at),
        hours.gate(picture, question, at),
        pacing.gate(picture, question, at),
        reciprocity.gate(picture, question, at),
        waste.gate(picture, question, at),
    )


def decide(picture: Picture, question: ContactQuestion, at: int, read_set: Iterable[StreamRead] = ()) -> ContactDecided:
    """Return the answer to a question at an instant, as it is recorded.

    `at`: microseconds, at or after every fact in the picture. `read_set`: what the picture was drawn from.
    """

    def look(instant: int) -> Sight:
        return _look(picture, question, instant)

    sight = look(at)
    found = sight.findings
    window = Window(found)
    outcome, reason, _ = outcome_of(found)
    if outcome == DEFERRED:
        window = find_window(sight, look, at, picture.policy.search_days * _DAY)
        outcome, reason, _ = outcome_of(window.findings)
    decided = ContactDecided(
        question=question,
        outcome=outcome,
        decisive_reason=reason,
        defer_until=_told(window.defer_until),
        gate_results=[finding.result for finding in window.findings],
        findings=_trace(window),
        next_change_time=_told(earliest(sight.changes_at, window.retry_at)),
        read_set=read_set,
        contact_policy_version=picture.policy.version,
        purposes_version=0 if picture.published is None else picture.published.purposes.current.version,
        valuation_policy_id=_valuation_policy_id(picture, found[_RECIPROCITY]),
        tzdata_version=TZDATA_VERSION,
        model_version=MODEL_VERSION,
    )
    if outcome != DENY:
        _allow(decided, picture, question, at, sight, look)
    return decided


def at_instant(picture: Picture, at: int) -> Picture:
    """Return a picture as of a later instant: the same events, and the contact policy that is in force then."""
    if picture.policy_changes_at is None or at < picture.policy_changes_at or picture.published is None:
        return picture
    contact = picture.published.contact
    return replace(picture, policy=contact.in_force(at).policy, policy_changes_at=contact.next_change(at))


def _look(picture: Picture, question: ContactQuestion, at: int) -> Sight:
    seen = at_instant(picture, at)
    findings = evaluate(seen, question, at)
    return Sight(findings, earliest(seen.policy_changes_at, *(finding.changes_at for finding in findings)))


def _allow(
    decided: ContactDecided, picture: Picture, question: ContactQuestion, at: int, sight: Sight, look: Look
) -> None:
    """Say of an answer that is no DENY what it rests on, what the contact must do, and how long a permit lasts."""
    ground, expires = sight.findings[_BASIS], None
    if decided.outcome == PERMIT:
        # A simulation may be of the last hour that can be told at all.
        limit = min(at + picture.policy.permit_seconds * MICROSECONDS, END_OF_TIME - 1)
        expires = permit_end(sight, look, limit)
        decided.permit_expires_time.CopyFrom(timestamp(expires))
    decided.legal_basis = ground.legal_basis  # type: ignore[assignment]  # It is the number of one.
    decided.basis_positions.extend(ground.evidence[:EVIDENCE_MAX])
    decided.obligations.extend(obligations(picture, question, ground, at, expires))


def _trace(window: Window) -> Iterator[GateFinding]:
    """Yield what was found by the gates that did not pass; the trace of the answer shows the others without more."""
    for index, (gate, finding) in enumerate(zip(_GATES, window.findings, strict=True)):
        if finding.result != PASS:
            yield GateFinding(
                gate=gate,
                result=finding.result,
                reason=finding.reason,
                evidence_positions=finding.evidence[:EVIDENCE_MAX],
                until=_told(finding.until),
                policy_field=finding.policy_field,
                time_zones=finding.time_zones,
                own_reason=window.own_reason if index == window.ended_by else contact_pb2.DECISION_REASON_UNSPECIFIED,
            )


def _valuation_policy_id(picture: Picture, reciprocity: Finding) -> str:
    """Return by which policy exchanges were valued; empty where the gate that compares them was not asked."""
    if picture.published is None or picture.book is None or reciprocity.result == SKIPPED:
        return ""
    return picture.published.default_policy_id


def _told(instant: int | None) -> Timestamp | None:
    return None if instant is None or instant >= NEVER else timestamp(instant)
