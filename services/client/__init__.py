"""The typed client of Rapport's services, for asyncio programs.

It imports generated code and grpc only, and can do nothing that any other program could not do with the protos.
"""

from services.client.balance_values import (
    fraction,
    nanos_text,
    ppm_text,
    ratio_text,
    to_nanos,
    token_bytes,
    token_text,
    view_spec,
    view_token,
)
from services.client.balances import Explanation
from services.client.client import Client
from services.client.errors import (
    AlreadyTaken,
    Conflict,
    DeadlineExceeded,
    NotFound,
    Overloaded,
    RapportError,
    Refused,
    RequestInvalid,
    ServerFault,
    Unavailable,
    Violation,
)
from services.client.events import decode
from services.client.ingest import IngestStream, Outcome
from services.client.measures import RelationshipExplanation, relationship_view
from services.client.reading import EventReader, Subscription
from services.client.request_ids import new_request_id
from services.client.retry import RetryPolicy
from services.client.targets import DEFAULT_TARGET
from services.client.values import amount, amount_text, lot_terms, moment, time_text, timestamp, to_units, view

__all__ = [
    "Client",
    "RetryPolicy",
    "DEFAULT_TARGET",
    "IngestStream",
    "Outcome",
    "EventReader",
    "Subscription",
    "Explanation",
    "RelationshipExplanation",
    "RapportError",
    "Refused",
    "RequestInvalid",
    "AlreadyTaken",
    "NotFound",
    "Conflict",
    "Overloaded",
    "Unavailable",
    "DeadlineExceeded",
    "ServerFault",
    "Violation",
    "amount",
    "amount_text",
    "to_units",
    "lot_terms",
    "timestamp",
    "moment",
    "time_text",
    "view",
    "view_spec",
    "view_token",
    "relationship_view",
    "token_bytes",
    "token_text",
    "to_nanos",
    "nanos_text",
    "ppm_text",
    "ratio_text",
    "fraction",
    "new_request_id",
    "decode",
]
