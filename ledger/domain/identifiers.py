"""Streams and identifiers, with their text forms (architecture.md 7, audit.md 1).

A relationship is one stream, `organization_id/customer_id`. An organization's own streams begin with `@` after the
slash, which no customer id can. `@ledger/@log` holds records about the log.
"""

import re
from typing import Final
from uuid import UUID

LEDGER_STREAM: Final = "@ledger/@log"
ORGANIZATION_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
CUSTOMER_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:-]{0,127}\Z")


def relationship_stream(organization_id: str, customer_id: str) -> str:
    """Return the stream of everything between an organization and a customer."""
    return f"{organization_id}/{customer_id}"


def policy_stream(organization_id: str) -> str:
    """Return the stream of everything an organization publishes."""
    return f"{organization_id}/@policy"


def organization_of(stream_id: str) -> str:
    """Return the organization a stream belongs to; `@ledger` for the log's own."""
    return stream_id.partition("/")[0]


def customer_of(stream_id: str) -> str:
    """Return the customer of a relationship's stream; of another stream what follows the slash."""
    return stream_id.partition("/")[2]


def owner_of(stream_id: str) -> tuple[str, str]:
    """Return the organization and the customer of a relationship's stream."""
    organization_id, _, customer_id = stream_id.partition("/")
    return organization_id, customer_id


def is_relationship(stream_id: str) -> bool:
    """Tell whether a stream is that of a relationship."""
    return "/@" not in stream_id


def organization_range(organization_id: str) -> tuple[str, str]:
    """Return (from, before): the streams of one organization are those with from <= id < before, as UTF-8 bytes."""
    return f"{organization_id}/", f"{organization_id}0"  # "0" is the character after "/".


def uuid_bytes(text: str) -> bytes:
    """Return the 16 bytes of a UUID.

    Raises:
        ValueError: it is not a UUID.
    """
    return UUID(text).bytes
