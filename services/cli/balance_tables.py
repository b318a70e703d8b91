"""Tables of a balance: its lines, its entries, what was left out, lots of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rapport.events.v1 import exchange_pb2, valuation_pb2
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from rapport.relationship.v1 import balance_pb2
from services.cli.balance_view import policy_text
from services.cli.output import Rows, amount_cell, enum_cell, time_cell
from services.client import nanos_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.relationship.v1.balance_pb2 import Balance, Driver, Entry, Exclusion, Lot

WHOLE_WEIGHT: Final = 1_000_000
"""Weight of a leg in ppm where there is no half-life."""
ENTRIES: Final = (
    "NO",
    "EFFECTIVE",
    "EXCHANGE",
    "GIVER",
    "CATEGORY",
    "AMOUNT",
    "RATE",
    "METHOD",
    "RULE",
    "VALUE",
    "PPM",
)
EXCLUSIONS: Final = ("WHY LEFT OUT", "EFFECTIVE", "EXCHANGE", "GIVER", "CATEGORY", "AMOUNT", "VALUE")
DRIVERS: Final = ("DRIVER", "INDEX WITHOUT IT")


def show_lines(balance: Balance) -> None:
    """Print got and gave by category and asset."""
    rows = Rows("SIDE", "CATEGORY", "UNITS", "LEGS", "VALUE", "LOW", "HIGH", "WITHOUT A VALUE")
    perspective = balance.view.resolved.perspective or PARTY_CUSTOMER
    for each in sorted(balance.lines, key=lambda line: line.giver == perspective):
        rows.add(
            "GAVE" if each.giver == perspective else "GOT",
            category_cell(each.category),
            amount_cell(each.units, each.asset) if each.legs else "",
            each.legs,
            *(
                nanos_text(nanos, balance.unit_of_account) if each.legs else ""
                for nanos in (each.value_nanos, each.low_nanos, each.high_nanos)
            ),
            f"{amount_cell(each.unvalued_units, each.asset)} ({legs_text(each.unvalued_legs)})"
            if each.unvalued_legs
            else "",
        )
    rows.end()


def entry_cells(entry: Entry, unit: str) -> tuple[object, ...]:
    """Return a leg as a row under ENTRIES."""
    weight = "" if entry.weight_ppm in {0, WHOLE_WEIGHT} else f" x {entry.weight_ppm:,} ppm"
    return (
        entry.ordinal or "",
        time_cell(entry.effective_time),
        exchange_cell(entry),
        enum_cell(exchange_pb2.Party.DESCRIPTOR, entry.giver),
        category_cell(entry.category),
        amount_cell(entry.amount.units, entry.amount.asset),
        nanos_text(entry.rate_nanos) if entry.rule_id else "",
        enum_cell(valuation_pb2.ValuationMethod.DESCRIPTOR, entry.method) if entry.method else "",
        f"{entry.rule_id} of {policy_text(entry.policy)}" if entry.rule_id else "",
        nanos_text(entry.value_nanos, unit) + weight if entry.rule_id else "",
        f"{entry.contribution_ppm:+,}",
    )


def exclusion_cells(exclusion: Exclusion, unit: str) -> tuple[object, ...]:
    """Return a leg that does not count as a row under EXCLUSIONS."""
    entry = exclusion.entry
    return (
        enum_cell(balance_pb2.ExclusionReason.DESCRIPTOR, exclusion.reason),
        time_cell(entry.effective_time),
        exchange_cell(entry),
        enum_cell(exchange_pb2.Party.DESCRIPTOR, entry.giver),
        category_cell(entry.category),
        amount_cell(entry.amount.units, entry.amount.asset),
        nanos_text(entry.value_nanos, unit) if entry.rule_id else "",
    )


def driver_cells(driver: Driver) -> tuple[object, ...]:
    """Return an entry that moves the index as a row under DRIVERS."""
    without = f"{driver.index_without_ppm:,} ppm" if driver.HasField("index_without") else "none"
    return driver.ordinal, without


LOTS: Final = ("LOT", "GRANTED", "USED", "OUTSTANDING", "LAPSED", "UNRECOVERED", "ACTIVE FROM", "EXPIRES", "PROMISED")


def lot_cells(lot: Lot, unit: str) -> tuple[object, ...]:
    """Return points as a row under LOTS."""
    return (
        lot.lot_id,
        *(
            amount_cell(units, lot.asset)
            for units in (lot.granted, lot.used, lot.outstanding, lot.lapsed, lot.unrecovered)
        ),
        time_cell(lot.activates_at),
        time_cell(lot.expires_at) if lot.HasField("expires_at") else "never",
        "no rate" if lot.is_unvalued else nanos_text(lot.promised_nanos, unit),
    )


def show_lots(lots: Iterable[Lot], unit: str) -> None:
    """Print lots of points."""
    rows = Rows(*LOTS)
    for lot in lots:
        rows.add(*lot_cells(lot, unit))
    rows.end()


def exchange_cell(entry: Entry) -> str:
    """Return which leg of which exchange it is. Example: `x1/2`."""
    return f"{entry.exchange_id}/{entry.leg_no}"


def category_cell(category: int) -> str:
    """Return a category without its prefix."""
    return enum_cell(exchange_pb2.Category.DESCRIPTOR, category)


def legs_text(count: int) -> str:
    """Return a number of legs. Example: `2 legs`."""
    return f"{count} leg{'s' * (count != 1)}"
