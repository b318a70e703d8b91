"""Calendar months, as laws count them (consent.md 8)."""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Final

from ledger.domain.times import END_OF_TIME, from_datetime

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_MAX: Final = 9999


def months_after(time: int, months: int) -> int:
    """Return the same day and time of day in UTC some months later, set back to the last day of a shorter month.

    Microseconds; END_OF_TIME where the year would be later than 9999. Example: 2026-03-31T10:00Z and 6 months give
    2026-09-30T10:00Z.
    """
    moment = _EPOCH + timedelta(microseconds=time)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if year > _YEAR_MAX:
        return END_OF_TIME
    day = min(moment.day, monthrange(year, month + 1)[1])
    return from_datetime(moment.replace(year=year, month=month + 1, day=day))
