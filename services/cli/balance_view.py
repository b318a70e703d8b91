"""Views of a balance: how a command asks for one, and how it tells one."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from rapport.events.v1.exchange_pb2 import Party
from services.cli.arguments import known_at, time
from services.cli.exits import UsageFault
from services.cli.output import enum_cell, time_cell, view_text
from services.client import token_bytes, token_text, view, view_spec, view_token

if TYPE_CHECKING:
    from rapport.relationship.v1.balance_pb2 import PolicyVersion, View, ViewRef

PERSPECTIVES: Final = {
    "customer": Party.PARTY_CUSTOMER,
    "organization": Party.PARTY_ORGANIZATION,
}
_POLICY: Final = re.compile(r"(?P<policy_id>[a-z0-9][a-z0-9._-]{0,63})?(?:@(?P<version>[1-9][0-9]{0,8}))?\Z")
_LONGEST_HALF_LIFE: Final = 3650
_SIDED: Final = ("as_of", "known_at", "from", "to", "half_life", "policy")
_MICROSECOND: Final = timedelta(microseconds=1)


def add_perspective(parser: ArgumentParser) -> None:
    """Add whose gain a balance is about."""
    parser.add_argument(
        "--perspective", choices=PERSPECTIVES, help="whose gain it is about, by whose rates (default: customer)"
    )


def add_balance_view(parser: ArgumentParser, side: str = "") -> None:
    """Add what a view of a balance is made of, but the perspective; `side` is `a` or `b` where two are compared."""
    options = parser.add_argument_group(f"view {side}") if side else parser
    dash = f"--{side}-" if side else "--"
    options.add_argument(
        f"{dash}as-of",
        metavar="TIME",
        type=time,
        help="only what had happened by then counts: 2026-03-31 (the whole day, UTC) or 2026-03-31T12:00:00Z",
    )
    options.add_argument(
        f"{dash}known-at", metavar="TIME|POSITION", type=known_at, help="only what was recorded by then, or up to there"
    )
    options.add_argument(
        f"{dash}from",
        metavar="TIME",
        type=window_start,
        help="only what took effect after then: 2026-03-01 (from that day on), or a time",
    )
    options.add_argument(
        f"{dash}to", metavar="TIME", type=time, help="only what took effect by then, that day included"
    )
    options.add_argument(
        f"{dash}half-life", metavar="DAYS", type=half_life, help="let a leg weigh half after so many days"
    )
    options.add_argument(
        f"{dash}policy",
        metavar="ID[@VERSION]",
        type=policy,
        help="value by this policy; with a version by that one, whatever was in force (a what-if)",
    )
    options.add_argument(
        f"{dash}token", metavar="TOKEN", type=token, help="the very view that an answer named by this token"
    )


def balance_view_of(arguments: Namespace, side: str = "") -> ViewRef:
    """Return the view that was asked for.

    Raises:
        UsageFault: A token stands beside what it names already.
    """

    def option(name: str) -> object:
        return getattr(arguments, f"{side}_{name}" if side else name)

    named = option("token")
    if isinstance(named, bytes):
        beside = [f"{side}_{name}" if side else name for name in _SIDED if option(name) is not None]
        beside += ["perspective"] if arguments.perspective else []
        if beside:
            raise UsageFault(f"a token names the whole view; leave out {', '.join(map(_flag, beside))}, or the token")
        return view_token(named)
    known, when = option("known_at"), option("as_of")
    as_of = view(
        occur_time=when if isinstance(when, datetime) else None,
        position=known if isinstance(known, int) else None,
        record_time=known if isinstance(known, datetime) else None,
    )
    begin, end, days, which = (option(name) for name in ("from", "to", "half_life", "policy"))
    policy_id, version = which if isinstance(which, tuple) else ("", 0)
    return view_spec(
        as_of=None if when is None and known is None else as_of,
        perspective=PERSPECTIVES.get(arguments.perspective, Party.PARTY_UNSPECIFIED),
        window_from=begin if isinstance(begin, datetime) else None,
        window_to=end if isinstance(end, datetime) else None,
        half_life_days=days if isinstance(days, int) else 0,
        policy_id=policy_id,
        policy_version=version,
    )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def window_start(text: str) -> datetime:
    """Return the exclusive start of a window: a time, or the last microsecond before a day, so that the day counts."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return time(text)
    if day == date.min:
        raise ArgumentTypeError(f"{text!r} is the first day that there is; leave it out")
    return datetime(day.year, day.month, day.day, tzinfo=UTC) - _MICROSECOND


def half_life(text: str) -> int:
    """Return a half-life in days, 1 to 3650."""
    days = int(text) if text.isascii() and text.isdecimal() else 0
    if not 1 <= days <= _LONGEST_HALF_LIFE:
        raise ArgumentTypeError(f"{text!r} is no half-life; write 1 to {_LONGEST_HALF_LIFE} days")
    return days


def policy(text: str) -> tuple[str, int]:
    """Return a policy and a version of it; `@2` is version 2 of the organization's default policy."""
    match = _POLICY.match(text)
    if match is None or not text:
        raise ArgumentTypeError(f"{text!r} names no policy; write its id, such as retail, or retail@2")
    return match["policy_id"] or "", int(match["version"] or 0)


def token(text: str) -> bytes:
    """Return a view token from its text, in base64 or hexadecimal digits."""
    try:
        return token_bytes(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def view_pairs(shown: View) -> list[tuple[str, object]]:
    """Return what a view is made of, for `print_pairs`; the token comes last."""
    spec = shown.resolved
    return [
        ("view", view_text(spec.as_of)),
        ("perspective", perspective_text(shown)),
        ("window", window_text(shown)),
        ("half-life", f"{spec.half_life_days} days" if spec.half_life_days else ""),
        ("what-if", f"all under {policy_text(spec.valuation)}" if spec.valuation.version else ""),
        ("policies", policies_text(shown)),
        ("token", token_text(shown.token)),
    ]


def perspective_text(shown: View) -> str:
    """Return whose view it is: `customer` or `organization`."""
    return enum_cell(Party.DESCRIPTOR, shown.resolved.perspective or Party.PARTY_CUSTOMER).lower()


def window_text(shown: View) -> str:
    """Return the window of a view; empty: the whole past."""
    window = shown.resolved.window
    begin, end = time_cell(getattr(window, "from")), time_cell(window.to)
    return " ".join(([f"after {begin}"] if begin else []) + ([f"up to {end}"] if end else []))


def policies_text(shown: View) -> str:
    """Return the policy versions of a view. Example: `retail@1, retail@2`."""
    return ", ".join(map(policy_text, shown.policies))


def policy_text(version: PolicyVersion) -> str:
    """Return a policy version. Example: `retail@2`."""
    return f"{version.policy_id}@{version.version}"
