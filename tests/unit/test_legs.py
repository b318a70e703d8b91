"""Legs are read from bytes, for speed; here they are compared with what the message says, whatever stands in it."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.domain import legs as module
from ledger.domain.legs import NotPlain, account, all_legs, legs, parts
from rapport.events.v1.exchange_pb2 import Category, ExchangeRecorded, Leg, LotUse, Party
from rapport.type.v1.amount_pb2 import Amount

INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)
ENUM = st.integers(min_value=0, max_value=300) | st.integers(min_value=0, max_value=9)
LEGS = st.builds(
    Leg,
    giver=ENUM,
    category=ENUM,
    amount=st.none() | st.builds(Amount, units=INT64, asset=st.text(max_size=20)),
    consent_position=st.integers(min_value=0, max_value=2**64 - 1),
    evidence_ref=st.binary(max_size=40),
)
EXCHANGES = st.builds(
    ExchangeRecorded,
    exchange_id=st.text(max_size=140),
    one_sided=ENUM,
    replaces=st.text(max_size=140),
    cause_ref=st.text(max_size=140),
    legs=st.lists(LEGS, max_size=5),
    pending_until=st.none() | st.none() | st.builds(Timestamp, seconds=st.integers(min_value=-9, max_value=2**40)),
    lot_uses=st.just([]) | st.lists(st.builds(LotUse, exchange_id=st.text(max_size=5)), max_size=1),
)


PLAIN = ExchangeRecorded(
    exchange_id="x1", legs=[Leg(giver=Party.PARTY_CUSTOMER, amount=Amount(units=1, asset="EUR/2"))]
)


def plain(**values: Any) -> ExchangeRecorded:
    exchange = ExchangeRecorded(**values)
    exchange.MergeFrom(PLAIN)
    return exchange


@given(EXCHANGES, st.binary(max_size=3))
@example(plain(cause_ref="o" * 128), b"")
@example(plain(replaces="x" * 200, cause_ref="o" * 130), b"")
@example(plain(one_sided=200), b"")
@example(plain(legs=[Leg(amount=Amount(asset="A" * 130), evidence_ref=b"e" * 32)]), b"")
@example(PLAIN, b"....." + Leg(giver=Party.PARTY_CUSTOMER).SerializeToString().join((b":\x02", b"")))
def test_legs_are_those_of_the_message(exchange: ExchangeRecorded, unknown: bytes) -> None:
    # Field 100, of a later release: its bytes come after those that this release knows.
    later = ExchangeRecorded.FromString(b"\xa2\x06" + bytes([len(unknown)]) + unknown)
    exchange = ExchangeRecorded.FromString(exchange.SerializeToString() + later.SerializeToString())

    expected = [(account(leg.giver, leg.category, leg.amount.asset), leg.amount.units) for leg in exchange.legs]

    assert expected == all_legs(exchange)
    if exchange.HasField("pending_until") or any(leg.category in (7, 8) for leg in exchange.legs):
        with pytest.raises(NotPlain):
            legs(exchange.SerializeToString())
    else:
        assert expected == legs(exchange.SerializeToString())


@pytest.mark.parametrize("category", [Category.CATEGORY_POINTS_GRANT, Category.CATEGORY_POINTS_REDEEM])
def test_points_are_never_taken_for_plain_units_however_often_they_come(category: Category.ValueType) -> None:
    exchange = plain(legs=[Leg(category=category, amount=Amount(units=1, asset="PT/0"))])

    for _ in range(3):
        with pytest.raises(NotPlain):
            legs(exchange.SerializeToString())


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MEMO_LEGS", 10)

    for units in range(25):
        legs(ExchangeRecorded(legs=[Leg(amount=Amount(units=units, asset="EUR/2"))]).SerializeToString())

    assert 1 <= len(module._memo) <= 10


def test_an_account_is_named_by_giver_category_and_asset() -> None:
    assert "1/3/EUR/2" == account(Party.ValueType(1), Category.ValueType(3), "EUR/2")
    assert (1, 3, "EUR/2") == parts("1/3/EUR/2")
