"""The store on one SQLite file: the embedded shape."""
# ruff: noqa: S608  # Statements are put together from the constants below; values are always parameters.

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import chain, repeat
from typing import Any, cast

from ledger.domain.errors import LedgerError, StoreClosed
from ledger.log.sqlite_datastore import SqliteDatastore
from ledger.log.sqlite_recorder import SELECT_HEAD, SqliteRecorder, insert
from ledger.log.store import Append, EventRow, Head, Outcome, RequestKey, RequestRow
from ledger.log.survivors import choose, place, requests_of, streams_of

WATCH_INTERVAL_S = 0.1
"""How often, in seconds, a store with listeners looks whether another process has written."""

_EVENT = "position, stream_id, version, topic, record_time, salt, state"
_JOINED_EVENT = "e.position, e.stream_id, e.version, e.topic, e.record_time, e.salt, e.state"
_REQUEST = "r.organization_id, r.request_id, r.fingerprint, r.first_position, r.last_position, r.record_time, r.answer"

# {values} stands for rows of parameters. CROSS JOIN fixes the order of the loops: one search of the index per key.
_VERSIONS = """
    WITH k(stream_id) AS (VALUES {values})
    SELECT k.stream_id, (SELECT max(version) FROM stored_events AS e WHERE e.stream_id = k.stream_id)
    FROM k WHERE k.stream_id IS NOT NULL"""
_STREAMS = f"""
    WITH k(stream_id) AS (VALUES {{values}})
    SELECT {_JOINED_EVENT} FROM k CROSS JOIN stored_events AS e ON e.stream_id = k.stream_id"""
_TAILS = f"""
    WITH k(stream_id, version) AS (VALUES {{values}})
    SELECT {_JOINED_EVENT} FROM k
    CROSS JOIN stored_events AS e ON e.stream_id = k.stream_id AND e.version > k.version"""
_REQUESTS = f"""
    WITH k(organization_id, request_id) AS (VALUES {{values}})
    SELECT {_REQUEST} FROM k
    CROSS JOIN requests AS r ON r.organization_id = k.organization_id AND r.request_id = k.request_id"""
_LIST_STREAMS = """
    WITH RECURSIVE found(id) AS (
        SELECT min(stream_id) FROM stored_events WHERE stream_id > ?1 AND stream_id < ?2
        UNION ALL
        SELECT (SELECT min(stream_id) FROM stored_events WHERE stream_id > found.id AND stream_id < ?2)
        FROM found WHERE found.id IS NOT NULL
    )
    SELECT id FROM found WHERE id IS NOT NULL LIMIT ?3"""

_KEY_COUNTS = tuple(2**power for power in range(11))
_KEYS_MAX = _KEY_COUNTS[-1]

_to_event = cast("Callable[[Any], EventRow]", partial(tuple.__new__, EventRow))  # Half the cost of EventRow._make.
_to_request = cast("Callable[[Any], RequestRow]", partial(tuple.__new__, RequestRow))


class SqliteStore(SqliteRecorder):
    """Events and requests in one SQLite file. See `Store` for what each method promises."""

    reads_are_local = True

    def __init__(self, path: str, *, lock_timeout_s: float = 10.0) -> None:
        """Open the file at `path`, or create it with its tables.

        lock_timeout_s: how long an append waits for other writers before StoreFailed.

        Raises:
            StoreRefused: a setting that durability rests on cannot be had, or the file holds something else.
            StoreFailed: the file cannot be opened or written.
        """
        super().__init__(SqliteDatastore(path, lock_timeout_s=lock_timeout_s))
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None
        try:
            self.create_table()
        except BaseException:
            self.datastore.close()
            raise

    def append(
        self, group: Sequence[Append], known_head: int, now: int, latest_decision: int
    ) -> tuple[list[Outcome], Head]:
        """Store a group in one transaction; see `Store.append`."""
        with self.datastore.write() as connection:
            head = _head(connection.execute(SELECT_HEAD).fetchall())
            record_time = max(now, head.record_time, latest_decision)
            plan = None
            if head.position == known_head:
                plan = place(group, head, record_time)
                try:
                    insert(connection, plan.events, plan.requests)
                except sqlite3.IntegrityError:  # A twin of a request, in the group or of a process without events.
                    connection.execute("ROLLBACK")
                    connection.execute("BEGIN IMMEDIATE")
                    plan = None
            if plan is None:
                streams = [(stream_id,) for stream_id in streams_of(group)]
                versions = _versions(_for_keys(connection.execute, _VERSIONS, streams))
                requests = _requests(_for_keys(connection.execute, _REQUESTS, requests_of(group)))
                plan = choose(group, head, record_time, versions, requests)
                insert(connection, plan.events, plan.requests)
        if plan.events:
            self.listeners.tell(plan.head.position)
        return plan.outcomes, plan.head

    def head(self) -> Head:
        """Return the end of the log."""
        return _head(self.datastore.rows(SELECT_HEAD))

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
        sql = f"SELECT {_EVENT} FROM stored_events WHERE position > ?"
        parameters: list[object] = [after]
        # The plus keeps SQLite from the index on streams: it would read and sort all of the streams for every page.
        for condition, value in (
            ("position <= ?", to),
            ("+stream_id >= ?", stream_from),
            ("+stream_id < ?", stream_before),
            ("topic IN (SELECT value FROM json_each(?))", json.dumps(topics) if topics else None),
        ):
            if value is not None:
                sql += f" AND {condition}"
                parameters.append(value)
        parameters.append(limit)
        return self._events(f"{sql} ORDER BY position LIMIT ?", *parameters)

    def read_stream(
        self,
        stream_id: str,
        after_version: int = 0,
        limit: int | None = None,
        to_position: int | None = None,
    ) -> list[EventRow]:
        """Return the events of one stream, in order."""
        sql = f"SELECT {_EVENT} FROM stored_events WHERE stream_id = ? AND version > ?"
        parameters: list[object] = [stream_id, after_version]
        if to_position is not None:
            sql += " AND position <= ?"
            parameters.append(to_position)
        parameters.append(-1 if limit is None else limit)
        return self._events(f"{sql} ORDER BY version LIMIT ?", *parameters)

    def read_streams(self, stream_ids: Sequence[str]) -> dict[str, list[EventRow]]:
        """Return the events of many streams."""
        return _by_stream(stream_ids, self._events_of(_STREAMS, [(stream_id,) for stream_id in set(stream_ids)]))

    def versions(self, stream_ids: Sequence[str]) -> dict[str, int]:
        """Return the version of each stream."""
        return _versions(_for_keys(self.datastore.rows, _VERSIONS, [(stream_id,) for stream_id in stream_ids]))

    def tails(self, streams: Mapping[str, int]) -> dict[str, list[EventRow]]:
        """Return what each stream has after a version."""
        return _by_stream(streams, self._events_of(_TAILS, list(streams.items())))

    def find_requests(self, keys: Sequence[RequestKey]) -> dict[RequestKey, RequestRow]:
        """Return what is remembered of requests."""
        return _requests(_for_keys(self.datastore.rows, _REQUESTS, keys))

    def get(self, position: int) -> EventRow | None:
        """Return the event at a position."""
        rows = self._events(f"SELECT {_EVENT} FROM stored_events WHERE position = ?", position)
        return rows[0] if rows else None

    def position_at(self, record_time: int) -> int:
        """Return the last position with a record time up to the one asked."""
        # Record times never decrease with position, so half of what is left falls away with each look.
        low, high = 0, self.head().position
        while low < high:
            middle = (low + high + 1) // 2
            ((found,),) = self.datastore.rows("SELECT record_time FROM stored_events WHERE position = ?", (middle,))
            if cast("int", found) <= record_time:
                low = middle
            else:
                high = middle - 1
        return low

    def list_streams(self, after: str, before: str, limit: int) -> list[str]:
        """Return stream ids, in order."""
        return [cast("str", id_) for (id_,) in self.datastore.rows(_LIST_STREAMS, (after, before, limit))]

    def listen(self, wake: Callable[[int], None]) -> None:
        """Call `wake` after appends; those of other processes are seen within `WATCH_INTERVAL_S`."""
        self.listeners.add(wake)
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="sqlite-watch", daemon=True)
            self._watcher.start()

    def close(self) -> None:
        """Checkpoint, and let go of the file."""
        self._closing.set()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join()
        self.datastore.close()

    def description(self) -> dict[str, str]:
        """Return version and settings."""
        return {"engine": "sqlite", "version": sqlite3.sqlite_version, **self.datastore.settings()}

    def warnings(self) -> list[str]:
        """Return nothing: what is wrong with a file is refused when it is opened."""
        return []

    def _events(self, sql: str, *parameters: object) -> list[EventRow]:
        return list(map(_to_event, self.datastore.rows(sql, parameters)))

    def _events_of(self, sql: str, keys: Sequence[tuple[object, ...]]) -> list[EventRow]:
        return list(map(_to_event, _for_keys(self.datastore.rows, sql, keys)))

    def _watch(self) -> None:
        known = -1
        while not self._closing.wait(WATCH_INTERVAL_S):
            try:
                position = self.head().position
            except StoreClosed:
                return
            except LedgerError:
                continue  # Whoever reads next hears of it.
            if position != known:
                known = position
                self.listeners.tell(position)


def _head(rows: Sequence[Any]) -> Head:
    return Head(*rows[0]) if rows else Head(0, 0)


def _versions(rows: Iterable[Any]) -> dict[str, int]:
    return {stream_id: version or 0 for stream_id, version in rows}


def _requests(rows: Iterable[Any]) -> dict[RequestKey, RequestRow]:
    return {RequestKey(row[0], row[1]): _to_request(row) for row in rows}


def _by_stream(stream_ids: Iterable[str], rows: list[EventRow]) -> dict[str, list[EventRow]]:
    rows.sort()  # By position, which is the order of versions too; they come so from the index, and this says it.
    found: dict[str, list[EventRow]] = {stream_id: [] for stream_id in stream_ids}
    for row in rows:
        found[row.stream_id].append(row)
    return found


def _for_keys(
    execute: Callable[[str, Sequence[object]], Iterable[Any]], sql: str, keys: Sequence[tuple[object, ...]]
) -> Iterator[Any]:
    """Yield the rows for keys, each key one or more columns: one query per `_KEYS_MAX` of them.

    Parameters in VALUES cost half of json_each. The number of rows is rounded up to a power of two, and filled with
    NULL, which equals nothing: so a few statements stay prepared, not one per number of keys.
    """
    for start in range(0, len(keys), _KEYS_MAX):
        some = keys[start : start + _KEYS_MAX]
        width = len(some[0])
        count = next(size for size in _KEY_COUNTS if size >= len(some))
        parameters = [*chain.from_iterable(some), *repeat(None, width * (count - len(some)))]
        yield from execute(_filled_in(sql, width, count), parameters)


@cache
def _filled_in(sql: str, width: int, count: int) -> str:
    row = f"({','.join('?' * width)})"
    return sql.format(values=",".join(repeat(row, count)))
