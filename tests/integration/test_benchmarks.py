"""Every benchmark runs, tiny: a smoke test. What it measures decides nothing here."""

import json
from collections.abc import Iterator

import pytest

from benchmarks.__main__ import ROWS
from benchmarks.options import Options
from benchmarks.report import Case, Target
from benchmarks.rig import Rig

TINY = Options(scale="tiny", pairs=1)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(share=True) as shared:
        yield shared


@pytest.mark.parametrize("name", list(ROWS))
def test_benchmark_prints_a_line_of_figures_and_one_of_json(
    name: str, rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    ROWS[name](rig, TINY).print()
    figures, document = capsys.readouterr().out.splitlines()
    found = json.loads(document)
    assert figures.startswith(f"{name} ")
    assert found["row"] == name
    assert found["cases"]
    assert all(case["median"] > 0 for case in found["cases"])
    assert {"date", "machine", "versions", "seed"} <= found.keys()


def test_figure_is_the_median_of_ratios_pair_by_pair() -> None:
    case = Case(name="n", unit="u", ours=[10, 40, 90], reference=[10, 20, 30], target=Target(2, 4))
    assert (case.ratios, case.figure, case.met) == ([1, 2, 3], 2, True)


def test_figure_without_reference_is_the_median_value() -> None:
    assert Case(name="n", unit="u", ours=[3, 1, 2]).figure == 2


def test_bound_is_kept_from_the_side_it_is_on() -> None:
    assert Target(2, 3).met(2)
    assert not Target(2, 3).met(1.9)
    assert Target(2, 1, at_most=True).met(2)
    assert not Target(2, 1, at_most=True).met(2.1)
