"""The store on PostgreSQL: the shape for several processes and machines."""
# ruff: noqa: S608  # Statements are put together from the constants below; values are always parameters.

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import psycopg
from psycopg.rows import tuple_row

from ledger.log.postgres_arrays import BigintArray, ByteaArray, TextArray
from ledger.log.postgres_datastore import PostgresDatastore, Session
from ledger.log.postgres_listener import PostgresListener
from ledger.log.postgres_recorder import APPEND, LOCK_HEAD, PostgresRecorder, parameters
from ledger.log.store import Append, Appended, EventRow, Head, Outcome, RequestKey, RequestRow
from ledger.log.survivors import choose, place, requests_of, streams_of
from ledger.testing.fault_points import reach

_EVENT = "e.position, e.stream_id, e.version, e.topic, e.record_time, e.salt, e.state"
_REQUEST = "r.organization_id, r.request_id, r.fingerprint, r.first_position, r.last_position, r.record_time, r.answer"

# OFFSET 0 fixes the order of the loops: one search of the index per key, whatever the planner thinks of the keys.
# COLLATE says whose order counts, since keys come with the database's and columns with "C", the order of bytes.
_VERSIONS = """
    SELECT k.stream_id, coalesce(
        (SELECT max(e.version) FROM stored_events AS e WHERE e.stream_id = k.stream_id COLLATE "C"), 0)
    FROM unnest(%s::text[]) AS k(stream_id)"""
_TAILS = f"""
    SELECT {_EVENT} FROM unnest(%s::text[], %s::bigint[]) AS k(stream_id, version)
    CROSS JOIN LATERAL (
        SELECT * FROM stored_events AS s WHERE s.stream_id = k.stream_id COLLATE "C" AND s.version > k.version OFFSET 0
    ) AS e"""
_REQUESTS = f"""
    SELECT {_REQUEST} FROM unnest(%s::text[], %s::bytea[]) AS k(organization_id, request_id)
    CROSS JOIN LATERAL (
        SELECT * FROM requests AS q
        WHERE q.organization_id = k.organization_id COLLATE "C" AND q.request_id = k.request_id OFFSET 0
    ) AS r"""
_LIST_STREAMS = """
    WITH RECURSIVE found(id) AS (
        SELECT min(stream_id) FROM stored_events WHERE stream_id > %(after)s AND stream_id < %(before)s
        UNION ALL
        SELECT (SELECT min(stream_id) FROM stored_events WHERE stream_id > found.id AND stream_id < %(before)s)
        FROM found WHERE found.id IS NOT NULL
    )
    SELECT id FROM found WHERE id IS NOT NULL LIMIT %(limit)s"""
# Record times never decrease with position, so half of what is left falls away with each step.
_POSITION_AT = """
    WITH RECURSIVE search(low, high) AS (
        SELECT 0::bigint, position FROM log_head
        UNION ALL
        SELECT
            CASE WHEN e.record_time <= %(time)s THEN middle ELSE low END,
            CASE WHEN e.record_time <= %(time)s THEN high ELSE middle - 1 END
        FROM search
        CROSS JOIN LATERAL (SELECT (low + high + 1) / 2 AS middle) AS m
        JOIN stored_events AS e ON e.position = middle
        WHERE low < high
    )
    SELECT low FROM search WHERE low = high"""
_MAY_CHANGE = """
    SELECT current_user, rolsuper OR rolbypassrls
        OR has_table_privilege('stored_events', 'UPDATE, DELETE, TRUNCATE')
        OR has_table_privilege('requests', 'UPDATE, DELETE, TRUNCATE')
    FROM pg_roles WHERE rolname = current_user"""

_to_event = cast("Callable[[Any], EventRow]", partial(tuple.__new__, EventRow))  # Half the cost of EventRow._make.
_to_request = cast("Callable[[Any], RequestRow]", partial(tuple.__new__, RequestRow))


class PostgresStore(PostgresRecorder):
    """Events and requests in one PostgreSQL database. See `Store` for what each method promises."""

    reads_are_local = False

    def __init__(self, conninfo: str, *, lock_timeout_s: float = 10.0, statement_timeout_s: float = 30.0) -> None:
        """Connect to the database that `conninfo` names, and create the tables if they are not there.

        lock_timeout_s: how long an append waits for other writers. statement_timeout_s: how long any statement may
        take. Either ends in StoreFailed.

        Raises:
            StoreRefused: a setting that durability rests on is off, or the database holds something else.
            StoreFailed: the server cannot be reached.
        """
        super().__init__(
            PostgresDatastore(conninfo, lock_timeout_s=lock_timeout_s, statement_timeout_s=statement_timeout_s)
        )
        self._listener: PostgresListener | None = None
        try:
            self.create_table()
        except BaseException:
            self.datastore.close()
            raise

    def append(
        self, group: Sequence[Append], known_head: int, now: int, latest_decision: int
    ) -> tuple[list[Outcome], Head]:
        """Store a group in one transaction; see `Store.append`."""
        with self.datastore.writing() as session:
            outcomes, head, grown = self._append_straight(session, group, known_head, now, latest_decision) or (
                self._append_carefully(session, group, now, latest_decision)
            )
        if grown:
            self.listeners.tell(head.position)
        return outcomes, head

    def head(self) -> Head:
        """Return the end of the log."""
        ((position, record_time),) = self.datastore.rows("SELECT position, record_time FROM log_head")
        return Head(position, record_time)

    def read_log(
        self,
        after: int,
        limit: int,
        to: int | None = None,
        stream_from: str | None = None,
        stream_before: str | None = None,
        topics: Sequence[str] = (),
    ) -> list[EventRow]:
        """Return a page of the log, in order of position."""
        sql = f"SELECT {_EVENT} FROM stored_events AS e WHERE e.position > %s"
        values: list[object] = [after]
        # An expression is kept from the index on streams: it would read and sort all of the streams for every page.
        for condition, value in (
            ("e.position <= %s", to),
            ("(e.stream_id || '') >= %s", stream_from),
            ("(e.stream_id || '') < %s", stream_before),
            ("e.topic = ANY(%s)", TextArray(topics) or None),
        ):
            if value is not None:
                sql += f" AND {condition}"
                values.append(value)
        values.append(limit)
        return self._events(f"{sql} ORDER BY e.position LIMIT %s", *values)

    def read_stream(
        self,
        stream_id: str,
        after_version: int = 0,
        limit: int | None = None,
        to_position: int | None = None,
    ) -> list[EventRow]:
        """Return the events of one stream, in order."""
        sql = f"SELECT {_EVENT} FROM stored_events AS e WHERE e.stream_id = %s AND e.version > %s"
        values: list[object] = [stream_id, after_version]
        if to_position is not None:
            sql += " AND e.position <= %s"
            values.append(to_position)
        values.append(limit)  # NULL: no limit.
        return self._events(f"{sql} ORDER BY e.version LIMIT %s", *values)

    def read_streams(self, stream_ids: Sequence[str]) -> dict[str, list[EventRow]]:
        """Return the events of many streams."""
        # A version below every one, also below the 0 that the library's suites use.
        return self.tails(dict.fromkeys(stream_ids, -1))

    def versions(self, stream_ids: Sequence[str]) -> dict[str, int]:
        """Return the version of each stream."""
        return dict(self.datastore.rows(_VERSIONS, (TextArray(stream_ids),)))

    def tails(self, streams: Mapping[str, int]) -> dict[str, list[EventRow]]:
        """Return what each stream has after a version."""
        rows = self._events(_TAILS, TextArray(streams), BigintArray(streams.values()))
        rows.sort()  # By position, which is the order of versions too.
        found: dict[str, list[EventRow]] = {stream_id: [] for stream_id in streams}
        for row in rows:
            found[row.stream_id].append(row)
        return found

    def find_requests(self, keys: Sequence[RequestKey]) -> dict[RequestKey, RequestRow]:
        """Return what is remembered of requests."""
        return _requests(self.datastore.rows(_REQUESTS, _keys(keys)))

    def get(self, position: int) -> EventRow | None:
        """Return the event at a position."""
        rows = self._events(f"SELECT {_EVENT} FROM stored_events AS e WHERE e.position = %s", position)
        return rows[0] if rows else None

    def position_at(self, record_time: int) -> int:
        """Return the last position with a record time up to the one asked."""
        ((position,),) = self.datastore.rows(_POSITION_AT, {"time": record_time})
        return cast("int", position)

    def list_streams(self, after: str, before: str, limit: int) -> list[str]:
        """Return stream ids, in order."""
        values = {"after": after, "before": before, "limit": limit}
        return [id_ for (id_,) in self.datastore.rows(_LIST_STREAMS, values)]

    def listen(self, wake: Callable[[int], None]) -> None:
        """Call `wake` after appends, by whatever process: told by NOTIFY, or seen within a second."""
        self.listeners.add(wake)
        if self._listener is None:
            self._listener = PostgresListener(self.datastore.connect, lambda: self.head().position, self.listeners.tell)

    def close(self) -> None:
        """Let go of all sessions."""
        if self._listener is not None:
            self._listener.stop()
        self.datastore.close()

    def description(self) -> dict[str, str]:
        """Return version and settings."""
        settings = self.datastore.settings()
        return {"engine": "postgresql", "version": settings.pop("server_version"), **settings}

    def warnings(self) -> list[str]:
        """Return what an operator should know: no checksums, a role that may change what was written."""
        found = []
        if self.datastore.settings()["data_checksums"] != "on":
            found.append("PostgreSQL's data_checksums is off: a page that the disk has damaged is not noticed")
        ((role, may_change),) = self.datastore.rows(_MAY_CHANGE)
        if may_change:
            found.append(f"the role {role} may change or delete events; see deploy/postgres/roles.sql")
        return found

    def _append_straight(
        self, session: Session, group: Sequence[Append], known_head: int, now: int, latest_decision: int
    ) -> tuple[list[Outcome], Head, bool] | None:
        """Store the group if the log still ends at `known_head`: one call, one round trip. None: it does not."""
        plan = place(group, Head(known_head, 0), 0)
        reach("append.after_insert")  # Inserted on the server, by the same call that commits; here they are ready.
        try:
            row = self.datastore.commit_with(session, APPEND, parameters(plan, known_head, now, latest_decision))
        except psycopg.IntegrityError:  # A twin of a request, in the group or of a process without events.
            return None
        stored, record_time, *head = row
        if not stored:
            return None
        outcomes = cast("list[Appended]", plan.outcomes)
        return [Appended(first, last, record_time) for first, last, _ in outcomes], Head(*head), bool(plan.events)

    def _append_carefully(
        self, session: Session, group: Sequence[Append], now: int, latest_decision: int
    ) -> tuple[list[Outcome], Head, bool]:
        """Store what can be stored, knowing what the database holds now."""
        with self.datastore.in_transaction(session):
            with session.pipeline():
                cursors = [_tuples(session) for _ in range(3)]
                cursors[0].execute(LOCK_HEAD, prepare=True)
                cursors[1].execute(_VERSIONS, (TextArray(streams_of(group)),), prepare=True)
                cursors[2].execute(_REQUESTS, _keys(requests_of(group)), prepare=True)
            (head_row,), version_rows, request_rows = (cursor.fetchall() for cursor in cursors)
            head = Head(*head_row)
            record_time = max(now, head.record_time, latest_decision)
            plan = choose(group, head, record_time, dict(version_rows), _requests(request_rows))
            (stored, *_), *_ = _tuples(session).execute(
                APPEND, parameters(plan, head.position, now, latest_decision), prepare=True
            )
            assert stored, "the head moved under its lock"
        return plan.outcomes, plan.head, bool(plan.events)

    def _events(self, sql: str, *values: object) -> list[EventRow]:
        return self.datastore.rows(sql, values, _to_event)


def _tuples(session: Session) -> psycopg.Cursor[tuple[Any, ...]]:
    return session.cursor(binary=True, row_factory=tuple_row)


def _keys(keys: Iterable[RequestKey]) -> tuple[TextArray, ByteaArray]:
    keys = list(keys)
    return TextArray(key.organization_id for key in keys), ByteaArray(key.request_id for key in keys)


def _requests(rows: Iterable[Any]) -> dict[RequestKey, RequestRow]:
    return {RequestKey(row[0], row[1]): _to_request(row) for row in rows}
