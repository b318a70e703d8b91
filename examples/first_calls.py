"""First calls: record what happened, then ask for the relationship, now and as of a past day.

Ada visits in March, allows e-mail and buys in April, and takes the permission back in May. Every answer is folded from
these facts when it is asked for; nothing is stored but the facts.
"""

import asyncio
from datetime import UTC, datetime

from examples.shared.serving import serving
from rapport.events.v1 import consent_pb2, exchange_pb2, interaction_pb2
from rapport.events.v1.policy_pb2 import ASSET_KIND_MONEY, AssetRegistered
from rapport.exchange.v1.operation_pb2 import Exchange
from rapport.relationship.v1.relationship_pb2 import Relationship
from services.client import Client, RapportError, amount, amount_text, view

SHOP, ADA = "book-shop", "ada-4711"


async def record(client: Client) -> None:
    visit = interaction_pb2.InteractionRecorded(
        kind=interaction_pb2.INTERACTION_KIND_VISIT,
        direction=interaction_pb2.DIRECTION_OBSERVED,
        channel=interaction_pb2.CHANNEL_WEB,
    )
    answer = await client.record_interaction(SHOP, ADA, visit, occur_time=datetime(2026, 3, 2, 9, 30, tzinfo=UTC))
    print(f"the visit is event {answer.position} of the log, and the relationship is at version {answer.version}")

    newsletter = consent_pb2.ConsentGiven(purposes=["newsletter"], channels=[interaction_pb2.CHANNEL_EMAIL])
    await client.give_consent(SHOP, ADA, newsletter, occur_time=datetime(2026, 4, 1, tzinfo=UTC))

    # What can be exchanged is registered once: euros in cents.
    euros = AssetRegistered(asset="EUR/2", kind=ASSET_KIND_MONEY, max_units_per_leg=1_000_000)
    await client.register_assets(SHOP, [euros])
    order = Exchange(
        exchange_id="order-1",
        legs=[
            exchange_pb2.Leg(
                giver=exchange_pb2.PARTY_CUSTOMER,
                category=exchange_pb2.CATEGORY_MONEY_PAYMENT,
                amount=amount("39.90 EUR/2"),
            ),
            exchange_pb2.Leg(
                giver=exchange_pb2.PARTY_ORGANIZATION,
                category=exchange_pb2.CATEGORY_GOODS,
                amount=amount("39.90 EUR/2"),
            ),
        ],
    )
    order.occur_time.FromDatetime(datetime(2026, 4, 17, 18, tzinfo=UTC))
    await client.record_exchange(SHOP, ADA, order)
    print("order-1 is recorded")

    # The same content under the same exchange id is no second order, whatever the request id.
    again = await client.record_exchange(SHOP, ADA, order)
    print(f"order-1 sent again is still event {again.result.position}")

    # Withdrawing is as easy as giving: the two ids are enough.
    await client.withdraw_consent(SHOP, ADA, occur_time=datetime(2026, 5, 20, tzinfo=UTC))


def show(title: str, relationship: Relationship) -> None:
    print(f"\n{title}: {relationship.interactions.count} interaction, {relationship.exchanges.count} exchanges")
    for quantity in relationship.quantities:
        giver = exchange_pb2.Party.Name(quantity.giver).removeprefix("PARTY_").lower()
        category = exchange_pb2.Category.Name(quantity.category).removeprefix("CATEGORY_").lower()
        print(f"  {giver} gave {amount_text(quantity.posted - quantity.reversed, quantity.asset)} ({category})")
    for consent in relationship.consents:
        status = consent_pb2.ConsentStatus.Name(consent.status).removeprefix("CONSENT_STATUS_").lower()
        print(f"  {consent.cell.purpose or 'everything'}: {status}")


async def main() -> None:
    async with serving() as target, Client(target) as client:
        await record(client)

        now = await client.get_relationship(SHOP, ADA)
        show("now", now.relationship)

        for day in (datetime(2026, 3, 31, tzinfo=UTC), datetime(2026, 4, 30, tzinfo=UTC)):
            then = await client.get_relationship(SHOP, ADA, as_of=view(occur_time=day))
            show(f"as of {day:%d %B}", then.relationship)

        try:
            await client.get_relationship(SHOP, "nobody")
        except RapportError as error:
            print(f"\nnobody: {error.reason_name}")


asyncio.run(main())
