"""What the rules of the protos leave open about consents: each fault with its field and what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Final

from google.protobuf.duration_pb2 import Duration

from ledger.domain.consent_giving import cells_fault
from ledger.domain.consent_scope import CELLS_PER_ACT_MAX, grant_scope
from ledger.domain.errors import Violation
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentRenewed, ConsentRequested, NoticeServed
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL

_NANOSECONDS: Final = 1_000_000_000
_DURATION_S_MAX: Final = 315_576_000_000
"""Seconds that a google.protobuf.Duration may have."""


def of_act(field: str, act: pb.ConsentAct) -> Iterator[Violation]:
    """Yield what is wrong with one act of a batch or of a stream. `field`: where it stands."""
    match act.WhichOneof("act"):
        case "given":
            yield from of_consent(f"{field}.given", act.given)
        case "renewed":
            yield from of_renewal(f"{field}.renewed", act.renewed)
        case "requested":
            yield from of_question(f"{field}.requested", act.requested)
        case "notice_served":
            yield from of_notice(f"{field}.notice_served", act.notice_served)
        case _:
            pass  # Their protos say it all.


def of_consent(field: str, consent: ConsentGiven) -> Iterator[Violation]:
    """Yield what is wrong with how much a consent names, how long it holds, and how long the data is kept."""
    fault = cells_fault(grant_scope(consent)) if _names_much(consent) else None
    if fault is not None:
        yield Violation(field, fault)
    if consent.HasField("validity"):
        validity = consent.validity
        match validity.WhichOneof("end"):
            case None:
                yield Violation(f"{field}.validity", "must say one of the five ends")
            case "duration" if not _is_positive(validity.duration) or validity.duration.nanos:
                yield Violation(f"{field}.validity.duration", "must be whole seconds, from 1")
            case "endless" if not validity.endless:
                yield Violation(f"{field}.validity.endless", "must be true where it is given")
    if consent.HasField("retention") and not _is_positive(consent.retention):
        yield Violation(f"{field}.retention", "must be longer than nothing")


def of_renewal(field: str, renewal: ConsentRenewed) -> Iterator[Violation]:
    """Yield what is wrong with the consent as it now stands."""
    yield from of_consent(f"{field}.consent", renewal.consent)


def of_question(field: str, asked: ConsentRequested) -> Iterator[Violation]:
    """Yield what is missing of a question: nobody is asked for everything."""
    if asked.HasField("scope") and not asked.scope.purposes:
        yield Violation(f"{field}.scope.purposes", "must name what was asked for: at least one")


def of_notice(field: str, served: NoticeServed) -> Iterator[Violation]:
    """Yield what is missing of the proof that it was this text, and what cannot be known yet."""
    if served.HasField("notice"):
        if not served.notice.sha256:
            yield Violation(f"{field}.notice.sha256", "must be the SHA-256 of the text shown")
        if served.notice.served_position:
            yield Violation(f"{field}.notice.served_position", "must be left out: this is the event that serves it")


def judged(request: acts.RaiseObjectionRequest) -> acts.RaiseObjectionRequest:
    """Return what of an objection may be found fault with: ids, sizes and texts, not what it is about.

    It is never refused for its scope (`consent_service.proto`), as no withdrawal is.
    """
    copy = acts.RaiseObjectionRequest()
    copy.CopyFrom(request)
    objection = copy.objection
    if objection.HasField("scope"):
        scope = objection.scope
        for codes in (scope.purposes, scope.contact_point_ids, scope.brands):
            codes[:] = ["any"] * len(codes)
        scope.channels[:] = [CHANNEL_EMAIL] * len(scope.channels)
    for name in ("grounds", "indicated_by", "method"):
        objection.ClearField(name)
    if not request.HasField("objection"):
        copy.ClearField("objection")
    return copy


def _names_much(consent: ConsentGiven) -> bool:
    parts = (consent.purposes, consent.channels, consent.contact_point_ids, consent.brands)
    return prod(max(1, len(part)) for part in parts) > CELLS_PER_ACT_MAX


def _is_positive(duration: Duration) -> bool:
    seconds, nanos = duration.seconds, duration.nanos
    return 0 <= seconds <= _DURATION_S_MAX and 0 <= nanos < _NANOSECONDS and (seconds > 0 or nanos > 0)
