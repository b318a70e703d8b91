"""Amounts, times and points of view, between Python's values and the messages.

No floats: an amount is read from its decimal text, exactly, or not at all.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from rapport.events.v1.exchange_pb2 import LotTerms
from rapport.type.v1.amount_pb2 import Amount
from rapport.type.v1.as_of_pb2 import AsOf

ASSET: Final = re.compile(r"(?P<code>[A-Z][A-Z0-9]{1,15})/(?P<scale>0|[1-9]|1[0-2])\Z")
"""`CODE/scale`: the scale is the number of decimals of one whole. Example: `EUR/2`."""
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\Z")
_MOST_DIGITS: Final = 30
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def scale_of(asset: str) -> int:
    """Return the number of decimals of an asset.

    Raises:
        ValueError: It is not `CODE/scale`.
    """
    match = ASSET.match(asset)
    if match is None:
        raise ValueError(f"{asset!r} is no asset; the format is CODE/scale, for example EUR/2")
    return int(match["scale"])


def to_units(number: str | Decimal | int, scale: int) -> int:
    """Return a decimal number as whole minor units, exactly. Example: `12.5` at scale 2 is 1250.

    Text is plain: digits with at most one point and a sign; no exponent, no grouping.

    Raises:
        ValueError: It is no such number, it is not finite or beyond 30 digits, or has more decimals than the scale.
    """
    if isinstance(number, str) and _NUMBER.match(number) is None:
        raise ValueError(f"{number!r} is no decimal number")
    value = Decimal(number)
    if not value.is_finite() or value.adjusted() > _MOST_DIGITS:
        raise ValueError(f"{number!r} is no decimal number of at most {_MOST_DIGITS} digits")
    # By digits, not by arithmetic: a Decimal context would round a long number, and no one would see it.
    sign, digits, exponent = value.as_tuple()
    units: int = int("".join(map(str, digits)))
    shift: int = int(exponent) + scale
    if shift >= 0:
        units, rest = units * 10**shift, 0
    else:
        # A power beyond all digits would only be large: the rest is the number itself either way.
        units, rest = divmod(units, 10 ** min(-shift, len(digits) + 1))
    if rest:
        raise ValueError(f"{number!r} has more than {scale} decimals")
    return -units if sign else units


def amount(text: str) -> Amount:
    """Return an amount from text with its asset. Example: `amount("12.50 EUR/2")` is 1250 units of `EUR/2`.

    Raises:
        ValueError: The text is not `NUMBER CODE/scale`, or the number does not fit the scale.
    """
    number, _, asset = text.strip().partition(" ")
    asset = asset.strip()
    return Amount(units=to_units(number, scale_of(asset)), asset=asset)


def amount_text(units: int, asset: str) -> str:
    """Return units of an asset for people. Example: 1250 of `EUR/2` is `12.50 EUR`; an unknown form stays as it is."""
    match = ASSET.match(asset)
    if match is None:
        return f"{units} {asset}"
    scale = int(match["scale"])
    digits = f"{abs(units):0{scale + 1}d}"
    sign = "-" if units < 0 else ""
    number = f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits
    return f"{sign}{number} {match['code']}"


def timestamp(time: datetime | Timestamp) -> Timestamp:
    """Return a time as a Timestamp, in UTC; a Timestamp is returned as it is.

    Raises:
        ValueError: The datetime names no zone, so that it could be any of two dozen moments.
    """
    if isinstance(time, Timestamp):
        return time
    if time.tzinfo is None or time.utcoffset() is None:
        raise ValueError(f"{time.isoformat()} names no time zone; give it a tzinfo, for example datetime.UTC")
    seconds, micros = divmod((time - _EPOCH) // _MICROSECOND, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def moment(time: Timestamp) -> datetime:
    """Return a Timestamp as an aware datetime in UTC; what is finer than microseconds is cut off."""
    return _EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1000)


def time_text(time: Timestamp) -> str:
    """Return a Timestamp for people: ISO 8601 in UTC, decimals only where there are any, `Z` at the end."""
    return moment(time).replace(tzinfo=None).isoformat() + "Z"


def lot_terms(
    *, activates_at: datetime | Timestamp | None = None, expires_at: datetime | Timestamp | None = None
) -> LotTerms:
    """Return when granted points may be used: from `activates_at`, but not before their grant, until `expires_at`.

    Without `expires_at` they never expire.

    Raises:
        ValueError: A datetime names no zone.
    """
    terms = LotTerms()
    if activates_at is not None:
        terms.activates_at.CopyFrom(timestamp(activates_at))
    if expires_at is not None:
        terms.expires_at.CopyFrom(timestamp(expires_at))
    return terms


def view(
    *,
    occur_time: datetime | Timestamp | None = None,
    position: int | None = None,
    record_time: datetime | Timestamp | None = None,
) -> AsOf:
    """Return a point of view: what had happened by `occur_time`, as known at a position or a record time.

    Raises:
        ValueError: Both `position` and `record_time` are given; they are two ways to say the same.
    """
    if position is not None and record_time is not None:
        raise ValueError("give either a position or a record time, not both")
    as_of = AsOf()
    if occur_time is not None:
        as_of.occur_time.CopyFrom(timestamp(occur_time))
    if position is not None:
        as_of.position = position
    if record_time is not None:
        as_of.record_time.CopyFrom(timestamp(record_time))
    return as_of
