"""Lists by balance: how `rapport relationship list` asks for them, and what it shows then."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from rapport.events.v1.exchange_pb2 import Party
from rapport.relationship.v1 import relationship_service_pb2 as messages
from services.client import nanos_text, ppm_text, to_nanos

if TYPE_CHECKING:
    from rapport.relationship.v1.relationship_pb2 import BalanceSummary

ORDERS: Final = {
    "index": messages.RELATIONSHIP_ORDER_INDEX_ASCENDING,
    "index-desc": messages.RELATIONSHIP_ORDER_INDEX_DESCENDING,
    "confidence": messages.RELATIONSHIP_ORDER_CONFIDENCE_DESCENDING,
    "net": messages.RELATIONSHIP_ORDER_NET_ASCENDING,
    "net-desc": messages.RELATIONSHIP_ORDER_NET_DESCENDING,
}
HEADINGS: Final = ("INDEX", "CONFIDENCE", "GOT", "GAVE", "NET")
_PERSPECTIVES: Final = {
    "customer": Party.PARTY_CUSTOMER,
    "organization": Party.PARTY_ORGANIZATION,
}
_PPM: Final = 1_000_000
_BOUNDS: Final = {
    "index_min": "index_ppm_min",
    "index_max": "index_ppm_max",
    "confidence_min": "confidence_ppm_min",
    "net_min": "net_nanos_min",
    "net_max": "net_nanos_max",
}
"""Fields of the filter by their arguments."""


def add_balance_filter(parser: ArgumentParser) -> None:
    """Add bounds on the balance, and whose it is."""
    options = parser.add_argument_group("by balance, over all time and by the organization's first policy")
    options.add_argument(
        "--perspective", choices=_PERSPECTIVES, help="whose gain it is about, by whose rates (default: customer)"
    )
    options.add_argument("--index-min", metavar="N", type=ratio, help="index at least this, -1 to 1")
    options.add_argument("--index-max", metavar="N", type=ratio, help="index at most this")
    options.add_argument("--confidence-min", metavar="N", type=ratio, help="confidence at least this, 0 to 1")
    options.add_argument("--net-min", metavar="VALUE", type=value, help="got less gave at least this: 12.50")
    options.add_argument("--net-max", metavar="VALUE", type=value, help="got less gave at most this")


def by_balance(arguments: Namespace) -> bool:
    """Tell whether a list is about balances."""
    bounds = (getattr(arguments, name) for name in _BOUNDS)
    return arguments.order in ORDERS or bool(arguments.perspective) or any(bound is not None for bound in bounds)


def fill(selected: messages.BalanceFilter, arguments: Namespace) -> None:
    """Put the bounds that were given into a filter."""
    selected.perspective = _PERSPECTIVES[arguments.perspective or "customer"]
    for name, field in _BOUNDS.items():
        bound = getattr(arguments, name)
        if bound is not None:
            setattr(selected, field, bound)


def cells(balance: BalanceSummary) -> tuple[str, ...]:
    """Return a balance as cells under HEADINGS; without an index, or a policy, as far as there is one."""
    if not balance.HasField("occur_time"):
        return ("",) * len(HEADINGS)
    index = ppm_text(balance.index_ppm) if balance.HasField("index_ppm") else ""
    confidence = ppm_text(balance.confidence_ppm, signed=False) if index else ""
    got, gave = nanos_text(balance.got_nanos), nanos_text(balance.gave_nanos)
    return (index, confidence, got, gave, nanos_text(balance.net_nanos, signed=True))


def ratio(text: str) -> int:
    """Return a decimal number in millionths."""
    try:
        ppm = Decimal(text) * _PPM
        whole = int(ppm)
    except (InvalidOperation, ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is no number; write -0.1 or 0.333333") from None
    if whole != ppm or abs(whole) > _PPM:
        raise ArgumentTypeError(f"{text!r} is not between -1 and 1, with at most six decimals")
    return whole


def value(text: str) -> int:
    """Return a decimal number of units of account in nanos."""
    try:
        return to_nanos(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no value; write 12.50 or -3, with at most nine decimals") from error
