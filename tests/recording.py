"""Facts put into the log of a running server through its ledger, for what no rpc records, such as an erasure."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, ClassVar

from google.protobuf.message import Message

from ledger.domain.decider import Setting, occurrence
from ledger.domain.fact import Decision, NewFact
from ledger.domain.identifiers import organization_of
from ledger.ledger import Ledger
from ledger.requests import Request


@dataclass(frozen=True, slots=True)
class Put:
    """A step that records a fact as it is given, whatever the rules say."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    topic: str
    event: Message
    occur_time: int | None = None

    def decide(self, _: Any, setting: Setting) -> Decision:
        """Return the fact."""
        when = occurrence(self.occur_time, setting)
        return Decision((NewFact(topic=self.topic, event=self.event, occur_time=when.time, defaulted=when.defaulted),))


async def put(ledger: Ledger, stream_id: str, topic: str, event: Message, occur_time: int | None = None) -> int:
    """Record a fact; return its position."""
    request = Request("/tests/Put", organization_of(stream_id), uuid.uuid4().bytes, event)
    receipt = await ledger.execute(request, (Put(stream_id, topic, event, occur_time),))
    return receipt.position
