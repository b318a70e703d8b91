"""Page tokens: where a page ended, bound to the request that it answered.

A token says everything the next page needs, so servers keep nothing between pages and any of them may answer. It
grants no access and hides nothing; the digest in it catches tokens of other requests and damaged ones, not forgers.
"""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from ledger.domain.amounts import INT64_MAX
from ledger.domain.errors import Rejected
from rapport.change.v1.change_service_pb2 import ListChangesRequest
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.relationship.v1.relationship_service_pb2 import (
    GetStatementRequest,
    ListRelationshipsRequest,
    ListTimelineRequest,
)
from rapport.report.v1.report_service_pb2 import GetConsistencyReportRequest

Value = int | str
Paged = (
    GetStatementRequest
    | ListRelationshipsRequest
    | ListTimelineRequest
    | ListChangesRequest
    | GetConsistencyReportRequest
)

_DIGEST_BYTES: Final = 12


def write(request: Paged, *values: Value) -> str:
    """Return a token that holds `values`; integers are of 64 bits."""
    content = json.dumps(values, separators=(",", ":")).encode()
    return urlsafe_b64encode(_digest(request, content) + content).decode().rstrip("=")


def read(request: Paged, *kinds: type) -> list[Value]:
    """Return the values of a request's token, which are of the kinds given.

    Raises:
        Rejected: PAGE_TOKEN_INVALID.
    """
    token = request.page_token
    try:
        # The length after padding must be a multiple of 4; more padding than that is passed over.
        raw = urlsafe_b64decode(token.encode("ascii") + b"===")
        digest, content = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
        values = json.loads(content) if digest == _digest(request, content) else None
    except ValueError:
        values = None
    if not isinstance(values, list) or tuple(map(type, values)) != kinds or not all(map(_fits, values)):
        raise Rejected(
            reasons.ERROR_REASON_PAGE_TOKEN_INVALID,
            "the page token is not of this list, or the request changed; start from the first page",
        )
    return values


def _digest(request: Paged, content: bytes) -> bytes:
    """Return what binds a token to all of its request but the size of a page, and to what it holds."""
    asked = type(request)()
    asked.CopyFrom(request)  # type: ignore[arg-type]  # The same type, which is one of these.
    asked.ClearField("page_size")
    asked.ClearField("page_token")
    text = asked.SerializeToString(deterministic=True)
    name = asked.DESCRIPTOR.full_name.encode()
    return hashlib.sha256(b"%b %d %b%b" % (name, len(text), text, content)).digest()[:_DIGEST_BYTES]


def _fits(value: Value) -> bool:
    return isinstance(value, str) or -INT64_MAX <= value <= INT64_MAX
