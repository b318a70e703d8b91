"""Reciprocity: what Ada got from a shop, what she gave, and why each figure is what it is.

The story of `shared/ada.py` is recorded through the client, and its balance asked for: explained, before and after a
correction, and in the form that Ada could be shown. docs/concepts/reciprocity.md explains the figures.

    python examples/reciprocity.py [HOST:PORT]

Without a server to talk to it starts one of its own. Played twice on one server the story is recorded once.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

from examples.shared import ada
from examples.shared.serving import serving
from rapport.events.v1.exchange_pb2 import Category
from rapport.exchange.v1.operation_pb2 import Outcome
from rapport.relationship.v1.balance_pb2 import Balance, CustomerGains, DiffCause, ExclusionReason, ViewRef
from services.cli.policy_file import read_policy
from services.client import Client, amount_text, nanos_text, ppm_text, ratio_text, view, view_spec, view_token

MARCH_ENDS = ada.day(4, 1, 0)


async def play(client: Client) -> tuple[int, int]:
    """Record the story; return the log's position at the end of March, and that of the correction."""
    await client.register_assets(ada.SHOP, ada.ASSETS)
    policy = read_policy(ada.POLICY).policy
    published = (await client.publish_valuation_policy(ada.SHOP, policy)).published
    print(f"  {published.position:2}: the policy {policy.policy_id}, version {published.policy.version}")
    march = 0
    for exchange in ada.WINTER:
        recorded = await client.record_exchange(ada.SHOP, ada.ADA, exchange)
        march = recorded.result.position
        print(f"  {march:2}: {exchange.exchange_id}")
    posted = await client.post_exchange(ada.SHOP, ada.ADA, ada.DELIVERY)
    print(f"  {posted.result.position:2}: {ada.DELIVERY.exchange_id} is delivered in part")
    present = await client.record_exchange(ada.SHOP, ada.ADA, ada.PRESENT)
    print(f"  {present.result.position:2}: {ada.PRESENT.exchange_id}")

    # Both operations or neither: nobody ever sees the call taken back and not yet recorded anew.
    batch = await client.apply_exchanges(ada.SHOP, ada.CORRECTION)
    for result in batch.results:
        print(f"  {result.position:2}: {result.id}")
    return march, batch.results[-1].position


def march_known_at(position: int) -> ViewRef:
    """Return the view of everything that had happened by the end of March, as far as it was known at a position."""
    return view_spec(as_of=view(occur_time=MARCH_ENDS, position=position))


def show(title: str, balance: Balance) -> None:
    unit = balance.unit_of_account
    print(f"\n{title}")
    print(f"  got {nanos_text(balance.got_nanos, unit)}, gave {nanos_text(balance.gave_nanos, unit)}")
    print(f"  net {nanos_text(balance.net_nanos, unit, signed=True)}")
    print(f"  index {ppm_text(balance.index_ppm)}, exactly {ratio_text(balance.index)}: {balance.label}")
    print(f"  between {ppm_text(balance.band.low_ppm)} and {ppm_text(balance.band.high_ppm)}")
    print(f"  does she gain? {CustomerGains.Name(balance.customer_gains).removeprefix('CUSTOMER_GAINS_')}")
    print(f"  raw {ppm_text(balance.raw_ppm)}, confidence {ppm_text(balance.confidence_ppm, signed=False)}")
    print(f"  promised {nanos_text(balance.promised_nanos, unit)}")
    print(
        f"  pending: to get {nanos_text(balance.pending_got_nanos)}, to give {nanos_text(balance.pending_gave_nanos)}"
    )


async def explain(client: Client, ref: ViewRef) -> None:
    """Print every leg of a view. The client has added them up by the time the loop ends, or it would have raised."""
    print("\nexplained, leg by leg, in millionths of the index")
    async for part in client.explain_balance(ada.SHOP, ada.ADA, view=ref, drivers=1):
        match part.WhichOneof("part"):
            case "entry":
                entry = part.entry
                much = amount_text(entry.amount.units, entry.amount.asset)
                name = f"{entry.exchange_id} {Category.Name(entry.category).removeprefix('CATEGORY_')} {much}"
                worth = nanos_text(entry.value_nanos)
                print(f"  {entry.ordinal}. {name}: {worth}, {entry.contribution_ppm:+,}; {entry.rule_id}")
            case "exclusion":
                entry = part.exclusion.entry
                why = ExclusionReason.Name(part.exclusion.reason).removeprefix("EXCLUSION_REASON_")
                print(f"  left out: {entry.exchange_id} {amount_text(entry.amount.units, entry.amount.asset)}, {why}")
            case "driver":
                print(f"  without entry {part.driver.ordinal} it would be {part.driver.index_without_ppm:,} ppm")
            case "trailer":
                print(f"  {part.trailer.entries} entries, together {ratio_text(part.trailer.index)}")
            case _:
                pass  # The balance comes first, and lots before the drivers.


async def compare(client: Client, before: ViewRef, after: ViewRef) -> None:
    print("\nwhat the correction changed, for the same day")
    for step in (await client.diff_views(ada.SHOP, ada.ADA, before, after)).steps:
        cause = DiffCause.Name(step.cause).removeprefix("DIFF_CAUSE_")
        print(f"  {cause}: net {nanos_text(step.net_nanos, signed=True)}, index {ratio_text(step.index)}")
        for entry in step.entries:
            print(f"    {entry.exchange_id}: {amount_text(entry.amount.units, entry.amount.asset)}")


async def statement(client: Client, position: int) -> None:
    ref = view_spec(as_of=view(occur_time=ada.day(4, 30, 0), position=position), window_from=MARCH_ENDS)
    print("\nwhat Ada could be shown of April, in the days of Berlin")
    async for page in client.get_statement(ada.SHOP, ada.ADA, view=ref, time_zone="Europe/Berlin"):
        print(f"  before: {nanos_text(page.opening.net_nanos, signed=True)}")
        for day in page.days:
            for line in day.lines:
                sign = "-" if line.giver == ada.CUSTOMER else "+"
                much = amount_text(line.amount.units, line.amount.asset)
                worth = f"{sign}{nanos_text(line.value_nanos)}" if line.HasField("value_nanos") else "no value"
                print(f"  {day.date} {Category.Name(line.category).removeprefix('CATEGORY_')} {much}: {worth}")
        print(f"  after: {nanos_text(page.closing.net_nanos, signed=True)}")
        for lot in page.lots:
            print(f"  points: {lot.granted} granted, {lot.used} used, {lot.outstanding} left")


async def main() -> None:
    async with AsyncExitStack() as stack:
        target = sys.argv[1] if len(sys.argv) > 1 else await stack.enter_async_context(serving())
        client = await stack.enter_async_context(Client(target))
        march, corrected = await play(client)

        before, after = march_known_at(march), march_known_at(corrected)
        first = (await client.get_balance(ada.SHOP, ada.ADA, view=before)).balance
        show(f"the end of March, known at position {march}", first)
        await explain(client, before)
        show(
            f"the same day, known at position {corrected}",
            (await client.get_balance(ada.SHOP, ada.ADA, view=after)).balance,
        )
        await compare(client, before, after)
        await statement(client, corrected)

        # The token names the first view for ever, whatever was recorded since.
        again = (await client.get_balance(ada.SHOP, ada.ADA, view=view_token(first.view.token))).balance
        same = again.SerializeToString(deterministic=True) == first.SerializeToString(deterministic=True)
        print(f"\nthe first view again, by its token: {'the same bytes' if same else 'other bytes'}")
        resent = await client.record_exchange(ada.SHOP, ada.ADA, ada.WINTER[0])
        print(f"order-1 sent again: {Outcome.Name(resent.result.outcome)} at position {resent.result.position}")


asyncio.run(main())
