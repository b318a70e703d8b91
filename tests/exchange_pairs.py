"""A relationship to decide exchanges on, without ledger and store; and short names for legs and commands."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.exchange_state import ExchangeState
from ledger.domain.fact import Fact, NewFact
from ledger.domain.policy import Asset, PolicyState
from ledger.domain.times import timestamp
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.exchange_pb2 import ExchangeRecorded, ExchangeReversed, Leg
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1.amount_pb2 import Amount

STREAM = "shop/42"
POLICY = "shop/@policy"
NOW = 1_000_000_000
TOLERANCE = 300_000_000
CUSTOMER, ORGANIZATION = x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION
LIMIT = 10_000

ASSETS = {
    "EUR/2": p.ASSET_KIND_MONEY,
    "CD/0": p.ASSET_KIND_ITEM,
    "PT/0": p.ASSET_KIND_POINTS,
    "VIEW/0": p.ASSET_KIND_ATTENTION,
    "MIN/0": p.ASSET_KIND_TIME,
    "DATAPT/0": p.ASSET_KIND_DATA,
    "CALL/0": p.ASSET_KIND_SERVICE,
    "PAGE/0": p.ASSET_KIND_CONTENT,
    "REVIEW/0": p.ASSET_KIND_ADVOCACY,
}


class Grants:
    """Consents of a relationship, as far as exchanges ask: {position: (from, to)}."""

    def __init__(self) -> None:
        self.spans: dict[int, tuple[int, int]] = {}

    def grant_in_force(self, position: int, at: int) -> bool:
        start, end = self.spans.get(position, (0, 0))
        return start <= at < end


@dataclass
class Pair:
    """A relationship to decide on; `apply` records what was decided."""

    exchanges: ExchangeState = field(default_factory=ExchangeState)
    consents: Grants = field(default_factory=Grants)
    version: int = 0
    now: int = NOW
    facts: list[Fact] = field(default_factory=list)
    policy: PolicyState = field(default_factory=PolicyState)

    def __post_init__(self) -> None:
        for position, (name, kind) in enumerate(ASSETS.items(), start=1):
            self.policy.assets[name] = Asset(kind, LIMIT, position, position)

    def setting(self) -> Setting:
        return Setting(self.now, {POLICY: self.policy}, TOLERANCE)

    def decide(self, step: RecordExchange | ReverseExchange) -> tuple[NewFact, ...]:
        decision = step.decide(self, self.setting())
        assert b"" == decision.note
        return decision.facts

    def apply(self, step: RecordExchange | ReverseExchange) -> "Pair":
        for new in self.decide(step):
            self.version += 1
            metadata = EventMetadata(occur_time_defaulted=new.defaulted, occur_time_clamped=new.clamped)
            fact = Fact(100 + self.version, self.version, self.now, new.occur_time, new.topic, new.event, metadata)
            self.facts.append(fact)
            self.exchanges.evolve(fact)
        return self

    def as_of(self, until: int) -> ExchangeState:
        state = ExchangeState(until)
        for fact in self.facts:
            state.evolve(fact)
        return state


def leg(giver: int, category: int, units: int, asset: str, **values: Any) -> Leg:
    return Leg(giver=giver, category=category, amount=Amount(units=units, asset=asset), **values)  # type: ignore[arg-type]


def pays(units: int = 1177) -> Leg:
    return leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, units, "EUR/2")


def goods(units: int = 1) -> Leg:
    return leg(ORGANIZATION, x.CATEGORY_GOODS, units, "CD/0")


def record(exchange_id: str = "x1", *legs: Leg, at: int | None = NOW - 1000, **values: Any) -> RecordExchange:
    step = {name: values.pop(name) for name in ("expected_version", "context", "path") if name in values}
    event = ExchangeRecorded(exchange_id=exchange_id, legs=legs or (pays(), goods()), **values)
    return RecordExchange(stream_id=STREAM, event=event, occur_time=at, **step)


def reverse(exchange_id: str = "x1", reversal_id: str = "r1", at: int | None = None, **values: Any) -> ReverseExchange:
    step = {name: values.pop(name) for name in ("expected_version", "context", "path") if name in values}
    event = ExchangeReversed(exchange_id=exchange_id, reversal_id=reversal_id, **values)
    if at is not None:
        event.at.CopyFrom(timestamp(at))
    elif "at_original" not in values:
        event.at_original = True
    return ReverseExchange(stream_id=STREAM, event=event, **step)


def refusal(pair: Pair, step: RecordExchange | ReverseExchange) -> Rejected:
    with pytest.raises(Rejected) as caught:
        pair.decide(step)
    return caught.value


def fields(rejected: Rejected) -> list[str]:
    return [violation.field for violation in rejected.violations]
