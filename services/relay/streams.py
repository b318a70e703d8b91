"""The streams on the server: made where they are missing, mended where they differ, looked at where they stand."""

from __future__ import annotations

from typing import Any, Final

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from services.relay.source import Kept, Place, Source
from services.relay.standing import Halted, View

DUPLICATE_WINDOW_S: Final = 1.0
"""Within it a repeated id is answered OK even where its message is gone; so it is as short as the server allows to be
useful, and no such answer is believed (audit.md 7)."""

SERVER_MIN: Final = (2, 10, 23)
"""Older servers lost streams (A19)."""

_FIXED: Final = ("retention", "storage", "mirror", "sources", "sealed")


async def ensure(js: JetStreamContext, source: Source, kept: Kept) -> None:
    """Create the stream of a source, or change what differs from what it must be.

    Raises:
        Halted: it cannot be made what it must be.
        nats.errors.Error: the server does not answer.
    """
    wanted = _wanted(source, kept)
    try:
        found = (await js.stream_info(source.stream)).config
    except NotFoundError:
        await _apply(js.add_stream, StreamConfig(name=source.stream, **wanted))
        return
    for name in _FIXED:
        if getattr(found, name) and getattr(found, name) != wanted.get(name):
            raise Halted(f"stream {source.stream} has another {name}; delete it, and it is made anew")
    if any(getattr(found, name) != value for name, value in wanted.items()):
        await _apply(js.update_stream, found.evolve(**wanted))


def _wanted(source: Source, kept: Kept) -> dict[str, Any]:
    config: dict[str, Any] = {
        "subjects": [source.subjects],
        "retention": RetentionPolicy.LIMITS,
        "storage": StorageType.FILE,
        "discard": DiscardPolicy.OLD,
        "max_age": kept.age_s,
        "max_bytes": kept.size_bytes,
        "max_msgs": -1,
        "max_msgs_per_subject": -1,
        "num_replicas": kept.replicas,
        "duplicate_window": DUPLICATE_WINDOW_S,
        "no_ack": False,
    }
    # A server never takes these back, so what was protected stays so.
    return config | ({"deny_delete": True, "deny_purge": True} if kept.protected else {})


async def _apply(change: Any, config: StreamConfig) -> None:
    try:
        await change(config)
    except APIError as error:
        if (error.code or 500) >= 500:  # Such as a cluster without a leader: it may have one soon.
            raise
        raise Halted(f"stream {config.name} cannot be made as it must be: {error.description}") from None


async def look(js: JetStreamContext, source: Source) -> View:
    """Return what the stream holds.

    The state is asked for before the last message. What comes between the two makes a link that is refused, never one
    that is wrong: the other way round, a message that another relay stored in between would be stored twice.

    Raises:
        UnknownMessage: a message is none of ours.
        nats.errors.Error: the server does not answer.
    """
    state = (await js.stream_info(source.stream)).state
    try:
        stored = await js.get_last_msg(source.stream, source.subjects)
    except NotFoundError:
        return View(None, None, 0, state.last_seq)
    last = source.place(stored.headers or {})
    sequence = stored.seq or 0
    if sequence > state.last_seq:  # Somebody publishes; count and first would be those of before.
        return View(None, last, state.messages, sequence)
    return View(await _at(js, source, state.first_seq), last, state.messages, state.last_seq)


async def holds(js: JetStreamContext, source: Source, sequence: int, message_id: str) -> bool:
    """Tell whether the stream holds a message at a sequence: what `duplicate` alone does not say."""
    try:
        found = await _at(js, source, sequence)
    except ValueError:
        return False
    return found is not None and found.message_id == message_id


async def _at(js: JetStreamContext, source: Source, sequence: int) -> Place | None:
    try:
        stored = await js.get_msg(source.stream, sequence)
    except NotFoundError:
        return None
    return source.place(stored.headers or {})
