"""Got, gave and net of a relationship over time: what is drawn, and where.

What is drawn is made here, as a `Chart`; `plot_terminal` draws it in text, `plot_file` in SVG and PNG.
"""

from __future__ import annotations

import importlib.util
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from services.cli import plot_file, plot_terminal
from services.cli.balance_view import perspective_text, policies_text, window_text
from services.cli.charts import Chart, Point
from services.cli.exits import UsageFault
from services.cli.output import view_text
from services.client import moment, nanos_text, ppm_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rapport.relationship.v1.balance_pb2 import Balance, Entry

TERMINAL: Final = "-"
"""Where a plot goes that is printed."""
FILES: Final = (".svg", ".png")
MOST_POINTS: Final = 4000
"""Points that a chart has at most, beside its ends: three to a pixel of a PNG."""
_DAY: Final = timedelta(days=1)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
"""The first moment that a time can name."""


def destination(text: str) -> str:
    """Return where a plot goes: `-`, or a file whose ending says in which form."""
    if text != TERMINAL and not text.lower().endswith(FILES):
        raise ArgumentTypeError(
            f"{text!r} is no place for a plot; write FILE.svg, FILE.png or -, or --plot as the last word"
        )
    return text


def check(place: str) -> None:
    """Find out whether a plot can go there, before a server is asked.

    Raises:
        UsageFault: It cannot; the message says what to do.
    """
    if place == TERMINAL:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageFault(
            "plots in files are drawn by matplotlib, which is not installed\n"
            "install it with `pip install matplotlib`, in a checkout with `make install`; `--plot -` needs nothing"
        )
    if not Path(place).absolute().parent.is_dir():
        raise UsageFault(f"{place}: there is no such folder")


def draw(chart: Chart, place: str) -> None:
    """Draw a chart in text on standard output, or in a file.

    Raises:
        UsageFault: The file cannot be written.
    """
    if place == TERMINAL:
        print()
        print("\n".join(plot_terminal.lines(chart)))
        return
    try:
        plot_file.save(chart, Path(place))
    except OSError as error:
        raise UsageFault(f"{place}: {error.strerror}") from error


def chart(relationship: str, balance: Balance, entries: Sequence[Entry]) -> Chart:
    """Return the chart of a balance from the entries of its explanation, at least one."""
    party = perspective_text(balance.view)
    steps = accumulate(entries, balance.view.resolved.perspective or PARTY_CUSTOMER)
    return Chart(
        title=f"{relationship}: what the {party} got and gave",
        view=view_text(balance.view.resolved.as_of),
        window=window_text(balance.view),
        unit=balance.unit_of_account,
        points=_framed(thinned(steps), moment(balance.view.resolved.as_of.occur_time)),
        sums=_sums(balance),
        policies=f"by {policies_text(balance.view)}",
    )


def accumulate(entries: Iterable[Entry], perspective: int) -> list[Point]:
    """Return the sums after each moment at which something took effect; entries come in that order."""
    points: list[Point] = []
    got = gave = 0
    for entry in entries:
        if entry.giver == perspective:
            gave += entry.value_nanos
        else:
            got += entry.value_nanos
        time = moment(entry.effective_time)
        if points and points[-1].time == time:
            points.pop()  # Legs of one moment are one step: nobody was half through an exchange.
        points.append(Point(time, got, gave))
    return points


def thinned(points: list[Point]) -> list[Point]:
    """Return points that look the same where there are more than can be told apart: the last of each sliver of time."""
    if len(points) <= MOST_POINTS:
        return points
    first, span = points[0].time, points[-1].time - points[0].time
    slivers = {(point.time - first) * (MOST_POINTS - 1) // span: point for point in points}
    return list(slivers.values())


def _framed(steps: list[Point], until: datetime) -> tuple[Point, ...]:
    """Return the steps from nothing to the end of the plot.

    The end is the view's time, unless that is so much later that all steps would be pressed against the left side.
    """
    first, last = steps[0], steps[-1]
    span = last.time - first.time
    margin = span / 30 or _DAY  # Around a single moment a day on both sides.
    begin = first.time - min(margin, first.time - _FIRST)
    end = until if last.time < until <= last.time + max(span, _DAY) else last.time + margin
    return (Point(begin, 0, 0), *steps, Point(end, last.got, last.gave))


def _sums(balance: Balance) -> str:
    unit = balance.unit_of_account
    sums = f"got {nanos_text(balance.got_nanos, unit)}, gave {nanos_text(balance.gave_nanos, unit)}"
    sums += f", net {nanos_text(balance.net_nanos, unit, signed=True)}"
    return sums + (f"; index {ppm_text(balance.index_ppm)}" if balance.HasField("index_ppm") else "")
