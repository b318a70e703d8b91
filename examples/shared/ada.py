"""The story of Ada and the book shop, as data: what can be exchanged, what it is worth, and what happened.

`examples/reciprocity.py` plays it, and docs/concepts/reciprocity.md explains every number of it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rapport.events.v1 import exchange_pb2 as ex
from rapport.events.v1 import policy_pb2
from rapport.exchange.v1.operation_pb2 import Exchange, Operation, Posting, Reversal
from services.client import amount, lot_terms, timestamp

SHOP: Final = "book-shop"
ADA: Final = "ada"
CUSTOMER: Final = ex.PARTY_CUSTOMER
SHOP_SIDE: Final = ex.PARTY_ORGANIZATION
GIFT: Final = ex.ONE_SIDED_GIFT


def day(month: int, number: int, hour: int = 10) -> datetime:
    return datetime(2026, month, number, hour, tzinfo=UTC)


def asset(name: str, kind: policy_pb2.AssetKind.ValueType, most: int) -> policy_pb2.AssetRegistered:
    return policy_pb2.AssetRegistered(asset=name, kind=kind, max_units_per_leg=most)


ASSETS: Final = [
    asset("EUR/2", policy_pb2.ASSET_KIND_MONEY, 1_000_000),  # Euros, counted in cents.
    asset("MIN/0", policy_pb2.ASSET_KIND_TIME, 1_440),
    asset("DATAPT/0", policy_pb2.ASSET_KIND_DATA, 1_000),  # An answer in a form is a data point.
    asset("REVIEW/0", policy_pb2.ASSET_KIND_ADVOCACY, 10),
    asset("PT/0", policy_pb2.ASSET_KIND_POINTS, 100_000),
]


POLICY: Final = Path(__file__).parent.parent / "valuation" / "book_shop.toml"
"""What everything is worth to Ada, and what to the shop."""


def leg(giver: ex.Party.ValueType, category: str, much: str) -> ex.Leg:
    return ex.Leg(giver=giver, category=ex.Category.Value(f"CATEGORY_{category}"), amount=amount(much))


def points(category: str, giver: ex.Party.ValueType, much: str) -> ex.Leg:
    made = leg(giver, category, much)
    if giver == SHOP_SIDE:
        made.lot_terms.CopyFrom(lot_terms(expires_at=day(6, 1, 0)))
    return made


def exchange(
    name: str,
    when: datetime,
    *legs: ex.Leg,
    one_sided: ex.OneSided.ValueType = ex.ONE_SIDED_UNSPECIFIED,
    until: datetime | None = None,
    replaces: str = "",
) -> Exchange:
    made = Exchange(exchange_id=name, legs=legs, one_sided=one_sided, replaces=replaces)
    made.occur_time.CopyFrom(timestamp(when))
    if until is not None:
        made.pending_until.CopyFrom(timestamp(until))
    return made


def call(name: str, minutes: int, replaces: str = "") -> Exchange:
    """Ada waits for four minutes and is then helped for some."""
    helped = leg(SHOP_SIDE, "SERVICE_SUPPORT", f"{minutes} MIN/0")
    return exchange(name, day(3, 16), helped, leg(CUSTOMER, "WAITING", "4 MIN/0"), replaces=replaces)


WINTER: Final = [
    exchange(
        "order-1",
        day(2, 20),
        leg(CUSTOMER, "MONEY_PAYMENT", "47.50 EUR/2"),
        leg(SHOP_SIDE, "GOODS", "50.00 EUR/2"),
        points("POINTS_GRANT", SHOP_SIDE, "475 PT/0"),
    ),
    exchange("reading-1", day(3, 5), leg(CUSTOMER, "ATTENTION", "25 MIN/0"), one_sided=ex.ONE_SIDED_UNOBSERVED),
    exchange("form-1", day(3, 9), leg(CUSTOMER, "DATA_DISCLOSED", "6 DATAPT/0"), one_sided=GIFT),
    call("call-1", 12),
    exchange("review-1", day(3, 20), leg(CUSTOMER, "ADVOCACY", "1 REVIEW/0"), one_sided=GIFT),
    exchange(
        "order-2",
        day(3, 28),
        leg(CUSTOMER, "MONEY_PAYMENT", "30.00 EUR/2"),
        leg(SHOP_SIDE, "GOODS", "30.00 EUR/2"),
        until=day(4, 11),
    ),
]
"""Until the end of March. Of order-2 nothing is delivered and nothing paid yet: it is pending."""

DELIVERY: Final = Posting(exchange_id="order-2", occur_time=timestamp(day(4, 7)), units=[2_000, 2_000])
"""One of the books of order-2 is out of print: of the 30.00 only 20.00 are delivered, and paid."""

PRESENT: Final = exchange(
    "present-1",
    day(4, 20),
    points("POINTS_REDEEM", CUSTOMER, "200 PT/0"),
    leg(SHOP_SIDE, "GOODS", "2.00 EUR/2"),
)
"""Ada takes 2.00 off a notebook with 200 of her points."""

CORRECTION: Final = [
    Operation(
        customer_id=ADA,
        reverse=Reversal(exchange_id="call-1", reversal_id="call-1-back", reason="timer-ran-on", at_original=True),
    ),
    Operation(customer_id=ADA, record=call("call-2", 7, replaces="call-1")),
]
"""The call had lasted 7 minutes; the timer ran on to 12. Taken back and recorded anew: both or neither."""
