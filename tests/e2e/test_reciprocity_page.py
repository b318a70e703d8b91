"""What docs/concepts/reciprocity.md shows and does not type: its tables of figures and its plot, made by the product.

The blocks of the page are typed by `test_readme`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.client import nanos_text
from tests.e2e.test_cli import environment_for, messages, rapport
from tests.server import ROOT, ServerProcess

PAGE = (ROOT / "docs/concepts/reciprocity.md").read_text(encoding="utf-8")
MINUS = "\N{MINUS SIGN}"
DAYS = {"28 February": "2026-02-28", "31 March": "2026-03-31", "30 April": "2026-04-30"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on which the story was played."""
    with ServerProcess(tmp_path_factory.mktemp("story") / "data") as running:
        story = [sys.executable, str(ROOT / "examples" / "reciprocity.py"), running.target]
        subprocess.run(story, cwd=ROOT, env=environment_for(running), check=True, capture_output=True, timeout=120)
        yield running


def table(first_heading: str) -> list[list[str]]:
    """Return the cells of a table of the page, heading first, without emphasis and with a plain minus."""
    found = re.search(rf"^\| *{re.escape(first_heading)} *\|.*\n(?:\|.*\n)+", PAGE, re.MULTILINE)
    assert found is not None, first_heading
    lines = found[0].replace("*", "").replace(MINUS, "-").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]


def balance(server: ServerProcess, *view: str) -> dict[str, Any]:
    """Return Ada's balance in a view."""
    done = rapport(server, "balance", "book-shop", "ada", *view, "--json")
    (answer,) = messages(done)
    found: dict[str, Any] = answer["balance"]
    return found


def figures(found: dict[str, Any]) -> tuple[str, str, str]:
    """Return got, gave and index as the tables tell them."""
    got, gave = (nanos_text(int(found[name])) for name in ("gotNanos", "gaveNanos"))
    return got, gave, f"{found['indexPpm'] / 1_000_000:+.3f}"


def test_the_two_clocks_show_what_the_product_answers(server: ServerProcess) -> None:
    (_, *days), *rows = table("")

    assert ["known at 13", "known at 15", "known at 17"] == [row[0].partition(",")[0] for row in rows]
    for known, *cells in rows:
        position = known.split()[2].rstrip(",")
        for day, cell in zip(days, cells, strict=True):
            view = ("--as-of", DAYS[day], "--known-at", position)
            assert tuple(cell.split(" / ")) == figures(balance(server, *view)), (day, known)


def test_windows_and_half_lives_show_what_the_product_answers(server: ServerProcess) -> None:
    _, *rows = table("asked with")

    assert 3 == len(rows)
    for asked, *cells in rows:
        (options,) = re.findall(r"`([^`]+)`", asked)
        view = options.split() if "--as-of" in options else ["--as-of", "2026-05-31", *options.split()]
        found = balance(server, *view)
        assert tuple(cells) == (*figures(found), f"{found['confidencePpm'] / 1_000_000:.3f}"), asked


def test_the_trend_is_the_one_that_is_told(server: ServerProcess) -> None:
    (told,) = re.findall(rf"less that of all time: {MINUS}(0\.\d{{3}})", PAGE)

    assert f"-{told}" == f"{balance(server, '--as-of', '2026-05-31')['trendPpm'] / 1_000_000:.3f}"


def test_a_position_inside_the_correction_is_refused(server: ServerProcess) -> None:
    done = rapport(server, "balance", "book-shop", "ada", "--known-at", "16")

    assert "KNOWN_AT_INSIDE_BATCH" in done.stderr
    assert "last_position: 17" in done.stderr


def test_the_plot_is_the_one_that_the_command_draws(server: ServerProcess, tmp_path: Path) -> None:
    drawn = tmp_path / "ada.svg"

    view = ("--as-of", "2026-03-31", "--known-at", "13", "--plot", str(drawn))
    done = rapport(server, "balance", "book-shop", "ada", *view)

    assert not done.returncode, done.stderr
    committed = (ROOT / "docs/concepts/reciprocity.svg").read_text(encoding="utf-8")
    # Another release of the library may place things a little elsewhere; what is said and drawn stays.
    assert said(committed) == said(drawn.read_text(encoding="utf-8"))


def said(svg: str) -> tuple[list[str], dict[str, int]]:
    """Return the texts of a plot, and of how many corners each of its lines is made."""
    lines = {
        name: len(re.findall(r"[ML]", path))
        for name, path in re.findall(r'<g id="(got|gave|net)">\s*<path d="([^"]*)"', svg)
    }
    assert {"got", "gave", "net"} == set(lines)
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg), lines
