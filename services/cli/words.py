"""Words of the command line: values of enums by name, spans of local time, and hashes."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Final

from rapport.events.v1 import consent_pb2, interaction_pb2, preference_pb2
from rapport.events.v1.preference_pb2 import LocalWindow, Weekday

if TYPE_CHECKING:
    from google.protobuf.descriptor import EnumDescriptor

_WINDOW: Final = re.compile(r"(?:(?P<days>[a-z,-]+)@)?(?P<start>\d{1,2}:\d\d)-(?P<end>\d{1,2}:\d\d)\Z")
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SHA256_HEX: Final = 64


def words_of(enum: EnumDescriptor) -> dict[str, int]:
    """Return the numbers of an enum by what a person types: `voice_live`. UNSPECIFIED has no word."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number}


CHANNELS: Final = words_of(interaction_pb2.Channel.DESCRIPTOR)
MESSAGE_CLASSES: Final = words_of(interaction_pb2.MessageClass.DESCRIPTOR)
LEGAL_BASES: Final = words_of(consent_pb2.LegalBasis.DESCRIPTOR)
CONSENT_TYPES: Final = words_of(consent_pb2.ConsentType.DESCRIPTOR)
SPEAKERS: Final = words_of(consent_pb2.IndicatedBy.DESCRIPTOR)
METHODS: Final = words_of(consent_pb2.IndicationMethod.DESCRIPTOR)
PERIODS: Final = words_of(preference_pb2.Period.DESCRIPTOR)


def window(text: str) -> LocalWindow:
    """Return a span of local time. Examples: `21:00-08:00`, `sat,sun@00:00-12:00`, `mon-fri@08:00-18:00`."""
    match = _WINDOW.match(text.lower())
    if match is None:
        raise ArgumentTypeError(f"{text!r} is no span of local time; write 21:00-08:00, or sat,sun@00:00-12:00")
    return LocalWindow(
        start_minute=_minute(match["start"]), end_minute=_minute(match["end"]), weekdays=_weekdays(match["days"] or "")
    )


def window_text(span: LocalWindow) -> str:
    """Return a span of local time as `window` reads it."""
    days = ",".join(_DAYS[day - 1] for day in span.weekdays if 0 < day <= len(_DAYS))
    hours = "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (span.start_minute, span.end_minute))
    return f"{days}@{hours}" if days else hours


def sha256(text: str) -> bytes:
    """Return the bytes of a SHA-256 in hexadecimal digits."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(text) != _SHA256_HEX or not found:
        raise ArgumentTypeError(f"{text!r} is no SHA-256; write its 64 hexadecimal digits, as `sha256sum` prints it")
    return found


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    if int(hours) > 23 or int(minutes) > 59:
        raise ArgumentTypeError(f"{text!r} is no time of day; write 00:00 to 23:59")
    return int(hours) * 60 + int(minutes)


def _weekdays(text: str) -> list[Weekday.ValueType]:
    days: dict[str, None] = {}
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ArgumentTypeError(f"{part!r} is no weekday; write {', '.join(_DAYS)}, or two with a dash")
        start, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= dict.fromkeys(_DAYS[start : end + 1] if start <= end else _DAYS[start:] + _DAYS[: end + 1])
    return [Weekday.ValueType(_DAYS.index(day) + 1) for day in days]
