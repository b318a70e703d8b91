"""`rapport log head|read|follow`: the log itself."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from rapport.audit.v1.audit_service_pb2 import EventFilter
from services.cli.arguments import Commands, add_common, client_of, position, time
from services.cli.exits import UsageFault
from services.cli.facts import summary
from services.cli.output import Rows, print_json, print_pairs, time_cell
from services.client import decode

if TYPE_CHECKING:
    from rapport.audit.v1.recorded_event_pb2 import RecordedEvent


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser("log", help="the log: where it ends, replayed, followed")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    head = verbs.add_parser("head", help="where the log ends, and its name")
    add_common(head)
    head.set_defaults(run=run_head)
    read = verbs.add_parser("read", help="replay it, up to its end")
    _add_selection(read)
    read.add_argument("--to", metavar="N", type=position, help="last position to look at (default: the head)")
    read.add_argument("--limit", metavar="N", type=position, default=0, help="at most so many events (default: all)")
    add_common(read)
    read.set_defaults(run=run_read)
    follow = verbs.add_parser("follow", help="replay it, then go on as events are recorded, until Ctrl-C")
    _add_selection(follow)
    follow.add_argument("--new", action="store_true", help="only what is recorded from now on")
    add_common(follow)
    follow.set_defaults(run=run_follow)


def _add_selection(parser: ArgumentParser) -> None:
    parser.add_argument("--after", metavar="N", type=position, default=0, help="begin after this position (default: 0)")
    parser.add_argument("--since", metavar="TIME", type=time, help="begin with what was recorded at or after this time")
    parser.add_argument("--organization", metavar="ORG", default="", help="only this organization's events")
    parser.add_argument(
        "--customer", metavar="ID", action="append", default=[], help="only this customer's; repeatable"
    )
    parser.add_argument(
        "--topic", metavar="TOPIC", action="append", default=[], help="only consent.withdrawn.v1, consent.*; repeatable"
    )


async def run_head(arguments: Namespace) -> int:
    """Print where the log ends."""
    async with client_of(arguments) as client:
        head = await client.get_head()
    if arguments.json:
        print_json(head)
    else:
        print_pairs(
            [
                ("position", head.position),
                ("recorded", time_cell(head.record_time)),
                ("log id", head.log_id),
                ("origin", head.origin),
            ]
        )
    return 0


async def run_read(arguments: Namespace) -> int:
    """Print events up to the end of the log."""
    async with client_of(arguments) as client:
        reader = client.read_events(
            after_position=arguments.after,
            from_record_time=arguments.since,
            to_position=arguments.to,
            filter=_filter(arguments),
            max_events=arguments.limit,
        )
        rows = None if arguments.json else Rows(*_COLUMNS)
        async for event in reader:
            _print(event, rows)
        if rows is not None:
            rows.end()
    return 0


async def run_follow(arguments: Namespace) -> int:
    """Print events as they are recorded, for ever."""
    async with client_of(arguments) as client:
        subscription = client.subscribe(
            after_position=arguments.after,
            from_record_time=arguments.since,
            from_head=arguments.new,
            filter=_filter(arguments),
        )
        rows = None if arguments.json else Rows(*_COLUMNS, live=True)
        async for event in subscription:
            _print(event, rows)
    return 0


_COLUMNS = ("POSITION", "RECORDED", "OCCURRED", "STREAM", "TOPIC", "FACT")


def _filter(arguments: Namespace) -> EventFilter:
    if arguments.customer and not arguments.organization:
        raise UsageFault("--customer needs --organization")
    return EventFilter(organization_id=arguments.organization, customer_ids=arguments.customer, topics=arguments.topic)


def _print(event: RecordedEvent, rows: Rows | None) -> None:
    if rows is None:
        print_json(event)
        return
    fact = decode(event)
    rows.add(
        event.position,
        time_cell(event.record_time),
        time_cell(event.metadata.occur_time),
        event.stream_id,
        event.topic,
        "" if fact is None else summary(fact),
    )
