"""Relationships in memory from batch to batch of the projection `programmes`, so that none is folded for each event.

It holds for one place of the log. A batch takes it, and puts it back for the place that the batch leads to; where the
batch came to nothing, the next one begins elsewhere and starts an empty one. It is bounded by what it weighs, and what
was touched least lately goes first.
"""

from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

from ledger.log.reading import facts
from ledger.log.store import EventRow, Store
from ledger.projections.histories import STREAMS, histories
from ledger.report.remembered import Remembered
from ledger.weighed import Weighed

PIECES_MAX: Final = 100_000
"""Events and rows in memory, about, and what counts like them: a few hundred bytes each."""

_B = TypeVar("_B")


class Memory(Generic[_B]):
    """Relationships by stream, and what is known of organizations. For one batch at a time."""

    def __init__(self, pieces_max: int) -> None:
        self.position = 0
        """Everything up to here is in it, as far as it is kept."""
        self.bases: dict[str, _B] = {}
        """By organization."""
        self._kept = Weighed[Remembered](pieces_max)

    def feed(self, stream_id: str, rows: list[EventRow]) -> None:
        """Fold the next events of a stream, where what came before them is in memory; at least one."""
        known = self._kept.get(stream_id)
        if known is None and rows[0].version == 1:
            known = Remembered()
        if known is None:
            return
        if known.version + 1 != rows[0].version:
            self._kept.drop(stream_id)
            return
        known.feed(facts(rows), rows[-1].version)
        self._kept.keep(stream_id, known, known.pieces)

    def each(self, store: Store, stream_ids: list[str], to: int) -> Iterator[tuple[str, Remembered]]:
        """Yield some relationships as they are at a position, up to which those in memory were fed; in any order.

        One that is not in memory is folded from its stream. They are to be let go of before the next one is asked for.
        """
        for at in range(0, len(stream_ids), STREAMS):
            missing = []
            for stream_id in stream_ids[at : at + STREAMS]:
                known = self._kept.get(stream_id)
                if known is None:
                    missing.append(stream_id)
                else:
                    yield stream_id, known
            for stream_id, pages in histories(store, missing, to) if missing else ():
                known = _folded(pages)
                yield stream_id, known
                self._kept.keep(stream_id, known, known.pieces)

    def forget(self, stream_ids: Iterable[str]) -> None:
        """Let some relationships go."""
        for stream_id in stream_ids:
            self._kept.drop(stream_id)


def _folded(pages: Iterable[list[EventRow]]) -> Remembered:
    known = Remembered(is_told=False)
    for page in pages:
        known.feed(facts(page), page[-1].version if page else known.version)
    return known
