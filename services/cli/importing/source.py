"""A file as lines with cells. One line at a time: a file of any size takes the same memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from services.cli.importing.faults import MappingError

BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """How a file is read; `[source]` of a mapping."""

    format: str
    """`csv` or `whitespace` (cells parted by any blanks)."""
    columns: tuple[str, ...]
    """Names of the cells, from the left."""
    header_lines: int = 0
    """Lines at the top that hold no data."""
    encoding: str = "utf-8"
    """One in which a line feed is one byte."""
    delimiter: str = ","
    """Parts the cells of `csv`."""
    quote: str = '"'
    """Encloses cells of `csv` that hold delimiters or line feeds. Empty: none does."""
    name: str = ""
    """What the lines are of, for request ids. Empty: the file's name."""
    key: tuple[str, ...] = ("line",)
    """What makes a line unique within the source: its number, or columns."""


class Line(NamedTuple):
    """One line, or one record of `csv` that spans several."""

    number: int
    """Of the first line, from 1; header lines count."""
    text: str
    """As it stands in the file, without the line feed."""
    cells: Sequence[str]
    """Without blanks around them; as many as there are columns, unless there is a fault."""
    fault: str
    """Why it cannot be used. Empty: it can."""
    end: int
    """Bytes of the file up to its end."""


class FileReader:
    """Reads a file from its beginning, once for each `lines()`."""

    def __init__(self, path: Path, spec: SourceSpec) -> None:
        self._path = path
        self._spec = spec
        self.size = path.stat().st_size
        """Bytes of the file."""

    def lines(self) -> Iterator[Line]:
        """Yield the lines that hold data, faulty ones included; blank ones are passed over."""
        with self._path.open("rb") as file:
            physical = _PhysicalLines(file, self._spec.encoding)
            for _ in zip(range(self._spec.header_lines), physical, strict=False):
                pass
            physical.pending.clear()
            yield from self._csv(physical) if self._spec.format == "csv" else self._whitespace(physical)

    def _whitespace(self, physical: _PhysicalLines) -> Iterator[Line]:
        for text in physical:
            physical.pending.clear()
            cells = text.split()
            if cells:
                yield self._line(physical.number, text, cells, physical.offset)

    def _csv(self, physical: _PhysicalLines) -> Iterator[Line]:
        spec = self._spec
        if spec.quote:
            records = csv.reader(physical, delimiter=spec.delimiter, quotechar=spec.quote)
        else:
            records = csv.reader(physical, delimiter=spec.delimiter, quoting=csv.QUOTE_NONE)
        while True:
            fault, cells = "", []
            try:
                cells = next(records)
            except StopIteration:
                return
            except csv.Error as error:
                fault = f"cannot be read: {error}"
            first = physical.number - len(physical.pending) + 1
            text = "".join(physical.pending)
            physical.pending.clear()
            if fault or any(cells):
                yield self._line(first, text, [cell.strip() for cell in cells], physical.offset, fault)

    def _line(self, number: int, text: str, cells: list[str], end: int, fault: str = "") -> Line:
        text = text.rstrip("\r\n")
        expected = len(self._spec.columns)
        if not fault and not _is_clean(text):
            fault = f"holds bytes that are not {self._spec.encoding}"
        if not fault and len(cells) != expected:
            fault = f"{len(cells)} columns where {expected} are expected"
        return Line(number, text, cells, fault, end)


class _PhysicalLines:
    """Lines of a file as text, with their numbers; keeps those of an unfinished record in `pending`."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._encoding = encoding
        self.number = 0
        self.offset = 0
        self.pending: list[str] = []

    def __iter__(self) -> _PhysicalLines:
        return self

    def __next__(self) -> str:
        raw = self._file.readline()
        if not raw:
            raise StopIteration
        self.number += 1
        self.offset += len(raw)
        # Bytes that do not belong are carried along, so that the line can be shown as it is when it is rejected.
        text = raw.removeprefix(BOM if self.number == 1 else b"").decode(self._encoding, "surrogateescape")
        self.pending.append(text)
        return text


def _is_clean(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_encoding(encoding: str, place: str) -> None:
    """Refuse an encoding that is not known, or in which a line does not end with the byte of a line feed.

    Raises:
        MappingError: It is one of these.
    """
    try:
        ends_with_line_feed = "a\n".encode(encoding) == b"a\n"
    except LookupError as error:
        raise MappingError(place, f"{encoding!r} is no encoding known here; write utf-8, ascii, latin-1 ...") from error
    if not ends_with_line_feed:
        raise MappingError(place, f"files in {encoding} cannot be read line by line; convert the file to utf-8")


def header_of(path: Path, spec: SourceSpec) -> tuple[str, ...]:
    """Return the names in the last header line, for a mapping that gives no columns."""
    with path.open("rb") as file:
        physical = _PhysicalLines(file, spec.encoding)
        text = ""
        for _ in range(spec.header_lines):
            text = next(physical, "")
    if spec.format == "whitespace":
        return tuple(text.split())
    return tuple(cell.strip() for cell in next(csv.reader([text], delimiter=spec.delimiter), []))
