"""Answers for people and for programs.

On a terminal tables are drawn; elsewhere cells are parted by tabs, one line a row. With `--json` every message is one
line of proto3 JSON: an answer as the service gave it, a list or a stream item by item.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

from google.protobuf.json_format import MessageToJson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.client import amount_text, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.descriptor import EnumDescriptor
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.type.v1.as_of_pb2 import AsOf

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What would move the cursor, change colours or turn the writing round. Ids may have any characters."""
ROWS_AT_ONCE: Final = 200
"""Rows that a table on a terminal is drawn from; longer lists become several tables."""


def print_json(message: Message) -> None:
    """Print a message as one line, at once."""
    print(MessageToJson(message, indent=None, ensure_ascii=False), flush=True)


class Rows:
    """A table that is printed as its rows come.

    On a terminal they are drawn many at once, so that they stand below each other; `live` ones come at once there too.
    """

    def __init__(self, *columns: str, live: bool = False) -> None:
        self._columns = columns
        self._console = Console(highlight=False)
        self._rows: list[Sequence[str]] = []
        self._live = live
        self._drawn = self._console.is_terminal and not live
        if not self._drawn:
            print("\t".join(columns), flush=live)

    def add(self, *cells: object) -> None:
        """Add a row."""
        row = [without_controls(str(cell)) for cell in cells]
        if not self._drawn:
            print("\t".join(_one_line(cell) for cell in row), flush=self._live)
            return
        self._rows.append(row)
        if len(self._rows) == ROWS_AT_ONCE:
            self.end()

    def end(self) -> None:
        """Print what is not printed yet."""
        if self._rows:
            table = Table(box=None, header_style="bold", pad_edge=False)
            for column in self._columns:
                # Folded where the terminal is narrow: an id or a time that is cut off is of no use.
                table.add_column(column, overflow="fold")
            for row in self._rows:
                table.add_row(*[Text(cell) for cell in row])  # Text: brackets in an id are no markup.
            self._console.print(table)
            self._rows.clear()


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names with their values, one a line; empty values are passed over."""
    shown = [(name, str(value)) for name, value in pairs if str(value)]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name:<{width}}  {_one_line(without_controls(value))}")


def time_cell(time: Timestamp | None) -> str:
    """Return a time in UTC, or nothing for an absent one."""
    return "" if time is None or time.ByteSize() == 0 else time_text(time)


def enum_cell(enum: EnumDescriptor, number: int) -> str:
    """Return an enum value without its prefix; its number where this version does not know it."""
    value = enum.values_by_number.get(number)
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(number) if value is None else value.name.removeprefix(prefix)


def amount_cell(units: int, asset: str) -> str:
    """Return an amount with its scale. Example: `12.50 EUR`."""
    return amount_text(units, asset)


def view_text(as_of: AsOf) -> str:
    """Return a point of view as it was resolved."""
    return f"as of {time_cell(as_of.occur_time)}, known at position {as_of.position}"


def warn(message: str) -> None:
    """Print a message for people, on standard error."""
    print(f"rapport: {without_controls(message)}", file=sys.stderr)


def without_controls(text: str) -> str:
    """Return a text with a mark in place of each character that a terminal would obey instead of showing it."""
    return text if text.isprintable() else _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def _one_line(text: str) -> str:
    return " ".join(text.split()) if any(mark in text for mark in "\t\r\n") else text
