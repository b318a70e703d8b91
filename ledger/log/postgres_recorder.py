"""The library's process recorder on our tables in PostgreSQL.

What the library calls originator is a stream here, and its notification id is our position: counted from the row
`log_head`, under its lock, and not by a sequence. The library's own way of inserting is replaced as a whole, because
it sends an insert again when the connection was lost, and then takes its own first one for a conflict (A3).
"""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import ApplicationRecorder, Notification, StoredEvent, Subscription, Tracking
from eventsourcing.postgres import PostgresProcessRecorder

from ledger.log import postgres_schema
from ledger.log.postgres_arrays import BigintArray, ByteaArray, TextArray
from ledger.log.postgres_datastore import PostgresDatastore
from ledger.log.store import Append, Head, NewEvent
from ledger.log.survivors import Plan, place
from ledger.log.waking import Listeners, LogSubscription

LOCK_HEAD = "SELECT position, record_time FROM log_head FOR UPDATE"
APPEND = f"SELECT * FROM rapport_append({', '.join(['%s'] * 15)})"  # noqa: S608


class PostgresRecorder(PostgresProcessRecorder):
    """Events and tracking records in one database, as the library wants to write and read them."""

    datastore: PostgresDatastore

    def __init__(self, datastore: PostgresDatastore) -> None:
        super().__init__(datastore)
        self.listeners = Listeners()

    def create_table(self) -> None:
        """Create what is missing; any number of processes may do so at once. Raises StoreRefused."""
        with self.datastore.writing() as session:
            postgres_schema.create(session)
        self.tracking_migration_current = 1  # Of the library: one row per reader.

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """Store events at the end of the log; return their positions.

        Raises:
            IntegrityError: one of them is there already, or the tracking record is; nothing was written.
            OutcomeUnknown, StoreFailed, StoreClosed: as `Store.append`.
        """
        events = tuple(
            NewEvent(_text(event.originator_id), event.originator_version, event.topic, event.state)
            for event in stored_events
        )
        tracking: Tracking | None = kwargs.get("tracking")
        with self.datastore.transaction(commit=True) as cursor:
            row = cursor.execute(LOCK_HEAD).fetchone()
            assert row is not None
            plan = place([Append(events)], Head(row["position"], 0), 0)
            if events:
                # The library's interface gives no time. Nothing is ordered by it.
                cursor.execute(APPEND, parameters(plan, row["position"], time.time_ns() // 1000, 0))
            if tracking is not None:
                self._insert_tracking(cursor, tracking)
        if events:
            self.listeners.tell(plan.head.position)
        return [event[0] for event in plan.events]

    def insert_tracking(self, tracking: Tracking) -> None:
        """Store a tracking record. Raises IntegrityError if it does not lie beyond the last one."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return the events of one stream; `gt` and `lte` bound their versions."""
        sql = "SELECT version, topic, state FROM stored_events WHERE stream_id = %s"
        values: list[object] = [_text(originator_id)]
        for condition, bound in (("version > %s", gt), ("version <= %s", lte)):
            if bound is not None:
                sql += f" AND {condition}"
                values.append(bound)
        sql += f" ORDER BY version {'DESC' if desc else 'ASC'} LIMIT %s"
        values.append(limit)  # NULL: no limit.
        return self.datastore.rows(sql, values, lambda row: StoredEvent(originator_id, *row))

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return events in order of position, from `start` to `stop`."""
        sql = "SELECT stream_id, version, topic, state, position FROM stored_events WHERE position >= %s"
        values: list[object] = [1 if start is None else start if inclusive_of_start else start + 1]
        for condition, value in (("position <= %s", stop), ("topic = ANY(%s)", TextArray(topics) or None)):
            if value is not None:
                sql += f" AND {condition}"
                values.append(value)
        values.append(limit)
        return self.datastore.rows(f"{sql} ORDER BY position LIMIT %s", values, self._notification)

    def max_notification_id(self) -> int | None:
        """Return the position of the head, or None when there is no event."""
        ((position,),) = self.datastore.rows("SELECT position FROM log_head")
        return position or None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Return an endless iterator over events after position `gt`."""
        return LogSubscription(self, self.listeners, gt, topics)

    def _notification(self, row: Sequence[Any]) -> Notification:
        stream_id, *rest = row
        uuids = self.datastore.originator_id_type == "uuid"
        return Notification(UUID(stream_id) if uuids else stream_id, *rest)


def parameters(plan: Plan, known_head: int, now: int, latest_decision: int) -> tuple[object, ...]:
    """Return the parameters of APPEND."""
    positions, stream_ids, versions, topics, _, salts, states = _columns(plan.events, 7)
    organization_ids, request_ids, fingerprints, firsts, lasts, _, answers = _columns(plan.requests, 7)
    return (
        known_head,
        now,
        latest_decision,
        BigintArray(positions),
        TextArray(stream_ids),
        BigintArray(versions),
        TextArray(topics),
        ByteaArray(salts),
        ByteaArray(states),
        TextArray(organization_ids),
        ByteaArray(request_ids),
        ByteaArray(fingerprints),
        BigintArray(firsts),
        BigintArray(lasts),
        ByteaArray(answers),
    )


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> Sequence[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _text(originator_id: UUID | str) -> str:
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id
