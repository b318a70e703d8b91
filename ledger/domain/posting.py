"""How a pending exchange ends: posted, in full or in part, or voided; at most once (reciprocity.md 3).

Either happens while it is pending, from the exchange on and before its `pending_until`. It may be recorded later than
that: a hold that counted as expired is then posted after all. What is posted counts from the posting's time.

Neither has an id of its own. A resend is recognised by its content; anything else about an exchange that has ended is
refused with what it ended in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ledger.domain.amounts import INT64_MAX
from ledger.domain.decider import Occurrence, Setting, new_fact, occurrence
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
from ledger.domain.exchange_rules import PlainLeg, check_posting, plain_legs
from ledger.domain.exchange_state import EXCHANGE_POSTED, EXCHANGE_VOIDED, ExchangeState
from ledger.domain.fact import Decision
from ledger.domain.fields import field_path, first_difference
from ledger.domain.legs import account
from ledger.domain.times import text
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.exchange_pb2 import ExchangePosted, ExchangeVoided
from rapport.type.v1.event_context_pb2 import EventContext


@dataclass(frozen=True, slots=True, kw_only=True)
class PostExchange:
    """Post a pending exchange; what is not posted is voided with it."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    event: ExchangePosted
    """As the caller asks it: without units, all of every leg."""
    occur_time: int | None = None
    """Microseconds; None: now."""
    expected_version: int | None = None
    """Version the relationship must be at; None: any."""
    context: EventContext | None = None
    path: str = ""
    """Where the posting stands in the request; refusals put it before the names of fields."""

    def decide(self, state: Relationship, setting: Setting) -> Decision:
        """Return the posting as a fact, with the units of every leg, or ALREADY_APPLIED.

        Raises:
            Rejected: a rule says no. Faults of units and sides are all named.
        """
        event, exchanges = self.event, state.exchanges
        original = exchanges.find(event.exchange_id)
        legs = None if original is None else plain_legs(original.recorded())
        units = list(event.units) or [leg.units for leg in legs or ()]
        check_posting(legs, units, event.one_sided, self.path)
        if original is None or legs is None:
            raise unknown_exchange(field_path(self.path, "exchange_id"), event.exchange_id)
        full = ExchangePosted(exchange_id=event.exchange_id, units=units, one_sided=event.one_sided)
        resolution = exchanges.resolution_of(event.exchange_id)
        if resolution is not None and not resolution.voids and self._is_same(resolution, full, setting):
            return ALREADY_APPLIED
        ends = _end_of_hold(exchanges, original, resolution, self.path)
        at = _while_pending(original, ends, self.occur_time, setting, self.path)
        refuse_unlicensed(self._licensed(legs, units), state.consents, at)
        when = _occurrence(self.occur_time, at, setting)
        check_version(self.expected_version, state.version)
        self._refuse_overflow(legs, units, exchanges)
        return Decision((new_fact(EXCHANGE_POSTED, full, when, self.context),))

    def _is_same(self, known: Known, full: ExchangePosted, setting: Setting) -> bool:
        return is_same_time(known, self.occur_time, setting) and first_difference(known.posting(), full) is None

    def _licensed(self, legs: Sequence[PlainLeg], units: Sequence[int]) -> list[tuple[str, PlainLeg]]:
        """Return the legs of which something is posted, each with its field in the request."""
        named = [(f"units[{index}]" if self.event.units else "exchange_id", leg) for index, leg in enumerate(legs)]
        return [(field_path(self.path, name), leg) for (name, leg), posted in zip(named, units, strict=True) if posted]

    def _refuse_overflow(self, legs: Sequence[PlainLeg], units: Sequence[int], exchanges: ExchangeState) -> None:
        totals: dict[str, int] = {}
        for (field, leg), posted in zip(self._licensed(legs, units), filter(None, units), strict=True):
            name = account(leg.giver, leg.category, leg.asset)
            totals[name] = totals.get(name, 0) + posted
            if exchanges.posted(name) + totals[name] > INT64_MAX:
                raise out_of_range(field, leg.asset)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidExchange:
    """Say that a pending exchange came to nothing."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    event: ExchangeVoided
    occur_time: int | None = None
    """Microseconds; None: now."""
    expected_version: int | None = None
    """Version the relationship must be at; None: any."""
    context: EventContext | None = None
    path: str = ""
    """Where the voiding stands in the request; refusals put it before the names of fields."""

    def decide(self, state: Relationship, setting: Setting) -> Decision:
        """Return the voiding as a fact, or ALREADY_APPLIED.

        Raises:
            Rejected: a rule says no.
        """
        event, exchanges = self.event, state.exchanges
        original = exchanges.find(event.exchange_id)
        if original is None:
            raise unknown_exchange(field_path(self.path, "exchange_id"), event.exchange_id)
        resolution = exchanges.resolution_of(event.exchange_id)
        if resolution is not None and resolution.voids and self._is_same(resolution, setting):
            return ALREADY_APPLIED
        ends = _end_of_hold(exchanges, original, resolution, self.path)
        at = _while_pending(original, ends, self.occur_time, setting, self.path)
        when = _occurrence(self.occur_time, at, setting)
        check_version(self.expected_version, state.version)
        return Decision((new_fact(EXCHANGE_VOIDED, event, when, self.context),))

    def _is_same(self, known: Known, setting: Setting) -> bool:
        return is_same_time(known, self.occur_time, setting) and first_difference(known.voiding(), self.event) is None


def _end_of_hold(exchanges: ExchangeState, original: Known, resolution: Known | None, path: str) -> int:
    """Return when a hold ends; refuse one that has ended by a resolution, and what never was one."""
    exchange_id = original.recorded().exchange_id
    ends = exchanges.pending_until(exchange_id)
    if ends is None or resolution is not None:
        ended = "VOIDED" if resolution is not None and resolution.voids else "POSTED"
        raise refusal(
            reasons.ERROR_REASON_EXCHANGE_ALREADY_RESOLVED,
            "was never pending" if ends is None else f"was {ended.lower()} before, otherwise than asked now",
            field_path(path, "exchange_id"),
            resolution=ended,
            position=(resolution or original).position,
        )
    return ends


def _while_pending(original: Known, ends: int, occur_time: int | None, setting: Setting, path: str) -> int:
    """Return when a resolution happens, its time being still open to refusal as lying in the future."""
    at = asked_time(occur_time, setting)
    if occur_time is None or occur_time >= original.occur_time:
        at = max(at, original.occur_time)  # Our clock may run behind the one that recorded the exchange.
    if not original.occur_time <= at < ends:
        raise refusal(
            reasons.ERROR_REASON_HOLD_ENDED,
            "must lie while the exchange is pending: not before it, and before its pending_until",
            field_path(path, "occur_time"),
            occur_time=text(at),
            pending_until=text(ends),
        )
    return at


def _occurrence(occur_time: int | None, at: int, setting: Setting) -> Occurrence:
    return occurrence(occur_time, setting)._replace(time=at)
