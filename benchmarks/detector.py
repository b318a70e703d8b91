"""The detector: changes of a whole log found anew, many customers and a hot one; and a sweep of what the clock moves.

In one process and in memory, as a verification finds them, by the CPU time of the one thread. A log for the sweep has
one purchase of each customer; then comes a single event, recorded when a tenth of the customers are due.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from time import thread_time
from typing import Final, NamedTuple

from benchmarks.filling import Filler
from benchmarks.load import BEGIN_S, ORGANIZATION, customer
from benchmarks.options import Options, parse
from benchmarks.report import Case, Row
from benchmarks.rig import Rig
from ledger.change.finding import Finder
from ledger.change.kept import KeptInMemory
from ledger.change.table import NEVER, Progress
from ledger.domain.identifiers import relationship_stream
from ledger.domain.times import MICROSECONDS
from ledger.log.envelope import join_state
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.store import Append, NewEvent, RequestKey, Store
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.metadata_pb2 import EventMetadata
from services.client.request_ids import RequestIds
from services.runtime.process import spare_the_collector

EVENTS_OF_A_CUSTOMER: Final = 4
SPAN_S: Final = 600 * 86_400
GROUP: Final = 500
_TOPIC: Final = "interaction.recorded.v1"
_LOG_ID: Final = "bench"


class Write(NamedTuple):
    """One event to be written."""

    name: str
    time_s: int
    """When it occurred, and was recorded; seconds since 1970."""
    event: i.InteractionRecorded


class Detector:
    """Changes of one log, found in memory."""

    def __init__(self, store: Store) -> None:
        self.kept = KeptInMemory()
        self.changes = 0
        self._store = store
        self._finder = Finder(store, self.kept, _LOG_ID)
        self._progress = Progress(_LOG_ID)

    @property
    def looks(self) -> int:
        """How many looks at relationships were needed."""
        return self._finder.looks

    def run(self) -> float:
        """Find what is to be found; return the seconds of CPU that it took."""
        began, head = thread_time(), self._store.head().position
        while found := self._finder.find(self._progress, head):
            self.kept.store(found.watched, found.aggregates)
            self._progress = found.progress
            self.changes += len(found.changes)
        return thread_time() - began


class Log:
    """A log that is written to, group by group."""

    def __init__(self, folder: Path) -> None:
        Filler(folder)
        self.store = open_store(sqlite_url(folder / "events.db"))
        self._versions: dict[str, int] = {}
        self._head = self.store.head().position
        self._ids = RequestIds()

    def write(self, writes: list[Write]) -> None:
        """Write events in order."""
        for first in range(0, len(writes), GROUP):
            group = writes[first : first + GROUP]
            now = group[-1].time_s * MICROSECONDS
            _, head = self.store.append([self._append(each) for each in group], self._head, now, 0)
            self._head = head.position

    def _append(self, write: Write) -> Append:
        stream_id, request_id = relationship_stream(ORGANIZATION, write.name), self._ids.new().bytes
        version = self._versions[stream_id] = self._versions.get(stream_id, 0) + 1
        metadata = EventMetadata(request_id=request_id)
        metadata.occur_time.seconds = write.time_s
        state = join_state(metadata.SerializeToString(), write.event.SerializeToString())
        event = NewEvent(stream_id, version, _TOPIC, state)
        return Append((event,), RequestKey(ORGANIZATION, request_id), request_id + request_id)


def measure(rig: Rig, options: Options) -> Row:
    """Measure the row."""
    spare_the_collector()  # As the process that finds changes does.
    size = options.pick(20_000, 4_000, 100)
    cases = [
        found_anew("many customers", rig.folder(), size, size // EVENTS_OF_A_CUSTOMER, options),
        found_anew("three hot customers", rig.folder(), size, 3, options),
        *swept(rig.folder(), options.pick(10_000, 2_000, 50), options),
    ]
    settings = {"backend": "SQLite, read only; kept in memory", "mix": "purchases, and a third of solicitations"}
    return Row(name="detector", title="changes found anew", cases=cases, seed=options.seed, settings=settings)


def found_anew(name: str, folder: Path, size: int, customers: int, options: Options) -> Case:
    """Measure the rebuild of all changes of a log."""
    log = Log(folder)
    log.write(list(_mixed(size, customers, options.seed)))
    rates, detector = [], Detector(log.store)
    for _ in range(options.pairs):
        detector = Detector(log.store)
        rates.append(size / detector.run())
    log.store.close()
    return Case(
        name=name,
        unit="events per CPU second",
        ours=rates,
        more={"events": size, "customers": customers, "looks": detector.looks, "changes": detector.changes},
    )


def swept(folder: Path, customers: int, options: Options) -> list[Case]:
    """Measure what a tenth of the relationships costs that are due at once."""
    rng, log = random.Random(options.seed), Log(folder)
    times = sorted(BEGIN_S + rng.randrange(60 * 86_400) for _ in range(customers))
    log.write([Write(customer(number), time, _purchase()) for number, time in enumerate(times)])
    detector = Detector(log.store)
    detector.run()
    due = sorted(row.due for row in detector.kept.rows.values() if row.due < NEVER)
    before = detector.looks
    wanted = due[min(customers // 10, len(due)) - 1]
    log.write([Write("customer-last", wanted // MICROSECONDS + 1, _purchase())])
    seconds = detector.run()
    looks = detector.looks - before
    log.store.close()
    told = {"relationships": customers, "looks": looks}
    return [
        Case(name=f"sweep of a tenth of {customers:,}", unit="looks per CPU second", ours=[looks / seconds], more=told)
    ]


def _mixed(size: int, customers: int, seed: int) -> Iterator[Write]:
    rng = random.Random(seed)
    for number in range(size):
        event = _solicitation() if rng.random() < 1 / 3 else _purchase()
        yield Write(customer(rng.randrange(customers)), BEGIN_S + SPAN_S * number // size, event)


def _purchase() -> i.InteractionRecorded:
    return i.InteractionRecorded(
        kind=i.INTERACTION_KIND_PURCHASE,
        direction=i.DIRECTION_INBOUND,
        initiator=i.INITIATOR_CUSTOMER,
        channel=i.CHANNEL_WEB,
    )


def _solicitation() -> i.InteractionRecorded:
    return i.InteractionRecorded(
        kind=i.INTERACTION_KIND_MESSAGE,
        direction=i.DIRECTION_OUTBOUND,
        initiator=i.INITIATOR_ORGANIZATION,
        channel=i.CHANNEL_EMAIL,
        message_class=i.MESSAGE_CLASS_MARKETING,
    )


if __name__ == "__main__":
    with Rig() as _rig:
        measure(_rig, parse()).print()
