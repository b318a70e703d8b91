"""Follow the log: a subscriber catches up, goes on live, and remembers where it was.

A balance is kept beside the log, by a program that knows nothing but its last position. Stopped and started again it
applies every event once: nothing is missed, and nothing counted twice.
"""

import asyncio

from examples.shared.serving import serving
from rapport.audit.v1.audit_service_pb2 import EventFilter
from rapport.events.v1 import exchange_pb2
from rapport.events.v1.policy_pb2 import ASSET_KIND_MONEY, AssetRegistered
from rapport.exchange.v1.operation_pb2 import Exchange
from services.client import Client, amount, decode

CAFE = "corner-cafe"
EXCHANGES = EventFilter(organization_id=CAFE, topics=["exchange.*"])


class Balance:
    """What each customer spent, and up to which position that is counted. A real one would be saved together."""

    def __init__(self) -> None:
        self.cents: dict[str, int] = {}
        self.position = 0


async def pay(client: Client, customer: str, order: str, price: str) -> None:
    leg = exchange_pb2.Leg(
        giver=exchange_pb2.PARTY_CUSTOMER, category=exchange_pb2.CATEGORY_MONEY_PAYMENT, amount=amount(price)
    )
    exchange = Exchange(exchange_id=order, legs=[leg], one_sided=exchange_pb2.ONE_SIDED_UNOBSERVED)
    await client.record_exchange(CAFE, customer, exchange)


async def follow(client: Client, balance: Balance, events: int) -> None:
    """Apply the next events, as many as asked for; a real follower would go on for ever."""
    subscription = client.subscribe(after_position=balance.position, filter=EXCHANGES)
    async for event in subscription:
        fact = decode(event)
        assert isinstance(fact, exchange_pb2.ExchangeRecorded)
        customer = event.stream_id.partition("/")[2]
        balance.cents[customer] = balance.cents.get(customer, 0) + sum(leg.amount.units for leg in fact.legs)
        balance.position = event.position
        print(f"  {event.position}: {event.topic} {fact.exchange_id} of {customer}")
        events -= 1
        if events == 0:
            return


async def main() -> None:
    balance = Balance()
    async with serving() as target, Client(target) as client:
        await client.register_assets(
            CAFE, [AssetRegistered(asset="EUR/2", kind=ASSET_KIND_MONEY, max_units_per_leg=100_000)]
        )
        await pay(client, "ben", "espresso-1", "2.40 EUR/2")
        await pay(client, "eva", "tea-1", "3.10 EUR/2")
        print("two orders were recorded before anybody listened:")
        await follow(client, balance, 2)

        await pay(client, "ben", "cake-1", "4.20 EUR/2")
        print("stopped, and started again after the last position:")
        await follow(client, balance, 1)

        print("live:")
        following = asyncio.create_task(follow(client, balance, 1))
        await asyncio.sleep(0.2)
        await pay(client, "eva", "cake-2", "4.20 EUR/2")
        await following
    print(f"cents spent: {balance.cents}")


asyncio.run(main())
