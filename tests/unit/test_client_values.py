"""Amounts without floats, times with zones, request ids in order."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from rapport.events.v1.exchange_pb2 import LotTerms
from services.client.request_ids import RequestIds, new_request_id
from services.client.targets import parse_targets, target_of
from services.client.values import amount, amount_text, lot_terms, moment, time_text, timestamp, to_units, view


@pytest.mark.parametrize(
    "number, scale, units",
    [
        ("12.50", 2, 1250),
        ("12.5", 2, 1250),
        ("12", 2, 1200),
        ("0.07", 2, 7),
        (".07", 2, 7),
        ("-3.10", 2, -310),
        ("+3", 0, 3),
        ("1.000", 0, 1),
        ("0", 12, 0),
        (Decimal("1E+3"), 2, 100_000),
        (7, 2, 700),
        ("999999999999999999999999999999", 12, 999999999999999999999999999999 * 10**12),
    ],
)
def test_a_decimal_number_becomes_whole_minor_units(number: str | Decimal | int, scale: int, units: int) -> None:
    assert units == to_units(number, scale)


@pytest.mark.parametrize(
    "number",
    [
        "12.505",
        "0.00000000000000000000000000000000001",
        "1234567890123456789012345678.901",
        "",
        ".",
        "1e3",
        "1_000",
        "1,50",
        " 1",
        "NaN",
        "Infinity",
        "٣",
        "1" * 40,
    ],
)
def test_what_is_no_exact_number_of_cents_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="decimal"):
        to_units(number, 2)


def test_an_amount_names_its_asset_with_the_scale() -> None:
    euros = amount("12.50 EUR/2")

    assert (1250, "EUR/2") == (euros.units, euros.asset)


@pytest.mark.parametrize("text", ["12.50", "12.50 EUR", "12.50 eur/2", "12.50 EUR/13", "12.50 EUR/02"])
def test_an_amount_without_a_proper_asset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="CODE/scale"):
        amount(text)


@pytest.mark.parametrize(
    "units, asset, text",
    [
        (1250, "EUR/2", "12.50 EUR"),
        (7, "USD/2", "0.07 USD"),
        (0, "USD/2", "0.00 USD"),
        (-7, "USD/2", "-0.07 USD"),
        (3, "CD/0", "3 CD"),
        (1, "BTC/8", "0.00000001 BTC"),
        (5, "odd", "5 odd"),
    ],
)
def test_an_amount_is_shown_with_its_scale(units: int, asset: str, text: str) -> None:
    assert text == amount_text(units, asset)


def test_a_time_goes_to_a_timestamp_and_back() -> None:
    east = datetime(1965, 7, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))

    stamp = timestamp(east)

    assert east == moment(stamp)
    assert 123456000 == stamp.nanos  # Before 1970 too the fraction counts upwards.
    assert "1965-07-01T10:00:00.123456Z" == time_text(stamp)
    assert stamp is timestamp(stamp)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        timestamp(datetime(2026, 1, 1))  # noqa: DTZ001  # That is the point.


def test_a_view_names_both_axes() -> None:
    as_of = view(occur_time=datetime(1997, 3, 31, tzinfo=UTC), position=7)

    assert (Timestamp(seconds=859766400), 7) == (as_of.occur_time, as_of.position)
    with pytest.raises(ValueError, match="not both"):
        view(position=1, record_time=datetime(1997, 3, 31, tzinfo=UTC))


def test_request_ids_are_version_7_and_ascend() -> None:
    before = time.time_ns() // 1_000_000
    ids = [RequestIds().new(), *(RequestIds().new() for _ in range(3))]
    made = RequestIds()
    row = [made.new() for _ in range(5000)]

    assert row == sorted(set(row))
    assert all(each.version == 7 and each.variant == "specified in RFC 4122" for each in ids + row)
    assert before <= ids[0].int >> 80 <= time.time_ns() // 1_000_000
    assert new_request_id() < new_request_id()


def test_request_ids_ascend_while_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    made = RequestIds()
    clock = iter([10_000_000_000, 9_000_000_000, 10_000_000_000, 10_001_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))

    row = [made.new() for _ in range(4)]

    assert row == sorted(set(row))
    assert [10_000, 10_000, 10_000, 10_001] == [each.int >> 80 for each in row]


def test_request_ids_move_to_the_next_millisecond_when_the_random_part_is_used_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = RequestIds()
    made._millisecond, made._random = 20_000, (1 << 74) - 1
    monkeypatch.setattr(time, "time_ns", lambda: 10_000_000_000)

    following = made.new()

    assert (20_001, 7) == (following.int >> 80, following.version)


def test_targets_name_one_address_or_many() -> None:
    targets = parse_targets("127.0.0.1:50051, audit=127.0.0.1:50056")

    assert "127.0.0.1:50056" == target_of(targets, "audit")
    assert "127.0.0.1:50051" == target_of(targets, "consent")
    with pytest.raises(ValueError, match="consent service"):
        target_of(parse_targets("audit=a:1"), "consent")
    for wrong in ("", "a:1,", "audit=", "=a:1", "a:1,b:1"):
        with pytest.raises(ValueError, match="HOST:PORT"):
            parse_targets(wrong)


def test_lot_terms_say_what_was_given_and_nothing_else() -> None:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)

    assert LotTerms() == lot_terms()
    assert LotTerms(expires_at=timestamp(end)) == lot_terms(expires_at=end)
    assert LotTerms(activates_at=timestamp(start), expires_at=timestamp(end)) == (
        lot_terms(activates_at=timestamp(start), expires_at=end)
    )
