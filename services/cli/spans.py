"""Spans of time on the command line: after one moment, up to another."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from rapport.type.v1.window_pb2 import Window
from services.cli.arguments import time
from services.cli.balance_view import window_start
from services.client import timestamp


def add_span(parser: ArgumentParser, what: str) -> None:
    """Add the two ends; `what` is what they choose, for the help."""
    parser.add_argument(
        "--from",
        dest="span_from",
        metavar="TIME",
        type=window_start,
        help=f"only {what} after then: 2026-03-01 (from that day on), or a time",
    )
    parser.add_argument(
        "--to", dest="span_to", metavar="TIME", type=time, help=f"only {what} by then, that day included"
    )


def span_of(arguments: Namespace) -> Window | None:
    """Return the span that was asked for; None: all of time."""
    window = Window()
    if arguments.span_from is not None:
        getattr(window, "from").CopyFrom(timestamp(arguments.span_from))
    if arguments.span_to is not None:
        window.to.CopyFrom(timestamp(arguments.span_to))
    return window if window.ListFields() else None
