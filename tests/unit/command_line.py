"""Lines of the `rapport` command, parsed and run inside the event loop of a test."""

from __future__ import annotations

from argparse import Namespace
from functools import cache

from services.cli.__main__ import parser
from services.cli.arguments import Parser
from tests.unit.answering_server import AnsweringServer


def parsed(*words: object) -> Namespace:
    """Return what a line means."""
    line = [str(word) for word in words]
    return _parser(line[0]).parse_args(line)


async def run_line(target: str, *words: object) -> int:
    """Run a line against a server, as `main` would in an event loop of its own; return the exit code."""
    arguments = parsed(*words, "--target", target)
    code: int = await arguments.run(arguments)
    return code


async def run(server: AnsweringServer, command: str, *more: object) -> int:
    """Run a command, in words, against a server that answers; return the exit code."""
    return await run_line(server.target, *command.split(), *more)


def pairs(printed: str) -> dict[str, str]:
    """Return the names and values that were printed, wherever they stand."""
    lines = (line.partition("  ") for line in printed.splitlines() if "\t" not in line)
    return {name.strip(): value.strip() for name, _, value in lines}


@cache
def _parser(noun: str) -> Parser:
    """Built once a process: it takes longer than most tests. Its default target is that of the first test."""
    return parser([noun])
