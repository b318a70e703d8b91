"""The purchase history on servers: imported once for all tests that read it, with the sample policy published before.

The policy comes first so that every later position of the log knows it; purchases change by it as little as by any
opinion. Tests that read the shared servers leave the organization `cdnow` as they find it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.server import ROOT, ServerProcess

MAPPING = ROOT / "examples" / "cdnow.toml"
POLICY = ROOT / "examples" / "valuation" / "purchase_history.toml"


@dataclass(frozen=True)
class ImportedHistory:
    """A server that holds the whole history."""

    server: ServerProcess
    figures: dict[str, Any]
    """What the import said."""


def start_import(server: ServerProcess, file: Path, mapping: Path = MAPPING, *more: str) -> subprocess.Popen[str]:
    """Begin an import; its figures come on standard output."""
    return _command("import", str(file), "--mapping", str(mapping), "--json", "--target", server.target, *more)


def figures_of(importing: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the end of an import; return its figures."""
    figures: dict[str, Any] = json.loads(_output(importing))
    return figures


@contextmanager
def history_on_a_server(
    data_dir: Path, master: Path, settings: Mapping[str, str] | None = None, mapping: Path = MAPPING
) -> Iterator[ImportedHistory]:
    """Serve the history until the block ends."""
    with ServerProcess(data_dir, settings=settings) as server:
        _register_assets(server.target)
        _output(_command("policy", "valuation", "publish", "cdnow", str(POLICY), "--target", server.target))
        yield ImportedHistory(server, figures_of(start_import(server, master, mapping)))


def mapping_of_the_sample(folder: Path) -> Path:
    """Write a mapping for the file with a tenth of the customers, which has a column more and no header."""
    text = MAPPING.read_text()
    for old, new in (
        ("header_lines = 1", "header_lines = 0"),
        ('columns = ["customer", "date"', 'columns = ["customer", "sample", "date"'),
    ):
        assert old in text
        text = text.replace(old, new)
    mapping = folder / "sample.toml"
    mapping.write_text(text)
    return mapping


def _register_assets(target: str) -> None:
    for asset in tomllib.loads(MAPPING.read_text())["assets"]:
        kind, limit = asset["kind"].lower(), str(asset["max_units_per_leg"])
        which = ("cdnow", asset["asset"], "--kind", kind, "--max-units", limit)
        _output(_command("asset", "register", *which, "--target", target))


def _command(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _output(command: subprocess.Popen[str]) -> str:
    with command:
        output, told = command.communicate(timeout=600)
    assert 0 == command.returncode, told
    return output
