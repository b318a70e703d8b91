"""Pages that say "type this" are typed, on a server of their own, and print what they say they print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.runtime.settings import Settings
from tests.pages import ROOT, alike, blocks
from tests.server import ServerProcess

RUN = [
    "README.md",
    "docs/start.md",
    "docs/concepts/customers.md",
    "docs/concepts/relationship-facts.md",
    "docs/concepts/reciprocity.md",
    *(f"docs/recipes/{path.name}" for path in sorted((ROOT / "docs/recipes").glob("*.md"))),
]
TARGET = Settings().listen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to type in, with the commands that an active environment has."""
    place, commands = tmp_path / "typing", tmp_path / "bin"
    place.mkdir()
    commands.mkdir()
    (place / "examples").symlink_to(ROOT / "examples")
    for name, words in {
        "python": "",
        "rapport": "-m services.cli",
        "grpcurl": str(ROOT / "tests" / "generic_call.py"),
    }.items():
        command = commands / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        command.chmod(0o755)
    return place


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server on an empty ledger."""
    with ServerProcess(tmp_path / "data") as running:
        yield running


def environment(folder: Path, server: ServerProcess) -> dict[str, str]:
    """Return what commands are typed with."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "protos")])
    commands = f"{folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": commands, "PYTHONPATH": paths, "RAPPORT_TARGET": server.target}


def can_run(commands: str, folder: Path, variables: dict[str, str]) -> bool:
    """Tell whether what the commands need is on this machine; Node.js and its packages may be missing."""
    if not commands.startswith("node "):
        return True
    if shutil.which("node") is None:
        return False
    needed = "require('@grpc/grpc-js'); require('@grpc/proto-loader')"
    found = subprocess.run(["node", "-e", needed], cwd=folder, env=variables, capture_output=True, check=False)
    return found.returncode == 0


def typed(commands: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Return what became of the commands of a block."""
    return subprocess.run(
        ["sh", "-c", commands],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.timeout(180)
@pytest.mark.parametrize("page", RUN)
def test_a_page_prints_what_it_says(page: str, folder: Path, server: ServerProcess) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    # The default target may be a developer's own server.
    text = text.replace(TARGET, server.target).replace("Client()", f'Client("{server.target}")')
    variables = environment(folder, server)
    printed: list[str] | None = None
    shown = list(blocks(text))

    for block, after in zip(shown, [*shown[1:], None], strict=True):
        if block.language == "sh":
            printed = None
            if can_run(block.text, folder, variables):
                done = typed(block.text, folder, variables)
                assert "Traceback" not in done.stderr, f"{page}:{block.line}: {done.stderr}"
                told = after is not None and after.language == "text"
                assert told or not done.returncode, f"{page}:{block.line}: {done.stderr}"
                printed = alike(done.stdout or done.stderr)
        elif block.language == "text" and printed is not None:
            assert alike(block.text) == printed, f"{page}:{block.line}"
            printed = None
        elif block.name and block.language not in {"text", "console"}:
            (folder / block.name).write_text(block.text, encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "docs/start.md"])
def test_make_run_prints_what_the_page_says(page: str, server: ServerProcess) -> None:
    recipe = re.search(r"^run:.*\n\t(.+\n)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe is not None
    # make shows a line before it runs it, unless it begins with an @.
    shown = "" if recipe[1].startswith("@") else recipe[1].replace("$$", "$").replace("$(PY)", ".venv/bin/python")

    assert f"$ make run\n{shown}listening on {TARGET}\n" in (ROOT / page).read_text(encoding="utf-8")
    assert server.target.startswith(TARGET.rpartition(":")[0])
