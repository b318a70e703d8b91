"""Stored messages as flat facts and policies; it knows the protos and nothing of the ledger."""

from __future__ import annotations

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import valuation_pb2 as v
from tests.oracles import flat_facts
from tests.oracles.flat_facts import FOR_EVER, Fact, Policy, Rule

KINDS = {
    "exchange.recorded.v1": "RECORDED",
    "exchange.posted.v1": "POSTED",
    "exchange.voided.v1": "VOIDED",
    "exchange.reversed.v1": "REVERSED",
    "exchange.observation_declared.v1": "OBSERVED",
}


def time_of(stamp: Timestamp) -> int:
    return stamp.seconds * 10**6 + stamp.nanos // 1_000


def party(number: int) -> str:
    return x.Party.Name(number).removeprefix("PARTY_")  # type: ignore[arg-type]


def category(number: int) -> str:
    return x.Category.Name(number).removeprefix("CATEGORY_")  # type: ignore[arg-type]


def one_sided(number: int) -> str:
    return "" if number == 0 else x.OneSided.Name(number).removeprefix("ONE_SIDED_")  # type: ignore[arg-type]


def leg(message: x.Leg) -> flat_facts.Leg:
    terms = message.lot_terms
    expires_at = time_of(terms.expires_at) if terms.HasField("expires_at") else FOR_EVER
    activates_at = time_of(terms.activates_at) if terms.HasField("activates_at") else -FOR_EVER
    amount = message.amount
    return flat_facts.Leg(
        party(message.giver), category(message.category), amount.units, amount.asset, activates_at, expires_at
    )


def fact(position: int, occur: int, topic: str, event: Any) -> Fact | None:
    """Return an event as a flat fact; None for those of other subjects."""
    kind = KINDS.get(topic)
    if kind is None:
        return None
    plain = Fact(kind, position, occur, getattr(event, "exchange_id", ""))
    match event:
        case x.ExchangeRecorded():
            until = time_of(event.pending_until) if event.HasField("pending_until") else None
            uses = tuple((f"{use.exchange_id}/{use.grant_leg_no}", use.units) for use in event.lot_uses)
            legs = tuple(map(leg, event.legs))
            return plain._replace(legs=legs, pending_until=until, one_sided=one_sided(event.one_sided), uses=uses)
        case x.ExchangePosted():
            return plain._replace(units=tuple(event.units), one_sided=one_sided(event.one_sided))
        case x.ObservationDeclared():
            return plain._replace(category=category(event.category), since=time_of(event.since))
        case _:
            return plain


def rule(message: v.ValuationRule) -> Rule:
    scope = message.group + "_" if message.group else category(message.category) if message.category else ""
    return Rule(
        message.rule_id, party(message.perspective), v.Side.Name(message.side).removeprefix("SIDE_"), scope,
        message.asset, message.rate_nanos, message.low_nanos, message.high_nanos,
        v.ValuationMethod.Name(message.method).removeprefix("VALUATION_METHOD_"), message.redemption_ppm,
    )  # fmt: skip


def policy(position: int, message: v.ValuationPolicy) -> Policy:
    """Return a published version; everything that has a default is filled in by then."""
    return Policy(
        position, message.policy_id, message.version, time_of(message.effective_from_time),
        tuple(map(rule, message.rules)), message.kappa_nanos,
        tuple((each.name, each.up_to_ppm) for each in message.labels), message.trend_days,
    )  # fmt: skip
