"""What a caller asks to be recorded, and what it gets back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from google.protobuf.message import Message

from ledger.domain.decider import Step

Plan = Callable[[], Sequence[Step]]
"""Validates a request and returns its steps. Called once, in the pass over a whole group, where it is cheapest.

Raises:
    Refused: the request is not carried out; nobody else in the group notices.
"""

_COUNT = Struct(">I")


@dataclass(frozen=True, slots=True)
class Request:
    """Names a request for ever, and tells it from others that use its id again."""

    method: str
    """Full name of the rpc. Example: `/rapport.interaction.v1.InteractionService/RecordInteraction`."""
    organization_id: str
    request_id: bytes
    """The 16 bytes of a UUID; time-ordered ones (version 7) keep the index of requests local."""
    message: Message
    """As it was received; with `method` it makes the fingerprint."""


class Place(NamedTuple):
    """Where one fact stands."""

    position: int
    version: int


class StepReceipt(NamedTuple):
    """What became of one step: the places of its facts, in order, and the note of its decision."""

    places: tuple[Place, ...]
    note: bytes = b""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a request: what it recorded is durable."""

    steps: tuple[StepReceipt, ...]
    record_time: int
    """Microseconds. Of the events, or of the request where it recorded none."""
    position: int
    """Last position that the request recorded; the head it was decided at where it recorded none."""
    replayed: bool = False
    """This is the first answer, given again."""


def encode_notes(steps: Sequence[StepReceipt]) -> bytes | None:
    """Return what must be kept to give the same answer again, or None where places say it all.

    Layout: per step the number of its facts, the length of its note (four bytes each, big-endian), the note.
    """
    if all(len(step.places) == 1 and not step.note for step in steps):
        return None
    parts: list[bytes] = []
    for step in steps:
        parts += (_COUNT.pack(len(step.places)), _COUNT.pack(len(step.note)), step.note)
    return b"".join(parts)


def decode_notes(answer: bytes | None, places: Sequence[Place]) -> tuple[StepReceipt, ...]:
    """Return the steps of a request from what `encode_notes` kept and the places of its facts, in order."""
    if answer is None:
        return tuple(StepReceipt((place,)) for place in places)
    steps: list[StepReceipt] = []
    at = taken = 0
    while at < len(answer):
        (facts,) = _COUNT.unpack_from(answer, at)
        (length,) = _COUNT.unpack_from(answer, at + 4)
        note = answer[at + 8 : at + 8 + length]
        steps.append(StepReceipt(tuple(places[taken : taken + facts]), note))
        taken += facts
        at += 8 + length
    return tuple(steps)
