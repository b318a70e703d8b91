"""The `rapport` command, run in the process of a test, and what it printed."""

from __future__ import annotations

import re

import pytest

from services.cli.__main__ import main


class Rapport:
    """The command, in this process."""

    def __init__(self, target: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._target = target
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, command: str, *arguments: object) -> int:
        """Run the words of a command with more arguments; keep what it printed."""
        code = main([*command.split(), *map(str, arguments), "--target", self._target])
        self.out, self.err = self._capsys.readouterr()
        return code

    def pairs(self) -> dict[str, str]:
        """Return what was printed as names and values, up to the first table."""
        lines = self.out.partition("\n\n")[0].splitlines()
        return dict(re.split(r"  +", line, maxsplit=1) for line in lines)

    def rows(self) -> list[list[str]]:
        """Return the cells of what was printed as a table, without its header."""
        return [line.split("\t") for line in self.out.splitlines() if "\t" in line][1:]
