"""Lint the protos with buf, and let it look for breaking changes since the last release.

buf comes as an npm package; where there is no npm, one line says so and nothing is checked, because the tests on the
descriptors hold the rules that matter most. buf reads descriptors made here and not the .proto files, for it could
fetch `buf/validate/validate.proto` and `google/rpc` only from its own registry.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from tools import protos

VERSION: Final = "1.75.0"  # Exact, and changed on purpose only: a new version may bring new rules.
PACKAGE: Final = f"@bufbuild/buf@{VERSION}"
ROOT: Final = protos.ROOT
BUF: Final = ROOT / "node_modules" / ".bin" / "buf"
CONFIG: Final = protos.PROTOS / "buf.yaml"


def install() -> bool:
    """Have buf of the pinned version in node_modules; return whether it is there."""
    if BUF.exists() and run([BUF, "--version"]).strip() == VERSION:
        return True
    npm = shutil.which("npm")
    if npm is None:
        return False
    # Without install scripts: the program itself is in a package of its own for each platform.
    quiet = [
        "--ignore-scripts",
        "--no-save",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
    ]
    return subprocess.run([npm, "install", "--prefix", ROOT, *quiet, PACKAGE], check=False).returncode == 0


def run(command: list[str | Path]) -> str:
    """Return what `command` prints.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def base_revision() -> str:
    """Return what must not be broken: the newest release, or the last commit while there is none."""
    found = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0", "--match", "v*"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip() or "HEAD"


def image(folder: Path, out: Path) -> Path:
    """Write the descriptors of the protos below `folder` to `out`; return `out`."""
    out.write_bytes(protos.descriptors(protos.sources(folder), folder).SerializeToString(deterministic=True))
    return out


def unpack(revision: str, folder: Path) -> Path:
    """Put the protos of the git `revision` below `folder`; return where their packages begin."""
    archive = subprocess.run(["git", "archive", revision, "protos"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder / "protos"


def settings() -> str:
    """Return buf.yaml as buf takes it beside an image: the same rules, no modules."""
    import yaml  # noqa: PLC0415  # A tool of developers; the module is importable without it.

    read = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    return json.dumps({key: value for key, value in read.items() if key != "modules"})


def check() -> int:
    """Run both checks; return the exit code, 0 when all is well or buf is not to be had."""
    if not install():
        print("buf: npm or its registry is not there; the protos were checked by the tests on descriptors only")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        now = image(protos.PROTOS, folder / "now.binpb")
        options = ["--path", "rapport", "--config", settings()]
        lint = subprocess.run([BUF, "lint", now, *options], check=False, cwd=folder).returncode
        revision = base_revision()
        before = unpack(revision, folder / "before")
        if not protos.sources(before):
            return lint
        then = image(before, folder / "before.binpb")
        print(f"buf: compared with {revision}")
        breaking = subprocess.run([BUF, "breaking", now, "--against", then, *options], check=False, cwd=folder)
        return lint or breaking.returncode


if __name__ == "__main__":
    sys.exit(check())
