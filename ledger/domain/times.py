"""Times are integers: whole microseconds since 1970-01-01T00:00:00Z (relationship.md 2).

The year range is that of google.protobuf.Timestamp, 0001 to 9999.
"""

from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

MICROSECONDS: Final = 1_000_000
END_OF_TIME: Final = 253_402_300_800 * MICROSECONDS
"""The first instant after the year 9999: later than every occur time, so "no bound" is an ordinary number."""
START_OF_TIME: Final = -62_135_596_800 * MICROSECONDS
"""The first instant of the year 1."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(time: Timestamp) -> int:
    """Return a Timestamp as microseconds; finer parts, refused in requests, are cut off."""
    return time.seconds * MICROSECONDS + time.nanos // 1000


def timestamp(time: int) -> Timestamp:
    """Return microseconds as a Timestamp."""
    seconds, micros = divmod(time, MICROSECONDS)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def text(time: int) -> str:
    """Return microseconds as RFC 3339 with six decimals and Z. Example: `2026-04-11T10:00:00.000000Z`."""
    seconds, micros = divmod(time, MICROSECONDS)
    if START_OF_TIME <= time < END_OF_TIME:
        whole = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
        return f"{whole.isoformat()}.{micros:06d}Z"
    return f"{seconds}.{micros:06d}s"


def time_fault(time: Timestamp) -> str | None:
    """Return what is wrong with a Timestamp of a request, or None: out of range, or finer than microseconds."""
    if not 0 <= time.nanos < 1_000_000_000 or not START_OF_TIME <= time.seconds * MICROSECONDS < END_OF_TIME:
        return "must be a time of the years 0001 to 9999 with 0 to 999999999 nanoseconds"
    if time.nanos % 1000:
        return "must be in whole microseconds; finer times are not kept"
    return None


def from_datetime(time: datetime) -> int:
    """Return an aware datetime as microseconds."""
    delta = time - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * MICROSECONDS + delta.microseconds
