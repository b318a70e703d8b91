"""Plots: what is drawn is exact, steps are steps, and the same chart gives the same file."""

from __future__ import annotations

import importlib.util
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION
from rapport.relationship.v1.balance_pb2 import Entry
from services.cli import plot_terminal, plotting
from services.cli.charts import Chart, Point
from services.cli.exits import UsageFault
from tests import example_balance as example

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ENTRIES = [example.entry(ordinal) for ordinal in range(1, 7)]
EUR = 10**9
SVG = "{http://www.w3.org/2000/svg}"


def words(file: Path) -> set[str]:
    """Return the texts that an SVG shows."""
    return {"".join(text.itertext()).strip() for text in ET.parse(file).getroot().iter(f"{SVG}text")}


def example_chart() -> Chart:
    return plotting.chart("acme/c-1", example.balance(), ENTRIES)


def chart_of(*points: Point) -> Chart:
    return Chart(title="t", view="v", window="", unit="EUR", points=points, sums="s", policies="p")


def drawing(chart: Chart, width: int = 60) -> list[str]:
    """Return what stands between the axis and the names at the ends, line by line."""
    return [line.partition("┤")[2] or line.partition("│")[2] for line in plot_terminal.lines(chart, width)]


def test_what_is_drawn_ends_at_what_was_answered() -> None:
    last = example_chart().points[-1]

    assert (60_800_000_000, 57_500_000_000, 3_300_000_000) == (last.got, last.gave, last.net)


def test_the_other_perspective_mirrors_got_and_gave() -> None:
    mirrored = plotting.accumulate(ENTRIES, PARTY_ORGANIZATION)
    steps = plotting.accumulate(ENTRIES, PARTY_CUSTOMER)

    assert [(point.gave, point.got) for point in steps] == [(point.got, point.gave) for point in mirrored]


def test_legs_of_one_moment_are_one_step() -> None:
    together = []
    for entry in ENTRIES:
        moved = Entry()
        moved.CopyFrom(entry)
        moved.effective_time.CopyFrom(example.at(0))
        together.append(moved)

    assert [Point(MARCH, 60_800_000_000, 57_500_000_000)] == plotting.accumulate(together, PARTY_CUSTOMER)


def test_more_points_than_can_be_told_apart_are_thinned_to_the_last_of_each_sliver() -> None:
    many = [Point(MARCH + n * timedelta(seconds=1), n, 2 * n) for n in range(3 * plotting.MOST_POINTS)]

    thin = plotting.thinned(many)

    assert plotting.MOST_POINTS == len(thin)
    assert thin == sorted(thin)
    assert many[-1] == thin[-1]
    assert set(thin) <= set(many)
    assert max(b.time - a.time for a, b in pairwise(thin)) < timedelta(seconds=5)
    assert many[: plotting.MOST_POINTS] == plotting.thinned(many[: plotting.MOST_POINTS])


def test_a_plot_begins_with_nothing_and_a_far_view_does_not_press_the_steps_together() -> None:
    points = example_chart().points

    assert (0, 0) == points[0][1:]
    assert points[0].time < MARCH == points[1].time
    # The view is of 30 March, the last step of 6 March, the first of 1 March.
    assert MARCH + 5 * DAY < points[-1].time < MARCH + 6 * DAY


def test_a_plot_reaches_to_a_view_that_is_not_far() -> None:
    near = example.balance()
    near.view.resolved.as_of.occur_time.CopyFrom(example.at(9))

    assert MARCH + 9 * DAY == plotting.chart("acme/c-1", near, ENTRIES).points[-1].time


def test_a_chart_says_of_what_it_is() -> None:
    windowed = example.balance()
    windowed.view.resolved.window.to.CopyFrom(example.at(9))
    chart = plotting.chart("acme/c-1", windowed, ENTRIES)

    assert "acme/c-1: what the customer got and gave" == chart.title
    assert "as of 2026-03-30T00:00:00Z, known at position 21" == chart.view
    assert "up to 2026-03-10T00:00:00Z" == chart.window
    assert "got 60.80 EUR, gave 57.50 EUR, net +3.30 EUR; index +0.024 (23,861 ppm)" == chart.sums
    assert "by retail@1" == chart.policies


def test_what_took_effect_when_time_began_is_drawn() -> None:
    begin = datetime.min.replace(tzinfo=UTC)
    entry = Entry(giver=PARTY_CUSTOMER, value_nanos=EUR)
    entry.effective_time.FromDatetime(begin)

    chart = plotting.chart("acme/c-1", example.balance(), [entry])

    assert [(begin, 0), (begin, EUR), (begin + DAY, EUR)] == [(point.time, point.gave) for point in chart.points]
    assert drawing(chart)


def test_text_is_as_wide_as_asked_for_and_names_the_ends() -> None:
    lines = plot_terminal.lines(example_chart(), 72)

    assert max(map(len, lines)) <= max(72, len(lines[-2]))
    assert any(line.startswith(" 60.80 ┤") and line.endswith("got, gave") for line in lines)
    assert any(line.startswith("-47.50 ┤") for line in lines)
    assert any(line.endswith(" net") for line in lines)
    assert any("2026-02-28" in line and "2026-03-06" in line for line in lines)


def test_a_step_rises_where_it_happened_and_not_before() -> None:
    # Half of the way nothing, then everything: the left half of the upper panel is empty but for its lowest line.
    lines = drawing(
        chart_of(Point(MARCH, 0, 0), Point(MARCH + 5 * DAY, 8 * EUR, 0), Point(MARCH + 10 * DAY, 8 * EUR, 0))
    )
    upper = lines[3:15]
    columns = 60 - 5 - 2 - len(" got, gave")
    half = columns // 2

    assert {" "} == set("".join(line[: half - 1] for line in upper[:-1]))
    assert " " not in upper[0][half + 1 : columns]


def test_net_is_an_area_on_its_side_of_nothing() -> None:
    lines = plot_terminal.lines(
        chart_of(Point(MARCH, 0, 0), Point(MARCH + 5 * DAY, 0, 4 * EUR), Point(MARCH + 10 * DAY, 8 * EUR, 4 * EUR)), 60
    )
    labelled = [line.split("┤")[0].strip() for line in lines[16:21] if "┤" in line]

    assert ["+4.00", "0.00", "-4.00"] == labelled
    # Below nothing there are dots only after the give and before the get.
    assert "⣿" in lines[20]
    assert lines[20].split("┤")[1][:10].strip() == ""


def test_gave_has_gaps_and_got_has_none() -> None:
    level = [Point(MARCH, 9 * EUR, 3 * EUR), Point(MARCH + DAY, 9 * EUR, 3 * EUR)]
    lines = drawing(chart_of(*level))
    got, gave = lines[3].split(" got")[0], next(line for line in lines if line.endswith(" gave")).split(" gave")[0]

    assert " " not in got
    assert " " in gave.strip()


@pytest.mark.parametrize("nanos", [0, 1, 9 * 10**18])
def test_nothing_and_very_much_can_be_drawn(nanos: int) -> None:
    lines = plot_terminal.lines(chart_of(Point(MARCH, 0, 0), Point(MARCH + DAY, nanos, nanos)), 40)

    assert lines[3].endswith("got, gave") or lines[14].endswith("got, gave")


def test_a_plot_goes_to_files_whose_ending_says_how_or_here() -> None:
    assert ["-", "a.svg", "b.PNG"] == [plotting.destination(text) for text in ("-", "a.svg", "b.PNG")]
    with pytest.raises(ArgumentTypeError, match="last word"):
        plotting.destination("acme")


def test_without_matplotlib_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    plotting.check("-")
    with pytest.raises(UsageFault, match="pip install matplotlib"):
        plotting.check("a.svg")


def test_a_folder_that_is_not_there_is_said_before_a_server_is_asked(tmp_path: Path) -> None:
    plotting.check(str(tmp_path / "a.svg"))
    with pytest.raises(UsageFault, match="no such folder"):
        plotting.check(str(tmp_path / "nowhere" / "a.svg"))


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(UsageFault, match="directory"):
        plotting.draw(example_chart(), str(tmp_path / "a.svg"))


def test_the_same_chart_gives_the_same_svg_with_its_text_and_lines(tmp_path: Path) -> None:
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"

    plotting.draw(example_chart(), str(first))
    plotting.draw(example_chart(), str(second))

    assert first.read_bytes() == second.read_bytes()
    assert b"<dc:date>" not in first.read_bytes()
    chart = example_chart()
    assert {chart.title, chart.view, chart.sums, chart.policies, "got", "gave", "net, EUR", "EUR, cumulative"} <= words(
        first
    )
    assert {"when it took effect, UTC", "01 Mar"} <= words(first)


def test_the_lines_of_an_svg_are_steps_and_differ_in_more_than_colour(tmp_path: Path) -> None:
    plotting.draw(example_chart(), str(tmp_path / "a.svg"))
    root = ET.parse(tmp_path / "a.svg").getroot()
    groups = {group.get("id"): group for group in root.iter(f"{SVG}g")}
    paths = {name: next(iter(groups[name].iter(f"{SVG}path"))) for name in ("got", "gave")}

    for path in paths.values():
        corners = [tuple(map(float, pair.split())) for pair in path.get("d", "").replace("M", "L").split("L")[1:]]
        assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(corners))
    assert "stroke-dasharray" in paths["gave"].get("style", "")
    assert "stroke-dasharray" not in paths["got"].get("style", "")
    assert "net-above" in groups
    assert "fill: url(#" in ET.tostring(groups["net-below"], encoding="unicode")  # Hatched.


def test_a_png_is_drawn_without_a_display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    plotting.draw(example_chart(), str(tmp_path / "a.png"))

    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert b"Software" not in content


def test_a_customer_whose_id_looks_like_mathematics_is_drawn_as_it_is(tmp_path: Path) -> None:
    plotting.draw(plotting.chart("acme/c:$x$_1", example.balance(), ENTRIES), str(tmp_path / "a.svg"))

    assert "acme/c:$x$_1: what the customer got and gave" in words(tmp_path / "a.svg")
