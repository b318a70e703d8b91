"""Balances read while others write, publish and give up, by two processes over one log, with room for few books."""

from __future__ import annotations

import asyncio
import random
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest

from ledger import views
from ledger.balance.numbers import balance_by_scan
from ledger.balance.view import DAY, BalanceView
from ledger.domain.decider import Setting, Step
from ledger.domain.fact import Decision, Fact, NewFact
from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.domain.policy import PolicyState, RegisterAsset
from ledger.domain.times import microseconds, timestamp
from ledger.domain.valuation_policy import PublishValuationPolicy
from ledger.log.reading import facts
from ledger.log.store import Store
from ledger.policy.valuation import valuations_of
from ledger.requests import Request
from rapport.events.v1 import policy_pb2 as p
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest
from rapport.relationship.v1 import balance_pb2 as b
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from services.relationship import balance_translate, balances, servicer
from services.runtime.books import Books
from services.runtime.settings import Secret
from tests.balance_facts import book_of
from tests.balance_histories import History, some_policy, some_view
from tests.server import Serving, serving

ASSETS = {
    "EUR/2": p.ASSET_KIND_MONEY, "USD/2": p.ASSET_KIND_MONEY, "CD/0": p.ASSET_KIND_ITEM, "MIN/0": p.ASSET_KIND_TIME,
    "DATAPT/0": p.ASSET_KIND_DATA, "REVIEW/0": p.ASSET_KIND_ADVOCACY, "PAGE/0": p.ASSET_KIND_CONTENT,
    "PT/0": p.ASSET_KIND_POINTS, "MILE/0": p.ASSET_KIND_POINTS,
}  # fmt: skip
CUSTOMERS = ("anna", "bert")
ROUNDS = 30


@dataclass(frozen=True)
class Told:
    """Records a fact of a history as it is."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    fact: Fact

    def decide(self, _state: Any, _setting: Setting) -> Decision:
        return Decision((NewFact(topic=self.fact.topic, event=self.fact.event, occur_time=self.fact.occur_time),))


class Writer:
    """Goes on with the histories, and publishes versions now and then; one write at a time, by either process."""

    def __init__(self, servers: list[Serving], chance: random.Random) -> None:
        self.servers, self.chance = servers, chance
        self.histories = {customer: History(chance, 0) for customer in CUSTOMERS}
        for history in self.histories.values():
            history.now += 4_000 * DAY  # Ahead of the computer's clock, which dates the log's first event.
        self.versions = 0
        self._recorded = dict.fromkeys(CUSTOMERS, 0)
        self._turn = asyncio.Lock()

    @property
    def now(self) -> int:
        return max(history.now for history in self.histories.values())

    async def register(self) -> None:
        for name, kind in ASSETS.items():
            asset = p.AssetRegistered(asset=name, kind=kind, max_units_per_leg=10**8)
            await self._record(RegisterAsset(stream_id=policy_stream("acme"), asset=asset))

    async def write(self) -> None:
        async with self._turn:
            if self.chance.random() < 0.15:
                made = some_policy(self.chance, self.versions + 1)
                made.digest = b""
                with suppress(Exception):  # Some are refused, and then they are not there.
                    await self._record(PublishValuationPolicy(stream_id=policy_stream("acme"), policy=made))
                    self.versions += 1
                return
            steps: list[Step] = []
            for customer in self.chance.sample(CUSTOMERS, self.chance.choice([1, 1, 2])):
                history = self.histories[customer]
                for _ in range(self.chance.choice([1, 2, 4])):
                    history.step()
                new = history.facts[self._recorded[customer] :]
                steps += [Told(relationship_stream("acme", customer), fact) for fact in new]
                self._recorded[customer] = len(history.facts)
            if steps:
                await self._record(*steps)

    async def _record(self, *steps: Step) -> None:
        request = Request("/test/Record", "acme", uuid.uuid4().bytes, RecordInteractionRequest())
        await self.chance.choice(self.servers).app.ledger.execute(request, steps)


def made_anew(store: Store, customer: str, view: b.View) -> b.Balance:
    """Return the balance of a view, but for the view, from nothing but the log and leg by leg."""
    known = facts(store.read_stream(relationship_stream("acme", customer), 0, 10_000, view.position))
    state, spec = PolicyState(), view.resolved
    for fact in facts(store.read_stream(policy_stream("acme"), 0, 10_000, view.position)):
        state.evolve(fact)
    begin, end = (
        microseconds(getattr(spec.window, name)) if spec.window.HasField(name) else None for name in ("from", "to")
    )
    at = microseconds(spec.as_of.occur_time)
    opinion = valuations_of(state).opinion(spec.valuation.policy_id, spec.valuation.version, at)
    told = b.Balance()
    of_view = BalanceView(at, spec.perspective, begin, end, spec.half_life_days)
    balance_translate.tell_balance(told, balance_by_scan(book_of(known), opinion, of_view))
    return told


@pytest.mark.parametrize(
    "seed, store", [(1, "sqlite"), (2, "sqlite"), pytest.param(3, "postgres", marks=pytest.mark.postgres)]
)
async def test_every_answer_is_that_of_its_view_and_stays_so_whatever_is_done_meanwhile(
    tmp_path: Path, seed: int, store: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "FED_EVENTS", 7)
    monkeypatch.setattr(balances, "_LEGS_AT_ONCE", 15)
    monkeypatch.setattr(balances, "_LATELY", 3)
    monkeypatch.setattr(balances, "Books", partial(Books, pieces_max=300))
    chance = random.Random(seed)
    settings = {} if store == "sqlite" else {"store_url": Secret(request.getfixturevalue("postgres_url"))}
    answers: list[tuple[str, b.Balance]] = []

    async with (
        serving(tmp_path, (servicer,), **settings) as one,
        serving(tmp_path, (servicer,), **settings) as two,
    ):
        writer = Writer([one, two], chance)
        for place, server in enumerate((one, two)):
            # Time goes on with the histories, and a day with each answer. The other clock is ahead by three seconds.
            server.app.ledger.clock = lambda place=place: (  # type: ignore[misc]
                writer.now + len(answers) * DAY + place * 3_000_000
            )
        await writer.register()
        stubs = [RelationshipServiceStub(server.channel) for server in (one, two)]

        def some_ref(customer: str) -> b.ViewRef | None:
            told = [balance.view.token for its, balance in answers if its == customer]
            if chance.random() < 0.4:
                return b.ViewRef(token=chance.choice(told[-5:])) if told and chance.random() < 0.3 else None
            view = some_view(chance, writer.histories[customer])
            spec = b.ViewSpec(perspective=view.perspective, half_life_days=view.half_life_days)  # type: ignore[arg-type]
            spec.as_of.occur_time.CopyFrom(timestamp(view.at))
            if chance.random() < 0.6:
                spec.as_of.position = max(1, one.app.ledger.store.head().position - chance.choice([0, 1, 2, 9, 99]))
            if view.window_from is not None:
                getattr(spec.window, "from").CopyFrom(timestamp(view.window_from))
            return b.ViewRef(spec=spec)

        async def read() -> None:
            stub, customer = chance.choice(stubs), chance.choice(CUSTOMERS)
            view = some_ref(customer)
            patience = chance.choice([None, None, None, 0.002])  # Some give up in the middle.
            with suppress(grpc.RpcError):  # Views that cannot be are refused.
                if chance.random() < 0.5:
                    asked = pb.GetBalanceRequest(organization_id="acme", customer_id=customer, view=view)
                    answers.append((customer, (await stub.GetBalance(asked, timeout=patience)).balance))
                    return
                explained = pb.ExplainBalanceRequest(organization_id="acme", customer_id=customer, view=view)
                parts = [part async for part in stub.ExplainBalance(explained, timeout=patience)]
                answers.append((customer, parts[0].balance))

        for _ in range(ROUNDS):
            await asyncio.gather(*[read() if chance.random() < 0.85 else writer.write() for _ in range(10)])

        assert len(answers) > ROUNDS
        for customer, told in answers:
            of_token = pb.GetBalanceRequest(organization_id="acme", customer_id=customer)
            of_token.view.token = told.view.token
            assert told == (await chance.choice(stubs).GetBalance(of_token)).balance
            expected = made_anew(one.app.ledger.store, customer, told.view)
            expected.view.CopyFrom(told.view)
            assert expected == told
