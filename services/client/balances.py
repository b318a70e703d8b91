"""Balances: what a relationship is worth to a party, explained leg by leg, compared, and as the customer may see it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from rapport.relationship.v1 import relationship_service_pb2 as messages
from rapport.relationship.v1.balance_pb2 import Trailer
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from services.client.calls import Subject, protocol_broken
from services.client.frames import EXPLANATION_IDLE_S, explained, read_frames

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from rapport.relationship.v1.balance_pb2 import Balance, Entry, ViewRef
    from rapport.relationship.v1.statement_pb2 import Statement
    from services.client.calls import Calls


class Explanation:
    """An explanation: iterate over it for its parts, `async for part in explanation`.

    A stream that breaks is opened again under the token of its header, after the last entry that came: each part comes
    once, in order. It ends with a trailer that fits what came, or with an error.
    """

    def __init__(self, calls: Calls, request: messages.ExplainBalanceRequest, idle_timeout_s: float) -> None:
        self._calls = calls
        self._request = request
        self._idle_timeout_s = idle_timeout_s
        self._seen: dict[str, int] = {}
        self._sums = _Sums()
        self.balance: Balance | None = None
        """The header, once it came."""
        self.trailer: Trailer | None = None
        """The last part, once it came and was found to fit."""

    def __aiter__(self) -> AsyncIterator[messages.ExplainBalanceResponse]:
        """Yield the balance, the entries, exclusions, lots and drivers, and the trailer.

        Raises:
            RapportError: As `get_balance`; the stream breaks time and again, or what came does not add up.
        """
        return explained(self._calls, self._frames, lambda: self.trailer is not None)

    async def _frames(self) -> AsyncGenerator[messages.ExplainBalanceResponse, None]:
        """Open the stream once, after what came before, and yield the parts that are new."""
        call = self._calls.stub(RelationshipServiceStub).ExplainBalance(self._remaining())
        passed: dict[str, int] = {"entry": self._seen.get("entry", 0)}
        async with aclosing(read_frames(call, self._idle_timeout_s)) as frames:
            async for part in frames:
                kind = part.WhichOneof("part") or ""
                passed[kind] = passed.get(kind, 0) + 1
                if passed[kind] <= self._seen.get(kind, 0):
                    # Only entries can be skipped by the server; the same token gives the same parts again, in order.
                    self._same_header(part)
                    continue
                self._seen[kind] = passed[kind]
                self._note(kind, part)
                yield part

    def _remaining(self) -> messages.ExplainBalanceRequest:
        """Return the request for what did not come yet."""
        request = messages.ExplainBalanceRequest()
        request.CopyFrom(self._request)
        if self.balance is not None:
            request.view.token = self.balance.view.token
            request.start_after = self._seen.get("entry", 0)
        return request

    def _same_header(self, part: messages.ExplainBalanceResponse) -> None:
        if part.HasField("balance") and part.balance != self.balance:
            raise protocol_broken("the explanation was taken up again with another balance under the same token")

    def _note(self, kind: str, part: messages.ExplainBalanceResponse) -> None:
        if self.balance is None and kind != "balance":
            raise protocol_broken("the explanation did not begin with a balance")
        match kind:
            case "balance":
                self.balance = part.balance
                self._sums.perspective = part.balance.view.resolved.perspective or PARTY_CUSTOMER
            case "entry":
                self._sums.add(part.entry)
            case "trailer":
                self._sums.check(part.trailer)
                if self.balance is not None:
                    self._sums.check(_as_trailer(self.balance, part.trailer.entries))
                self.trailer = part.trailer
            case _:
                pass


def _as_trailer(balance: Balance, entries: int) -> Trailer:
    """Return the trailer that fits a header: what is explained must be what was answered."""
    return Trailer(entries=entries, got_nanos=balance.got_nanos, gave_nanos=balance.gave_nanos, index=balance.index)


class _Sums:
    """What the entries of an explanation add up to."""

    def __init__(self) -> None:
        self.perspective: int = PARTY_CUSTOMER
        self.entries = 0
        self.got_nanos = 0
        self.gave_nanos = 0
        self.numerator = 0

    def add(self, entry: Entry) -> None:
        self.entries += 1
        if entry.ordinal != self.entries:
            raise protocol_broken(f"entry {entry.ordinal} came where {self.entries} was due")
        if entry.giver == self.perspective:
            self.gave_nanos += entry.value_nanos
        else:
            self.got_nanos += entry.value_nanos
        self.numerator += int(entry.contribution_numerator)

    def check(self, trailer: Trailer) -> None:
        """Compare with the trailer: both sums and the index, exactly."""
        here = (self.entries, self.got_nanos, self.gave_nanos)
        there = (trailer.entries, trailer.got_nanos, trailer.gave_nanos)
        # The index is not reduced: its numerator is the sum of those of the entries, 0 where there is no index.
        if here != there or self.numerator != int(trailer.index.numerator or "0"):
            raise protocol_broken(f"the explanation does not add up: entries, got and gave are {here}, told {there}")


class Balances(Subject):
    """The balances of RelationshipService. Which view: `balance_values.view_spec`, or a token by `view_token`."""

    async def get_balance(
        self,
        organization_id: str,
        customer_id: str,
        *,
        view: ViewRef | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetBalanceResponse:
        """Return what a party of a relationship gained and gave.

        Raises:
            RapportError: RELATIONSHIP_UNKNOWN, POLICY_UNKNOWN, WINDOW_INVALID, VIEW_TOKEN_INVALID and others the proto
                lists.
        """
        request = messages.GetBalanceRequest(
            organization_id=organization_id, customer_id=customer_id, min_position=min_position, view=view
        )
        return await self._calls.call(self._balances.GetBalance, request, timeout_s)

    def explain_balance(
        self,
        organization_id: str,
        customer_id: str,
        *,
        view: ViewRef | None = None,
        drivers: int = 0,
        min_position: int = 0,
        idle_timeout_s: float = EXPLANATION_IDLE_S,
    ) -> Explanation:
        """Return a balance with every leg that makes it up and every one left out.

        Args:
            organization_id: Company side.
            customer_id: Customer side.
            view: Which view. Default: the customer's, now.
            drivers: How many of the entries that move the index most to name, 0 to 100.
            min_position: The answer must reflect the log at least up to there.
            idle_timeout_s: Seconds without any part after which the stream is opened again.
        """
        request = messages.ExplainBalanceRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            min_position=min_position,
            view=view,
            drivers=drivers,
        )
        return Explanation(self._calls, request, idle_timeout_s)

    async def diff_views(
        self,
        organization_id: str,
        customer_id: str,
        a: ViewRef | None = None,
        b: ViewRef | None = None,
        *,
        entries_max: int = 0,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.DiffViewsResponse:
        """Return what made view `b` differ from view `a`, cause by cause; `entries_max` 0: at most 100 legs of each.

        Raises:
            RapportError: As `get_balance`; VIEWS_NOT_COMPARABLE.
        """
        request = messages.DiffViewsRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            min_position=min_position,
            a=a,
            b=b,
            entries_max=entries_max,
        )
        return await self._calls.call(self._balances.DiffViews, request, timeout_s)

    async def get_statement(
        self,
        organization_id: str,
        customer_id: str,
        *,
        view: ViewRef | None = None,
        time_zone: str = "",
        min_position: int = 0,
        page_size: int = 500,
        timeout_s: float | None = None,
    ) -> AsyncIterator[Statement]:
        """Yield a customer's statement page by page; every page has opening, closing and lots, and its own days.

        Raises:
            RapportError: As `get_balance`.
        """
        request = messages.GetStatementRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            min_position=min_position,
            view=view,
            time_zone=time_zone,
            page_size=page_size,
        )
        async for page in self._calls.pages(self._balances.GetStatement, request, timeout_s):
            yield page.statement

    @property
    def _balances(self) -> RelationshipServiceStub:
        return self._calls.stub(RelationshipServiceStub)
