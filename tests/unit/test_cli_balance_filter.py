"""Lists by balance on the command line: what is asked for, and what is shown."""

from __future__ import annotations

import pytest

from ledger.domain.times import timestamp
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION
from rapport.relationship.v1.relationship_pb2 import BalanceSummary
from rapport.relationship.v1.relationship_service_pb2 import BalanceFilter
from services.cli import exits
from services.cli.__main__ import main
from services.cli.balance_filter import HEADINGS, by_balance, cells, fill
from tests.unit.command_line import parsed

LISTING = ["relationship", "list", "acme"]


def asked(*arguments: str) -> BalanceFilter | None:
    line = parsed(*LISTING, *arguments)
    if not by_balance(line):
        return None
    selected = BalanceFilter()
    fill(selected, line)
    return selected


def test_a_plain_list_is_not_about_balances() -> None:
    assert asked() is None
    assert asked("--order", "units", "--asset", "EUR/2") is None


def test_any_order_bound_or_perspective_makes_it_so() -> None:
    assert BalanceFilter(perspective=PARTY_CUSTOMER) == asked("--order", "index")
    assert BalanceFilter(perspective=PARTY_ORGANIZATION) == asked("--perspective", "organization")
    assert BalanceFilter(perspective=PARTY_CUSTOMER, net_nanos_min=0) == asked("--net-min", "0")


def test_bounds_are_read_exactly() -> None:
    expected = BalanceFilter(
        perspective=PARTY_CUSTOMER,
        index_ppm_min=-200_000,
        index_ppm_max=333_333,
        confidence_ppm_min=500_000,
        net_nanos_min=-12_500_000_000,
        net_nanos_max=1,
    )
    bounds = ["--index-min", "-0.2", "--index-max", "0.333333", "--confidence-min", "0.5"]

    assert expected == asked(*bounds, "--net-min", "-12.50", "--net-max", "0.000000001")


@pytest.mark.parametrize(
    "bound",
    [
        ("--index-min", "much"),
        ("--index-min", "1.1"),
        ("--index-max", "0.3333333"),
        ("--confidence-min", "NaN"),
        ("--index-max", "Infinity"),
        ("--net-min", "1.0000000001"),
        ("--net-max", "x"),
    ],
)
def test_a_bound_that_cannot_be_read_ends_with_2(bound: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*LISTING, *bound])

    assert exits.USAGE == ended.value.code


def test_a_balance_is_shown_as_far_as_there_is_one() -> None:
    told = BalanceSummary(
        got_nanos=60_800_000_000,
        gave_nanos=57_500_000_000,
        net_nanos=3_300_000_000,
        index_ppm=23_861,
        confidence_ppm=855_387,
        occur_time=timestamp(1),
    )

    assert ("+0.024 (23,861 ppm)", "0.855 (855,387 ppm)", "60.80", "57.50", "+3.30") == cells(told)
    assert ("", "", "0.00", "0.00", "0.00") == cells(BalanceSummary(occur_time=timestamp(1)))
    assert ("",) * len(HEADINGS) == cells(BalanceSummary())
