"""What is kept of each exchange, posting, voiding and reversal, so that a resend of it is recognised.

A relationship may hold 100,000 exchanges: each is one byte string, a third of what separate objects would take.
"""

from struct import Struct
from typing import Final, NamedTuple

from ledger.domain.fact import Fact
from rapport.events.v1.exchange_pb2 import ExchangePosted, ExchangeRecorded, ExchangeReversed, ExchangeVoided

_HEAD: Final = Struct("<QIqB")
DEFAULTED: Final = 1
"""Flag: the caller gave no occur_time."""
CLAMPED: Final = 2
"""Flag: the caller's time lay slightly ahead of the clock and was set back to it."""
VOIDS: Final = 4
"""Flag: of the two ways to end a hold, this one voids it."""

pack: Final = _HEAD.pack
"""Pack position, version, occur_time and flags; the serialised event follows."""


class Known(NamedTuple):
    """An exchange, or what became of it, as it was recorded."""

    position: int
    version: int
    occur_time: int
    """Microseconds; of a reversal its effective time."""
    flags: int
    event: bytes
    """Serialised."""

    @property
    def defaulted(self) -> bool:
        """The caller gave no occur_time."""
        return bool(self.flags & DEFAULTED)

    @property
    def clamped(self) -> bool:
        """The caller's time lay slightly ahead of the clock and was set back to it."""
        return bool(self.flags & CLAMPED)

    @property
    def voids(self) -> bool:
        """It ends a hold without posting anything."""
        return bool(self.flags & VOIDS)

    def recorded(self) -> ExchangeRecorded:
        """Return the exchange."""
        return ExchangeRecorded.FromString(self.event)

    def posting(self) -> ExchangePosted:
        """Return the posting of a hold."""
        return ExchangePosted.FromString(self.event)

    def voiding(self) -> ExchangeVoided:
        """Return the voiding of a hold."""
        return ExchangeVoided.FromString(self.event)

    def reversal(self) -> ExchangeReversed:
        """Return the reversal."""
        return ExchangeReversed.FromString(self.event)


def packed(fact: Fact, flags: int = 0) -> bytes:
    """Return a fact as it is kept, with further flags."""
    position, version, _, occur_time, _, event, metadata = fact
    if metadata.occur_time_defaulted:
        flags |= DEFAULTED
    elif metadata.occur_time_clamped:
        flags |= CLAMPED
    return pack(position, version, occur_time, flags) + event.SerializeToString()


def unpack(kept: bytes | None) -> Known | None:
    """Return what was kept, or None for nothing."""
    if kept is None:
        return None
    position, version, occur_time, flags = _HEAD.unpack_from(kept)
    return Known(position, version, occur_time, flags, kept[_HEAD.size :])


def occur_time_of(kept: bytes) -> int:
    """Return the occur time, in microseconds, of what was kept."""
    time: int = _HEAD.unpack_from(kept)[2]
    return time
