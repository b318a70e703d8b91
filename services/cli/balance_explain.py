"""`rapport balance explain`: every leg that makes a balance up, and every one left out, with the reason."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Final

from services.cli.arguments import add_common, client_of
from services.cli.balance_tables import (
    DRIVERS,
    ENTRIES,
    EXCLUSIONS,
    LOTS,
    driver_cells,
    entry_cells,
    exclusion_cells,
    lot_cells,
)
from services.cli.balance_view import balance_view_of, view_pairs
from services.cli.output import Rows, print_json, print_pairs
from services.client import nanos_text, ratio_text

if TYPE_CHECKING:
    from rapport.relationship.v1.balance_pb2 import Balance, Trailer
    from rapport.relationship.v1.relationship_service_pb2 import ExplainBalanceResponse

_COLUMNS: Final = {"entry": ENTRIES, "exclusion": EXCLUSIONS, "lot": LOTS, "driver": DRIVERS}
_MOST_DRIVERS: Final = 100


def add(parser: ArgumentParser) -> None:
    """Add what the command takes beside a view."""
    parser.add_argument(
        "--drivers",
        metavar="N",
        type=_drivers,
        default=0,
        help=f"name the N entries that move the index most, at most {_MOST_DRIVERS} (default: %(default)s)",
    )
    add_common(parser)
    parser.set_defaults(run=run)


def _drivers(text: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= number <= _MOST_DRIVERS:
        raise ArgumentTypeError(f"{text!r} is no number of drivers; write 0 to {_MOST_DRIVERS}")
    return number


async def run(arguments: Namespace) -> int:
    """Print an explanation part by part; it has ended well only with its last line."""
    tables = _Tables(f"{arguments.organization}/{arguments.customer}")
    async with client_of(arguments) as client:
        explanation = client.explain_balance(
            arguments.organization, arguments.customer, view=balance_view_of(arguments), drivers=arguments.drivers
        )
        async for part in explanation:
            if arguments.json:
                print_json(part)
            else:
                tables.add(part)
    return 0


class _Tables:
    """One table for each kind of part, with a blank line between; kinds that do not come have none."""

    def __init__(self, relationship: str) -> None:
        self._relationship = relationship
        self._unit = ""
        self._kind = ""
        self._rows: Rows | None = None

    def add(self, part: ExplainBalanceResponse) -> None:
        """Print a part, or keep it until its table is drawn."""
        kind = part.WhichOneof("part") or ""
        if kind != self._kind:
            self._begin(kind)
        match kind:
            case "balance":
                self._show_header(part.balance)
            case "entry":
                self._row(entry_cells(part.entry, self._unit))
            case "exclusion":
                self._row(exclusion_cells(part.exclusion, self._unit))
            case "lot":
                self._row(lot_cells(part.lot, self._unit))
            case "driver":
                self._row(driver_cells(part.driver))
            case "trailer":
                self._show_trailer(part.trailer)
            case _:
                pass  # A kind of part that this version does not know.

    def _begin(self, kind: str) -> None:
        if self._rows is not None:
            self._rows.end()
        if self._kind:
            print()
        self._kind = kind
        columns = _COLUMNS.get(kind)
        self._rows = None if columns is None else Rows(*columns)

    def _row(self, cells: tuple[object, ...]) -> None:
        if self._rows is not None:
            self._rows.add(*cells)

    def _show_header(self, balance: Balance) -> None:
        self._unit = balance.unit_of_account
        print_pairs([("relationship", self._relationship), *view_pairs(balance.view)])

    def _show_trailer(self, trailer: Trailer) -> None:
        index = f"{ratio_text(trailer.index)}, the sum of all contributions" if trailer.index.denominator else "none"
        print_pairs(
            [
                ("entries", f"{trailer.entries}, complete"),
                ("got", nanos_text(trailer.got_nanos, self._unit)),
                ("gave", nanos_text(trailer.gave_nanos, self._unit)),
                ("index", index),
                ("digest", trailer.digest.hex()),
            ]
        )
