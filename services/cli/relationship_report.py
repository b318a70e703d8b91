"""`rapport relationship report`: a relationship on one page."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rapport.errors.v1 import error_reason_pb2 as reasons
from services.cli.arguments import Commands, add_common, add_relationship, add_view, client_of, view_of
from services.cli.exits import UsageFault
from services.cli.measure_options import add_under, under_of
from services.cli.output import print_json, print_pairs, view_text
from services.cli.report_picture import page, picture
from services.cli.report_rows import Story
from services.client import NotFound, view_spec

if TYPE_CHECKING:
    from rapport.relationship.v1.balance_pb2 import Balance, Entry
    from rapport.relationship.v1.relationship_pb2 import Relationship
    from services.client import Client

_FORMS: Final = {".svg": picture, ".html": page}


def add(verbs: Commands) -> None:
    """Add the command below `rapport relationship`."""
    report = verbs.add_parser("report", help="draw a relationship on one page, as SVG or HTML that needs nothing else")
    add_relationship(report)
    report.add_argument(
        "--output",
        metavar="FILE",
        type=destination,
        required=True,
        help="FILE.svg or FILE.html; replaced if there",
    )
    add_under(report)
    add_view(report)
    add_common(report)
    report.set_defaults(run=run)


def destination(text: str) -> Path:
    """Return the file that a picture goes to."""
    if Path(text).suffix.lower() not in _FORMS:
        raise ArgumentTypeError(f"{text!r} is no place for a picture; write FILE.svg or FILE.html")
    return Path(text)


async def run(arguments: Namespace) -> int:
    """Draw the picture; everything in it is of the view of the first answer."""
    async with client_of(arguments) as client:
        answer = await client.get_relationship(
            arguments.organization,
            arguments.customer,
            as_of=view_of(arguments),
            under=under_of(arguments),
        )
        story = await story_of(client, answer.relationship)
    text = _FORMS[arguments.output.suffix.lower()](story)
    try:
        arguments.output.write_bytes(text.encode())
    except OSError as error:
        raise UsageFault(f"{arguments.output} cannot be written: {error.strerror}") from error
    if arguments.json:
        print_json(answer)
    else:
        told = f"{len(story.timeline)} events, {view_text(answer.relationship.as_of)}"
        print_pairs([("picture", arguments.output), ("of", told)])
    return 0


async def story_of(client: Client, relationship: Relationship) -> Story:
    """Return everything that the picture of a relationship is made of, in its own view."""
    ids, as_of = (relationship.organization_id, relationship.customer_id), relationship.as_of
    timeline = [entry async for entry in client.timeline(*ids, as_of=as_of)]
    history = await client.get_consent_history(*ids, as_of=as_of)
    balance: Balance | None = None
    entries: list[Entry] = []
    try:
        async for part in client.explain_balance(*ids, view=view_spec(as_of=as_of)):
            if part.HasField("balance"):
                balance = part.balance
            elif part.HasField("entry"):
                entries.append(part.entry)
    except NotFound as missing:
        if missing.reason != reasons.ERROR_REASON_POLICY_UNKNOWN:
            raise
    return Story(relationship, timeline, balance, entries, history.entries)
