"""A chart in text: dots of braille, eight to a character, and no colour, so that it reads the same everywhere.

Whole numbers only: a dot is where its value is, to half a dot.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from rich.console import Console

from services.client import nanos_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.cli.charts import Chart, Point

WIDEST: Final = 100
"""Columns that a chart takes at most; a wider terminal stays empty on the right."""
_NARROWEST: Final = 40
_UPPER_ROWS: Final = 12
_LOWER_ROWS: Final = 5
_BLANK: Final = 0x2800
# Bits of the eight dots of a braille character, by row and column.
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_DASH: Final = 3
_MICROSECOND: Final = timedelta(microseconds=1)


class Canvas:
    """Dots, two wide and four high in each character."""

    def __init__(self, columns: int, rows: int) -> None:
        self.width, self.height = 2 * columns, 4 * rows
        self._cells = [[0] * columns for _ in range(rows)]

    def dot(self, x: int, y: int) -> None:
        """Set a dot; `y` counts upwards from 0."""
        down = self.height - 1 - y
        self._cells[down // 4][x // 2] |= _DOTS[down % 4][x % 2]

    def rows(self) -> list[str]:
        """Return the lines of text, from the top."""
        return ["".join(chr(_BLANK + cell) if cell else " " for cell in row) for row in self._cells]


def lines(chart: Chart, width: int | None = None) -> list[str]:
    """Return a chart as lines of text: got as a line, gave as a dashed one, net as an area below them."""
    width = max(_NARROWEST, min(WIDEST, Console().width if width is None else width))
    values = [nanos_text(nanos, signed=True) for nanos in (_highest(chart.points), *_net_bounds(chart.points))]
    margin = max(map(len, values))
    columns = width - margin - 2 - len(" got, gave")
    return [
        chart.title,
        "; ".join(filter(None, (chart.view, chart.window))),
        "",
        *_upper(chart, columns, margin),
        "",
        *_lower(chart, columns, margin),
        *_time_axis(chart, columns, margin),
        "",
        f"{chart.sums}; {chart.policies}",
        f"━ got  ╍ gave  █ net, in {chart.unit}; times in UTC",
    ]


def _upper(chart: Chart, columns: int, margin: int) -> list[str]:
    """Return the lines of got and gave."""
    canvas = Canvas(columns, _UPPER_ROWS)
    highest = max(_highest(chart.points), 1)

    def height(nanos: int) -> int:
        return _nearest(nanos * (canvas.height - 1), highest)

    held = _held(chart.points, canvas.width)
    _line(canvas, [height(point.got) for point in held], dashed=False)
    _line(canvas, [height(point.gave) for point in held], dashed=True)
    ends: dict[int, list[str]] = {}
    for name, nanos in (("got", held[-1].got), ("gave", held[-1].gave)):
        ends.setdefault((canvas.height - 1 - height(nanos)) // 4, []).append(name)
    labels = {0: nanos_text(highest), _UPPER_ROWS - 1: nanos_text(0)}
    return [
        f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}{text} {', '.join(ends.get(row, []))}".rstrip()
        for row, text in enumerate(canvas.rows())
    ]


def _lower(chart: Chart, columns: int, margin: int) -> list[str]:
    """Return the lines of net, as an area from 0."""
    canvas = Canvas(columns, _LOWER_ROWS)
    lowest, highest = _net_bounds(chart.points)
    span = max(highest - lowest, 1)

    def height(nanos: int) -> int:
        return _nearest((nanos - lowest) * (canvas.height - 1), span)

    zero = height(0)
    held = _held(chart.points, canvas.width)
    for x, point in enumerate(held):
        tip = height(point.net)
        for y in range(min(zero, tip), max(zero, tip) + 1):
            canvas.dot(x, y)
    labels = {_row(canvas, height(nanos)): nanos_text(nanos, signed=True) for nanos in (lowest, highest, 0)}
    end = _row(canvas, height(held[-1].net))
    return [
        f"{labels.get(row, ''):>{margin}} {'┤' if row in labels else '│'}{text} {'net' if row == end else ''}".rstrip()
        for row, text in enumerate(canvas.rows())
    ]


def _time_axis(chart: Chart, columns: int, margin: int) -> list[str]:
    begin, end = chart.points[0].time, chart.points[-1].time
    form = "%Y-%m-%d" if end - begin >= timedelta(days=2) else "%Y-%m-%d %H:%M"
    first, last = f"{begin:{form}}", f"{end:{form}}"
    return [
        f"{'':>{margin}} └{'─' * columns}",
        f"{'':>{margin}}  {first} {last:>{max(0, columns - len(first) - 1)}}",
    ]


def _line(canvas: Canvas, heights: Sequence[int], *, dashed: bool) -> None:
    """Draw steps; dashed ones have gaps as long as their dashes, also where they rise."""
    before = heights[0]
    drawn = 0
    for x, height in enumerate(heights):
        for y in range(before, height, 1 if height > before else -1):
            drawn += 1
            if not dashed or drawn // _DASH % 2 == 0:
                canvas.dot(x, y)
        drawn += 1
        if not dashed or drawn // _DASH % 2 == 0:
            canvas.dot(x, height)
        before = height


def _held(points: Sequence[Point], width: int) -> list[Point]:
    """Return the point that holds at each of `width` moments, evenly from the first to the last."""
    micros: Callable[[datetime], int] = lambda time: (time - points[0].time) // _MICROSECOND  # noqa: E731
    span = micros(points[-1].time)
    held, index = [], 0
    for x in range(width):
        while index + 1 < len(points) and micros(points[index + 1].time) * (width - 1) <= span * x:
            index += 1
        held.append(points[index])
    return held


def _highest(points: Sequence[Point]) -> int:
    return max(max(point.got, point.gave) for point in points)


def _net_bounds(points: Sequence[Point]) -> tuple[int, int]:
    nets = [point.net for point in points]
    return min(0, *nets), max(0, *nets)


def _nearest(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def _row(canvas: Canvas, y: int) -> int:
    return (canvas.height - 1 - y) // 4
