"""A campaign that asks before it writes: ask, act, record.

Three customers: Ada agreed, Ben took it back, and Cleo does not want to be disturbed at night. docs/recipes/
ask-before-contact.md explains the steps.

    python examples/contact.py [HOST:PORT]

Without a server to talk to it starts one of its own.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from examples.shared.serving import serving
from rapport.contact.v1.decision_pb2 import Decision, PermitStatus
from rapport.events.v1.consent_pb2 import ConsentGiven
from rapport.events.v1.contact_pb2 import (
    DECISION_OUTCOME_PERMIT,
    ContactQuestion,
    DecisionOutcome,
    DecisionReason,
    ObligationKind,
)
from rapport.events.v1.interaction_pb2 import (
    CHANNEL_EMAIL,
    DIRECTION_OUTBOUND,
    INTERACTION_KIND_MESSAGE,
    MESSAGE_CLASS_MARKETING,
    InteractionRecorded,
)
from rapport.events.v1.preference_pb2 import LocalWindow, PreferenceDeclared, QuietHours
from services.client import Client, time_text, view

SHOP = "book-shop"
NEWSLETTER = "marketing.direct"
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
AT_NIGHT = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
QUESTION = ContactQuestion(purpose=NEWSLETTER, channel=CHANNEL_EMAIL, message_class=MESSAGE_CLASS_MARKETING)
NIGHT = QuietHours(windows=[LocalWindow(start_minute=21 * 60, end_minute=8 * 60)])


async def history(client: Client) -> None:
    """Record what the three have said."""
    for customer in ("ada", "ben", "cleo"):
        await client.give_consent(SHOP, customer, ConsentGiven(purposes=[NEWSLETTER]), occur_time=MARCH)
    await client.withdraw_consent(SHOP, "ben", occur_time=datetime(2026, 4, 1, tzinfo=UTC))
    await client.declare_preference(SHOP, "cleo", PreferenceDeclared(quiet_hours=NIGHT), occur_time=MARCH)


def text(decision: Decision) -> str:
    """Return an answer in a line."""
    outcome = DecisionOutcome.Name(decision.outcome).removeprefix("DECISION_OUTCOME_")
    reason = DecisionReason.Name(decision.decisive_reason).removeprefix("DECISION_REASON_")
    until = f" until {time_text(decision.defer_until)}" if decision.HasField("defer_until") else ""
    return outcome if decision.outcome == DECISION_OUTCOME_PERMIT else f"{outcome} {reason}{until}"


async def write_to(client: Client, customer: str) -> None:
    """Ask, and only with a permit send and record the message."""
    decision = (await client.decide(SHOP, customer, QUESTION)).decision
    print(f"  {customer}: {text(decision)}")
    if decision.outcome != DECISION_OUTCOME_PERMIT:
        return
    duties = [ObligationKind.Name(each.kind).removeprefix("OBLIGATION_KIND_") for each in decision.obligations]
    print(f"    must {', '.join(duties)}")
    # Here the message is sent. That it was is a fact of its own, and names the decision that allowed it.
    message = InteractionRecorded(
        kind=INTERACTION_KIND_MESSAGE,
        direction=DIRECTION_OUTBOUND,
        channel=CHANNEL_EMAIL,
        message_class=MESSAGE_CLASS_MARKETING,
        decision_id=decision.decision_id,
    )
    recorded = await client.record_interaction(SHOP, customer, message)
    print(f"    recorded; the permit is {PermitStatus.Name(recorded.permit_status).removeprefix('PERMIT_STATUS_')}")


async def campaign(client: Client) -> None:
    """Write to whom it may be written."""
    await history(client)
    print("asked now")
    for customer in ("ada", "ben"):
        await write_to(client, customer)
    print("asked for half past eleven at night")
    answer = await client.simulate_decision(SHOP, "cleo", QUESTION, as_of=view(occur_time=AT_NIGHT))
    print(f"  cleo: {text(answer.decision)}")
    print("the report of ben")
    report = await client.get_contact_report(SHOP, "ben")
    print(f"  contacts {report.contacts}, avoided {report.contacts_avoided}")


async def main() -> None:
    async with AsyncExitStack() as stack:
        target = sys.argv[1] if len(sys.argv) > 1 else await stack.enter_async_context(serving())
        await campaign(await stack.enter_async_context(Client(target)))


asyncio.run(main())
