"""One customer's relationship: facts, what they make of it over a year, and the changes that were announced.

Nora buys plants. She asks, gets answers, likes a cause that the shop likes, is promised a message that never comes, and
goes quiet. docs/concepts/ explains each measure.

    python examples/relationship.py [HOST:PORT]

Without a server to talk to it starts one of its own.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any

from examples.shared.serving import serving
from rapport.change.v1.change_pb2 import ChangeKind
from rapport.events.v1.consent_pb2 import ConsentGiven
from rapport.events.v1.disclosure_pb2 import PROVENANCE_DECLARED
from rapport.events.v1.identity_pb2 import (
    PROMISE_KIND_NOTIFY_ME,
    IdentifierVerified,
    PromiseMade,
    PromiseTriggered,
)
from rapport.events.v1.interaction_pb2 import (
    CHANNEL_EMAIL,
    DIRECTION_INBOUND,
    DIRECTION_OUTBOUND,
    INITIATOR_CUSTOMER,
    INITIATOR_ORGANIZATION,
    INTERACTION_KIND_ANSWER,
    INTERACTION_KIND_PURCHASE,
    INTERACTION_KIND_QUESTION,
    InteractionKind,
    InteractionRecorded,
)
from rapport.events.v1.relationship_pb2 import CommonGroundDeclared
from rapport.relationship.v1.measures_pb2 import Measures
from rapport.type.v1.levels_pb2 import ExistenceLeg, Lifecycle, StrengthBand, StrengthComponent
from services.client import Client, view

SHOP, NORA = "garden-shop", "nora"


def day(month: int, of_month: int, year: int = 2025) -> datetime:
    """Return ten o'clock of a day, UTC."""
    return datetime(year, month, of_month, 10, tzinfo=UTC)


def said(kind: InteractionKind.ValueType, *, needs_reply: bool = False, in_reply_to: int = 0) -> InteractionRecorded:
    """Return an interaction: answers come from us, all else from her."""
    ours = kind == INTERACTION_KIND_ANSWER
    return InteractionRecorded(
        kind=kind,
        direction=DIRECTION_OUTBOUND if ours else DIRECTION_INBOUND,
        initiator=INITIATOR_ORGANIZATION if ours else INITIATOR_CUSTOMER,
        channel=CHANNEL_EMAIL,
        needs_reply=needs_reply,
        in_reply_to=in_reply_to,
    )


async def history(client: Client) -> int:
    """Record the year; return the position of the last event."""
    record = partial(client.record_interaction, SHOP, NORA)
    address = IdentifierVerified(contact_point_id="e-1", kind="email")
    await client.verify_identifier(SHOP, NORA, address, occur_time=day(1, 5))
    await client.give_consent(SHOP, NORA, ConsentGiven(purposes=["marketing.direct"]), occur_time=day(1, 5))
    asked = await record(said(INTERACTION_KIND_QUESTION, needs_reply=True), occur_time=day(1, 10))
    await record(said(INTERACTION_KIND_ANSWER, in_reply_to=asked.position), occur_time=day(1, 11))
    bees = CommonGroundDeclared(item_id="g-1", ground="wild-bees", provenance=PROVENANCE_DECLARED)
    await client.declare_common_ground(SHOP, NORA, bees, occur_time=day(1, 20))
    for month in (2, 3, 4, 5):
        await record(said(INTERACTION_KIND_PURCHASE), occur_time=day(month, 14))
    promise = PromiseMade(promise_id="p-1", kind=PROMISE_KIND_NOTIFY_ME, topic="roses")
    await client.make_promise(SHOP, NORA, promise, occur_time=day(5, 14))
    arrived = PromiseTriggered(promise_id="p-1")
    return (await client.trigger_promise(SHOP, NORA, arrived, occur_time=day(6, 1))).position


def show(when: datetime, measures: Measures) -> None:
    """Print what was measured on a day."""
    existence, strength, lifecycle = measures.existence, measures.strength, measures.lifecycle
    missing = ", ".join(word(ExistenceLeg, leg) for leg in existence.missing_legs)
    print(f"{when:%d %B %Y}")
    print(f"  exists     {'yes' if existence.exists else f'no, missing {missing}'}")
    print(f"  lifecycle  {word(Lifecycle, lifecycle.lifecycle)}, cadence {lifecycle.cadence_seconds // 86_400} days")
    print(f"  strength   {strength.score_ppm} {word(StrengthBand, strength.band)}, of {strength.coverage_ppm} known")
    for line in strength.contributions:
        if line.contribution_ppm:
            print(f"    {word(StrengthComponent, line.component):<16}{line.contribution_ppm:>8}")


def word(enum: Any, number: int) -> str:
    """Return the word of a level. Example: `ACTIVE`."""
    unspecified: str = enum.Name(0)
    name: str = enum.Name(number)
    return name.removeprefix(unspecified.removesuffix("UNSPECIFIED"))


async def story(client: Client) -> None:
    """Record, ask, and read what was announced."""
    position = await history(client)
    for when in (day(1, 15), day(5, 20), day(7, 20), day(12, 1)):
        answer = await client.get_relationship(SHOP, NORA, as_of=view(occur_time=when))
        show(when, answer.relationship.measures)
    print("announced")
    for change in (await client.list_changes(SHOP, min_position=position)).changes:
        kind = ChangeKind.Name(change.kind).removeprefix("CHANGE_KIND_").lower()
        print(f"  {change.number:>2} {kind:<16} {getattr(change, 'from')} -> {change.to}")
    explained = [part async for part in client.explain_relationship(SHOP, NORA, as_of=view(occur_time=day(5, 20)))]
    shares = sum(part.share.share_ppm for part in explained)
    trailer = explained[-1].trailer
    print(f"why, on {day(5, 20):%d %B}: {trailer.shares_count} shares of {shares}, a score of {trailer.score_ppm}")


async def main() -> None:
    async with AsyncExitStack() as stack:
        target = sys.argv[1] if len(sys.argv) > 1 else await stack.enter_async_context(serving())
        await story(await stack.enter_async_context(Client(target)))


asyncio.run(main())
