"""The client: all services behind one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from services.client.attributes import Attributes
from services.client.balances import Balances
from services.client.calls import Calls
from services.client.changes import Changes
from services.client.consents import Consents
from services.client.contacts import Contacts
from services.client.customers import Customers
from services.client.exchanges import Exchanges
from services.client.interactions import Interactions
from services.client.measures import Measures
from services.client.policies import Policies
from services.client.promises import Promises
from services.client.reading import Audit
from services.client.receipts import Receipts
from services.client.relationship_facts import RelationshipFacts
from services.client.relationships import Projections, Relationships
from services.client.reports import Reports
from services.client.retry import RetryPolicy
from services.client.targets import DEFAULT_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from services.client.errors import RapportError


class Client(
    Interactions,
    Consents,
    Customers,
    Attributes,
    Promises,
    RelationshipFacts,
    Contacts,
    Receipts,
    Exchanges,
    Policies,
    Relationships,
    Measures,
    Balances,
    Projections,
    Changes,
    Reports,
    Audit,
):
    """A client of Rapport's services.

        async with Client("127.0.0.1:50051") as client:
            answer = await client.withdraw_consent("acme", "c-1")

    Every call has a deadline. A call that met a passing obstacle is repeated with the same request_id, so that a write
    is recorded once; what cannot be mended by repeating is raised as a `RapportError`. Use one client for a whole
    program, inside one event loop; its methods may run at the same time.
    """

    def __init__(
        self,
        target: str = DEFAULT_TARGET,
        *,
        timeout_s: float = 10.0,
        retry: RetryPolicy | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        on_retry: Callable[[RapportError, float], None] | None = None,
    ) -> None:
        """Keep the settings; nothing is connected before the first call.

        Args:
            target: `HOST:PORT`, or several as `services.client.targets` describes.
            timeout_s: Seconds that each attempt of a call may take; a method's own `timeout_s` goes before it.
            retry: How often and how long calls are repeated.
            credentials: For TLS. Default: none, as on loopback or behind a proxy.
            on_retry: Called before every wait, with the error and the seconds; for programs that talk to people.

        Raises:
            ValueError: `target` cannot be read.
        """
        self.target = target
        super().__init__(Calls(target, timeout_s, retry or RetryPolicy(), credentials, on_retry))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; calls still running are cancelled. May be called twice."""
        await self._calls.close()
