"""Run every program in examples/ and compare what it prints with the committed `.out` beside it.

`python -m tools.examples` fails with the difference; `python -m tools.examples --write` commits to a new output. A
program without an `.out` fails too: an example whose output nobody checks goes stale.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
EXAMPLES: Final = ROOT / "examples"
TIMEOUT_S: Final = 120


def output_of(program: Path) -> str:
    """Return what `program` prints; what it says on standard error goes to ours.

    Raises:
        subprocess.CalledProcessError: It ended with an error.
        subprocess.TimeoutExpired: It did not end within TIMEOUT_S.
    """
    # Settings of the developer's own server would change what an example shows.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAPPORT_")}
    command = [sys.executable, str(program)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S
    )
    return done.stdout


def difference(program: Path, write: bool) -> str:
    """Return how the output differs from the committed one, as a unified diff; empty when it does not."""
    expected = program.with_suffix(".out")
    printed = output_of(program)
    if write:
        expected.write_text(printed, encoding="utf-8")
        return ""
    if not expected.exists():
        return f"{expected.name} is missing\n"
    committed = expected.read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(difflib.unified_diff(committed, printed.splitlines(keepends=True), expected.name, "printed now"))


def main(arguments: list[str]) -> int:
    """Run all examples; return the exit code."""
    failed = 0
    programs = sorted(EXAMPLES.glob("*.py"))
    for program in programs:
        try:
            wrong = difference(program, "--write" in arguments)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            wrong = f"{error}\n"
        print(f"{'FAILED' if wrong else 'ok'}  {program.name}")
        sys.stderr.write(wrong)
        failed += bool(wrong)
    print(f"{len(programs) - failed} of {len(programs)} examples print what they promise")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
