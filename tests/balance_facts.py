"""Facts of one relationship's exchanges and versions of valuation policies, short to write; nothing checks them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import Message

from ledger.balance.book import (
    EXCHANGE_POSTED,
    EXCHANGE_RECORDED,
    EXCHANGE_REVERSED,
    EXCHANGE_VOIDED,
    OBSERVATION_DECLARED,
    Book,
)
from ledger.domain.fact import Fact
from ledger.domain.policy import Published
from ledger.domain.times import timestamp
from ledger.domain.valuation_policy import DEFAULT_KAPPA_NANOS, DEFAULT_LABELS
from ledger.policy.valuation import Opinion, Valuations
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import valuation_pb2 as v
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.valuation_pb2 import ValuationLabel, ValuationPolicy, ValuationRule
from rapport.type.v1.amount_pb2 import Amount

CUSTOMER, ORGANIZATION = x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION
POLICY = "standard"


class Facts:
    """Facts as they were recorded; positions rise, by one unless said otherwise."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.effective: dict[str, int] = {}
        """When the legs of an exchange took effect; of a pending one when it happened."""

    def add(
        self, topic: str, event: Message, at: int, position: int | None = None, recorded: int | None = None
    ) -> Fact:
        """Record a fact; by default a position after the last one, at the time it happened or at that of the last."""
        last = self.facts[-1] if self.facts else None
        position = position or (last.position + 1 if last else 1)
        recorded = recorded or max(at, last.record_time if last else at)
        fact = Fact(position, len(self.facts) + 1, recorded, at, topic, event, EventMetadata())
        self.facts.append(fact)
        return fact

    def record(self, exchange_id: str, *legs: x.Leg, at: int, pending_until: int | None = None, **values: Any) -> Fact:
        """Record an exchange; `position` and `recorded` are the fact's, other values the event's."""
        place = {name: values.pop(name) for name in ("position", "recorded") if name in values}
        event = x.ExchangeRecorded(exchange_id=exchange_id, legs=legs, **values)
        if pending_until is not None:
            event.pending_until.CopyFrom(timestamp(pending_until))
        self.effective[exchange_id] = at
        return self.add(EXCHANGE_RECORDED, event, at, **place)

    def post(
        self,
        exchange_id: str,
        units: Sequence[int],
        at: int,
        one_sided: x.OneSided.ValueType = x.ONE_SIDED_UNSPECIFIED,
        **place: int,
    ) -> Fact:
        """Post a pending exchange."""
        self.effective[exchange_id] = at
        event = x.ExchangePosted(exchange_id=exchange_id, units=units, one_sided=one_sided)
        return self.add(EXCHANGE_POSTED, event, at, **place)

    def void(self, exchange_id: str, at: int, **place: int) -> Fact:
        """Void a pending exchange."""
        return self.add(EXCHANGE_VOIDED, x.ExchangeVoided(exchange_id=exchange_id), at, **place)

    def reverse(self, exchange_id: str, at: int | None = None, **values: Any) -> Fact:
        """Reverse an exchange, by default at its original time."""
        place = {name: values.pop(name) for name in ("position", "recorded") if name in values}
        event = x.ExchangeReversed(exchange_id=exchange_id, reversal_id=f"of {exchange_id}", **values)
        if at is None:
            event.at_original = True
        else:
            event.at.CopyFrom(timestamp(at))
        return self.add(EXCHANGE_REVERSED, event, self.effective[exchange_id] if at is None else at, **place)

    def observe(self, category: x.Category.ValueType, since: int, at: int, **place: int) -> Fact:
        """Declare that a category is observed."""
        event = x.ObservationDeclared(category=category, since=timestamp(since))
        return self.add(OBSERVATION_DECLARED, event, at, **place)

    def book(self, position: int | None = None) -> Book:
        """Return the book as it was known at a position, by default all of it."""
        return book_of(fact for fact in self.facts if position is None or fact.position <= position)


def book_of(facts: Iterable[Fact]) -> Book:
    """Return a new book of these facts."""
    book = Book()
    for fact in facts:
        book.evolve(fact)
    return book


def leg(giver: int, category: int, units: int, asset: str, **values: Any) -> x.Leg:
    """Return a leg."""
    return x.Leg(giver=giver, category=category, amount=Amount(units=units, asset=asset), **values)  # type: ignore[arg-type]  # Plain numbers, for short.


def grant(units: int, asset: str = "PT/0", activates_at: int | None = None, expires_at: int | None = None) -> x.Leg:
    """Return a leg that grants points."""
    terms = x.LotTerms()
    if activates_at is not None:
        terms.activates_at.CopyFrom(timestamp(activates_at))
    if expires_at is not None:
        terms.expires_at.CopyFrom(timestamp(expires_at))
    return leg(ORGANIZATION, x.CATEGORY_POINTS_GRANT, units, asset, lot_terms=terms)


def use(lot_id: str, units: int, leg_no: int = 1) -> x.LotUse:
    """Return the use of a lot."""
    exchange_id, grant_leg_no = lot_id.rsplit("/", 1)
    return x.LotUse(leg_no=leg_no, exchange_id=exchange_id, grant_leg_no=int(grant_leg_no), units=units)


def rule(
    perspective: int, giver: int, scope: int | str, asset: str, rate: int, low: int | None = None,
    high: int | None = None, method: int = v.VALUATION_METHOD_FACE, redemption_ppm: int = 0,
) -> ValuationRule:  # fmt: skip
    """Return a rule; `scope` is a category, the name of a group, or empty for any category."""
    made = ValuationRule(
        rule_id=f"{perspective}-{giver}-{scope}-{asset}".lower().replace("/", "."),
        perspective=perspective,  # type: ignore[arg-type]  # Plain numbers, for short.
        side=v.SIDE_GIVE if giver == perspective else v.SIDE_GET,
        asset=asset,
        rate_nanos=rate,
        low_nanos=rate if low is None else low,
        high_nanos=rate if high is None else high,
        method=method,  # type: ignore[arg-type]
        source="the test",
        redemption_ppm=redemption_ppm,
    )
    if isinstance(scope, int):
        made.category = scope  # type: ignore[assignment]
    elif scope:
        made.group = scope
    else:
        made.any_category = True
    return made


def policy(
    number: int, *rules: ValuationRule, effective_from: int = 0, kappa: int = DEFAULT_KAPPA_NANOS,
    trend_days: int = 90, policy_id: str = POLICY,
) -> ValuationPolicy:  # fmt: skip
    """Return a version with its defaults filled in."""
    made = ValuationPolicy(
        policy_id=policy_id,
        version=number,
        unit_of_account="EUR",
        effective_from_time=timestamp(effective_from),
        rules=rules,
        kappa_nanos=kappa,
        trend_days=trend_days,
        digest=bytes([number]) * 32,
    )
    made.labels.extend(ValuationLabel(name=name, up_to_ppm=up_to) for name, up_to in DEFAULT_LABELS)
    return made


def valuations(*policies: ValuationPolicy, positions: Sequence[int] = ()) -> Valuations:
    """Return published policies; the first is the default."""
    places = positions or range(1, len(policies) + 1)
    published = [Published(each, place, 0, i) for i, (each, place) in enumerate(zip(policies, places, strict=True))]
    return Valuations(published, policies[0].policy_id if policies else "")


def opinion(*policies: ValuationPolicy, at: int, version: int = 0) -> Opinion:
    """Return what values legs in a view whose time is `at`."""
    return valuations(*policies).opinion("", version, at)
