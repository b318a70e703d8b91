"""Gate 8: is it too often? (consent.md 6, settled.md 65).

What the customer declared and what the organization allows itself both limit. Counted are the contacts recorded in the
calendar period of the customer's zone, and the permits that may still be used: two decisions made at once must not both
take the last place. Full in any zone that may be the customer's is full.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger.contact.finding import DEFER, FAIL, NOT_ASKED, PASSED, Finding
from ledger.contact.gates.preference import scoped
from ledger.contact.local_time import NEVER, period_of
from ledger.contact.picture import Picture
from ledger.contact.zones import zones_of
from ledger.domain.contact import Decided
from rapport.events.v1 import contact_pb2, interaction_pb2, preference_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion, DecisionReason
from rapport.events.v1.contact_policy_pb2 import FrequencyCap
from rapport.events.v1.preference_pb2 import FrequencyPreference

_TRANSACTIONAL: Final = interaction_pb2.MESSAGE_CLASS_TRANSACTIONAL


class _Cap(NamedTuple):
    """A limit that meets a question."""

    limit: FrequencyPreference | FrequencyCap
    message_class: int
    """The class counted; 0: every one but TRANSACTIONAL."""
    reason: DecisionReason.ValueType
    policy_field: str
    evidence: tuple[int, ...]
    """Position of the declaration."""


class _Full(NamedTuple):
    """A limit that is reached."""

    cap: _Cap
    free_at: int
    """First instant at which it no longer is, in microseconds; NEVER for a limit of 0."""
    evidence: tuple[int, ...]


def gate(picture: Picture, question: ContactQuestion, at: int) -> Finding:
    """FAIL where a period is full, or DEFER until none is, if the policy says so; the first limit that is reached."""
    if question.message_class == _TRANSACTIONAL:
        return NOT_ASKED
    caps = [*_declared(picture, question), *_of_the_organization(picture, question)]
    if not caps:
        return PASSED
    zones = zones_of(picture, question).names
    reached = [full for cap in caps if (full := _reached(picture, cap, zones, at)) is not None]
    if not reached:
        return PASSED  # A period that is not full does not fill up by the clock.
    first, until = reached[0], max(full.free_at for full in reached)
    defers = picture.policy.cap_defers and until < NEVER  # Nobody is told to wait for what is never allowed.
    return Finding(
        DEFER if defers else FAIL,
        first.cap.reason,
        first.evidence,
        until if defers else None,
        first.free_at if first.free_at < NEVER else None,
        first.cap.policy_field,
        zones,
    )


def _declared(picture: Picture, question: ContactQuestion) -> Iterator[_Cap]:
    if "preferences" in picture.state.parts:
        kind = preference_pb2.PREFERENCE_KIND_FREQUENCY
        for each in scoped(picture.state.preferences, kind, question.channel, question.topic):
            reason = contact_pb2.DECISION_REASON_FREQUENCY_DECLARED
            yield _Cap(each.message.frequency, 0, reason, "", (each.position,))


def _of_the_organization(picture: Picture, question: ContactQuestion) -> Iterator[_Cap]:
    for index, cap in enumerate(picture.policy.caps):
        if (
            cap.channel in {0, question.channel}
            and cap.topic in {"", question.topic}
            and cap.message_class in {0, question.message_class}
        ):
            reason = contact_pb2.DECISION_REASON_FREQUENCY_ORGANIZATION
            yield _Cap(cap, cap.message_class, reason, f"caps[{index}]", ())


def _reached(picture: Picture, cap: _Cap, zones: tuple[str, ...], at: int) -> _Full | None:
    """Return the zone's period that stays full longest, or None where none is full."""
    if not cap.limit.count:
        return _Full(cap, NEVER, cap.evidence)
    permits = sorted(_permits(picture, cap, at), key=_expiry, reverse=True)
    full = [found for zone in zones if (found := _full_in(picture, cap, permits, zone, at)) is not None]
    return max(full, key=_free_at, default=None)


def _full_in(picture: Picture, cap: _Cap, permits: list[Decided], zone: str, at: int) -> _Full | None:
    """`permits`: those that count, the one that can be used longest first."""
    limit = cap.limit
    start, end = period_of(zone, limit.period, at)
    conversation = picture.state.conversation
    sent = conversation.latest_contacts(start, end, limit.count, limit.channel, limit.topic, cap.message_class)
    left = limit.count - len(sent)
    if left > len(permits):
        return None
    taking = permits[:left]
    free_at = min(end, taking[-1].expires) if taking else end
    return _Full(cap, free_at, tuple(sorted({*cap.evidence, *sent, *(permit.position for permit in taking)})))


def _permits(picture: Picture, cap: _Cap, at: int) -> Iterator[Decided]:
    """Yield the permits that may still be used for a contact which a limit counts."""
    state, limit = picture.state, cap.limit
    if "contacts" not in state.parts:
        return
    for permit in state.contacts.permits(at, state.conversation.contact_of):
        asked = permit.message.question
        if (
            asked.message_class != _TRANSACTIONAL
            and limit.channel in {0, asked.channel}
            and limit.topic in {"", asked.topic}
            and cap.message_class in {0, asked.message_class}
        ):
            yield permit


def _expiry(permit: Decided) -> tuple[int, int]:
    return permit.expires, permit.position


def _free_at(full: _Full) -> int:
    return full.free_at
