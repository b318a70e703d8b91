"""TOML files that become messages: what is wrong in one, and in which line.

Numbers never pass through floats. Every fault of a file is found, not only the first, and told with its line.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from services.cli.exits import UsageFault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TABLES: Final = re.compile(r"\s*\[\[\s*([A-Za-z0-9_.-]+)\s*\]\]")
_TABLE: Final = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_QUOTES: Final = re.compile(r'"""|\'\'\'')


class Fault(NamedTuple):
    """Something in a file that cannot be used."""

    place: str
    """Table and key. Example: `rules[2].rate`; the first table is 0."""
    description: str
    """What is wrong and what would be right."""


class Float(str):
    """A TOML float as it is written: kept apart from texts, and never made a float."""

    __slots__ = ()


class Document(NamedTuple):
    """A file that was read."""

    values: dict[str, Any]
    """As TOML has them, floats as `Float`."""
    lines: Mapping[str, int]
    """Lines by place, from 1, as far as they are plain to see."""


def read_document(path: Path) -> Document:
    """Return what is in a TOML file.

    Raises:
        UsageFault: It cannot be read, or is no TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return Document(tomllib.loads(text, parse_float=Float), line_numbers(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageFault(f"{path.name} is no TOML: {error}") from error
    except OSError as error:
        raise UsageFault(f"{path.name} cannot be read: {error.strerror}") from error


def line_of(lines: Mapping[str, int], place: str) -> int:
    """Return the line of a place, or of the table or key that it is in; 0 where none is known."""
    while place:
        if place in lines:
            return lines[place]
        place = place.removesuffix("]").rpartition("[")[0] if place.endswith("]") else place.rpartition(".")[0]
    return 0


def line_numbers(text: str) -> dict[str, int]:
    """Return the lines of tables and keys that stand at the beginning of a line, by place; the parser tells none."""
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    place, quoted = "", False
    for number, line in enumerate(text.splitlines(), start=1):
        if not quoted:
            if match := _TABLES.match(line):
                name = _within(match[1].rpartition("."), counts)
                place = f"{name}[{counts.get(name, 0)}]"
                counts[name] = counts.get(name, 0) + 1
                found[place] = number
            elif match := _TABLE.match(line):
                place = _within((match[1], ".", ""), counts).removesuffix(".")
                found[place] = number
            elif match := _KEY.match(line):
                found[f"{place}.{match[1]}" if place else match[1]] = number
        quoted ^= len(_QUOTES.findall(line)) % 2 == 1
    return found


def _within(name: tuple[str, str, str], counts: Mapping[str, int]) -> str:
    """Return the name of a table as a place: in a list of tables the last one is meant."""
    above, dot, last = name
    place = ""
    for part in above.split(".") if above else ():
        place = f"{place}.{part}" if place else part
        if place in counts:
            place = f"{place}[{counts[place] - 1}]"
    return f"{place}{dot}{last}"
