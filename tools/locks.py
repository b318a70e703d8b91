"""Resolve requirements.lock and requirements-dev.lock from pyproject.toml.

`make locks` keeps every version that is already locked and still fits; `make locks ARGS=--upgrade` takes the newest.
The files hold names, versions and hashes, and no address of any package index: each machine installs from its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RUNTIME: Final = "requirements.lock"
DEV: Final = "requirements-dev.lock"
# One file for every platform and for every Python from 3.11 on; markers choose on installation.
COMPILE: Final = (
    *("uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-header", "--no-config", "--no-annotate"),
)


def lock(extra: Sequence[str]) -> None:
    """Write both files; `extra` are further options of `uv pip compile`.

    Raises:
        subprocess.CalledProcessError: Nothing fits; uv has said what contradicts what.
    """
    resolve([*extra, "--output-file", RUNTIME])
    # The runtime versions are constraints, so that tests run with what is released; extras are tested too.
    resolve([*extra, "--group", "dev", "--extra", "plot", "--constraints", RUNTIME, "--output-file", DEV])


def resolve(options: Sequence[str]) -> None:
    """Run uv with `options`, without the package sources that this machine's pip happens to be set to."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    program = Path(sys.executable).with_name("uv")
    subprocess.run([program, *COMPILE[1:], *options], cwd=ROOT, env=environment, check=True)


if __name__ == "__main__":
    lock(sys.argv[1:])
