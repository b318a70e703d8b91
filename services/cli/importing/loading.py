"""Lines to the services: in chunks, several in flight, results in the order of the file.

The records of a line are sent one after another (interactions, then consents, then exchanges), each only once the one
before is recorded, so that a line that is refused leaves as little as possible behind. Chunks overlap: while the
exchanges of one are on their way, so are the interactions of the next.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.exchange.v1.exchange_service_pb2 import IngestExchangesResult
from rapport.exchange.v1.operation_pb2 import OUTCOME_ALREADY_APPLIED
from services.cli.importing.faults import LineFault
from services.cli.importing.mapping import KINDS, ImportMapping, Record
from services.cli.importing.rejects import Rejects
from services.cli.importing.request_ids import ImportIds
from services.cli.importing.source import FileReader, Line
from services.client import Client, IngestStream, Outcome, RapportError

CHUNK_LINES: Final = 250
"""Lines of a chunk; as many records of a kind make a frame, about 25 KiB."""
CHUNKS_IN_FLIGHT: Final = 8
_MOST_ITEMS: Final = 1000

OnProgress = Callable[["Totals", int], None]


@dataclass(slots=True)
class Totals:
    """What an import did so far."""

    lines: int = 0
    """Lines that hold data."""
    recorded: int = 0
    """Events that this run added to the log."""
    replayed: int = 0
    """Records that an earlier run, or an earlier line, had recorded."""
    rejected: int = 0
    """Lines of which something was not recorded."""
    without_records: int = 0
    """Lines that the conditions of the mapping leave out."""
    position: int = 0
    """Greatest log position among the answers."""
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.started


@dataclass(slots=True)
class _Work:
    """A line, its records, and what became of them."""

    line: Line
    records: dict[str, list[Record]]
    reason: str = ""
    recorded: int = 0
    replayed: int = 0
    position: int = 0


class Loader:
    """Loads one file."""

    def __init__(self, client: Client, mapping: ImportMapping, source: str, rejects: Rejects) -> None:
        self._client = client
        self._mapping = mapping
        self._ids = ImportIds(source)
        self._rejects = rejects
        self._streams: dict[str, IngestStream[Any, Any]] = {}
        self.totals = Totals()

    async def load(self, reader: FileReader, on_progress: OnProgress) -> Totals:
        """Record everything that can be recorded; call `on_progress` with the totals and the bytes done.

        Raises:
            RapportError: The server stayed away for too long. Running the import again goes on where it stopped.
            OSError: The file cannot be read, or the rejects cannot be written.
        """
        await register_assets(self._client, self._mapping.organization_id, self._mapping.assets)
        chunks: deque[asyncio.Task[list[_Work]]] = deque()
        async with AsyncExitStack() as stack:
            for kind in dict.fromkeys(plan.kind for plan in self._mapping.records):
                self._streams[kind] = await stack.enter_async_context(self._open(kind))
            try:
                for lines in _chunks(reader.lines()):
                    chunks.append(asyncio.create_task(self._record(lines)))
                    # Lets the new task send its first frame before the next chunk is read.
                    await asyncio.sleep(0)
                    while len(chunks) > CHUNKS_IN_FLIGHT:
                        self._count(await chunks.popleft(), on_progress)
                while chunks:
                    self._count(await chunks.popleft(), on_progress)
            finally:
                for chunk in chunks:
                    chunk.cancel()
                await asyncio.gather(*chunks, return_exceptions=True)
        return self.totals

    def _open(self, kind: str) -> IngestStream[Any, Any]:
        organization_id = self._mapping.organization_id
        match kind:
            case "interactions":
                return self._client.ingest_interactions(organization_id, window=CHUNKS_IN_FLIGHT)
            case "consents":
                return self._client.ingest_consents(organization_id, window=CHUNKS_IN_FLIGHT)
            case _:
                return self._client.ingest_exchanges(organization_id, window=CHUNKS_IN_FLIGHT)

    async def _record(self, lines: list[Line]) -> list[_Work]:
        """Record a chunk; what was refused is noted with each line."""
        works = [self._work(line) for line in lines]
        for kind in KINDS:
            sending = [(work, record) for work in works if not work.reason for record in work.records.get(kind, ())]
            for begin in range(0, len(sending), _MOST_ITEMS):
                part = sending[begin : begin + _MOST_ITEMS]
                outcomes = await self._streams[kind].send([record for _, record in part])
                for (work, _), outcome in zip(part, outcomes, strict=True):
                    _note(work, kind, outcome)
        return works

    def _work(self, line: Line) -> _Work:
        """Return the records of a line, or why it has none."""
        if line.fault:
            return _Work(line, {}, line.fault)
        row = self._mapping.row(line.number, line.cells)
        records: dict[str, list[Record]] = {}
        try:
            for plan in self._mapping.records:
                record = plan.build(row, self._request_id(line, plan.number))
                if record is not None:
                    records.setdefault(plan.kind, []).append(record)
        except LineFault as fault:
            return _Work(line, {}, str(fault))
        return _Work(line, records)

    def _request_id(self, line: Line, number: int) -> str:
        source = self._mapping.source
        if source.key == ("line",):
            return self._ids.of_line(line.number, number)
        cells = dict(zip(source.columns, line.cells, strict=True))
        return self._ids.of_key(tuple(cells[name] for name in source.key), number)

    def _count(self, works: list[_Work], on_progress: OnProgress) -> None:
        totals = self.totals
        for work in works:
            totals.lines += 1
            totals.recorded += work.recorded
            totals.replayed += work.replayed
            totals.position = max(totals.position, work.position)
            if work.reason:
                totals.rejected += 1
                self._rejects.add(work.line, work.reason)
            elif not work.records:
                totals.without_records += 1
        on_progress(totals, works[-1].line.end)


def _note(work: _Work, kind: str, outcome: Outcome[Any]) -> None:
    result, error = outcome
    if error is not None:
        work.reason = f"{kind.removesuffix('s')}: {error_text(error)}"
        return
    position, replayed = result.position if not isinstance(result, IngestExchangesResult) else 0, result.replayed
    if isinstance(result, IngestExchangesResult):
        position = result.result.position
        # The same exchange under another request id, such as that of another name of the file.
        replayed = replayed or result.result.outcome == OUTCOME_ALREADY_APPLIED
    work.position = max(work.position, position)
    if replayed:
        work.replayed += 1
    else:
        work.recorded += 1


def error_text(error: RapportError) -> str:
    """Return an error in one line: the server's sentence, and the fields at fault where it does not name them."""
    text = str(error)
    missing = [each for each in error.violations if each.description not in text]
    return "; ".join([text, *(f"{each.field}: {each.description}" for each in missing)])


async def register_assets(client: Client, organization_id: str, assets: Iterable[AssetRegistered]) -> None:
    """Register the assets that are not registered yet, or with a lower limit; a higher one is left as it is.

    Raises:
        RapportError: ASSET_CODE_TAKEN where an asset is registered as another kind.
    """
    wanted = list(assets)
    if not wanted:
        return
    registered = {each.asset.asset: each.asset for each in (await client.list_assets(organization_id)).assets}
    new = [asset for asset in wanted if not _covers(registered.get(asset.asset), asset)]
    if new:
        await client.register_assets(organization_id, new)


def _covers(registered: AssetRegistered | None, wanted: AssetRegistered) -> bool:
    return (
        registered is not None
        and registered.kind == wanted.kind
        and registered.max_units_per_leg >= wanted.max_units_per_leg
    )


def _chunks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while chunk := list(islice(lines, CHUNK_LINES)):
        yield chunk
