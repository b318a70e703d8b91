"""The legs of a serialised exchange, as accounts and units: what folds add up.

Every rebuild passes here once per exchange. Reading the legs through message objects takes longer than all the rest of
the fold together, so their bytes are looked up among legs seen before: most legs are a few pieces, or one of some
thousand prices. Bytes that do not look as this release writes them are read through the message.

That is for plain exchanges: posted at once, without points. Any other says so by an exception, so that the plain ones,
which are nearly all, are asked nothing.
"""

from sys import intern
from typing import Final

from rapport.events.v1.exchange_pb2 import (
    CATEGORY_POINTS_GRANT,
    CATEGORY_POINTS_REDEEM,
    Category,
    ExchangeRecorded,
    Leg,
    Party,
)

CATEGORIES_OF_POINTS: Final = frozenset({CATEGORY_POINTS_GRANT, CATEGORY_POINTS_REDEEM})

# First bytes of the fields of ExchangeRecorded on the wire: number << 3 | wire type.
_ONE_SIDED: Final = 4 << 3
_TEXTS: Final = frozenset({1 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2})
_LEG: Final = 7 << 3 | 2
_ONE_BYTE: Final = 0x80
"""Lengths and numbers below this take one byte."""

_MEMO_LEGS: Final = 16_384
_MEMO_LEG_BYTES: Final = 48
"""A leg that names evidence is longer, and never seen twice."""
_memo: dict[bytes, tuple[str, int]] = {}


class NotPlain(Exception):
    """The exchange is pending, or moves points: there is more to it than units that add up."""


def account(giver: Party.ValueType, category: Category.ValueType, asset: str) -> str:
    """Return the name under which units of a giver, category and asset are added up. Example: `1/3/EUR/2`."""
    return f"{giver}/{category}/{asset}"


def parts(name: str) -> tuple[Party.ValueType, Category.ValueType, str]:
    """Return giver, category and asset of an account's name."""
    giver, category, asset = name.split("/", 2)
    return Party.ValueType(int(giver)), Category.ValueType(int(category)), asset


def legs(exchange: bytes) -> list[tuple[str, int]]:
    """Return (account, units) for each leg of a serialised `ExchangeRecorded`, in order.

    Raises:
        NotPlain: it is pending, or moves points; read it with `all_legs`.
    """
    found = []
    at, end = 0, len(exchange)
    while at < end:
        tag = exchange[at]
        size = exchange[at + 1]
        if size >= _ONE_BYTE:
            return _parsed(exchange)
        if tag == _LEG:
            leg = exchange[at + 2 : at + 2 + size]
            found.append(_memo.get(leg) or _read(leg))
        elif tag == _ONE_SIDED:
            size = 0  # It was no size but the number itself.
        elif tag not in _TEXTS:
            return _parsed(exchange)
        at += 2 + size
    return found


def all_legs(exchange: ExchangeRecorded) -> list[tuple[str, int]]:
    """Return (account, units) for each leg of any exchange, in order."""
    return [_account_and_units(leg) for leg in exchange.legs]


def _parsed(exchange: bytes) -> list[tuple[str, int]]:
    event = ExchangeRecorded.FromString(exchange)
    if event.HasField("pending_until") or any(leg.category in CATEGORIES_OF_POINTS for leg in event.legs):
        raise NotPlain
    return all_legs(event)


def _read(encoded: bytes) -> tuple[str, int]:
    leg = Leg.FromString(encoded)
    if leg.category in CATEGORIES_OF_POINTS:
        raise NotPlain  # And not remembered, so that the next one is found out too.
    entry = _account_and_units(leg)
    if len(encoded) <= _MEMO_LEG_BYTES:
        if len(_memo) >= _MEMO_LEGS:
            _memo.clear()
        _memo[encoded] = entry
    return entry


def _account_and_units(leg: Leg) -> tuple[str, int]:
    # Interned, so that adding up compares names by identity and hashes each once.
    return intern(account(leg.giver, leg.category, leg.amount.asset)), leg.amount.units
