"""`rapport import FILE --mapping MAP.toml`."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from rich.console import Console

from services.cli.arguments import Commands, add_common
from services.cli.exits import DONE_WITH_REJECTS, OK, UsageFault
from services.cli.importing.faults import MappingError
from services.cli.importing.loading import Loader, Totals
from services.cli.importing.mapping import ImportMapping, load_mapping
from services.cli.importing.progress import ProgressBar
from services.cli.importing.rejects import Rejects, places_for
from services.cli.importing.source import FileReader
from services.client import Client, RetryPolicy

PATIENCE_S: Final = 60.0

HELP: Final = """\
Record a table of lines as interactions, consents and exchanges.

MAP.toml says what the columns mean; examples/cdnow.toml is one that is explained line by line. Importing a file twice
adds nothing, and an import that was broken off is simply run again: every record has a request id made from the
source's name (by default the file's), the line and the record's place in the mapping.

A line that cannot be recorded is written to FILE.rejects with its number and the reason, and the import goes on. Mend
the line in FILE and import it again.
"""


def add(commands: Commands) -> None:
    """Add the command to the command line."""
    parser: ArgumentParser = commands.add_parser("import", help="record a table of lines", description=HELP)
    parser.add_argument("file", metavar="FILE", type=Path, help="the table")
    parser.add_argument("--mapping", metavar="MAP.toml", type=Path, required=True, help="what its columns mean")
    parser.add_argument("--organization", metavar="ORG", help="instead of the mapping's")
    parser.add_argument("--source", metavar="NAME", help="name for the request ids, instead of the mapping's or file's")
    parser.add_argument("--rejects", metavar="PATH", type=Path, help="default: FILE.rejects")
    parser.add_argument(
        "--patience",
        metavar="SECONDS",
        type=float,
        default=PATIENCE_S,
        help="how long a server that is away is waited for (default: %(default)g)",
    )
    add_common(parser)
    parser.set_defaults(run=run)


async def run(arguments: Namespace) -> int:
    """Import a file; return the exit code."""
    mapping, reader, source = _prepare(arguments)
    console = Console(stderr=True)
    bar = ProgressBar(console, arguments.file.name, reader.size)
    patient = RetryPolicy(patience_s=arguments.patience, longest_delay_s=2.0)
    client = Client(arguments.target, timeout_s=arguments.timeout, retry=patient, on_retry=bar.waiting)
    with Rejects(*places_for(arguments.file, arguments.rejects)) as rejects, bar:
        async with client:
            totals = await Loader(client, mapping, source, rejects).load(reader, bar.show)
    _print(totals, rejects.path, arguments.json)
    return DONE_WITH_REJECTS if totals.rejected else OK


def _prepare(arguments: Namespace) -> tuple[ImportMapping, FileReader, str]:
    """Return what is needed to begin.

    Raises:
        UsageFault: A file cannot be read, or the mapping cannot be used.
    """
    try:
        mapping = load_mapping(arguments.mapping, arguments.file, arguments.organization)
        reader = FileReader(arguments.file, mapping.source)
    except MappingError as error:
        raise UsageFault(f"{arguments.mapping}: {error}") from error
    except OSError as error:
        raise UsageFault(f"{error.filename}: {error.strerror}") from error
    return mapping, reader, arguments.source or mapping.source.name or arguments.file.name


def _print(totals: Totals, rejects: Path | None, as_json: bool) -> None:
    seconds = totals.seconds
    events_per_second = round((totals.recorded + totals.replayed) / max(seconds, 0.001))
    if as_json:
        summary = {
            "lines": totals.lines,
            "recorded": totals.recorded,
            "replayed": totals.replayed,
            "rejected": totals.rejected,
            "without_records": totals.without_records,
            "seconds": round(seconds, 3),
            "events_per_second": events_per_second,
            "position": totals.position,
            "rejects": None if rejects is None else str(rejects),
        }
        print(json.dumps(summary))
        return
    print(
        f"{totals.lines:,} lines: {totals.recorded:,} events recorded, {totals.replayed:,} were there already", end=""
    )
    print(f", {totals.without_records:,} lines without records" if totals.without_records else "")
    print(f"{seconds:.1f} s, {events_per_second:,} events/s, log position {totals.position:,}")
    if rejects is not None:
        print(f"{_lines(totals.rejected)} rejected: see {rejects}")


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count:,} lines"
