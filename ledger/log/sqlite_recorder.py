"""The library's process recorder on our tables in SQLite.

What the library calls originator is a stream here, and its notification id is our position. The tables differ from
the library's: `position` is a column of its own, because an implicit rowid is given again after its row is deleted
(A5), and triggers refuse every change of what was written.
"""

import sqlite3
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import ApplicationRecorder, Notification, StoredEvent, Subscription, Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteProcessRecorder

from ledger.domain.errors import StoreRefused
from ledger.log.sqlite_datastore import SqliteDatastore
from ledger.log.store import Append, Head, NewEvent, RequestRow
from ledger.log.survivors import EventValues, place
from ledger.log.waking import Listeners, LogSubscription

SCHEMA_VERSION = 1
"""`PRAGMA user_version` of a file with the tables below."""

CREATE_STATEMENTS = (
    """CREATE TABLE stored_events (
        position INTEGER PRIMARY KEY,
        stream_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        record_time INTEGER NOT NULL,
        salt BLOB NOT NULL,
        state BLOB NOT NULL,
        UNIQUE (stream_id, version)
    ) STRICT""",
    """CREATE TABLE requests (
        organization_id TEXT NOT NULL,
        request_id BLOB NOT NULL,
        fingerprint BLOB NOT NULL,
        first_position INTEGER NOT NULL,
        last_position INTEGER NOT NULL,
        record_time INTEGER NOT NULL,
        answer BLOB,
        PRIMARY KEY (organization_id, request_id)
    ) STRICT, WITHOUT ROWID""",
    *(
        f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, 'what is in {table} is never changed'); END"
        for table in ("stored_events", "requests")
        for change in ("UPDATE", "DELETE")
    ),
)

INSERT_EVENT = "INSERT INTO stored_events VALUES (?,?,?,?,?,?,?)"
INSERT_REQUEST = "INSERT INTO requests VALUES (?,?,?,?,?,?,?)"
SELECT_HEAD = "SELECT position, record_time FROM stored_events ORDER BY position DESC LIMIT 1"


class SqliteRecorder(SQLiteProcessRecorder):
    """Events and tracking records in one SQLite file, as the library wants to write and read them."""

    datastore: SqliteDatastore

    def __init__(self, datastore: SqliteDatastore) -> None:
        super().__init__(datastore)
        self.listeners = Listeners()

    def create_table(self) -> None:
        """Create what is missing, in one transaction; any number of processes may do so at once.

        Raises:
            StoreRefused: the file holds something else, or tables of another version.
        """
        with self.datastore.transaction(commit=True) as c:
            c.execute("PRAGMA user_version")
            (version,) = c.fetchone()
            if version == 0:
                c.execute("SELECT count(*) FROM sqlite_schema")
                (tables,) = c.fetchone()
                if tables:
                    raise StoreRefused("the file holds another database")
                self._create_table(c)
                c.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise StoreRefused(f"the tables have version {version}; this release knows {SCHEMA_VERSION}")
            self.tracking_migration_current = 1  # Of the library: one row per reader.

    def construct_create_table_statements(self) -> list[str]:
        """Return our statements and the library's for tracking."""
        tracking = [text for text in super().construct_create_table_statements() if " tracking (" in text]
        return [*CREATE_STATEMENTS, *tracking]

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        c.execute(SELECT_HEAD)
        row = c.fetchone()
        head = Head(*row) if row else Head(0, 0)
        events = tuple(NewEvent(_text(e.originator_id), e.originator_version, e.topic, e.state) for e in stored_events)
        plan = place([Append(events)], head, max(_now(), head.record_time))
        c.executemany(INSERT_EVENT, plan.events)
        tracking: Tracking | None = kwargs.get("tracking")
        if tracking is not None:
            self._insert_tracking(c, tracking)
        return [event[0] for event in plan.events]

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int]:
        """Store events at the end of the log; return their positions.

        Raises:
            IntegrityError: one of them is there already, or the tracking record is; nothing was written.
            OutcomeUnknown, StoreFailed, StoreClosed: as `Store.append`.
        """
        with self.datastore.transaction(commit=True) as c:
            positions = self._insert_events(c, stored_events, **kwargs)
        if positions:
            self.listeners.tell(positions[-1])
        return positions

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
        sql = "SELECT version, topic, state FROM stored_events WHERE stream_id = ?"
        parameters: list[object] = [_text(originator_id)]
        for condition, bound in (("version > ?", gt), ("version <= ?", lte)):
            if bound is not None:
                sql += f" AND {condition}"
                parameters.append(bound)
        sql += f" ORDER BY version {'DESC' if desc else 'ASC'} LIMIT ?"
        parameters.append(-1 if limit is None else limit)
        with self.datastore.transaction(commit=False) as c:
            c.execute(sql, parameters)
            return [StoredEvent(originator_id, version, topic, state) for version, topic, state in c.fetchall()]

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
        sql = "SELECT stream_id, version, topic, state, position FROM stored_events WHERE position >= ?"
        first = 1 if start is None else start if inclusive_of_start else start + 1
        parameters: list[object] = [first]
        if stop is not None:
            sql += " AND position <= ?"
            parameters.append(stop)
        if topics:
            sql += f" AND topic IN ({','.join('?' * len(topics))})"
            parameters += topics
        sql += " ORDER BY position LIMIT ?"
        parameters.append(limit)
        with self.datastore.transaction(commit=False) as c:
            c.execute(sql, parameters)
            return [Notification(self.convert_originator_id(stream_id), *rest) for stream_id, *rest in c.fetchall()]

    def max_notification_id(self) -> int | None:  # type: ignore[override]  # the library means it, and says int
        """Return the position of the head, or None when there is no event."""
        with self.datastore.transaction(commit=False) as c:
            c.execute("SELECT max(position) FROM stored_events")
            position: int | None = c.fetchone()[0]
            return position

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Return an endless iterator over events after position `gt`."""
        return LogSubscription(self, self.listeners, gt, topics)


def insert(connection: sqlite3.Connection, events: Sequence[EventValues], requests: Sequence[RequestRow]) -> None:
    """Insert rows in the transaction of `connection`."""
    connection.executemany(INSERT_EVENT, events)
    connection.executemany(INSERT_REQUEST, requests)


def _text(originator_id: UUID | str) -> str:
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id


def _now() -> int:
    # The library's interface gives no time. Nothing is ordered by it.
    return time.time_ns() // 1000
