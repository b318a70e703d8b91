"""Publishing by chain: every message says which one must be the last before it, so each is a compare-and-set.

Many are under way at once. That is safe: after a link that fails every later one fails too, unless somebody else has
stored the very message that it wants to follow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Final

import nats.errors
from nats.js import JetStreamContext

from services.relay.acknowledging import Answer, Sender
from services.relay.source import MESSAGE_ID, Message, Source
from services.relay.standing import Standing
from services.relay.streams import holds

PATIENCE_S: Final = 5.0
"""Seconds within which a window is acknowledged, or is taken for not stored."""

_LOOK_S: Final = 0.05
_STREAM: Final = "Nats-Expected-Stream"
_AFTER_MESSAGE: Final = "Nats-Expected-Last-Msg-Id"
_AFTER_SEQUENCE: Final = "Nats-Expected-Last-Sequence"


class Refused(Exception):
    """A link of the chain was not stored: refused, or not answered. Look where the stream stands, and go on."""

    def __init__(self, stored: Standing, why: str) -> None:
        super().__init__(why)
        self.stored = stored
        """How far the window surely came."""


class Forgotten(Refused):
    """The server takes a message for a repetition, and does not hold it. It has forgotten it after its window."""


async def publish(
    js: JetStreamContext, sender: Sender, source: Source, at: Standing, messages: Sequence[Message]
) -> Standing:
    """Publish messages that follow `at`, all at once; return where the stream stands then.

    Raises:
        Refused: not all of them are stored.
    """
    answers: list[Answer] = []
    try:
        await _send(sender, source, at, messages, answers)
        await _wait(sender, answers)
        for message, answer in zip(messages, answers, strict=False):
            at = await _stored(js, source, at, message, answer)
    finally:
        for answer in answers:
            if not answer.cancel():  # What was not answered is not waited for, whatever comes of it.
                answer.exception()  # Looked at, so that nobody is told that it was not.
    if len(answers) < len(messages):
        raise Refused(at, "the connection takes no more")
    return at


async def _send(
    sender: Sender, source: Source, at: Standing, messages: Sequence[Message], answers: list[Answer]
) -> None:
    previous = at.message_id
    for message in messages:
        link = {_AFTER_MESSAGE: previous} if previous else {_AFTER_SEQUENCE: str(at.sequence)}
        headers = {**message.headers, MESSAGE_ID: message.message_id, _STREAM: source.stream, **link}
        try:
            answers.append(await sender.send(message.subject, message.body, headers))
        except (nats.errors.Error, OSError):
            return
        previous = message.message_id


async def _wait(sender: Sender, answers: Sequence[Answer]) -> None:
    """Wait until all are answered, for as long as answers can come."""
    until = monotonic() + PATIENCE_S
    waiting = {answer for answer in answers if not answer.done()}
    while waiting and sender.connected and monotonic() < until:
        _, waiting = await asyncio.wait(waiting, timeout=_LOOK_S)


async def _stored(js: JetStreamContext, source: Source, at: Standing, message: Message, answer: Answer) -> Standing:
    if not answer.done():
        raise Refused(at, f"message {message.number} was not acknowledged")
    error = answer.exception()
    if error is not None:
        raise Refused(at, f"message {message.number} was refused: {error}")
    acknowledged = answer.result()
    if acknowledged.duplicate and not await holds(js, source, acknowledged.seq, message.message_id):
        raise Forgotten(at, f"message {message.number} was taken for a repetition and is not there")
    return Standing(message.number, message.message_id, acknowledged.seq)
