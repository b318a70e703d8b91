"""Logs of relationships for tests: every kind of fact, put straight into a store, from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable

from google.protobuf.message import Message

from ledger.domain.relationship import RelationshipState
from ledger.domain.times import timestamp
from ledger.log.envelope import join_state
from ledger.log.reading import facts
from ledger.log.store import Append, NewEvent, Store
from ledger.projections.database import Database, Query
from ledger.projections.relationships import RELATIONSHIPS, UNITS, Relationships, summary, units_given
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentRefused, ConsentWithdrawn
from rapport.events.v1.exchange_pb2 import (
    CATEGORY_GOODS,
    CATEGORY_MONEY_PAYMENT,
    PARTY_CUSTOMER,
    PARTY_ORGANIZATION,
    ExchangeRecorded,
    ExchangeReversed,
    Leg,
)
from rapport.events.v1.interaction_pb2 import (
    DIRECTION_INBOUND,
    INTERACTION_KIND_VISIT,
    InteractionCorrected,
    InteractionRecorded,
    InteractionRetracted,
)
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.events.v1.privacy_pb2 import KeyCreated
from rapport.type.v1.amount_pb2 import Amount

START = 1_700_000_000_000_000
"""Microseconds."""

Rows = dict[str, list[tuple[int | str, ...]]]


class Log:
    """Appends facts of every kind; knows what may be corrected, retracted and reversed."""

    def __init__(self, store: Store, seed: int = 0, organizations: int = 2, customers: int = 6) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.streams = [f"org-{n}/c-{m}" for n in range(organizations) for m in range(customers)]
        self.originals: dict[str, list[int]] = {stream: [] for stream in self.streams}
        self.exchanges: dict[str, list[str]] = {stream: [] for stream in self.streams}
        self.versions: dict[str, int] = {}
        self.head = store.head().position
        self._numbers = 0

    def grow(self, events: int) -> None:
        """Append some facts, in groups of random size."""
        while events > 0:
            size = min(events, self.random.choice((1, 1, 2, 5, 20)))
            self.append([self._any(self.head + 1 + number) for number in range(size)])
            events -= size

    def append(self, events: list[NewEvent]) -> None:
        _, head = self.store.append([Append(tuple(events))], self.head, START + self.head, 0)
        self.head = head.position

    def event(self, stream: str, topic: str, message: Message, occur_time: int | None = None) -> NewEvent:
        self.versions[stream] = version = self.versions.get(stream, 0) + 1
        metadata = EventMetadata(occur_time=timestamp(occur_time or START - self.random.randrange(10**9)))
        return NewEvent(stream, version, topic, join_state(metadata.SerializeToString(), message.SerializeToString()))

    def visit(self, stream: str, occur_time: int | None = None) -> NewEvent:
        message = InteractionRecorded(kind=INTERACTION_KIND_VISIT, direction=DIRECTION_INBOUND)
        return self.event(stream, "interaction.recorded.v1", message, occur_time)

    def purchase(self, stream: str, exchange_id: str, cents: int) -> NewEvent:
        legs = [
            Leg(
                giver=PARTY_CUSTOMER,
                category=CATEGORY_MONEY_PAYMENT,
                amount=Amount(units=cents, asset=self.random.choice(("EUR/2", "USD/2"))),
            ),
            Leg(giver=PARTY_ORGANIZATION, category=CATEGORY_GOODS, amount=Amount(units=1, asset="CD/0")),
        ]
        return self.event(stream, "exchange.recorded.v1", ExchangeRecorded(exchange_id=exchange_id, legs=legs))

    def _any(self, position: int) -> NewEvent:
        stream = self.random.choice(self.streams)
        kinds: list[Callable[[str, int], NewEvent]] = [*[self._recorded] * 4, *[self._bought] * 4]
        kinds += [self._consent, self._corrected, self._retracted, self._reversed, self._other]
        return self.random.choice(kinds)(stream, position)

    def _recorded(self, stream: str, position: int) -> NewEvent:
        self.originals[stream].append(position)
        return self.visit(stream)

    def _bought(self, stream: str, position: int) -> NewEvent:
        exchange_id = f"x-{position}"
        self.exchanges[stream].append(exchange_id)
        return self.purchase(stream, exchange_id, self.random.randrange(1, 5000))

    def _consent(self, stream: str, _: int) -> NewEvent:
        topic, message = self.random.choice(
            (
                ("consent.given.v1", ConsentGiven(purposes=["news"])),
                ("consent.refused.v1", ConsentRefused(purposes=["news"])),
                ("consent.withdrawn.v1", ConsentWithdrawn()),
            )
        )
        return self.event(stream, topic, message)

    def _corrected(self, stream: str, position: int) -> NewEvent:
        if not self.originals[stream]:
            return self._recorded(stream, position)
        replacement = InteractionRecorded(kind=INTERACTION_KIND_VISIT, direction=DIRECTION_INBOUND)
        message = InteractionCorrected(
            original_position=self.random.choice(self.originals[stream]), replacement=replacement
        )
        return self.event(stream, "interaction.corrected.v1", message)

    def _retracted(self, stream: str, position: int) -> NewEvent:
        originals = self.originals[stream]
        if not originals:
            return self._recorded(stream, position)
        chosen = originals.pop(self.random.randrange(len(originals)))
        return self.event(stream, "interaction.retracted.v1", InteractionRetracted(original_position=chosen))

    def _reversed(self, stream: str, position: int) -> NewEvent:
        if not self.exchanges[stream]:
            return self._bought(stream, position)
        chosen = self.exchanges[stream].pop(self.random.randrange(len(self.exchanges[stream])))
        message = ExchangeReversed(exchange_id=chosen, reversal_id=f"r-{position}", at_original=True)
        return self.event(stream, "exchange.reversed.v1", message)

    def _other(self, stream: str, _: int) -> NewEvent:
        """What counts for nothing, and what is none of a relationship's."""
        organization = stream.partition("/")[0]
        return self.random.choice(
            (
                lambda: self.event(stream, "privacy.key_created.v1", KeyCreated(key_check=b"12345678")),
                lambda: self.event(f"{organization}/@policy", "policy.asset_registered.v1", AssetRegistered()),
            )
        )()


def rows_of(database: Database) -> tuple[int, Rows]:
    """Return the checkpoint of the live generation, and all its rows in order."""

    def ask(query: Query) -> tuple[int, Rows]:
        found = {
            table.name: query.rows(
                f"SELECT {table.names} FROM {query.tables[table.name]} ORDER BY {', '.join(table.key)}"
            )
            for table in (RELATIONSHIPS, UNITS)
        }
        return query.generation.position, found

    answer = database.read(Relationships(), ask)
    assert answer is not None
    return answer


def rows_by_fold(store: Store, to: int) -> Rows:
    """Return what the rows must be at a position: every stream folded, nothing else."""
    rows: Rows = {RELATIONSHIPS.name: [], UNITS.name: []}
    streams = sorted({row.stream_id for row in store.read_log(0, 1_000_000, to) if "/@" not in row.stream_id})
    for stream in streams:
        owner = tuple(stream.split("/"))
        stored = store.read_stream(stream, to_position=to)
        state = RelationshipState()
        for fact in facts(stored):
            state.evolve(fact)
        rows[RELATIONSHIPS.name].append((*owner, stored[-1].version, stored[-1].position, *summary(state)))
        rows[UNITS.name] += [(*owner, *account, units) for account, units in sorted(units_given(state).items())]
    rows[UNITS.name].sort()
    rows[RELATIONSHIPS.name].sort()
    return rows
