"""The one door opens everywhere: locks that any machine can install from, and a Makefile that lists what it can do."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock"]


def pinned(lock: str) -> dict[str, tuple[str, int]]:
    """Return name -> (version, number of hashes) of a lock file."""
    found: dict[str, tuple[str, int]] = {}
    # An entry is one logical line: name and version, then its hashes on continued lines.
    for entry in (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        match = re.match(r"([a-z0-9-]+)(?:\[[a-z,]+\])?==([^ ;]+)", entry)
        assert match is not None, f"{lock}: {entry[:60]!r} is not a pinned name"
        found[match[1]] = (match[2], entry.count("--hash=sha256:"))
    return found


def wanted(requirements: list[str]) -> set[str]:
    """Return the names in a list of requirements."""
    return {re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")

    assert [] == re.findall(r"://|--(?:index-url|extra-index-url|find-links|trusted-host)|@ ?file", text)
    assert [] == [name for name, (_, hashes) in pinned(lock).items() if hashes == 0]


def test_what_is_tested_is_what_is_released() -> None:
    runtime, dev = (pinned(lock) for lock in LOCKS)

    assert runtime == {name: dev.get(name) for name in runtime}


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert set() == wanted(project["project"]["dependencies"]) - set(pinned(LOCKS[0]))
    assert set() == wanted(project["dependency-groups"]["dev"]) - set(pinned(LOCKS[1]))


def test_every_target_is_on_the_list_that_make_prints() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", makefile, re.MULTILINE)
    assert phony is not None

    described = set(re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.MULTILINE))

    assert set(phony[1].replace("\\", " ").split()) == described
