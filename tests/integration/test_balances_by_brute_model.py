"""Balances of random ledgers that the services recorded themselves, against the brute model, at random views.

What is asked for is drawn without care: what the services refuse is not there. The model is told what the log says.
"""

from __future__ import annotations

import random
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from rapport.audit.v1.audit_service_pb2 import EventFilter
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.valuation_pb2 import ValuationPolicyPublished
from rapport.exchange.v1 import exchange_service_pb2 as writes
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Exchange, Posting, Reversal, Voiding
from rapport.policy.v1 import policy_service_pb2 as policies
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.relationship.v1.balance_pb2 import ExclusionReason
from services.client import Client, view, view_spec
from tests.balance_facts import CUSTOMER, ORGANIZATION, grant, leg
from tests.balance_histories import KINDS, START, some_policy
from tests.oracles import brute_model, from_messages
from tests.oracles.flat_facts import FOR_EVER, Fact, Policy, View
from tests.server import serving

DAY = 86_400_000_000
SPAN = 120 * DAY
ASSETS = {
    "EUR/2": p.ASSET_KIND_MONEY, "USD/2": p.ASSET_KIND_MONEY, "CD/0": p.ASSET_KIND_ITEM, "MIN/0": p.ASSET_KIND_TIME,
    "DATAPT/0": p.ASSET_KIND_DATA, "REVIEW/0": p.ASSET_KIND_ADVOCACY, "PAGE/0": p.ASSET_KIND_CONTENT,
    "PT/0": p.ASSET_KIND_POINTS, "MILE/0": p.ASSET_KIND_POINTS,
}  # fmt: skip
CUSTOMERS = ("anna", "bert")
WRITES = 250
VIEWS = 400


def stamp(at: int) -> Timestamp:
    return Timestamp(seconds=at // 10**6, nanos=at % 10**6 * 1_000)


class Known(NamedTuple):
    """What was recorded, as far as later writes name it."""

    customer: str
    exchange: Exchange

    def settled_at(self, chance: random.Random) -> Timestamp:
        """Draw when it is settled: mostly in time, where it is pending at all."""
        start = from_messages.time_of(self.exchange.occur_time)
        end = from_messages.time_of(self.exchange.pending_until) if self.exchange.HasField("pending_until") else start
        return stamp(chance.choice([start, end - 1, end, chance.randint(start, max(start, end - 1))]))


class Writer:
    """Draws writes and sends them; what is refused is passed over."""

    def __init__(self, channel: grpc.aio.Channel, chance: random.Random) -> None:
        self.exchanges, self.policies = ExchangeServiceStub(channel), PolicyServiceStub(channel)
        self.chance = chance
        self.versions = self.made = self.done = 0
        self.known: list[Known] = []

    def request(self, customer: str = "") -> dict[str, Any]:
        one = {"customer_id": customer} if customer else {}
        return {"organization_id": "shop", "request_id": str(uuid.uuid4()), **one}

    def moment(self) -> int:
        at = START + self.chance.randrange(SPAN)
        return at - at % DAY if self.chance.random() < 0.5 else at

    async def register(self) -> None:
        assets = [p.AssetRegistered(asset=name, kind=kind, max_units_per_leg=10**6) for name, kind in ASSETS.items()]
        await self.policies.RegisterAssets(policies.RegisterAssetsRequest(**self.request(), assets=assets))

    async def step(self) -> None:
        draws = [self.record] * 8 + [self.publish] * 2
        if self.known:
            draws += [self.post] * 4 + [self.void, self.observe] + [self.reverse] * 3
        with suppress(grpc.aio.AioRpcError):
            await self.chance.choice(draws)()
            self.done += 1

    async def publish(self) -> None:
        policy = some_policy(self.chance, 1, effective_from=START + self.chance.randrange(-20, 120) * DAY)
        policy.version, policy.digest = 0, b""
        for rule in policy.rules:
            rule.redemption_ppm = 800_000 if rule.asset in {"PT/0", "MILE/0"} else 0
        if self.versions:
            policy.kappa_nanos = self.chance.choice([0, 10**10])
        await self.policies.PublishValuationPolicy(
            policies.PublishValuationPolicyRequest(**self.request(), policy=policy)
        )
        self.versions += 1

    async def record(self) -> None:
        at, customer = self.moment(), self.chance.choice(CUSTOMERS)
        legs = [leg(giver, category, self.chance.randint(1, 10**6), asset)
                for giver, category, asset in self.chance.choices(KINDS, k=self.chance.choice([1, 2, 3]))]  # fmt: skip
        if self.chance.random() < 0.3:
            ends = self.chance.choice([None, at + 10 * DAY, at + 40 * DAY])
            starts = self.chance.choice([None, at + DAY])
            legs.append(grant(self.chance.randint(1, 500), self.chance.choice(["PT/0", "MILE/0"]), starts, ends))
        elif self.chance.random() < 0.5:
            asset = self.chance.choice(["PT/0", "MILE/0"])
            redeemed = leg(CUSTOMER, x.CATEGORY_POINTS_REDEEM, self.chance.randint(1, 300), asset)
            legs = [redeemed, leg(ORGANIZATION, x.CATEGORY_GOODS, 1, "CD/0")]
        self.made += 1
        exchange = Exchange(exchange_id=f"x{self.made}", occur_time=stamp(at), legs=legs)
        if len({each.giver for each in legs}) == 1:
            exchange.one_sided = self.chance.choice([x.ONE_SIDED_GIFT, x.ONE_SIDED_LATER, x.ONE_SIDED_UNOBSERVED])
        if self.chance.random() < 0.4:
            exchange.pending_until.CopyFrom(stamp(at + self.chance.choice([1, DAY, 20 * DAY])))
        await self.exchanges.RecordExchange(writes.RecordExchangeRequest(**self.request(customer), exchange=exchange))
        self.known.append(Known(customer, exchange))

    def pending(self) -> Known:
        waiting = [each for each in self.known if each.exchange.HasField("pending_until")]
        return self.chance.choice(waiting or self.known)

    async def post(self) -> None:
        known = self.pending()
        posting = Posting(exchange_id=known.exchange.exchange_id, occur_time=known.settled_at(self.chance))
        posting.one_sided = known.exchange.one_sided
        if self.chance.random() < 0.5:
            posting.units.extend(self.chance.choice([0, 1, each.amount.units]) for each in known.exchange.legs)
        await self.exchanges.PostExchange(writes.PostExchangeRequest(**self.request(known.customer), posting=posting))

    async def void(self) -> None:
        known = self.pending()
        voiding = Voiding(exchange_id=known.exchange.exchange_id, occur_time=known.settled_at(self.chance))
        await self.exchanges.VoidExchange(writes.VoidExchangeRequest(**self.request(known.customer), voiding=voiding))

    async def reverse(self) -> None:
        customer, exchange = self.chance.choice(self.known)
        exchange_id = exchange.exchange_id
        reversal = Reversal(exchange_id=exchange_id, reversal_id=f"of {exchange_id}", at_original=True)
        if self.chance.random() < 0.5:
            reversal.at.CopyFrom(stamp(self.moment()))
        reversal.take_remaining_points = self.chance.random() < 0.5
        await self.exchanges.ReverseExchange(writes.ReverseExchangeRequest(**self.request(customer), reversal=reversal))

    async def observe(self) -> None:
        since, customer = self.moment(), self.chance.choice(CUSTOMERS)
        observed = x.ObservationDeclared(category=self.chance.choice(KINDS)[1], since=stamp(since))
        request = writes.DeclareObservationRequest(**self.request(customer), observation=observed)
        await self.exchanges.DeclareObservation(request)


async def facts_of(client: Client) -> tuple[dict[str, list[Fact]], list[Policy]]:
    """Return what the log says: facts by customer, and policies."""
    facts: dict[str, list[Fact]] = {customer: [] for customer in CUSTOMERS}
    types: dict[str, Any] = {"exchange.recorded.v1": x.ExchangeRecorded, "exchange.posted.v1": x.ExchangePosted,
                            "exchange.voided.v1": x.ExchangeVoided, "exchange.reversed.v1": x.ExchangeReversed,
                            "exchange.observation_declared.v1": x.ObservationDeclared}  # fmt: skip
    published = []
    async for event in client.read_events(filter=EventFilter(organization_id="shop")):
        if event.topic == "policy.valuation_published.v1":
            message = ValuationPolicyPublished.FromString(event.event)
            published.append(from_messages.policy(event.position, message.policy))
        elif event.topic in types:
            occur = from_messages.time_of(event.metadata.occur_time)
            fact = from_messages.fact(event.position, occur, event.topic, types[event.topic].FromString(event.event))
            assert fact is not None
            facts[event.stream_id.partition("/")[2]].append(fact)
    return facts, published


def some_view(mine: list[Fact], published: list[Policy], chance: random.Random) -> View:
    instants = [fact.occur for fact in mine] + [fact.pending_until for fact in mine if fact.pending_until is not None]
    at = chance.choice([*instants, START + SPAN, START + SPAN]) + chance.choice([-1, 0, 0, DAY, 30 * DAY])
    known = chance.choice([fact.position for fact in mine])
    perspective, half_life = chance.choice(["CUSTOMER", "ORGANIZATION"]), chance.choice([0, 0, 7, 90])
    after = at - chance.choice([1, 5 * DAY, 60 * DAY]) if chance.random() < 0.4 else -FOR_EVER
    versions = [each.version for each in published if each.position <= known]
    version = chance.choice(versions) if versions and chance.random() < 0.3 else 0
    policy_id = "standard" if version else ""
    return View(at, known, perspective, after, half_life=half_life, policy_id=policy_id, version=version)


@pytest.mark.timeout(180)
async def test_the_services_agree_with_the_brute_model(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with serving(tmp_path) as server, Client(server.target) as client:
        writer = Writer(server.channel, chance)
        await writer.register()
        for _ in range(WRITES):
            await writer.step()
        facts, published = await facts_of(client)
        assert WRITES // 3 < writer.done, "nearly everything was refused"
        assert published, "every policy was refused"
        for _ in range(VIEWS):
            customer = chance.choice([name for name in CUSTOMERS if facts[name]])
            plain = some_view(facts[customer], published, chance)
            spec = view_spec(
                as_of=view(occur_time=stamp(plain.at), position=plain.known),
                perspective=x.Party.Value(f"PARTY_{plain.perspective}"),
                window_from=None if plain.after == -FOR_EVER else stamp(plain.after),
                half_life_days=plain.half_life,
                policy_id=plain.policy_id,
                policy_version=plain.version,
            )
            answer = (await client.get_balance("shop", customer, view=spec)).balance
            expected = brute_model.balance(facts[customer], published, plain)

            assert from_messages.comparable(expected) == from_messages.balance(answer), f"seed {seed}: {plain}"
            if chance.random() < 0.2:
                await check_explanation(client, customer, spec, expected)


async def check_explanation(client: Client, customer: str, spec: Any, expected: dict[str, Any]) -> None:
    """See that entries, exclusions and lots are those of the model; a reversal's own line is told by the sign."""
    entries, excluded, lots = [], [], []
    async for part in client.explain_balance("shop", customer, view=spec):
        match part.WhichOneof("part"):
            case "entry":
                entries.append((part.entry.exchange_id, part.entry.leg_no, part.entry.value_nanos))
            case "exclusion":
                excluded.append((part.exclusion.entry.exchange_id, part.exclusion.entry.leg_no, part.exclusion.reason))
            case "lot":
                lots.append((part.lot.lot_id, part.lot.outstanding, part.lot.lapsed, part.lot.promised_nanos))
            case _:
                pass
    seen = expected["legs"]
    assert [(each.exchange_id, each.leg_no, each.worth()) for each in seen if not each.reason] == entries
    reasons = {(each.exchange_id, each.leg_no, each.reason) for each in seen if each.reason}
    names = reason_names()
    assert reasons == {(exchange_id, leg_no, names[reason]) for exchange_id, leg_no, reason in excluded}
    doubled = sum(each.reason == "REVERSED" for each in seen)
    assert len(reasons) + doubled == len(excluded)
    assert [
        (each["lot_id"], each["outstanding"], each["lapsed"], each["promised"]) for each in expected["lots"]
    ] == lots


def reason_names() -> dict[int, str]:
    return {value.number: value.name.removeprefix("EXCLUSION_REASON_") for value in ExclusionReason.DESCRIPTOR.values}
