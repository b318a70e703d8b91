"""What the integration tests share: a PostgreSQL server for the session, and a new database for each test."""

from tests.postgres_server import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
