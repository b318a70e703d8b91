"""Tables, functions and triggers of a store in PostgreSQL, and how they come to be there.

One log per database. `log_head` has one row; who holds its lock may append, until its commit is durable. `position`
is counted from that row and not by a sequence, which would leave a hole after every conflict (A8).
"""
# ruff: noqa: S608  # Nothing but constants of this module is put into statements.

from typing import Any

from psycopg import Connection

from ledger.domain.errors import StoreRefused

SCHEMA_VERSION = 1
CHANNEL = "rapport_log"
"""Channel of NOTIFY; the payload is the position of the head."""

_MARK = "rapport_schema"
_CREATION_LOCK = 0x72617070_6F727401  # "rapport" and 1: a number that no other program is likely to take.

CREATE_TABLES = """
CREATE TABLE rapport_schema (version integer NOT NULL);

CREATE TABLE stored_events (
    position bigint PRIMARY KEY,
    stream_id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    record_time bigint NOT NULL,
    salt bytea NOT NULL,
    state bytea NOT NULL,
    UNIQUE (stream_id, version)
);

CREATE TABLE requests (
    organization_id text COLLATE "C" NOT NULL,
    request_id bytea NOT NULL,
    fingerprint bytea NOT NULL,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    record_time bigint NOT NULL,
    answer bytea,
    PRIMARY KEY (organization_id, request_id)
);

-- The free space keeps every new version of the row on the same page, without a new index entry.
CREATE TABLE log_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL,
    record_time bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO log_head (position, record_time) VALUES (0, 0);
"""

# All of one group in one call, which is one round trip and one transaction. Does nothing if the log has moved.
CREATE_APPEND = f"""
CREATE FUNCTION rapport_append(
    known_head bigint, now_us bigint, latest_decision bigint,
    positions bigint[], stream_ids text[], versions bigint[], topics text[], salts bytea[], states bytea[],
    organization_ids text[], request_ids bytea[], fingerprints bytea[],
    first_positions bigint[], last_positions bigint[], answers bytea[],
    OUT stored boolean, OUT record_time_us bigint, OUT head_position bigint, OUT head_record_time bigint
) LANGUAGE plpgsql AS $function$
BEGIN
    SELECT h.position, h.record_time INTO STRICT head_position, head_record_time FROM log_head AS h FOR UPDATE;
    stored := head_position = known_head;
    IF NOT stored THEN
        RETURN;
    END IF;
    record_time_us := greatest(now_us, head_record_time, latest_decision);
    INSERT INTO stored_events (position, stream_id, version, topic, record_time, salt, state)
        SELECT e.position, e.stream_id, e.version, e.topic, record_time_us, e.salt, e.state
        FROM unnest(positions, stream_ids, versions, topics, salts, states)
            AS e(position, stream_id, version, topic, salt, state);
    INSERT INTO requests (
        organization_id, request_id, fingerprint, first_position, last_position, record_time, answer
    )
        SELECT r.organization_id, r.request_id, r.fingerprint, r.first_position, r.last_position, record_time_us,
            r.answer
        FROM unnest(organization_ids, request_ids, fingerprints, first_positions, last_positions, answers)
            AS r(organization_id, request_id, fingerprint, first_position, last_position, answer);
    IF cardinality(positions) > 0 THEN
        head_position := positions[cardinality(positions)];
        head_record_time := record_time_us;
        UPDATE log_head SET position = head_position, record_time = head_record_time;
        PERFORM pg_notify('{CHANNEL}', head_position::text);
    END IF;
END
$function$;
"""

CREATE_TRIGGERS = """
CREATE FUNCTION rapport_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    RAISE EXCEPTION 'what is in % is never changed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$function$;

CREATE TRIGGER stored_events_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON stored_events
    FOR EACH STATEMENT EXECUTE FUNCTION rapport_refuse_change();
CREATE TRIGGER requests_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON requests
    FOR EACH STATEMENT EXECUTE FUNCTION rapport_refuse_change();
"""

# The library's table for one row per reader, and the mark by which the library knows it.
CREATE_TRACKING = """
CREATE TABLE notification_tracking (application_name text PRIMARY KEY, notification_id bigint);
INSERT INTO notification_tracking VALUES ('__migration__', 1);
"""


def create(connection: Connection[Any]) -> None:
    """Create what is not there, in one transaction; any number of processes may do so at once.

    A role that may not create tables is served as soon as they exist.

    Raises:
        StoreRefused: the tables are of another version, or a table of another program has one of their names.
    """
    if _version(connection) is None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CREATION_LOCK,))
            if _version(connection) is None:
                _refuse_foreign(connection)
                for statements in (CREATE_TABLES, CREATE_APPEND, CREATE_TRIGGERS, CREATE_TRACKING):
                    connection.execute(statements)
                connection.execute(f"INSERT INTO rapport_schema VALUES ({SCHEMA_VERSION})")
    version = _version(connection)
    if version != SCHEMA_VERSION:
        raise StoreRefused(f"the tables have version {version}; this release knows {SCHEMA_VERSION}")
    head, last = _row(connection, "SELECT position, (SELECT max(position) FROM stored_events) FROM log_head")
    if head != (last or 0):
        raise StoreRefused(f"the head of the log says position {head}, and its last event has {last}")


def _version(connection: Connection[Any]) -> int | None:
    return int(_row(connection, "SELECT version FROM rapport_schema")[0]) if _existing(connection, _MARK) else None


def _existing(connection: Connection[Any], *names: str) -> list[str]:
    """Return which of these tables exist."""
    # Not to_regclass(): a session remembers what was not there, and it would not see what another one just made.
    (found,) = _row(
        connection,
        "SELECT array_agg(relname::text) FROM pg_class WHERE relname = ANY(%s)"
        " AND relnamespace = current_schema()::regnamespace",
        list(names),
    )
    return found or []


def _refuse_foreign(connection: Connection[Any]) -> None:
    if found := _existing(connection, "stored_events", "requests", "log_head", "notification_tracking"):
        raise StoreRefused(f"the database holds tables of another program: {', '.join(found)}")


def _row(connection: Connection[Any], sql: str, *parameters: Any) -> tuple[Any, ...]:
    row = connection.cursor().execute(sql, parameters).fetchone()
    assert row is not None
    return tuple(row.values()) if isinstance(row, dict) else row
