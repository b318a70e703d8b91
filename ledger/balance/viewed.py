"""Every leg that a book knows, as one view sees it: selected, or left out for one reason (reciprocity.md 3 and 8).

Settled 29 to 31 and 35: a leg has the first reason that applies; what a pending exchange posted of a leg is one entry,
with the posting's time, position and one-sidedness; weights go by the day of the view.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from ledger.balance.book import POINTS, Book, Exchange
from ledger.balance.view import DAY, BalanceView
from ledger.domain.decay import FULL, decay
from ledger.policy.valuation import Opinion, Rate, Valuation
from rapport.relationship.v1.balance_pb2 import (
    EXCLUSION_REASON_AFTER_AS_OF,
    EXCLUSION_REASON_EXPIRED,
    EXCLUSION_REASON_OUTSIDE_WINDOW,
    EXCLUSION_REASON_PENDING,
    EXCLUSION_REASON_POINTS,
    EXCLUSION_REASON_REVERSED,
    EXCLUSION_REASON_UNSPECIFIED,
    EXCLUSION_REASON_UNVALUED,
    EXCLUSION_REASON_VOIDED,
)

SELECTED: Final = EXCLUSION_REASON_UNSPECIFIED
AFTER_AS_OF: Final = EXCLUSION_REASON_AFTER_AS_OF
OUTSIDE_WINDOW: Final = EXCLUSION_REASON_OUTSIDE_WINDOW
REVERSED: Final = EXCLUSION_REASON_REVERSED
PENDING: Final = EXCLUSION_REASON_PENDING
VOIDED: Final = EXCLUSION_REASON_VOIDED
EXPIRED: Final = EXCLUSION_REASON_EXPIRED
UNVALUED: Final = EXCLUSION_REASON_UNVALUED
POINTS_LEG: Final = EXCLUSION_REASON_POINTS


class ViewedLeg(NamedTuple):
    """One leg as a view sees it."""

    exchange_id: str
    leg_no: int
    """From 1."""
    giver: int
    """A `Party`."""
    category: int
    """A `Category`."""
    units: int
    """What was posted; of a leg that is pending, voided or expired what was pending."""
    asset: str
    effective_time: int
    """When it took effect; of a leg that is pending, voided or expired when its exchange happened. Microseconds."""
    position: int
    """Log position of the event that gave it effect, or else of its recording."""
    record_time: int
    """When that was recorded. Microseconds."""
    one_sided: int
    """A `OneSided`."""
    replaces: str
    """The exchange in whose place it was recorded; empty: none."""
    reason: int
    """Why it does not count, an `ExclusionReason`; 0: it is selected."""
    valuation: Valuation | None
    """The version that values it; None: none was in force."""
    rate: Rate | None
    """None: no version, or no rule of it."""
    weight: int
    """By age, in ppm."""
    reversal_position: int
    """Log position of the reversal of its exchange that the book knows, whenever it takes effect; 0: none."""
    reversal_time: int
    """When that takes effect, in microseconds; 0: none."""
    reversal_record_time: int
    """When it was recorded, in microseconds; 0: none."""

    @property
    def value(self) -> int:
        """Worth in nanos; 0 without a rate."""
        return 0 if self.rate is None else self.units * self.rate.rate

    @property
    def low(self) -> int:
        """The least it may be worth, in nanos; 0 without a rate."""
        return 0 if self.rate is None else self.units * self.rate.low

    @property
    def high(self) -> int:
        """The most it may be worth, in nanos; 0 without a rate."""
        return 0 if self.rate is None else self.units * self.rate.high

    def got(self, perspective: int) -> bool:
        """Tell whether a party received it: the other one gave it."""
        return self.giver != perspective


class _Standing(NamedTuple):
    """What a leg has come to at the time of a view, before windows and reversals."""

    reason: int
    units: int
    effective_time: int
    position: int
    record_time: int
    one_sided: int


def legs_in_view(book: Book, opinion: Opinion, view: BalanceView) -> list[ViewedLeg]:
    """Return every leg that the book knows, ordered by effective time, position and leg."""
    legs = [leg for exchange in book.exchanges.values() for leg in _legs_of(exchange, opinion, view)]
    assert len(legs) == book.legs, "entries and exclusions are all legs known"  # B10
    legs.sort(key=lambda leg: (leg.effective_time, leg.position, leg.leg_no))
    return legs


def _legs_of(exchange: Exchange, opinion: Opinion, view: BalanceView) -> Iterator[ViewedLeg]:
    for index, leg in enumerate(exchange.legs):
        reason, units, effective_time, position, record_time, one_sided = _standing(exchange, index, view.at)
        valuation = opinion.valuation_at(effective_time)
        rate = None if valuation is None else valuation.rate(view.perspective, leg.giver, leg.category, leg.asset)
        if reason == SELECTED:
            reason = _reason(exchange, leg.category, effective_time, rate, view)
        yield ViewedLeg(
            exchange.exchange_id, index + 1, leg.giver, leg.category, units, leg.asset, effective_time, position,
            record_time, one_sided, exchange.replaces, reason, valuation, rate, weight(effective_time, view),
            exchange.reversal_position, exchange.reversal_time, exchange.reversal_record_time,
        )  # fmt: skip


def weight(effective_time: int, view: BalanceView) -> int:
    """Return the weight in ppm, by the day of the view, of what took effect at a time (settled.md 35)."""
    if not view.half_life_days:
        return FULL
    return decay(max(0, view.at // DAY - effective_time // DAY), view.half_life_days)


def _standing(exchange: Exchange, index: int, at: int) -> _Standing:
    units, until, resolution = exchange.legs[index].units, exchange.pending_until, exchange.resolution
    reason = SELECTED
    if exchange.time > at:
        reason = AFTER_AS_OF
    elif resolution is not None and resolution.time <= at:
        posted = resolution.units[index] if resolution.units else 0
        if posted:
            return _Standing(
                SELECTED, posted, resolution.time, resolution.position, resolution.record_time, resolution.one_sided
            )
        reason = VOIDED
    elif until is not None:
        reason = EXPIRED if resolution is None and until <= at else PENDING
    return _Standing(reason, units, exchange.time, exchange.position, exchange.record_time, exchange.one_sided)


def _reason(exchange: Exchange, category: int, effective_time: int, rate: Rate | None, view: BalanceView) -> int:
    """Return why a leg that took effect by the view's time does not count; SELECTED: it does."""
    if not view.after < effective_time <= view.until:
        return OUTSIDE_WINDOW
    if exchange.reversal_position and exchange.reversal_time <= view.at:
        return REVERSED
    if category in POINTS:
        return POINTS_LEG
    return UNVALUED if rate is None else SELECTED
