"""Lots of points as a view sees them, and what they promise (reciprocity.md 4, settled.md 34).

A promise is not yet value delivered: points are in no other number of a balance.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ledger.balance.book import Book
from ledger.balance.grants import Lot
from ledger.balance.slices import rate_of
from ledger.balance.view import BalanceView
from ledger.domain.amounts import half_even
from ledger.domain.decay import FULL
from ledger.policy.valuation import Opinion
from rapport.events.v1.exchange_pb2 import CATEGORY_POINTS_GRANT, PARTY_ORGANIZATION


class LotInView(NamedTuple):
    """The points of one grant at the time of a view, in units."""

    lot_id: str
    """`exchange_id/leg_no` of the grant."""
    asset: str
    granted: int
    used: int
    """Less what reversals restored."""
    outstanding: int
    """What can still be used, or will be once active."""
    lapsed: int
    """What was left when it expired."""
    unrecovered: int
    """What is used of a grant that was taken back."""
    activates_at: int
    """Microseconds."""
    expires_at: int | None
    """Microseconds; None: never."""
    promised: int
    """Worth of what is outstanding, in nanos; 0 without a rate."""
    is_unvalued: bool
    """No rule values the asset."""


class Promised(NamedTuple):
    """What outstanding lots are worth together."""

    nanos: int
    unvalued_lots: int
    """Lots with something outstanding that has no rate."""


def lots_in_view(book: Book, opinion: Opinion, view: BalanceView) -> list[LotInView]:
    """Return the lots granted by the view's time, whatever is left of them, by effective time, position and leg."""
    lots = [lot for lot in book.lots.values() if lot.effective_time <= view.at]
    lots.sort(key=lambda lot: (lot.effective_time, lot.position, lot.leg_no))
    return [_in_view(lot, opinion, view) for lot in lots]


def promised_of(lots: Iterable[Lot], opinion: Opinion, view: BalanceView) -> Promised:
    """Return what lots granted by the view's time promise."""
    nanos = unvalued = 0
    for lot in lots:
        outstanding = lot.outstanding(view.at)
        if outstanding:
            worth = _worth(lot, outstanding, opinion, view)
            nanos += worth or 0
            unvalued += worth is None
    return Promised(nanos, unvalued)


def promised_by_lots(lots: Iterable[LotInView]) -> Promised:
    """Return the same from lots as a view sees them."""
    outstanding = [lot for lot in lots if lot.outstanding]
    return Promised(sum(lot.promised for lot in outstanding), sum(lot.is_unvalued for lot in outstanding))


def _in_view(lot: Lot, opinion: Opinion, view: BalanceView) -> LotInView:
    at = view.at
    used, outstanding = lot.used(at), lot.outstanding(at)
    taken = lot.taken_at is not None and lot.taken_at <= at
    # A grant that is taken back once it has expired leaves what had lapsed.
    lapsed = lot.ends_at <= at and (lot.taken_at is None or not taken or lot.ends_at <= lot.taken_at)
    worth = _worth(lot, outstanding, opinion, view)
    return LotInView(
        lot.lot_id,
        lot.asset,
        lot.granted,
        used,
        outstanding,
        lot.granted - used if lapsed else 0,
        used if taken else 0,
        lot.activates_at,
        lot.expires_at,
        worth or 0,
        worth is None,
    )


def _worth(lot: Lot, outstanding: int, opinion: Opinion, view: BalanceView) -> int | None:
    """Return the worth of points in nanos by the version in force when they were granted; None without a rate."""
    valuation = opinion.valuation_at(lot.effective_time)
    rate = rate_of(valuation, view.perspective, PARTY_ORGANIZATION, CATEGORY_POINTS_GRANT, lot.asset)
    return None if rate is None else half_even(outstanding * rate.rate * rate.redemption_ppm, FULL)
