"""Views, values and ratios of balances, between Python's values and the messages.

No floats: values are whole nanos (billionths) of a unit of account, ratios are pairs of whole numbers, and text is made
from their digits.
"""

from __future__ import annotations

import base64
import binascii
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from rapport.events.v1.exchange_pb2 import PARTY_UNSPECIFIED, Party
from rapport.relationship.v1.balance_pb2 import Ratio, ViewRef
from services.client.values import timestamp, to_units

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.type.v1.as_of_pb2 import AsOf

NANO_DIGITS: Final = 9
"""Decimals of a value in nanos: 10^9 of them are one unit of account."""
_MONEY_DIGITS: Final = 2
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})+\Z")


def view_spec(
    *,
    as_of: AsOf | None = None,
    perspective: Party.ValueType = PARTY_UNSPECIFIED,
    window_from: datetime | Timestamp | None = None,
    window_to: datetime | Timestamp | None = None,
    half_life_days: int = 0,
    policy_id: str = "",
    policy_version: int = 0,
) -> ViewRef:
    """Return a view to ask for; without arguments the customer's, now, with everything recorded.

    Args:
        as_of: Both time axes; `values.view` makes one.
        perspective: Whose gain it is about. Default: the customer's.
        window_from: Only legs that took effect after it count.
        window_to: Only legs that took effect at or before it count.
        half_life_days: Days after which a leg weighs half, 1 to 3650. 0: weights are all 1.
        policy_id: By which policy. Default: the one that the organization published first.
        policy_version: Values every leg under this version, whenever it happened. 0: each under that of its time.

    Raises:
        ValueError: A time names no zone.
    """
    view = ViewRef()
    spec = view.spec
    spec.SetInParent()
    spec.perspective, spec.half_life_days = perspective, half_life_days
    if as_of is not None:
        spec.as_of.CopyFrom(as_of)
    if window_from is not None:
        getattr(spec.window, "from").CopyFrom(timestamp(window_from))  # The field's name is a word of Python.
    if window_to is not None:
        spec.window.to.CopyFrom(timestamp(window_to))
    if policy_id or policy_version:
        spec.valuation.policy_id, spec.valuation.version = policy_id, policy_version
    return view


def view_token(token: bytes | str) -> ViewRef:
    """Return the view that an answer named by its token: the bytes, or their text in base64 or hexadecimal digits.

    Raises:
        ValueError: The text is neither.
    """
    return ViewRef(token=token if isinstance(token, bytes) else token_bytes(token))


def token_bytes(text: str) -> bytes:
    """Return a token from its text; base64 of either alphabet, padded or not, as JSON and URLs have it.

    Raises:
        ValueError: It is no such text.
    """
    if _HEX.match(text):
        # Read as base64, a text of that length has other digits too, but for one token in more than 10^20.
        return bytes.fromhex(text)
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        token = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"{text!r} is no view token; write it as an answer gave it") from error
    if not token:
        raise ValueError("a view token is not empty")
    return token


def token_text(token: bytes) -> str:
    """Return a token in base64, as proto3 JSON shows it."""
    return base64.b64encode(token).decode("ascii")


def to_nanos(number: str | Decimal | int) -> int:
    """Return a decimal number of units of account in nanos, exactly. Example: `3.3` is 3300000000.

    Raises:
        ValueError: It is no decimal number, or has more than nine decimals.
    """
    return to_units(number, NANO_DIGITS)


def nanos_text(nanos: int, unit: str = "", *, signed: bool = False) -> str:
    """Return a value for people, exactly: two decimals, and more where they are not 0. Example: `3.30 EUR`.

    `signed` puts a plus before what is above 0, as a difference is told.
    """
    whole, fraction = divmod(abs(nanos), 10**NANO_DIGITS)
    digits = f"{fraction:0{NANO_DIGITS}d}"
    shown = digits[:_MONEY_DIGITS] + digits[_MONEY_DIGITS:].rstrip("0")
    sign = "-" if nanos < 0 else "+" if signed and nanos > 0 else ""
    return f"{sign}{whole}.{shown}{' ' if unit else ''}{unit}"


def ppm_text(ppm: int, *, signed: bool = True) -> str:
    """Return millionths for people: to thousandths, half to even, and in full. Example: `+0.024 (23,861 ppm)`."""
    thousandths = round(Fraction(abs(ppm), 1000))
    sign = "-" if ppm < 0 else "+" if signed and ppm > 0 else ""
    return f"{sign}{thousandths // 1000}.{thousandths % 1000:03d} ({ppm:,} ppm)"


def fraction(ratio: Ratio) -> Fraction:
    """Return a ratio as a number, exactly, reduced.

    Raises:
        ValueError: It is not as the proto says: decimal, with a denominator above 0.
    """
    numerator, denominator = int(ratio.numerator), int(ratio.denominator)
    if denominator <= 0:
        raise ValueError(f"{ratio.numerator}/{ratio.denominator} is no ratio")
    return Fraction(numerator, denominator)


def ratio_text(ratio: Ratio | Fraction) -> str:
    """Return a ratio for people, reduced. Examples: `11/461`, `0`; an absent one is empty."""
    if isinstance(ratio, Ratio):
        if not ratio.denominator:
            return ""
        ratio = fraction(ratio)
    return str(ratio)
