"""Who is calling. The one place where identity enters; every check asks here.

Today a caller is the address it calls from, and everybody who can reach the port may do everything: the port belongs on
loopback or into a private network. Identity comes with an issue of its own, and takes these places:

* **Authentication**: `caller_of` derives the caller from the client certificate of the connection, never from a header.
* **Authorisation**: one rule per method, checked in `services.runtime.interceptors` right after `caller_of` and before
  the request is parsed; a method without a rule is not served (I30).
* **Organization**: the caller's organizations bind the `organization_id` of requests, checked where rules are.
* **Quotas**: streams per caller are counted by `Caller.name` already (`limits.py`).
"""

from typing import Any, NamedTuple

from grpc.aio import ServicerContext


class Caller(NamedTuple):
    """Somebody who calls."""

    name: str
    """Stable over the caller's connections; what limits count by. Today the address without the port."""


def caller_of(context: ServicerContext[Any, Any]) -> Caller:
    """Return who makes this call."""
    return Caller(_address(context.peer()))


def _address(peer: str) -> str:
    """Return the part of gRPC's peer text that stays the same over connections: `ipv4:127.0.0.1`, `unix`."""
    kind = peer.partition(":")[0]
    if kind in {"ipv4", "ipv6"}:
        return peer.rpartition(":")[0]
    return kind
