"""The load: requests as bytes, made from a seed before the clock starts.

Customers are drawn by a zipf law (0.99, reciprocity.md 10.5) over a number of relationships. Request ids are UUIDv7, as
the client library makes them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from itertools import accumulate
from time import time_ns
from typing import Any, Final, NamedTuple

from rapport.audit.v1.audit_service_pb2 import ReadEventsRequest
from rapport.contact.v1 import contact_service_pb2 as contacts
from rapport.events.v1 import exchange_pb2, interaction_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion
from rapport.exchange.v1.exchange_service_pb2 import ApplyExchangesRequest
from rapport.exchange.v1.operation_pb2 import Operation
from rapport.interaction.v1 import interaction_service_pb2 as interactions
from rapport.relationship.v1.balance_pb2 import ViewSpec
from rapport.relationship.v1.relationship_service_pb2 import (
    ExplainBalanceRequest,
    GetBalanceRequest,
    GetRelationshipRequest,
)
from services.client.request_ids import new_request_id

ORGANIZATION: Final = "acme"
RELATIONSHIPS: Final = 10_000
ZIPF: Final = 0.99
BEGIN_S: Final = 1_760_000_000
"""A moment of October 2025, from which occur times go on."""
_REQUESTS_IN_FLIGHT_MAX: Final = 64
_BETWEEN: Final = 100
"""Microseconds between occur times of acts of just now: a run of some thousand takes longer than that."""

_KINDS: Final = (
    interaction_pb2.INTERACTION_KIND_MESSAGE,
    interaction_pb2.INTERACTION_KIND_CALL,
    interaction_pb2.INTERACTION_KIND_VISIT,
    interaction_pb2.INTERACTION_KIND_PURCHASE,
)
_CHANNELS: Final = (
    interaction_pb2.CHANNEL_EMAIL,
    interaction_pb2.CHANNEL_VOICE_LIVE,
    interaction_pb2.CHANNEL_WEB,
    interaction_pb2.CHANNEL_IN_PERSON,
)


class Load(NamedTuple):
    """Prepared calls of one method."""

    method: str
    requests: list[bytes]
    weight: int = 1
    """Items that one call carries."""
    streamed: bool = False
    """Whether a call is answered by a stream; it is over with the stream's end."""


def customer(number: int) -> str:
    """Return the id of a customer by number, from 0."""
    return f"customer-{number:07}"


class Customers:
    """Draws customers, the first ones most often."""

    def __init__(self, rng: random.Random, count: int = RELATIONSHIPS, hot_percent: int = 0) -> None:
        """hot_percent: of the draws, that go to the first ten customers alone."""
        self._rng = rng
        self._names = [customer(number) for number in range(count)]
        self._weights = _weights(count)
        self._hot_percent = hot_percent

    def draw(self, count: int) -> list[str]:
        """Return `count` customers."""
        names = self._rng.choices(self._names, cum_weights=self._weights, k=count)
        if not self._hot_percent:
            return names
        rng, hot = self._rng, self._names[:10]
        return [rng.choice(hot) if rng.randrange(100) < self._hot_percent else name for name in names]


@cache
def _weights(count: int) -> list[float]:
    return list(accumulate((number + 1) ** -ZIPF for number in range(count)))


def interaction(number: int) -> interaction_pb2.InteractionRecorded:
    """Return a small interaction, without personal content."""
    return interaction_pb2.InteractionRecorded(
        kind=_KINDS[number % 4],
        direction=interaction_pb2.DIRECTION_INBOUND if number % 2 else interaction_pb2.DIRECTION_OUTBOUND,
        initiator=interaction_pb2.INITIATOR_CUSTOMER if number % 2 else interaction_pb2.INITIATOR_ORGANIZATION,
        channel=_CHANNELS[number % 4],
        campaign="spring-2026",
    )


def record(count: int, rng: random.Random, options: Mapping[str, Any]) -> Load:
    """Return RecordInteraction calls: of what occurred just now, so that one run after the other comes in order."""
    first = time_ns() // 1_000 - count * _BETWEEN
    names = Customers(rng, options.get("relationships", RELATIONSHIPS), options.get("hot_percent", 0)).draw(count)
    requests = []
    for number, name in enumerate(names):
        request = interactions.RecordInteractionRequest(
            organization_id=ORGANIZATION, customer_id=name, request_id=new_request_id(), interaction=interaction(number)
        )
        request.occur_time.FromMicroseconds(first + number * _BETWEEN)
        requests.append(request.SerializeToString())
    return Load("/rapport.interaction.v1.InteractionService/RecordInteraction", requests)


def batch(count: int, rng: random.Random, options: Mapping[str, Any]) -> Load:
    """Return BatchRecordInteractions calls."""
    size = options.get("size", 500)
    customers = Customers(rng, options.get("relationships", RELATIONSHIPS))
    requests = []
    for _ in range(count):
        request = interactions.BatchRecordInteractionsRequest(organization_id=ORGANIZATION, request_id=new_request_id())
        for number, name in enumerate(customers.draw(size)):
            item = request.items.add(customer_id=name, interaction=interaction(number))
            item.occur_time.seconds = BEGIN_S + number
        requests.append(request.SerializeToString())
    return Load("/rapport.interaction.v1.InteractionService/BatchRecordInteractions", requests, size)


def exchange(count: int, rng: random.Random, options: Mapping[str, Any]) -> Load:
    """Return ApplyExchanges calls of the exchange mix; the weight is their legs, two on average."""
    size = options.get("size", 100)
    customers = Customers(rng, options.get("relationships", RELATIONSHIPS), options.get("hot_percent", 0))
    mix = ExchangeMix(rng)
    requests: list[bytes] = []
    legs = 0
    for _ in range(count):
        if requests and rng.random() < 0.05:
            requests.append(rng.choice(requests[-100:]))  # A resend: the same request id, the same content.
            continue
        request = ApplyExchangesRequest(organization_id=ORGANIZATION, request_id=new_request_id())
        mix.next_request()
        for name in customers.draw(size):
            legs += mix.add(request.operations.add(), name)
        requests.append(request.SerializeToString())
    return Load("/rapport.exchange.v1.ExchangeService/ApplyExchanges", requests, max(1, round(legs / len(requests))))


class ExchangeMix:
    """Makes operations: one to four legs, 2 % backdated by up to 90 days, 1 % reversals of what came before."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._run = new_request_id()  # Not from the seed: ids of exchanges are never used again.
        self._number = self._request = 0
        self._last: dict[str, tuple[int, str]] = {}

    def next_request(self) -> None:
        """Say that operations now belong to another request."""
        self._request += 1

    def add(self, operation: Operation, customer_id: str) -> int:
        """Fill an operation for a customer; return its legs."""
        rng = self._rng
        self._number += 1
        operation.customer_id = customer_id
        request, last = self._last.get(customer_id, (self._request, ""))
        # What another request of the moment records may not be there yet.
        if last and self._request - request not in range(1, _REQUESTS_IN_FLIGHT_MAX) and rng.random() < 0.01:
            del self._last[customer_id]
            operation.reverse.exchange_id = last
            operation.reverse.reversal_id = f"r-{self._run}-{self._number}"
            operation.reverse.at_original = True
            return 1
        exchange_id = operation.record.exchange_id = f"x-{self._run}-{self._number}"
        self._last[customer_id] = (self._request, exchange_id)
        backdated = rng.randrange(90 * 86_400) if rng.random() < 0.02 else 0
        operation.record.occur_time.seconds = BEGIN_S + self._number - backdated
        legs = rng.choice((1, 1, 2, 2, 2, 2, 3, 4))
        if legs == 1:
            operation.record.one_sided = exchange_pb2.ONE_SIDED_LATER
        for leg in range(legs):
            giver = exchange_pb2.PARTY_ORGANIZATION if leg % 2 else exchange_pb2.PARTY_CUSTOMER
            category = exchange_pb2.CATEGORY_GOODS if leg % 2 else exchange_pb2.CATEGORY_MONEY_PAYMENT
            added = operation.record.legs.add(giver=giver, category=category)
            added.amount.units = rng.randrange(100, 100_000)
            added.amount.asset = "EUR/2"
        return legs


def get(count: int, rng: random.Random, options: Mapping[str, Any]) -> Load:
    """Return GetRelationship calls: now, or at some time of the past.

    Options: `customers` to ask for (numbers, from 0; default: drawn by zipf), `as_of_s` (seconds since 1970).
    """
    requests = []
    for name in _asked_for(count, rng, options):
        request = GetRelationshipRequest(organization_id=ORGANIZATION, customer_id=name)
        if "as_of_s" in options:
            request.as_of.occur_time.seconds = options["as_of_s"]
        requests.append(request.SerializeToString())
    return Load("/rapport.relationship.v1.RelationshipService/GetRelationship", requests)


def balance(count: int, rng: random.Random, options: Mapping[str, Any]) -> Load:
    """Return GetBalance calls; options as `get`, and `position` (known at) and `half_life_days`."""
    view = _balance_view(options)
    requests = []
    for name in _asked_for(count, rng, options):
        request = GetBalanceRequest(organization_id=ORGANIZATION, customer_id=name)
        request.view.spec.CopyFrom(view)
        requests.append(request.SerializeToString())
    return Load("/rapport.relationship.v1.RelationshipService/GetBalance", requests)


def explain(count: int, rng: random.Random, options: Mapping[str, Any]) -> Load:
    """Return ExplainBalance calls, each read to its end; options as `balance`."""
    view = _balance_view(options)
    requests = []
    for name in _asked_for(count, rng, options):
        request = ExplainBalanceRequest(organization_id=ORGANIZATION, customer_id=name)
        request.view.spec.CopyFrom(view)
        requests.append(request.SerializeToString())
    return Load("/rapport.relationship.v1.RelationshipService/ExplainBalance", requests, streamed=True)


def _balance_view(options: Mapping[str, Any]) -> ViewSpec:
    view = ViewSpec(half_life_days=options.get("half_life_days", 0))
    if "as_of_s" in options:
        view.as_of.occur_time.seconds = options["as_of_s"]
    if "position" in options:
        view.as_of.position = options["position"]
    return view


def _asked_for(count: int, rng: random.Random, options: Mapping[str, Any]) -> list[str]:
    """Return the customers that so many reads ask for."""
    chosen = options.get("customers")
    if chosen is None:
        return Customers(rng, options.get("relationships", RELATIONSHIPS)).draw(count)
    return [customer(rng.choice(chosen)) for _ in range(count)]


def read(count: int, rng: random.Random, options: Mapping[str, Any]) -> Load:  # noqa: ARG001
    """Return ReadEvents calls, each of the whole log."""
    return Load("/rapport.audit.v1.AuditService/ReadEvents", [ReadEventsRequest().SerializeToString()] * count)


def question() -> ContactQuestion:
    """Return what is asked of everybody: an e-mail for marketing, about the topic that the audience asked for."""
    return ContactQuestion(
        purpose="marketing.direct",
        channel=interaction_pb2.CHANNEL_EMAIL,
        message_class=interaction_pb2.MESSAGE_CLASS_MARKETING,
        topic="garden",
    )


def decide(count: int, rng: random.Random, options: Mapping[str, Any]) -> Load:
    """Return Decide calls, or SimulateDecision calls where the option `simulate` is set."""
    names = Customers(rng, options.get("relationships", RELATIONSHIPS)).draw(count)
    who = ({"organization_id": ORGANIZATION, "customer_id": name, "question": question()} for name in names)
    if options.get("simulate"):
        asked = [contacts.SimulateDecisionRequest(**each).SerializeToString() for each in who]  # type: ignore[arg-type]
        return Load("/rapport.contact.v1.ContactService/SimulateDecision", asked)
    made = [contacts.DecideRequest(**each, request_id=new_request_id()).SerializeToString() for each in who]  # type: ignore[arg-type]
    return Load("/rapport.contact.v1.ContactService/Decide", made)


def decide_batch(count: int, rng: random.Random, options: Mapping[str, Any]) -> Load:
    """Return BatchDecide calls, or BatchSimulateDecisions calls where the option `simulate` is set."""
    size = options.get("size", 500)
    customers = Customers(rng, options.get("relationships", RELATIONSHIPS))
    requests = []
    for _ in range(count):
        items = [contacts.DecideItem(customer_id=name, question=question()) for name in customers.draw(size)]
        if options.get("simulate"):
            simulated = contacts.BatchSimulateDecisionsRequest(organization_id=ORGANIZATION, items=items)
            requests.append(simulated.SerializeToString())
        else:
            made = contacts.BatchDecideRequest(organization_id=ORGANIZATION, request_id=new_request_id(), items=items)
            requests.append(made.SerializeToString())
    name = "BatchSimulateDecisions" if options.get("simulate") else "BatchDecide"
    return Load(f"/rapport.contact.v1.ContactService/{name}", requests, size)


WORKS: Final[dict[str, Callable[[int, random.Random, Mapping[str, Any]], Load]]] = {
    "record": record,
    "batch": batch,
    "exchange": exchange,
    "get": get,
    "balance": balance,
    "explain": explain,
    "read": read,
    "decide": decide,
    "decide_batch": decide_batch,
}
"""What a generator can be told to do."""
