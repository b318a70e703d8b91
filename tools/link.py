"""Make this checkout importable from its virtual environment, and put the `rapport` command into it.

What an editable installation does, in two files and without a build: a .pth file names the checkout and its `protos`
folder, and `bin/rapport` starts the same function that the installed package would.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

COMMAND: Final = """\
#!{python}
import sys

from services.cli.__main__ import main

sys.exit(main())
"""


def link(site_packages: Path, scripts: Path, python: Path) -> None:
    """Write both files; what an earlier call wrote is replaced."""
    (site_packages / "rapport-checkout.pth").write_text(f"{ROOT}\n{ROOT / 'protos'}\n", encoding="utf-8")
    command = scripts / "rapport"
    command.write_text(COMMAND.format(python=python), encoding="utf-8")
    command.chmod(0o755)


if __name__ == "__main__":
    if sys.prefix == sys.base_prefix:
        sys.exit("tools.link writes into a virtual environment, and this Python is not in one")
    link(Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("scripts")), Path(sys.executable))
