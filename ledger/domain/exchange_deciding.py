"""What the commands on exchanges have in common: what they must know, how they refuse, and how a resend is told."""

from collections.abc import Iterable
from typing import Final, Protocol

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected, Violation
from ledger.domain.exchange_known import Known
from ledger.domain.exchange_rules import PlainLeg
from ledger.domain.exchange_state import ExchangeState
from ledger.domain.fact import Decision
from ledger.domain.fields import same_time
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.errors.v1.error_reason_pb2 import ErrorReason
from rapport.events.v1.exchange_pb2 import CATEGORY_DATA_LICENSED

ALREADY_APPLIED: Final = Decision(())
"""The same content stands already: no event. Where it stands is found by its id."""


class Consents(Protocol):
    """What an exchange must know of the relationship's consents."""

    def grant_in_force(self, position: int, at: int) -> bool:
        """Tell whether the event at `position` gave a consent that was in force at a time, in microseconds."""
        ...


class Relationship(Protocol):
    """What an exchange must know of its relationship."""

    @property
    def exchanges(self) -> ExchangeState:
        """Exchanges so far."""
        ...

    @property
    def consents(self) -> Consents:
        """Consents so far."""
        ...

    @property
    def version(self) -> int:
        """Version of the stream; 0 before its first event."""
        ...


def asked_time(occur_time: int | None, setting: Setting) -> int:
    """Return the time that rules are judged at while it is open whether the time itself is refused.

    Now when absent; set back to now when slightly ahead; else as it was asked.
    """
    if occur_time is None:
        return setting.now
    return min(occur_time, setting.now) if occur_time <= setting.now + setting.future_tolerance else occur_time


def is_same_time(known: Known, occur_time: int | None, setting: Setting) -> bool:
    """Tell whether a resend asks for the time of what was recorded first."""
    if known.defaulted or occur_time is None:
        return known.defaulted and occur_time is None
    return same_time(known.occur_time, occur_time, setting.future_tolerance if known.clamped else 0)


def refuse_unlicensed(legs: Iterable[tuple[str, PlainLeg]], consents: Consents, at: int) -> None:
    """Refuse licensed data without a consent in force at its effective time; legs come with the field to blame.

    Raises:
        Rejected: CONSENT_NOT_IN_FORCE.
    """
    for field, leg in legs:
        licensed = leg.category == CATEGORY_DATA_LICENSED
        if licensed and not (leg.consent_position and consents.grant_in_force(leg.consent_position, at)):
            raise refusal(
                reasons.ERROR_REASON_CONSENT_NOT_IN_FORCE,
                "must name a consent of this relationship that is in force when the data is licensed",
                field,
                consent_position=leg.consent_position,
            )


def unknown_exchange(field: str, exchange_id: str) -> Rejected:
    """Return the refusal to do something with an exchange that is not there."""
    reason = reasons.ERROR_REASON_EXCHANGE_UNKNOWN
    return refusal(reason, "no such exchange in this relationship", field, exchange_id=exchange_id)


def out_of_range(field: str, asset: str) -> Rejected:
    """Return the refusal of units whose total nobody could tell."""
    description = "the total of this party, category and asset would leave 64 bits"
    return refusal(reasons.ERROR_REASON_VALUE_OUT_OF_RANGE, description, field, asset=asset)


def check_version(expected: int | None, actual: int) -> None:
    """Refuse a command whose caller decided on another version of the relationship.

    Raises:
        Rejected: VERSION_CONFLICT.
    """
    if expected is not None and expected != actual:
        raise Rejected(
            reasons.ERROR_REASON_VERSION_CONFLICT,
            f"the relationship is at version {actual}, not {expected}; read again and decide again",
            expected=expected,
            actual=actual,
        )


def refusal(reason: ErrorReason.ValueType, description: str, field: str, /, **values: object) -> Rejected:
    """Return a refusal that blames one field, by its path in the request."""
    return Rejected(reason, f"{field}: {description}", [Violation(field, description, reason)], **values)
