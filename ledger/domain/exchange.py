"""Exchanges of value between the two parties of one relationship, and what each has given in all (reciprocity.md 1-3).

An exchange is one event, so nobody ever sees part of it. It is taken back whole, by a reversal, at most once. A
reversal is bookkeeping, not an exchange, and cannot be taken back itself. What one party gave the other received: it is
stored once, and nothing is netted before it is stored.

Where several rules refuse a command, the first by the table of reciprocity.md 9.2 is told (settled.md 37); each
`decide` asks in that order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Protocol

from ledger.domain.amounts import INT64_MAX
from ledger.domain.decider import Occurrence, Setting, occurrence
from ledger.domain.errors import Rejected, Violation
from ledger.domain.exchange_rules import (
    CATEGORIES_OF_POINTS,
    PlainLeg,
    category_name,
    check_form,
    plain_legs,
)
from ledger.domain.exchange_state import EXCHANGE_RECORDED, EXCHANGE_REVERSED, ExchangeState, Known
from ledger.domain.fact import Decision, NewFact
from ledger.domain.fields import field_path, first_difference, same_time
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.legs import account
from ledger.domain.policy import PolicyState
from ledger.domain.times import microseconds, text, timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.errors.v1.error_reason_pb2 import ErrorReason
from rapport.events.v1.exchange_pb2 import CATEGORY_DATA_LICENSED, ExchangeRecorded, ExchangeReversed
from rapport.type.v1.event_context_pb2 import EventContext

ALREADY_APPLIED: Final = Decision(())
"""The same content stands under the same id already: no event. Where it stands is found by its id."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordExchange:
    """Record an exchange."""

    needs_state: ClassVar[bool] = True

    stream_id: str
    event: ExchangeRecorded
    """As it will be stored; ids have the right length, enum values are known ones."""
    occur_time: int | None = None
    """Microseconds; None: now."""
    expected_version: int | None = None
    """Version the relationship must be at; None: any."""
    context: EventContext | None = None
    path: str = ""
    """Where the exchange stands in the request; refusals put it before the names of fields."""

    reads: tuple[str, ...] = field(init=False, repr=False)
    """The organization's policy stream: its asset registry."""

    def __post_init__(self) -> None:
        """Name the stream once: it is asked for several times on the way."""
        object.__setattr__(self, "reads", (policy_stream(organization_of(self.stream_id)),))

    def decide(self, state: Relationship, setting: Setting) -> Decision:
        """Return the exchange as a fact, or ALREADY_APPLIED.

        Raises:
            Rejected: a rule says no. Faults of legs and sides are all named.
        """
        policy: PolicyState = setting.others[self.reads[0]]
        legs = plain_legs(self.event)
        check_form(legs, self.event.one_sided, policy.assets, self.path)
        known = state.exchanges.find(self.event.exchange_id)
        if known is not None:
            return self._again(known, setting)
        self._refuse_points(legs)
        self._refuse_unlicensed(legs, state.consents, setting)
        self._refuse_unreversed(state.exchanges)
        when = occurrence(self.occur_time, setting)
        check_version(self.expected_version, state.version)
        self._refuse_overflow(legs, state.exchanges)
        fact = NewFact(
            topic=EXCHANGE_RECORDED,
            event=self.event,
            occur_time=when.time,
            defaulted=when.defaulted,
            clamped=when.clamped,
            context=self.context,
        )
        return Decision((fact,))

    def _again(self, known: Known, setting: Setting) -> Decision:
        """Tell an identical resend from an id used again."""
        field = self._time_difference(known, setting) or first_difference(known.recorded(), self.event)
        if field is None:
            return ALREADY_APPLIED
        raise _id_reused(self.path, field, known.position, exchange_id=self.event.exchange_id)

    def _time_difference(self, known: Known, setting: Setting) -> str | None:
        if known.defaulted or self.occur_time is None:
            return None if known.defaulted and self.occur_time is None else "occur_time"
        leeway = setting.future_tolerance if known.clamped else 0
        return None if same_time(known.occur_time, self.occur_time, leeway) else "occur_time"

    def _refuse_points(self, legs: Sequence[PlainLeg]) -> None:
        for index, leg in enumerate(legs):
            if leg.category in CATEGORIES_OF_POINTS:
                raise _refusal(
                    reasons.ERROR_REASON_CATEGORY_NOT_AVAILABLE,
                    "points need lots, which are not kept yet",
                    field_path(self.path, f"legs[{index}].category"),
                    category=category_name(leg.category),
                )

    def _refuse_unlicensed(self, legs: Sequence[PlainLeg], consents: Consents, setting: Setting) -> None:
        # A time ahead of the clock is set back to it, or refused below; no consent is judged in the future.
        at = setting.now if self.occur_time is None else min(self.occur_time, setting.now)
        for index, leg in enumerate(legs):
            licensed = leg.category == CATEGORY_DATA_LICENSED
            if licensed and not (leg.consent_position and consents.grant_in_force(leg.consent_position, at)):
                raise _refusal(
                    reasons.ERROR_REASON_CONSENT_NOT_IN_FORCE,
                    "must name a consent of this relationship that is in force when the data is licensed",
                    field_path(self.path, f"legs[{index}].consent_position"),
                    consent_position=leg.consent_position,
                )

    def _refuse_unreversed(self, exchanges: ExchangeState) -> None:
        replaced = self.event.replaces
        if replaced and exchanges.reversal_of(replaced) is None:
            raise _refusal(
                reasons.ERROR_REASON_REPLACED_NOT_REVERSED,
                "must name an exchange that is reversed; reverse it first",
                field_path(self.path, "replaces"),
                exchange_id=replaced,
            )

    def _refuse_overflow(self, legs: Sequence[PlainLeg], exchanges: ExchangeState) -> None:
        totals: dict[str, int] = {}
        for index, leg in enumerate(legs):
            name = account(leg.giver, leg.category, leg.asset)
            totals[name] = totals.get(name, 0) + leg.units
            if exchanges.posted(name) + totals[name] > INT64_MAX:
                raise _refusal(
                    reasons.ERROR_REASON_VALUE_OUT_OF_RANGE,
                    "the total of this party, category and asset would leave 64 bits",
                    field_path(self.path, f"legs[{index}].amount.units"),
                    asset=leg.asset,
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseExchange:
    """Take back everything that an exchange posted."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    event: ExchangeReversed
    """As the caller asks it; ids have the right length, `at` may be slightly ahead of the clock."""
    expected_version: int | None = None
    """Version the relationship must be at; None: any."""
    context: EventContext | None = None
    path: str = ""
    """Where the reversal stands in the request; refusals put it before the names of fields."""

    def decide(self, state: Relationship, setting: Setting) -> Decision:
        """Return the reversal as a fact with its effective time, or ALREADY_APPLIED.

        Raises:
            Rejected: a rule says no.
        """
        event, exchanges = self.event, state.exchanges
        self._refuse_timeless()
        known = exchanges.find_reversal(event.reversal_id)
        if known is not None:
            return self._again(known, setting)
        original = exchanges.find(event.exchange_id)
        if original is None:
            raise _refusal(
                reasons.ERROR_REASON_EXCHANGE_UNKNOWN,
                "no such exchange in this relationship",
                field_path(self.path, "exchange_id"),
                exchange_id=event.exchange_id,
            )
        self._refuse_reversed(exchanges)
        when = self._effective(original.occur_time, setting)
        check_version(self.expected_version, state.version)
        return Decision((self._fact(when),))

    def _refuse_timeless(self) -> None:
        if not (self.event.at_original or self.event.HasField("at")):
            raise _refusal(
                reasons.ERROR_REASON_REVERSAL_TIME_REQUIRED,
                "must say when the reversal takes effect: at_original or at",
                field_path(self.path, "at_original"),
            )

    def _again(self, known: Known, setting: Setting) -> Decision:
        """Tell an identical resend from an id used again."""
        leeway = setting.future_tolerance if known.clamped else 0
        field = first_difference(known.reversal(), self.event, leeway)
        if field is None:
            return ALREADY_APPLIED
        ids = {"exchange_id": self.event.exchange_id, "reversal_id": self.event.reversal_id}
        raise _id_reused(self.path, field, known.position, **ids)

    def _refuse_reversed(self, exchanges: ExchangeState) -> None:
        # Of two concurrent reversals the one recorded first wins; the other is told which.
        winner = exchanges.reversal_of(self.event.exchange_id)
        if winner is not None:
            raise _refusal(
                reasons.ERROR_REASON_EXCHANGE_ALREADY_REVERSED,
                "the exchange was reversed before",
                field_path(self.path, "exchange_id"),
                reversal_id=winner.reversal().reversal_id,
                position=winner.position,
            )

    def _effective(self, original: int, setting: Setting) -> Occurrence:
        """Return when the reversal takes effect; never before the exchange, by whichever clock that was recorded."""
        if self.event.at_original:
            return Occurrence(original)
        at = microseconds(self.event.at)
        if at < original:
            raise _refusal(
                reasons.ERROR_REASON_REVERSAL_BEFORE_ORIGINAL,
                "must not lie before the exchange; use at_original or a later time",
                field_path(self.path, "at"),
                occur_time=text(original),
            )
        if at == original:
            return Occurrence(at)
        # A clock that runs behind the one that recorded the exchange may set `at` back too far.
        when = occurrence(at, setting)
        return Occurrence(max(when.time, original), clamped=when.clamped)

    def _fact(self, when: Occurrence) -> NewFact:
        event = self.event
        if when.clamped:
            event = ExchangeReversed()
            event.CopyFrom(self.event)
            event.at.CopyFrom(timestamp(when.time))
        return NewFact(
            topic=EXCHANGE_REVERSED, event=event, occur_time=when.time, clamped=when.clamped, context=self.context
        )


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


def _id_reused(path: str, field: str, position: int, **ids: str) -> Rejected:
    return _refusal(
        reasons.ERROR_REASON_EXCHANGE_ID_REUSED,
        "differs from what was recorded first under this id; choose a new id",
        field_path(path, field),
        field=field,
        position=position,
        **ids,
    )


def _refusal(reason: ErrorReason.ValueType, description: str, at: str, /, **values: object) -> Rejected:
    return Rejected(reason, f"{at}: {description}", [Violation(at, description, reason)], **values)
