"""A relationship to decide exchanges on, without ledger and store; and short names for legs and commands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.exchange import RecordExchange, ReverseExchange
from ledger.domain.exchange_state import ExchangeState, Quantity
from ledger.domain.fact import Fact, NewFact
from ledger.domain.policy import Asset, PolicyState
from ledger.domain.posting import PostExchange, VoidExchange
from ledger.domain.times import timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.exchange_pb2 import (
    ExchangePosted,
    ExchangeRecorded,
    ExchangeReversed,
    ExchangeVoided,
    Leg,
    LotTerms,
    LotUse,
)
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1.amount_pb2 import Amount

STREAM = "shop/42"
POLICY = "shop/@policy"
NOW = 1_000_000_000
TOLERANCE = 300_000_000
CUSTOMER, ORGANIZATION = x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION
LIMIT = 10_000
Step = RecordExchange | PostExchange | VoidExchange | ReverseExchange

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

    def decide(self, step: Step) -> tuple[NewFact, ...]:
        decision = step.decide(self, self.setting())
        assert b"" == decision.note
        return decision.facts

    def apply(self, step: Step) -> "Pair":
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


def grants(units: int, activates_at: int | None = None, expires_at: int | None = None, asset: str = "PT/0") -> Leg:
    found = leg(ORGANIZATION, x.CATEGORY_POINTS_GRANT, units, asset)
    if activates_at is not None or expires_at is not None:
        found.lot_terms.CopyFrom(terms(activates_at, expires_at))
    return found


def redeems(units: int, asset: str = "PT/0") -> Leg:
    return leg(CUSTOMER, x.CATEGORY_POINTS_REDEEM, units, asset)


def terms(activates_at: int | None = None, expires_at: int | None = None) -> LotTerms:
    return LotTerms(
        activates_at=None if activates_at is None else timestamp(activates_at),
        expires_at=None if expires_at is None else timestamp(expires_at),
    )


def record(exchange_id: str = "x1", *legs: Leg, at: int | None = NOW - 1000, **values: Any) -> RecordExchange:
    step = _of_step(values)
    if "until" in values:
        values["pending_until"] = timestamp(values.pop("until"))
    event = ExchangeRecorded(exchange_id=exchange_id, legs=legs or (pays(), goods()), **values)
    return RecordExchange(stream_id=STREAM, event=event, occur_time=at, **step)


def grant(exchange_id: str, *legs: Leg, at: int | None, **values: Any) -> RecordExchange:
    """Record points granted for nothing."""
    return record(exchange_id, *legs, at=at, one_sided=x.ONE_SIDED_GIFT, **values)


def redeem(exchange_id: str, units: int, at: int | None, **values: Any) -> RecordExchange:
    """Record points redeemed against goods."""
    return record(exchange_id, redeems(units), goods(), at=at, **values)


def post(exchange_id: str = "x1", *units: int, at: int | None = NOW - 500, **values: Any) -> PostExchange:
    step = _of_step(values)
    event = ExchangePosted(exchange_id=exchange_id, units=units, **values)
    return PostExchange(stream_id=STREAM, event=event, occur_time=at, **step)


def void(exchange_id: str = "x1", at: int | None = NOW - 500, **values: Any) -> VoidExchange:
    step = _of_step(values)
    return VoidExchange(
        stream_id=STREAM, event=ExchangeVoided(exchange_id=exchange_id, **values), occur_time=at, **step
    )


def reverse(exchange_id: str = "x1", reversal_id: str = "r1", at: int | None = None, **values: Any) -> ReverseExchange:
    step = _of_step(values)
    event = ExchangeReversed(exchange_id=exchange_id, reversal_id=reversal_id, **values)
    if at is not None:
        event.at.CopyFrom(timestamp(at))
    elif "at_original" not in values:
        event.at_original = True
    return ReverseExchange(stream_id=STREAM, event=event, **step)


def uses(fact: NewFact) -> list[tuple[int, str, int, int]]:
    """Return the lots that a recorded exchange uses: leg, exchange and leg of the grant, units."""
    event = fact.event
    assert isinstance(event, ExchangeRecorded)
    return [_use(each) for each in event.lot_uses]


def _use(each: LotUse) -> tuple[int, str, int, int]:
    return each.leg_no, each.exchange_id, each.grant_leg_no, each.units


def _of_step(values: dict[str, Any]) -> dict[str, Any]:
    """Take out what belongs to the command, not to the event."""
    return {name: values.pop(name) for name in ("expected_version", "context", "path") if name in values}


def told(rejected: Rejected) -> str:
    return reasons.ErrorReason.Name(rejected.reason).removeprefix("ERROR_REASON_")


def refusal(pair: Pair, step: Step) -> Rejected:
    with pytest.raises(Rejected) as caught:
        pair.decide(step)
    return caught.value


def fields(rejected: Rejected) -> list[str]:
    return [violation.field for violation in rejected.violations]


def given(quantities: Sequence[Quantity], giver: int) -> dict[str, int]:
    """Return what a party gave in all, less what was taken back, in units by asset."""
    units: dict[str, int] = {}
    for quantity in quantities:
        if quantity.giver == giver:
            units[quantity.asset] = units.get(quantity.asset, 0) + quantity.given
    return units
