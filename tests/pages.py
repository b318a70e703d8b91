"""Pages of documentation as tests see them: their fenced blocks, links and headings, and what running them prints.

Blocks say by their language what they are:

    python, js, toml, csv   a file, where the line above ends with its name in backticks and a colon
    sh                      commands that are run, in the order of the page
    text                    what the `sh` block before it prints
    console, and the rest   shown, not run
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PLACEHOLDER = re.compile(r"2026-07-01T08:00:00(?:\.0+)?Z")
"""The time that pages show for "when you ran this"."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"`([\w./-]+)`[^`\n]*:\n\n\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VOLATILE = ((re.compile(r"[\d.]+ s, [\d,]+ events/s"), "# s, # events/s"), (re.compile(r"\d+ files in"), "# files in"))


class Block(NamedTuple):
    """One fenced block."""

    language: str
    text: str
    line: int
    """Of the page, from 1."""
    name: str
    """File that the page says it is; empty: none."""


def pages() -> list[Path]:
    """Return every page that people write, and those that are generated for them."""
    top = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "protos/README.md")]
    return [
        path for path in (*top, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples/README.md") if path.exists()
    ]


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        name = _NAME.search(before)
        yield Block(match[1], match[2], before.count("\n") + 1, name[1] if name else "")


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", text)


@cache
def anchors(text: str) -> set[str]:
    """Return what links into a page may name: its headings, as GitHub spells them."""
    headings = re.findall(r"^#{1,6} (.+)$", prose(text), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


def alike(text: str) -> list[str]:
    """Return lines that compare equal whatever the time, the rate, the log's name and the width of columns are."""
    text = PLACEHOLDER.sub("NOW", text)
    text = _TIME.sub(lambda match: "NOW" if _is_now(match[0]) else match[0], text)
    text = _UUID.sub("UUID", text)
    for pattern, instead in _VOLATILE:
        text = pattern.sub(instead, text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _is_now(time: str) -> bool:
    return abs(datetime.now(UTC) - datetime.fromisoformat(time)) < timedelta(hours=1)
