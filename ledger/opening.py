"""Opening a ledger over a store: an empty one becomes a log, whose first event is `ledger.created.v1` (audit.md 1)."""

from collections.abc import Callable

from ledger.domain.errors import LogDamaged
from ledger.domain.identifiers import LEDGER_STREAM
from ledger.ledger import Ledger, system_clock
from ledger.limits import Limits
from ledger.log.envelope import join_state, split_state
from ledger.log.keys import KeyStore
from ledger.log.store import Append, NewEvent, Store
from rapport.events.v1.ledger_pb2 import LedgerCreated
from rapport.events.v1.metadata_pb2 import EventMetadata


async def open_ledger(
    store: Store,
    open_keys: Callable[[str], KeyStore],
    *,
    new_log_id: str,
    clock: Callable[[], int] = system_clock,
    limits: Limits | None = None,
) -> Ledger:
    """Return a started ledger over a store, which becomes a log named `new_log_id` if it is empty.

    `open_keys` returns the key store of the log with the id given.

    Raises:
        LogDamaged: position 1 is not `ledger.created.v1`: the store holds something else.
        StoreFailed: the store does not answer.
    """
    if store.head().position == 0:
        _create(store, new_log_id, clock())
    created = _read_created(store)
    ledger = Ledger(store, open_keys(created.log_id), created, clock=clock, limits=limits)
    await ledger.start()
    return ledger


def _create(store: Store, log_id: str, now: int) -> None:
    created = LedgerCreated(log_id=log_id, origin=f"rapport.local/{log_id}", entry_format="rapport.entry.v1")
    metadata = EventMetadata()
    metadata.occur_time.FromMicroseconds(now)
    state = join_state(metadata.SerializeToString(), created.SerializeToString())
    # Of two processes that find the log empty one wins; the other is told of a conflict and reads what the first wrote.
    store.append([Append((NewEvent(LEDGER_STREAM, 1, "ledger.created.v1", state),))], 0, now, now)


def _read_created(store: Store) -> LedgerCreated:
    row = store.get(1)
    if row is None or row.topic != "ledger.created.v1":
        raise LogDamaged(1, "a log begins with ledger.created.v1; this database holds something else")
    return LedgerCreated.FromString(split_state(row.state).event)
