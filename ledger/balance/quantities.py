"""Gross totals of a relationship at a time: units by giver, category and asset, points included (reciprocity.md 1)."""

from typing import NamedTuple

from ledger.balance.book import AccountKey, Book, Exchange


class Quantity(NamedTuple):
    """Gross totals of one category and asset given by one party, in units. Each only grows, along either time axis."""

    giver: int
    """A `Party`."""
    category: int
    """A `Category`."""
    asset: str
    posted: int
    """Reversed units and those of posted holds included."""
    reversed: int
    pended: int
    hold_posted: int
    hold_voided: int
    hold_expired: int
    """Of holds past their `pending_until` of which no resolution is known."""


def quantities_of(book: Book, at: int) -> tuple[Quantity, ...]:
    """Return the totals at a time in microseconds, ordered by giver, category and asset; only those above 0."""
    found = []
    for (giver, category, asset), account in book.accounts.items():
        posted = taken = 0
        for lane in account.lanes:
            posted += lane.until(at)
        if account.taken.times:
            posted += account.taken.until(at)
            taken = account.reversed.until(at)
        if account.pended.times:
            holds = [
                lane.until(at) for lane in (account.pended, account.hold_posted, account.hold_voided, account.expiring)
            ]
        else:
            holds = _NO_HOLDS
        if posted or holds[0]:
            found.append(Quantity(giver, category, asset, posted, taken, *holds))
    _check(found)
    return tuple(found)


_NO_HOLDS = [0, 0, 0, 0]


def quantities_by_scan(book: Book, at: int) -> tuple[Quantity, ...]:
    """Return the same, counted over every exchange."""
    totals: dict[AccountKey, list[int]] = {}
    for exchange in book.exchanges.values():
        for index, leg in enumerate(exchange.legs):
            row = totals.setdefault((leg.giver, leg.category, leg.asset), [0] * 6)
            for column, units in enumerate(_counted(exchange, index, at)):
                row[column] += units
    found = [Quantity(*key, *row) for key, row in sorted(totals.items()) if any(row)]
    _check(found)
    return tuple(found)


def _counted(exchange: Exchange, index: int, at: int) -> tuple[int, int, int, int, int, int]:
    """Return what one leg adds to each counter."""
    units, until, resolution = exchange.legs[index].units, exchange.pending_until, exchange.resolution
    if exchange.time > at:
        return (0, 0, 0, 0, 0, 0)
    back = bool(exchange.reversal_position) and exchange.reversal_time <= at
    if until is None:
        return (units, units if back else 0, 0, 0, 0, 0)
    if resolution is None or resolution.time > at:
        return (0, 0, units, 0, 0, units if resolution is None and until <= at else 0)
    posted = resolution.units[index] if resolution.units else 0
    return (posted, posted if back else 0, units, posted, units - posted, 0)


def _check(quantities: list[Quantity]) -> None:
    for _, _, _, posted, taken, pended, hold_posted, hold_voided, hold_expired in quantities:
        assert 0 <= taken <= posted >= hold_posted, "more was taken back than was posted"  # B3
        assert hold_posted + hold_voided + hold_expired <= pended, "more was resolved than was pending"  # B3
