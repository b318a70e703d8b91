"""Moving a generation along the log: read, fold, apply, one transaction for each batch; and filling one that is empty.

Events are read in pages and let go of at once, so memory holds one page and the sums of one batch, whatever the size
of the log. A batch has at most one change for each row, however many events are behind it; what concerns all rows of an
organization is changed a portion at a time, in the same transaction.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol, Self, runtime_checkable

from ledger.log.checkpoint import NOTHING, checkpoint_at
from ledger.log.reading import pages
from ledger.log.store import Store
from ledger.projections.database import BUILDING, Database, Generation, KeptRows
from ledger.projections.tables import Changes, Projection, Rows

BATCH_EVENTS: Final = 262_144
"""Events of a batch at most: about a second of folding."""
BATCH_RELATIONSHIPS: Final = 32_768
"""A batch ends when it has changes for so many: some tens of megabytes. The more events share a change, the faster."""


class Portion(NamedTuple):
    """Rows of some relationships, whole."""

    rows: Rows
    events: int
    """How many are in them."""


@runtime_checkable
class ByStream(Projection, Protocol):
    """A projection of which each relationship's rows are made of its whole stream, so that batches are dear.

    It may remember between batches what it folded; so each generation has one of its own.
    """

    def afresh(self) -> Self:
        """Return one that remembers nothing."""
        ...

    def portions(self, store: Store, to: int) -> Iterator[Portion]:
        """Yield all rows as they are at a position, of each relationship once."""
        ...


def afresh(projection: Projection) -> Projection:
    """Return a projection for another generation, or one whose last batch came to nothing."""
    return projection.afresh() if isinstance(projection, ByStream) else projection


def advance(
    projection: Projection,
    database: Database,
    store: Store,
    generation: Generation,
    to: int,
    batch_events: int = BATCH_EVENTS,
) -> Generation:
    """Apply one batch of events, at most up to position `to`; return the generation as it is then.

    Events that do not concern the projection move its checkpoint all the same.

    Raises:
        CheckpointMoved: somebody else applied a batch. Nothing was changed.
        LogDamaged: an event is missing, or cannot be read.
        StoreFailed, StoreClosed: a database does not answer.
    """
    to = min(to, generation.position + batch_events)
    if to <= generation.position:
        return generation
    folding = projection.begin(store, KeptRows(database, generation))
    seen = NOTHING
    for page in pages(store, generation.position, to):
        folding.fold(page)
        if page[-1].position == to or folding.size >= BATCH_RELATIONSHIPS:
            to, seen = page[-1].position, checkpoint_at(page[-1])
            break
    return database.apply(projection, generation, to, folding.changes(store, to), seen)


def fill(
    projection: Projection,
    database: Database,
    store: Store,
    generation: Generation,
    to: int,
    on_events: Callable[[int], None],
) -> Generation:
    """Fold everything up to position `to` into a generation that nobody reads yet, if that saves anything.

    Each relationship once, and in many transactions, so that others can write in between; the checkpoint moves last.
    `on_events`: is told how many events are in it so far; it may raise, to end it.

    Raises:
        CheckpointMoved: somebody else applied a batch.
        LogDamaged, StoreFailed, StoreClosed: as `advance`.
    """
    unread = generation.state == BUILDING or to >= generation.ready_position > 0
    if generation.position or not to or not unread or not isinstance(projection, ByStream):
        return generation
    events = 0
    for portion in projection.portions(store, to):
        database.apply(projection, generation, 0, Changes(rows=portion.rows))
        events += portion.events
        on_events(events)
    last = store.get(to)
    return database.apply(projection, generation, to, Changes(), NOTHING if last is None else checkpoint_at(last))
