"""Recomputes every balance of a log, apart from the ledger: a replay, and sums of units.

It knows the exchange mix only: exchanges posted at once, reversals at the original's time, one rate for everything.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import grpc

from benchmarks.load import ORGANIZATION
from rapport.audit.v1.audit_service_pb2 import ReadEventsRequest
from rapport.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, ExchangeRecorded, ExchangeReversed
from rapport.relationship.v1.relationship_service_pb2 import GetBalanceRequest
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub

RATE_NANOS: Final = 10_000_000
TIMEOUT_S: Final = 600.0

Exchanges = dict[str, ExchangeRecorded]


def wrong_balances(target: str) -> tuple[int, list[str]]:
    """Return how many relationships were compared, and which of them have another balance than the replay gives."""
    with grpc.insecure_channel(target) as channel:
        expected = {name: _got_and_gave(exchanges) for name, exchanges in _replayed(channel).items()}
        relationships: Any = RelationshipServiceStub
        stub = relationships(channel)
        wrong = []
        for name, sums in expected.items():
            request = GetBalanceRequest(organization_id=ORGANIZATION, customer_id=name)
            balance = stub.GetBalance(request, timeout=TIMEOUT_S).balance
            if (balance.got_nanos, balance.gave_nanos) != sums:
                wrong.append(name)
        return len(expected), wrong


def _replayed(channel: grpc.Channel) -> dict[str, Exchanges]:
    """Return the exchanges in force by customer and id."""
    found: defaultdict[str, Exchanges] = defaultdict(dict)
    audits: Any = AuditServiceStub
    complete = False
    for frame in audits(channel).ReadEvents(ReadEventsRequest(), timeout=TIMEOUT_S):
        complete = frame.end.complete
        for event in frame.batch.events:
            customer_id = event.stream_id.partition("/")[2]
            if event.topic == "exchange.recorded.v1":
                exchange = ExchangeRecorded.FromString(event.event)
                assert exchange.exchange_id not in found[customer_id], "an exchange was recorded twice"
                found[customer_id][exchange.exchange_id] = exchange
            elif event.topic == "exchange.reversed.v1":
                del found[customer_id][ExchangeReversed.FromString(event.event).exchange_id]
    if not complete:
        raise RuntimeError("the replay did not end with a complete End frame")
    return found


def _got_and_gave(exchanges: Exchanges) -> tuple[int, int]:
    """Return what the customer got and gave, in nanos."""
    got = gave = 0
    for exchange in exchanges.values():
        for leg in exchange.legs:
            value = leg.amount.units * RATE_NANOS
            if leg.giver == PARTY_CUSTOMER:
                gave += value
            else:
                got += value
    return got, gave
