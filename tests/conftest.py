"""What every test may use: a seed that is printed, a place for the shared data, and clean environment names."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent

# Names that speak to the tests and not to the services under test.
TEST_NAMES = ("RAPPORT_TEST_", "RAPPORT_SHARED_DATA")

# No deadline: a shared machine may pause any example. The blob repeats a failure exactly.
settings.register_profile("rapport", deadline=None, print_blob=True)
settings.load_profile("rapport")


def pytest_configure() -> None:
    """Draw the seed before workers are started (pytest-xdist): they inherit it with the environment."""
    session_seed()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So does a shell start what is to run in the background; every process that a test interrupts would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)


# Workers take files, whose fixtures the tests share, and these. Names, because marks do not reach the process that
# shares out: xdist 3.8 hands them over in node ids, which pytest 9.2 lets nobody change.
GROUPS = {
    # Each shares what takes a minute to import, or a quarter of one.
    "test_import_cdnow.py::test_the_same_on_postgresql": "history on PostgreSQL",
    "test_reciprocity_cdnow.py::test_random_views_agree_with_the_brute_model[imported_on": "history on PostgreSQL",
    "test_import_cdnow.py::test_the_sample": "sample",
    "test_import_cdnow.py::test_killing": "sample",
    "test_programmes_cdnow.py::test_repeats_of_the_sample": "sample",
    "test_programmes_cdnow.py::test_standings_of_now": "sample",
    "test_import_cdnow.py": "history on SQLite",
    "test_reciprocity_cdnow.py": "history on SQLite",
    "test_programmes_cdnow.py": "history on SQLite",
}


def group_of(nodeid: str) -> str | None:
    """Return the group of a test: the first whose words its id contains."""
    return next((group for words, group in GROUPS.items() if words in nodeid), None)


class FilesAndGroups(LoadFileScheduling):  # type: ignore[misc]  # It carries no types.
    """Shares out whole files and groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid) or str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesAndGroups:
    """Share the tests among the workers."""
    return FilesAndGroups(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let workers begin with the groups: they take long, and others would wait for them at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: group_of(item.nodeid) is None)


def pytest_report_header() -> str:
    """Say the seed first: a random test that failed is repeated with RAPPORT_TEST_SEED set to it."""
    return f"seed: {session_seed()} (repeat with RAPPORT_TEST_SEED)"


def session_seed() -> int:
    """Return the seed of this session: RAPPORT_TEST_SEED, or one drawn once and kept for child processes."""
    return int(os.environ.setdefault("RAPPORT_TEST_SEED", str(random.SystemRandom().randrange(2**32))))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return a number of this session and test; the same again under the same RAPPORT_TEST_SEED."""
    return random.Random(f"{session_seed()}/{request.node.nodeid}").randrange(2**32)


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take RAPPORT_* settings out of the environment, so that a developer's own server is never tested or written."""
    for name in [name for name in os.environ if name.startswith("RAPPORT_") and not name.startswith(TEST_NAMES)]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of the data sets: RAPPORT_SHARED_DATA, or `shared/data` beside the checkout; else skip."""
    folder = Path(os.environ.get("RAPPORT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the data sets are not there; set RAPPORT_SHARED_DATA to their folder")
    return folder
