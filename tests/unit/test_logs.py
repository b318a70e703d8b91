"""Log lines: the quick way writes what structlog would, lines are gathered, errors keep their text to themselves."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import Any

import pytest

from services.runtime.logs import FLUSH_AFTER_S, configure, describe, get_log

VALUES: dict[str, Any] = {"code": "OK", "duration_ms": 0.125, "customer_id": 'a"b\n', "position": 7, "replayed": True}


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_line_of_a_call_is_what_structlog_would_have_written() -> None:
    stream = io.StringIO()
    logging_ = configure("json", "info", stream)

    logging_.call_completed(logging_.call_head("/a.b/C"), VALUES)
    get_log().info("rpc.completed", method="/a.b/C", **VALUES)

    quick, slow = lines(stream)
    assert list(quick) == list(slow)
    assert {**quick, "timestamp": ""} == {**slow, "timestamp": ""}
    assert len(quick["timestamp"]) == len(slow["timestamp"])


@pytest.mark.parametrize("level, expected", [("info", 1), ("warning", 0)])
def test_the_line_of_a_call_keeps_to_the_level(level: str, expected: int) -> None:
    stream = io.StringIO()
    logging_ = configure("json", level, stream)

    logging_.call_completed(logging_.call_head("/a.b/C"), VALUES)

    assert expected == len(lines(stream))


def test_a_console_shows_the_same_words() -> None:
    stream = io.StringIO()
    logging_ = configure("console", "info", stream)

    logging_.call_completed(logging_.call_head("/a.b/C"), VALUES)

    assert "rpc.completed" in stream.getvalue()
    assert "/a.b/C" in stream.getvalue()


async def test_lines_wait_for_each_other_and_warnings_do_not() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)

    get_log().info("one")
    get_log().info("two")
    waiting = lines(stream)
    get_log().warning("three")
    together = [line["event"] for line in lines(stream)]
    get_log().info("four")
    await asyncio.sleep(FLUSH_AFTER_S * 3)

    assert [] == waiting
    assert ["one", "two", "three"] == together
    assert "four" == lines(stream)[-1]["event"]


def test_what_libraries_log_passes_without_the_values_in_it() -> None:
    stream = io.StringIO()
    configure("json", "info", stream)

    try:
        raise ValueError("alice@example.org")
    except ValueError:
        logging.getLogger("somebody").exception("could not send to %s", "alice@example.org")

    (line,) = lines(stream)
    assert ("library.logged", "somebody", "ValueError") == (line["event"], line["logger"], line["error"])
    assert "alice" not in stream.getvalue()


def test_an_error_is_described_with_its_places_and_its_text_only_where_that_is_allowed() -> None:
    def fail() -> None:
        try:
            raise KeyError("alice")
        except KeyError as cause:
            raise RuntimeError("alice too") from cause

    with pytest.raises(RuntimeError) as caught:
        fail()

    told = describe(caught.value, with_text=False)
    assert "alice" not in json.dumps(told)
    assert ("RuntimeError", "KeyError") == (told["error"], told["cause"]["error"])
    assert any("fail" in frame for frame in told["trace"])
    assert "alice too" == describe(caught.value, with_text=True)["text"]
