"""Logs of a wanted size, written straight into the store: a million events in a minute rather than ten.

What is written is what the write path writes: the same envelope, a request row for each event, salts, positions. Small
interactions, evenly over customers; the ones named `own` get all their events first.
"""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import Iterator, Mapping
from itertools import count, islice, repeat
from pathlib import Path
from typing import Final

from google.protobuf.message import Message

from benchmarks.load import BEGIN_S, ORGANIZATION, customer, interaction
from ledger.domain.identifiers import relationship_stream
from ledger.log.envelope import join_state
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import Append, NewEvent, RequestKey, Store
from rapport.events.v1 import exchange_pb2
from rapport.events.v1.exchange_pb2 import ExchangeRecorded
from rapport.events.v1.metadata_pb2 import EventMetadata
from services.client.request_ids import RequestIds
from services.runtime.app import open_app
from services.runtime.logs import configure
from services.runtime.settings import from_environment

TOPIC: Final = "interaction.recorded.v1"
EXCHANGE_TOPIC: Final = "exchange.recorded.v1"
EXCHANGES_SPAN_S: Final = 600 * 86_400
"""Seconds over which the exchanges of a filled relationship spread, back from `BEGIN_S`."""
GROUP: Final = 1_000
EVENTS_PER_CUSTOMER: Final = 10
_SIDES: Final = (
    (exchange_pb2.PARTY_CUSTOMER, exchange_pb2.CATEGORY_MONEY_PAYMENT),
    (exchange_pb2.PARTY_ORGANIZATION, exchange_pb2.CATEGORY_GOODS),
)


class Filler:
    """One log that grows. Used by one process at a time: close it before a server opens the folder."""

    def __init__(
        self,
        data_dir: Path,
        *,
        own: Mapping[int, int] | None = None,
        exchanges: Mapping[int, int] | None = None,
    ) -> None:
        """own: events of customers that are to have a certain number, by number of the customer, from 9,000,000 on.

        exchanges: the same, of exchanges of two legs.
        """
        asyncio.run(_create(data_dir))
        self._path = data_dir / "events.db"
        self._versions: dict[str, int] = {}
        self._events = _events()
        self._ids = RequestIds()
        self._own = dict(own or {})
        self._exchanges = dict(exchanges or {})
        self.size = 1
        """Events in the log."""

    def grow(self, size: int) -> None:
        """Write until the log holds `size` events."""
        store = open_store(sqlite_url(self._path))
        try:
            for number, events in self._own.items():
                self._write(store, iter([customer(number)] * events))
            self._own.clear()
            for number, events in self._exchanges.items():
                self._write(store, iter([customer(number)] * events), EXCHANGE_TOPIC, exchange_states())
            self._exchanges.clear()
            customers = max(size // EVENTS_PER_CUSTOMER, 1)
            names = (customer(number % customers) for number in range(self.size, size))
            self._write(store, names)
        finally:
            store.close()

    def tell(self, customers: int, topic: str, event: Message) -> None:
        """Write one event of a topic, the same for each of the first `customers` customers."""
        metadata = EventMetadata(request_id=bytes(16))
        metadata.occur_time.seconds = BEGIN_S
        state = join_state(metadata.SerializeToString(), event.SerializeToString())
        store = open_store(sqlite_url(self._path))
        try:
            self._write(store, map(customer, range(customers)), topic, repeat(state))
        finally:
            store.close()

    def _write(
        self, store: Store, names: Iterator[str], topic: str = TOPIC, states: Iterator[bytes] | None = None
    ) -> None:
        states = states or self._events
        while some := list(islice(names, GROUP)):
            group = [self._append(name, topic, next(states)) for name in some]
            _, head = store.append(group, self.size, time.time_ns() // 1000, 0)
            assert head.position == self.size + len(some), "somebody else writes this log"
            self.size = head.position

    def _append(self, name: str, topic: str, state: bytes) -> Append:
        stream_id = relationship_stream(ORGANIZATION, name)
        version = self._versions[stream_id] = self._versions.get(stream_id, 0) + 1
        request_id = self._ids.new().bytes
        # The stored request id differs from the one in the envelope's sample; nothing that is measured compares them.
        return Append(
            (NewEvent(stream_id, version, topic, state),), RequestKey(ORGANIZATION, request_id), request_id + request_id
        )


async def _create(data_dir: Path) -> None:
    settings = from_environment({"RAPPORT_DATA_DIR": str(data_dir)})
    app = await open_app(settings, {}, configure("json", "error", io.StringIO()))
    await app.ledger.close()


def exchange_states() -> Iterator[bytes]:
    """Yield the stored states of exchanges without end: money against goods or waiting, each id once."""
    rng = random.Random(1)
    for number in count():
        metadata = EventMetadata(request_id=number.to_bytes(16, "big"))
        metadata.occur_time.seconds = BEGIN_S - EXCHANGES_SPAN_S + rng.randrange(EXCHANGES_SPAN_S)
        exchange = ExchangeRecorded(exchange_id=f"x-{number}")
        for giver, category in _SIDES:
            leg = exchange.legs.add(giver=giver, category=category)
            leg.amount.units, leg.amount.asset = rng.randrange(100, 100_000), "EUR/2"
        yield join_state(metadata.SerializeToString(), exchange.SerializeToString())


def _events() -> Iterator[bytes]:
    """Yield stored states without end; the occur times go round within a thousand seconds."""
    states = []
    for number in range(1_000):
        metadata = EventMetadata(request_id=number.to_bytes(16, "big"))
        metadata.occur_time.seconds = BEGIN_S + number
        states.append(join_state(metadata.SerializeToString(), interaction(number).SerializeToString()))
    while True:
        yield from states
