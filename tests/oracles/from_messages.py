"""Stored messages as flat facts and policies; it knows the protos and nothing of the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import valuation_pb2 as v
from rapport.relationship.v1 import balance_pb2 as b
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


def shares(found: Iterable[b.Share]) -> dict[Any, tuple[int, int, int, int]]:
    return {
        tuple(share.key.split()) if " " in share.key else share.key: (
            share.value_nanos, share.legs, share.share_ppm, share.units,
        )
        for share in found
    }  # fmt: skip


def ratio(message: b.Ratio) -> Fraction:
    return Fraction(int(message.numerator), int(message.denominator))


def columns(row: Any, *names: str) -> tuple[int, ...]:
    return tuple(getattr(row, name) for name in names)


def balance(message: b.Balance) -> dict[str, Any]:
    """Return an answered balance in the words of the brute model; lots, legs and contributions are explained apart."""
    found, parties = message.coverage, {}
    for table, rows, names in (
        ("lines", message.lines, ("units", "legs", "value_nanos", "low_nanos", "high_nanos", "unvalued_units",
                                  "unvalued_legs")),
        ("quantities", message.quantities, ("posted", "reversed", "pended", "hold_posted", "hold_voided",
                                            "hold_expired")),
    ):  # fmt: skip
        parties[table] = {(party(row.giver), category(row.category), row.asset): columns(row, *names) for row in rows}
    answer: dict[str, Any] = {
        "status": b.BalanceStatus.Name(message.status).removeprefix("BALANCE_STATUS_"),
        "got": message.got_nanos, "gave": message.gave_nanos, "net": message.net_nanos,
        "confidence_ppm": message.confidence_ppm, "kappa": message.kappa_nanos, "promised": message.promised_nanos,
        "unvalued_lots": message.unvalued_lots, "pending_got": message.pending_got_nanos,
        "pending_gave": message.pending_gave_nanos, "valued_legs": found.valued_legs,
        "unvalued_legs": found.unvalued_legs,
        "coverage_ppm": found.coverage_ppm if found.HasField("coverage_ppm") else None,
        "by_method": shares(found.by_method), "unvalued": shares(found.unvalued), "one_sided": shares(found.one_sided),
        "observed": {category(each.category): time_of(each.since) for each in found.observed},
        "last_got": time_of(message.last_got_time) if message.HasField("last_got_time") else None,
        "last_gave": time_of(message.last_gave_time) if message.HasField("last_gave_time") else None,
        "trend_ppm": message.trend_ppm if message.HasField("trend_ppm") else None, **parties,
    }  # fmt: skip
    if message.HasField("index"):
        gains, band = b.CustomerGains.Name(message.customer_gains).removeprefix("CUSTOMER_GAINS_"), message.band
        answer |= {
            "index": ratio(message.index), "numerator": int(message.index.numerator),
            "denominator": int(message.index.denominator), "index_ppm": message.index_ppm, "raw_ppm": message.raw_ppm,
            "band": (ratio(band.low), ratio(band.high)), "band_ppm": (band.low_ppm, band.high_ppm),
            "sign_certain": band.sign_certain, "label": message.label,
            "customer_gains": "" if gains == "UNSPECIFIED" else gains,
        }  # fmt: skip
    return answer


def comparable(expected: dict[str, Any]) -> dict[str, Any]:
    """Return what the brute model says, less what a balance does not tell."""
    return {name: value for name, value in expected.items() if name not in {"lots", "legs", "contributions"}}
