"""How long to wait before what failed is tried again: longer each time, and never for long."""

from typing import Final

BACK_OFF_MIN_S: Final = 0.1
BACK_OFF_MAX_S: Final = 30.0
_DOUBLINGS_MAX: Final = 10
"""By then it is the longest; without a bound the powers would grow as long as a database is away."""


def back_off_s(failures: int) -> float:
    """Return for how long to wait after so many failures in a row, at least one, in seconds."""
    return min(BACK_OFF_MIN_S * 2.0 ** min(failures - 1, _DOUBLINGS_MAX), BACK_OFF_MAX_S)
