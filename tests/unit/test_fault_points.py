"""Fault points: what a rule says, when it acts, and what it costs where nothing is installed."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ledger.testing import fault_points
from ledger.testing.fault_points import FaultRaised, install, parse, reach


@pytest.fixture(autouse=True)
def no_faults() -> Iterator[None]:
    yield
    install(None)


def test_nothing_happens_without_a_handler() -> None:
    reach("append.before_commit")


def test_a_rule_acts_at_its_place_and_turn_only() -> None:
    install(parse("append.before_commit:3:raise"))

    for name in ("append.before_commit", "append.after_commit", "append.before_commit", "append.after_commit"):
        reach(name)
    with pytest.raises(FaultRaised):
        reach("append.before_commit")
    reach("append.before_commit")


def test_several_rules_count_for_themselves() -> None:
    install(parse("append.after_lock:1:eio, group.before_ack:2:enospc"))

    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as broken:
        reach("append.after_lock")
    reach("group.before_ack")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as full:
        reach("group.before_ack")

    assert (errno.EIO, errno.ENOSPC) == (broken.value.errno, full.value.errno)


def test_kill_ends_the_process_at_once() -> None:
    program = (
        "from ledger.testing.fault_points import *; install(parse('keys.after_commit:1:kill'));"
        "reach('keys.after_commit'); print('still here')"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)

    assert (-9, "") == (ended.returncode, ended.stdout)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        ",",
        "append.before_commit",
        "append.before_commit:1",
        "nowhere:1:kill",
        "append.before_commit:0:kill",
        "append.before_commit:-1:kill",
        "append.before_commit:1:explode",
        "append.before_commit:1:kill:1",
    ],
)
def test_what_is_no_rule_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="not a fault"):
        parse(spec)


def test_every_point_can_be_named() -> None:
    for name in fault_points.FAULT_POINTS:
        install(parse(f"{name}:1:raise"))
        with pytest.raises(FaultRaised):
            reach(name)
