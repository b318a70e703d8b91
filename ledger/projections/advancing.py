"""Moving a generation along the log: read, fold, apply, one transaction for each batch.

Events are read in pages and let go of at once, so memory holds one page and the sums of one batch, whatever the size
of the log. A batch has at most one change for each row, however many events are behind it; what concerns all rows of an
organization is changed a portion at a time, in the same transaction.
"""

from typing import Final

from ledger.log.reading import pages
from ledger.log.store import Store
from ledger.projections.database import Database, Generation, KeptRows
from ledger.projections.tables import Projection

BATCH_EVENTS: Final = 262_144
"""Events of a batch at most: about a second of folding."""
BATCH_RELATIONSHIPS: Final = 32_768
"""A batch ends when it has changes for so many: some tens of megabytes. The more events share a change, the faster."""


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
    for page in pages(store, generation.position, to):
        folding.fold(page)
        if folding.size >= BATCH_RELATIONSHIPS:
            to = page[-1].position
            break
    return database.apply(projection, generation, to, folding.changes(store, to))
