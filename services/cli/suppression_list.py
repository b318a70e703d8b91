"""`rapport suppression import`: a list of those who must not be contacted, such as a register, from a CSV file.

    customer_id[,contact_point_id]

The caller has matched the list with its customers. A first line that begins with `customer_id` is a heading. The whole
file is looked at before anything is sent, so that a list is imported whole or not at all; each chunk is recorded all or
none, and an import that was broken off is done again: what stands already changes nothing.
"""

from __future__ import annotations

import csv
import re
import sys
from argparse import Namespace
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rapport.contact.v1.contact_service_pb2 import ImportSuppressionsResponse, SuppressionEntry
from rapport.type.v1.event_context_pb2 import EventContext
from services.cli.arguments import Commands, add_common, client_of, instant
from services.cli.exits import OK, UsageFault
from services.cli.output import print_json, print_pairs
from services.cli.words import CHANNELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.client import Client

CHUNK: Final = 1_000
"""Entries sent at once."""
_CUSTOMER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}\Z")
_LONGEST_POINT: Final = 128
_COLUMNS: Final = 2
_HEADING: Final = "customer_id"
_FAULTS_TOLD: Final = 10


class _Counts(NamedTuple):
    added: int
    known: int
    position: int


def add(verbs: Commands) -> None:
    """Add the command to those about suppressions."""
    command = verbs.add_parser("import", help="import a list from a CSV file: customer_id[,contact_point_id]")
    command.add_argument("organization", metavar="ORGANIZATION", help="company side")
    command.add_argument("file", metavar="FILE.csv", type=Path, help="a line each: customer_id[,contact_point_id]")
    command.add_argument("--list", metavar="CODE", required=True, help="name of the list, such as robinson.de")
    command.add_argument("--list-version", metavar="TEXT", required=True, help="which version of it, such as its date")
    command.add_argument("--list-time", metavar="TIME", type=instant, help="when the list was made")
    command.add_argument("--channel", choices=CHANNELS, metavar="NAME", help="by this way only (default: by every one)")
    command.add_argument("--actor", metavar="ID", default="", help="who imports it: a system or an employee")
    add_common(command)
    command.set_defaults(run=run)


async def run(arguments: Namespace) -> int:
    """Import a list; print how many entries are new."""
    digest, lines = _looked_at(arguments.file)
    async with client_of(arguments) as client:
        counts = await _import(client, arguments, digest, lines)
    if not arguments.json:
        print_pairs(
            [
                ("list", f"{arguments.list} {arguments.list_version}"),
                ("sha-256", digest.hex()),
                ("entries", counts.added + counts.known),
                ("added", counts.added),
                ("known already", counts.known),
                ("at position", counts.position or ""),
            ]
        )
    return OK


async def _import(client: Client, arguments: Namespace, digest: bytes, lines: int) -> _Counts:
    counts = _Counts(0, 0, 0)
    channel = CHANNELS.get(arguments.channel, 0)
    entries = _entries(arguments.file, channel)
    with _progress() as progress:
        task = progress.add_task(arguments.file.name, total=lines)
        while chunk := list(islice(entries, CHUNK)):
            answer = await _send(client, arguments, digest, chunk)
            if arguments.json:
                print_json(answer)
            counts = _Counts(
                counts.added + answer.added_count,
                counts.known + answer.known_count,
                max(counts.position, answer.position),
            )
            progress.advance(task, len(chunk))
    return counts


async def _send(
    client: Client, arguments: Namespace, digest: bytes, chunk: list[SuppressionEntry]
) -> ImportSuppressionsResponse:
    return await client.import_suppressions(
        arguments.organization,
        arguments.list,
        arguments.list_version,
        chunk,
        list_sha256=digest,
        list_time=arguments.list_time,
        context=EventContext(actor=arguments.actor) if arguments.actor else None,
    )


def _looked_at(path: Path) -> tuple[bytes, int]:
    """Return the SHA-256 of a file and the number of its entries, once every line of it can be used.

    Raises:
        UsageFault: it cannot be read, holds nothing, or lines of it are none; the first of them are named.
    """
    faults: list[str] = []
    count = 0
    try:
        with path.open("rb") as file:
            digest = file_digest(file, "sha256").digest()
        for line, cells in _lines(path):
            count += 1
            fault = _fault(cells)
            if fault:
                faults.append(f"{path.name}:{line}: {fault}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageFault(f"{path.name} cannot be read: {error}") from error
    if faults:
        more = f"\nand {len(faults) - _FAULTS_TOLD} lines more" if len(faults) > _FAULTS_TOLD else ""
        raise UsageFault("\n".join(faults[:_FAULTS_TOLD]) + more + "\nnothing was imported; mend the file")
    if not count:
        raise UsageFault(f"{path.name} holds no entries; a line is customer_id[,contact_point_id]")
    return digest, count


def _fault(cells: list[str]) -> str:
    """Return what is wrong with a line; nothing: it can be used."""
    if len(cells) > _COLUMNS:
        return f"has {len(cells)} columns; a line is customer_id[,contact_point_id]"
    if _CUSTOMER_ID.match(cells[0]) is None:
        return "is no customer id: letters, digits and . _ ~ : - of at most 128 characters"
    if len(cells) == _COLUMNS and len(cells[1]) > _LONGEST_POINT:
        return f"has a contact point of more than {_LONGEST_POINT} characters"
    return ""


def _entries(path: Path, channel: int) -> Iterator[SuppressionEntry]:
    for _, cells in _lines(path):
        yield SuppressionEntry(
            customer_id=cells[0],
            channel=channel,  # type: ignore[arg-type]  # A number of the enum.
            contact_point_id=cells[1] if len(cells) == _COLUMNS else "",
        )


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines with their numbers, but the heading and empty ones; the file is never held whole."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped) and not (reader.line_num == 1 and stripped[0] == _HEADING):
                yield reader.line_num, stripped


def _progress() -> Progress:
    console = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
