"""`rapport serve`: all services in one process, on SQLite."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from services.cli.arguments import Commands
from services.cli.exits import UsageFault

HELP = """\
Serve everything in one process.

The first line it prints is `listening on HOST:PORT`. Settings come from the RAPPORT_* environment; the options below go
before it. Ctrl-C or SIGTERM ends it once calls in flight are answered.
"""


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("serve", help="serve everything in one process", description=HELP)
    parser.add_argument("--data", metavar="DIR", type=Path, help="folder of the ledger; made if it is not there")
    parser.add_argument("--listen", metavar="HOST:PORT", help="where to listen; port 0 picks one")
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Become the server: same process, so that signals and exit code are its own."""
    environment = dict(os.environ)
    if arguments.data is not None:
        environment["RAPPORT_DATA_DIR"] = str(arguments.data)
    if arguments.listen is not None:
        host, colon, port = arguments.listen.rpartition(":")
        if not (host and colon and port.isdecimal()):
            raise UsageFault(f"{arguments.listen!r} is no HOST:PORT to listen on, such as 127.0.0.1:50051")
        environment["RAPPORT_LISTEN"] = arguments.listen
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "services.standalone"], environment)  # noqa: S606  # Our own program.
