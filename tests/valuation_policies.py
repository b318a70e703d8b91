"""Valuation policies that tests publish: short to write, whole in every field that the protos require."""

from __future__ import annotations

from typing import Any

from ledger.domain.decider import Setting
from ledger.domain.fact import Decision, Fact
from ledger.domain.policy import ASSET_REGISTERED, VALUATION_PUBLISHED, PolicyState
from ledger.domain.times import timestamp
from ledger.domain.valuation_policy import PublishValuationPolicy
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1 import valuation_pb2 as v
from rapport.events.v1.exchange_pb2 import CATEGORY_MONEY_PAYMENT, PARTY_CUSTOMER
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.events.v1.valuation_pb2 import ValuationPolicy, ValuationRule

STREAM = "shop/@policy"
ASSETS = {
    "EUR/2": p.ASSET_KIND_MONEY,
    "MIN/0": p.ASSET_KIND_TIME,
    "CD/0": p.ASSET_KIND_ITEM,
    "PT/0": p.ASSET_KIND_POINTS,
    "DATAPT/0": p.ASSET_KIND_DATA,
}
LIMIT = 1_000_000


def rule(rule_id: str = "paid", rate: int = 10_000_000, **values: Any) -> ValuationRule:
    """Return a rule: what customers pay in euros is worth its face, unless said otherwise."""
    scope: dict[str, Any] = {name: values.pop(name) for name in ("category", "group", "any_category") if name in values}
    given: dict[str, Any] = {
        "rule_id": rule_id,
        "perspective": PARTY_CUSTOMER,
        "side": v.SIDE_GIVE,
        **(scope or {"category": CATEGORY_MONEY_PAYMENT}),
        "asset": "EUR/2",
        "rate_nanos": rate,
        "low_nanos": rate,
        "high_nanos": rate,
        "method": v.VALUATION_METHOD_FACE,
        "source": "a euro is a euro",
    }
    return ValuationRule(**{**given, **values})


def policy(
    *rules: ValuationRule, policy_id: str = "standard", effective_from: int = 0, **values: Any
) -> ValuationPolicy:
    """Return a policy in euros; `effective_from` in microseconds."""
    return ValuationPolicy(
        **{
            "policy_id": policy_id,
            "unit_of_account": "EUR",
            "effective_from_time": timestamp(effective_from),
            "rules": rules or (rule(),),
            **values,
        }
    )


def registry() -> PolicyState:
    """Return the state of an organization that registered ASSETS, each up to LIMIT units."""
    state = PolicyState()
    for version, (name, kind) in enumerate(ASSETS.items(), start=1):
        asset = AssetRegistered(asset=name, kind=kind, max_units_per_leg=LIMIT)
        state.evolve(Fact(version, version, version, version, ASSET_REGISTERED, asset, EventMetadata()))
    return state


def decide(state: PolicyState, asked: ValuationPolicy, path: str = "policy") -> Decision:
    """Return what publishing a policy causes, at the time 900."""
    step = PublishValuationPolicy(stream_id=STREAM, policy=asked, path=path)
    return step.decide(state, Setting(now=900, others={}))


def publish(state: PolicyState, asked: ValuationPolicy, position: int = 100, record_time: int = 900) -> None:
    """Publish a policy and fold it at a log position."""
    (fact,) = decide(state, asked).facts
    version = len(state.assets) + len(state.published) + 1
    state.evolve(
        Fact(position, version, record_time, fact.occur_time, VALUATION_PUBLISHED, fact.event, EventMetadata())
    )
