"""A chart in a file, as SVG or PNG, drawn by matplotlib without a display.

matplotlib is imported only here and only when something is drawn: it comes with the extra `plot`. The same chart gives
the same SVG, byte for byte under one version of it: no date, no random ids. Lines differ in more than colour: it reads
in black and white as well.
"""

from __future__ import annotations

from datetime import UTC
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from services.cli.charts import Chart

_INK: Final = "#222222"
_FAINT: Final = "#6b6b6b"
_GOT: Final = "#0b5d8f"
_GAVE: Final = "#b3401f"
_AREA: Final = "#9db4c0"
_STYLE: Final[dict[Any, Any]] = {
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",  # Text stays text: it can be searched, read aloud and compared.
    "svg.hashsalt": "rapport",  # Ids come from what they name, not from chance.
    "text.color": _INK,
    "text.parse_math": False,  # A $ in a customer's id is a $.
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
}
# Ticks a year, a month, a day, an hour, a minute and a second apart; the first of the larger unit; what is said once.
_FORMATS: Final = {
    "formats": ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"],
    "zero_formats": ["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
    "offset_formats": ["", "%Y", "%Y", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d %H:%M"],
}
_SIZE_INCHES: Final = (9.0, 5.6)
_DOTS_PER_INCH: Final = 150
_TITLE_COLUMNS: Final = 68
_FOOTER_COLUMNS: Final = 120
_NANOS: Final = 10**9


def save(chart: Chart, path: Path) -> None:
    """Draw a chart into a file; the ending of its name says in which form. What was there is replaced.

    Raises:
        OSError: It cannot be written.
    """
    import matplotlib as mpl  # noqa: PLC0415  # It costs half a second, and may not be there.
    from matplotlib.figure import Figure  # noqa: PLC0415  # As above; without pyplot there is no display to look for.
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    form = path.suffix.lower().removeprefix(".")
    # What a form writes about itself unless told otherwise: when, and by which version of what.
    metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[form]
    with mpl.rc_context(_STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
        figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout=layout)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.3))
        _draw_lines(upper, chart)
        _draw_net(lower, chart)
        figure.suptitle(
            fill(chart.title, _TITLE_COLUMNS, break_on_hyphens=False),
            x=0.015,
            ha="left",
            fontsize=13,
            fontweight="bold",
        )
        footer = f"{chart.sums}\n{fill(chart.policies, _FOOTER_COLUMNS)}"
        figure.supxlabel(footer, x=0.015, ha="left", fontsize=8.5, color=_FAINT)
        figure.savefig(path, format=form, metadata=metadata)


def _draw_lines(axes: Axes, chart: Chart) -> None:
    """Draw got and gave as steps."""
    times: Any = [point.time for point in chart.points]
    got, gave = _drawn(point.got for point in chart.points), _drawn(point.gave for point in chart.points)
    # Not clipped, above the axis: a line that stays at nothing is seen, too.
    both: dict[str, Any] = {"where": "post", "clip_on": False, "zorder": 3}
    axes.step(times, got, color=_GOT, linewidth=2.0, label="got", gid="got", **both)
    axes.step(times, gave, color=_GAVE, linewidth=1.6, linestyle=(0, (5, 2)), label="gave", gid="gave", **both)
    axes.set_title("\n".join(filter(None, (chart.view, chart.window))), loc="left", fontsize=9, color=_FAINT)
    axes.set_ylabel(f"{chart.unit}, cumulative")
    axes.set_ylim(bottom=0)
    # Above the axes: inside there is no corner that lines never reach.
    corner: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.1}
    axes.legend(**corner, ncols=2, frameon=False, handlelength=3.2)
    _tidy(axes)


def _draw_net(axes: Axes, chart: Chart) -> None:
    """Draw net as an area from 0, hatched where more was given than got."""
    times: Any = [point.time for point in chart.points]
    net = _drawn(point.net for point in chart.points)
    above, below = [max(value, 0.0) for value in net], [min(value, 0.0) for value in net]
    axes.fill_between(times, above, step="post", facecolor=_AREA, edgecolor="none", gid="net-above")
    axes.fill_between(
        times, below, step="post", facecolor="white", edgecolor=_FAINT, hatch="////", linewidth=0, gid="net-below"
    )
    axes.step(times, net, where="post", color=_INK, linewidth=1.0, gid="net")
    axes.axhline(0, color=_FAINT, linewidth=0.8)
    axes.set_ylabel(f"net, {chart.unit}")
    axes.set_xlabel("when it took effect, UTC")
    _tidy(axes)


def _tidy(axes: Axes) -> None:
    """Give an axis few, plain marks; times are in UTC."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415  # As in `save`.
    from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: PLC0415

    locator = AutoDateLocator(tz=UTC, minticks=4, maxticks=9)  # type: ignore[no-untyped-call]  # Its module has no types.
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, tz=UTC, **_FORMATS)  # type: ignore[no-untyped-call]  # As above.
    axes.xaxis.set_major_formatter(formatter)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.grid(axis="y", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0)


def _drawn(nanos: Any) -> list[float]:
    """Return values in units of account to draw; only here they become floats, a hair's breadth at most from exact."""
    return [value / _NANOS for value in nanos]
