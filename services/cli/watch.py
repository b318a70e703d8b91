"""`rapport watch` and `rapport changes list|status|verify`: when relationships change."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Final

from rapport.change.v1 import change_pb2
from services.cli.arguments import Commands, add_common, add_min_position, client_of, position
from services.cli.exits import UsageFault
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, warn

if TYPE_CHECKING:
    from rapport.change.v1.change_pb2 import ChangeKind, RelationshipChange

_COLUMNS: Final = (
    "NUMBER", "EFFECTIVE", "FOUND", "SUBJECT", "CHANGE", "FROM", "TO", "MEASURE", "VALUE", "BECAUSE", "CORRECTS",
)  # fmt: skip
_KINDS: Final = {
    name.removeprefix("CHANGE_KIND_").lower(): number for name, number in change_pb2.ChangeKind.items() if number
}


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    watch = commands.add_parser("watch", help="print changes of relationships as they are found, until Ctrl-C")
    watch.add_argument("organization", metavar="ORGANIZATION", help="company side")
    watch.add_argument(
        "--after", metavar="N", type=position, help="begin after this number, 0: with the first (default: now)"
    )
    _add_checkpoint(watch)
    _add_selection(watch)
    add_common(watch)
    watch.set_defaults(run=run_watch)
    nouns = commands.add_parser("changes", help="changes of relationships: listed, how far they are found, made anew")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    listing = verbs.add_parser("list", help="print the changes found so far")
    listing.add_argument("organization", metavar="ORGANIZATION", help="company side")
    listing.add_argument("--after", metavar="N", type=position, default=0, help="only later ones (default: all)")
    listing.add_argument("--limit", metavar="N", type=position, default=0, help="at most so many (default: all)")
    _add_checkpoint(listing)
    _add_selection(listing)
    add_min_position(listing)
    add_common(listing)
    listing.set_defaults(run=run_list)
    status = verbs.add_parser("status", help="how far changes are found, and what is due")
    add_common(status)
    status.set_defaults(run=run_status)
    verify = verbs.add_parser("verify", help="find all changes anew and compare them with those announced")
    add_common(verify)
    verify.set_defaults(run=run_verify)


def _add_checkpoint(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        metavar="TEXT",
        default="",
        help="what was told with the number of --after: refuse it if the log was put back since",
    )


def _add_selection(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--subject",
        metavar="ID",
        action="append",
        default=[],
        help="only this customer, campaign, or cohort as club/2026-05; repeatable",
    )
    parser.add_argument(
        "--kind", metavar="KIND", action="append", default=[], help="only this kind, such as lapsed; repeatable"
    )


async def run_watch(arguments: Namespace) -> int:
    """Print changes as they are found, for ever; who interrupts that is told how to go on."""
    kinds = _kinds(arguments)
    async with client_of(arguments) as client:
        watch = client.watch_relationships(
            arguments.organization,
            after_number=arguments.after,
            checkpoint=arguments.checkpoint,
            subject_ids=arguments.subject,
            kinds=kinds,
        )
        rows = None if arguments.json else Rows(*_COLUMNS, live=True)
        try:
            async for change in watch:
                _print(change, rows)
        except asyncio.CancelledError:
            if watch.checkpoint:
                warn(f"go on with --after {watch.number} --checkpoint {watch.checkpoint}")
            raise
    return 0


async def run_list(arguments: Namespace) -> int:
    """Print the changes found so far, page by page."""
    left, token, kinds = arguments.limit, "", _kinds(arguments)
    rows = None if arguments.json else Rows(*_COLUMNS)
    async with client_of(arguments) as client:
        while True:
            page = await client.list_changes(
                arguments.organization,
                subject_ids=arguments.subject,
                kinds=kinds,
                after_number=arguments.after,
                checkpoint=arguments.checkpoint,
                min_position=arguments.min_position,
                page_size=500,
                page_token=token,
            )
            for change in page.changes[: left or None]:
                _print(change, rows)
            left -= len(page.changes) if left else 0
            token = page.next_page_token
            if not token or (arguments.limit and left <= 0):
                break
    if rows is not None:
        rows.end()
    return 0


async def run_status(arguments: Namespace) -> int:
    """Print how far changes are found."""
    async with client_of(arguments) as client:
        detector = await client.get_detector()
    if arguments.json:
        print_json(detector)
        return 0
    print_pairs(
        [
            ("found up to", f"{detector.position} of {detector.head_position}"),
            ("log's time", time_cell(detector.horizon_time)),
            ("changes", detector.last_number),
            ("checkpoint", detector.checkpoint),
            ("relationships", detector.relationship_count),
            ("due by clock", detector.due_count),
            ("next due", time_cell(detector.next_due_time)),
            ("found by", "this server" if detector.running else "another server"),
        ]
    )
    return 0


async def run_verify(arguments: Namespace) -> int:
    """Have all changes made anew, and say whether they are the same."""
    last = 0
    async with client_of(arguments) as client:
        async for progress in client.verify_changes():
            if arguments.json:
                print_json(progress)
            elif progress.complete:
                print(f"{progress.change_count} changes made anew from {progress.position} events: all are the same")
            elif progress.position != last:  # The server tells it twice a second, moved or not.
                last = progress.position
                warn(f"made anew up to {last} of {progress.head_position}")
    return 0


def _kinds(arguments: Namespace) -> list[ChangeKind.ValueType]:
    names = {name: name.lower().removeprefix("change_kind_") for name in arguments.kind}
    unknown = [name for name, plain in names.items() if plain not in _KINDS]
    if unknown:
        raise UsageFault(f"--kind {unknown[0]}: there is no such change; known are {', '.join(_KINDS)}")
    return [_KINDS[plain] for plain in names.values()]


def _print(change: RelationshipChange, rows: Rows | None) -> None:
    if rows is None:
        print_json(change)
        return
    rows.add(
        change.number,
        time_cell(change.effective_time),
        time_cell(change.detected_time),
        change.subject_id,
        enum_cell(change_pb2.ChangeKind.DESCRIPTOR, change.kind).lower(),
        getattr(change, "from"),
        change.to,
        change.measure.name,
        f"{change.measure.value_ppm:,}" if change.measure.HasField("value_ppm") else "",
        ", ".join(map(str, change.cause_positions)) or "the clock",
        change.corrects_id,
    )
