-- Roles of a ledger's database. Run as the owner of the tables, in the ledger's database, after the tables exist:
--
--     psql -v ON_ERROR_STOP=1 -f roles.sql 'postgresql://owner@host/ledger'
--
-- Running it again changes nothing. Nobody but the owner can create, alter or drop anything, and the owner is used for
-- upgrades only. The services connect as a login role that is a member of one of these:
--
--     CREATE ROLE rapport_service LOGIN PASSWORD '...' IN ROLE rapport_append;
--
-- rapport_append   what writes the log: adds events and requests, and moves the head on. Changes and deletes nothing.
-- rapport_reader   what reads it.

DO $roles$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rapport_append') THEN
        CREATE ROLE rapport_append NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'rapport_reader') THEN
        CREATE ROLE rapport_reader NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
    END IF;
END
$roles$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON rapport_schema, stored_events, requests, log_head, notification_tracking
    FROM PUBLIC, rapport_append, rapport_reader;
REVOKE ALL ON FUNCTION
    rapport_append(
        bigint, bigint, bigint, bigint[], text[], bigint[], text[], bytea[], bytea[],
        text[], bytea[], bytea[], bigint[], bigint[], bytea[]
    )
    FROM PUBLIC, rapport_reader;

GRANT SELECT ON rapport_schema TO rapport_append, rapport_reader;
GRANT SELECT, INSERT ON stored_events, requests TO rapport_append;
-- UPDATE of these two columns is also what locking the row asks for; no row can be added or taken away.
GRANT SELECT, UPDATE (position, record_time) ON log_head TO rapport_append;
-- How far each reader has come: one row per reader, moved on with its read model.
GRANT SELECT, INSERT, UPDATE ON notification_tracking TO rapport_append;
GRANT EXECUTE ON FUNCTION
    rapport_append(
        bigint, bigint, bigint, bigint[], text[], bigint[], text[], bytea[], bytea[],
        text[], bytea[], bytea[], bigint[], bigint[], bytea[]
    )
    TO rapport_append;
GRANT SELECT ON stored_events, requests, log_head, notification_tracking TO rapport_reader;
