"""Exchanges of value between the two parties of one relationship, and what each has given in all (reciprocity.md 1-3).

An exchange is one event, so nobody ever sees part of it. It is posted at once, or pending until it is posted or voided
(`posting.py`). It is taken back whole, by a reversal, at most once. A reversal is bookkeeping, not an exchange, and
cannot be taken back itself. What one party gave the other received: it is stored once, and nothing is netted before it
is stored. Which lots of points a redemption uses is chosen once, here, and stored with it.

Where several rules refuse a command, the first by the table of reciprocity.md 9.2 is told (settled.md 37); each
`decide` asks in that order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ledger.domain.amounts import INT64_MAX
from ledger.domain.decider import Occurrence, Setting, new_fact, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.exchange_deciding import (
    ALREADY_APPLIED,
    Relationship,
    asked_time,
    check_version,
    is_same_time,
    out_of_range,
    refusal,
    refuse_unlicensed,
    unknown_exchange,
)
from ledger.domain.exchange_known import Known
from ledger.domain.exchange_rules import PlainLeg, check_form, plain_legs
from ledger.domain.exchange_state import EXCHANGE_RECORDED, EXCHANGE_REVERSED, ExchangeState
from ledger.domain.fact import Decision, NewFact
from ledger.domain.fields import field_path, first_difference
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.legs import account
from ledger.domain.lots import Insufficient, LotBook, Use
from ledger.domain.policy import PolicyState
from ledger.domain.times import microseconds, text, timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.exchange_pb2 import CATEGORY_POINTS_REDEEM, ExchangeRecorded, ExchangeReversed
from rapport.type.v1.event_context_pb2 import EventContext


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
        event, exchanges = self.event, state.exchanges
        legs = plain_legs(event)
        known = exchanges.find(event.exchange_id)
        changed = None if known is None else self._difference(known, setting)
        resent = known is not None and changed is None
        at = known.occur_time if known is not None and resent else asked_time(self.occur_time, setting)
        check_form(legs, event, at, policy.assets, self.path)
        if known is not None:
            if changed is not None:
                raise _id_reused(self.path, changed, known.position, exchange_id=event.exchange_id)
            return ALREADY_APPLIED
        uses = self._uses(legs, exchanges.lots, at) if _redeems(legs) else []
        pending = event.HasField("pending_until")
        if not pending:  # What is pending licenses nothing yet; its posting will.
            named = ((field_path(self.path, f"legs[{n}].consent_position"), leg) for n, leg in enumerate(legs))
            refuse_unlicensed(named, state.consents, at)
        self._refuse_unreversed(exchanges)
        when = occurrence(self.occur_time, setting)
        check_version(self.expected_version, state.version)
        self._refuse_overflow(legs, exchanges, pending)
        return Decision((self._fact(when, uses),))

    def _difference(self, known: Known, setting: Setting) -> str | None:
        """Tell an identical resend, by None, from an id used again, by the first field that differs."""
        if not is_same_time(known, self.occur_time, setting):
            return "occur_time"
        recorded = known.recorded()
        recorded.ClearField("lot_uses")  # Chosen by the ledger; nobody asked for them.
        return first_difference(recorded, self.event)

    def _uses(self, legs: Sequence[PlainLeg], lots: LotBook, at: int) -> list[tuple[int, Use]]:
        """Choose what the exchange's redemptions use; each with the number of its leg."""
        chosen: list[tuple[int, Use]] = []
        for index, leg in enumerate(legs):
            if leg.category != CATEGORY_POINTS_REDEEM:
                continue
            try:
                uses = lots.choose(leg.asset, leg.units, at, [use for _, use in chosen])
            except Insufficient as found:
                raise refusal(
                    reasons.ERROR_REASON_LOT_INSUFFICIENT,
                    f"only {found.available} of {leg.asset} can be used at that time",
                    field_path(self.path, f"legs[{index}].amount.units"),
                    asset=leg.asset,
                    available=found.available,
                ) from None
            chosen += [(index + 1, use) for use in uses]
        return chosen

    def _refuse_unreversed(self, exchanges: ExchangeState) -> None:
        replaced = self.event.replaces
        if replaced and exchanges.reversal_of(replaced) is None:
            raise refusal(
                reasons.ERROR_REASON_REPLACED_NOT_REVERSED,
                "must name an exchange that is reversed; reverse it first",
                field_path(self.path, "replaces"),
                exchange_id=replaced,
            )

    def _refuse_overflow(self, legs: Sequence[PlainLeg], exchanges: ExchangeState, pending: bool) -> None:
        totals: dict[str, int] = {}
        for index, leg in enumerate(legs):
            name = account(leg.giver, leg.category, leg.asset)
            totals[name] = totals.get(name, 0) + leg.units
            before = exchanges.pended(name) if pending else exchanges.posted(name)
            if before + totals[name] > INT64_MAX:
                raise out_of_range(field_path(self.path, f"legs[{index}].amount.units"), leg.asset)

    def _fact(self, when: Occurrence, uses: Sequence[tuple[int, Use]]) -> NewFact:
        event = self.event
        if uses:
            event = ExchangeRecorded()
            event.CopyFrom(self.event)
            for leg_no, (exchange_id, grant_leg_no, units) in uses:
                event.lot_uses.add(leg_no=leg_no, exchange_id=exchange_id, grant_leg_no=grant_leg_no, units=units)
        return new_fact(EXCHANGE_RECORDED, event, when, self.context)


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
        if exchanges.find(event.exchange_id) is None:
            raise unknown_exchange(field_path(self.path, "exchange_id"), event.exchange_id)
        self._refuse_reversed(exchanges)
        original = self._posted_at(exchanges, setting)
        at = self._at(original, setting)
        self._refuse_consumed(exchanges.lots, at)
        when = Occurrence(original)
        if not event.at_original and microseconds(event.at) != original:
            # A clock that runs behind the one that recorded the exchange may set `at` back too far.
            when = occurrence(microseconds(event.at), setting)._replace(time=at)
        check_version(self.expected_version, state.version)
        return Decision((self._fact(when),))

    def _refuse_timeless(self) -> None:
        if not (self.event.at_original or self.event.HasField("at")):
            raise refusal(
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
            raise refusal(
                reasons.ERROR_REASON_EXCHANGE_ALREADY_REVERSED,
                "the exchange was reversed before",
                field_path(self.path, "exchange_id"),
                reversal_id=winner.reversal().reversal_id,
                position=winner.position,
            )

    def _posted_at(self, exchanges: ExchangeState, setting: Setting) -> int:
        """Return from when on the exchange is posted; refuse one that is not."""
        exchange_id = self.event.exchange_id
        effective_time = exchanges.effective_time(exchange_id)
        if effective_time is not None:
            return effective_time
        field = field_path(self.path, "exchange_id")
        ends = exchanges.pending_until(exchange_id)
        if exchanges.resolution_of(exchange_id) is None and ends is not None and setting.now < ends:
            reason = reasons.ERROR_REASON_EXCHANGE_STILL_PENDING
            raise refusal(reason, "the exchange is pending: void it instead", field, exchange_id=exchange_id)
        reason = reasons.ERROR_REASON_NOTHING_TO_REVERSE
        raise refusal(reason, "the exchange was voided or expired: nothing was posted", field, exchange_id=exchange_id)

    def _at(self, original: int, setting: Setting) -> int:
        """Return when the reversal takes effect; never before the posting, by whichever clock that was recorded."""
        if self.event.at_original:
            return original
        at = microseconds(self.event.at)
        if at < original:
            raise refusal(
                reasons.ERROR_REASON_REVERSAL_BEFORE_ORIGINAL,
                "must not lie before the exchange was posted; use at_original or a later time",
                field_path(self.path, "at"),
                occur_time=text(original),
            )
        return max(asked_time(at, setting), original)

    def _refuse_consumed(self, lots: LotBook, at: int) -> None:
        for lot in lots.granted_by(self.event.exchange_id):
            used = lot.most_used(at)
            if used and not (self.event.take_remaining_points and at >= lot.last_use):
                raise refusal(
                    reasons.ERROR_REASON_LOT_CONSUMED,
                    f"{used} of {lot.granted} {lot.asset} were used; take_remaining_points, not before the last use",
                    field_path(self.path, "take_remaining_points"),
                    used=used,
                    last_use_time=text(lot.last_use),
                )

    def _fact(self, when: Occurrence) -> NewFact:
        event = self.event
        if when.clamped:
            event = ExchangeReversed()
            event.CopyFrom(self.event)
            event.at.CopyFrom(timestamp(when.time))
        return NewFact(
            topic=EXCHANGE_REVERSED, event=event, occur_time=when.time, clamped=when.clamped, context=self.context
        )


def _redeems(legs: Sequence[PlainLeg]) -> bool:
    return any(leg.category == CATEGORY_POINTS_REDEEM for leg in legs)


def _id_reused(path: str, field: str, position: int, **ids: str) -> Rejected:
    return refusal(
        reasons.ERROR_REASON_EXCHANGE_ID_REUSED,
        "differs from what was recorded first under this id; choose a new id",
        field_path(path, field),
        field=field,
        position=position,
        **ids,
    )
