"""By when systems have to act on a withdrawal or an objection: an alarm, never a grace period (consent.md 4 rule 1)."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.domain.jurisdictions import under
from ledger.domain.times import MICROSECONDS
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, HonourRule

_DAY: Final = 86_400 * MICROSECONDS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SATURDAY: Final = 5


def honour_due(policy: ContactPolicy, jurisdiction: str, channels: Collection[int], occur_time: int) -> int | None:
    """Return the instant at which it is too late to act on what a customer said, in microseconds; None: no rule.

    The earliest of the rules that hold under the law and for any of the channels; no channels: all of them. Days are
    counted from `occur_time`, in microseconds, to the same time of day in UTC.
    """
    dues = [
        _after(occur_time, rule)
        for rule in policy.honour
        if under(rule.jurisdictions, jurisdiction)
        and (not rule.channels or not channels or not set(rule.channels).isdisjoint(channels))
    ]
    return min(dues, default=None)


def _after(time: int, rule: HonourRule) -> int:
    """Return the instant so many days later; Saturdays and Sundays (UTC) do not count where the rule says so."""
    left = rule.days
    while left:
        time += _DAY
        if not (rule.business_days and _weekday(time) >= _SATURDAY):
            left -= 1
    return time


def _weekday(time: int) -> int:
    return (_EPOCH + timedelta(microseconds=time)).weekday()
