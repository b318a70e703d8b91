"""A server of a few methods in the test's own process, whose answers the test writes down beforehand."""

# ruff: noqa: N802, ARG002  # The methods have the names and the arguments of the rpcs.

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from rapport.audit.v1 import audit_service_pb2 as audit
from rapport.audit.v1 import audit_service_pb2_grpc as audit_grpc
from rapport.consent.v1 import consent_service_pb2 as consent
from rapport.consent.v1 import consent_service_pb2_grpc as consent_grpc
from rapport.contact.v1 import contact_service_pb2 as contact
from rapport.contact.v1 import contact_service_pb2_grpc as contact_grpc
from rapport.exchange.v1 import exchange_service_pb2 as exchange
from rapport.exchange.v1 import exchange_service_pb2_grpc as exchange_grpc
from rapport.exchange.v1.operation_pb2 import OUTCOME_APPLIED, OperationResult, Outcome
from rapport.interaction.v1 import interaction_service_pb2 as interaction
from rapport.interaction.v1 import interaction_service_pb2_grpc as interaction_grpc
from rapport.policy.v1 import policy_service_pb2 as policy
from rapport.policy.v1 import policy_service_pb2_grpc as policy_grpc
from rapport.relationship.v1 import explaining_pb2 as explaining
from rapport.relationship.v1 import relationship_service_pb2 as relationship
from rapport.relationship.v1 import relationship_service_pb2_grpc as relationship_grpc
from rapport.relationship.v1.balance_pb2 import Balance
from rapport.relationship.v1.statement_pb2 import Statement

Context = aio.ServicerContext[Any, Any]


def status(code: grpc.StatusCode, reason: str, retry_after_s: float | None = None) -> status_pb2.Status:
    """Return the status a service would send."""
    told = status_pb2.Status(code=code.value[0], message=f"{reason}: as it is")
    told.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="rapport"))
    if retry_after_s is not None:
        delay = Duration(seconds=int(retry_after_s), nanos=int(retry_after_s * 1e9) % 10**9)
        told.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return told


async def fail(
    context: Context, code: grpc.StatusCode, reason: str = "", retry_after_s: float | None = None
) -> NoReturn:
    """End a call as a service would, or as the transport would where no reason is given."""
    details = status(code, reason, retry_after_s).SerializeToString() if reason else None
    await context.abort(code, reason or "gone", (("grpc-status-details-bin", details),) if details else ())
    raise AssertionError


async def play(script: list[Any], context: Context) -> AsyncIterator[Any]:
    """Yield the frames of a script; a status in it ends the call with it, a function is called."""
    for step in script:
        if isinstance(step, grpc.StatusCode):
            await fail(context, step)
        elif isinstance(step, tuple):
            await fail(context, *step)
        elif callable(step):
            await step()
        else:
            yield step


class FakeConsents(consent_grpc.ConsentServiceServicer):
    """Withdrawals fail as often as `failures` says, then succeed; every request is kept."""

    def __init__(self) -> None:
        self.requests: list[consent.WithdrawConsentRequest] = []
        self.failures: list[tuple[grpc.StatusCode, str, float | None]] = []
        self.deadlines: list[float] = []

    async def WithdrawConsent(
        self, request: consent.WithdrawConsentRequest, context: Context
    ) -> consent.WithdrawConsentResponse:
        self.requests.append(request)
        self.deadlines.append(context.time_remaining())
        if self.failures:
            await fail(context, *self.failures.pop(0))
        return consent.WithdrawConsentResponse(position=len(self.requests), version=1)


class FakeIngest(interaction_grpc.InteractionServiceServicer, exchange_grpc.ExchangeServiceServicer):
    """Records each request_id once. `before_frame(number)` may fail the call before a frame is looked at,
    `before_answer(number)` after it was recorded; `item_error(request_id, tries)` refuses single items."""

    def __init__(self) -> None:
        self.recorded: dict[str, int] = {}
        self.items: dict[str, Any] = {}
        self.frames = 0
        self.streams = 0
        self.finished = 0
        self.outcome: Outcome.ValueType = OUTCOME_APPLIED
        self.tries: dict[str, int] = {}
        self.before_frame: Callable[[int, Context], Awaitable[None]] | None = None
        self.before_answer: Callable[[int, Context], Awaitable[None]] | None = None
        self.item_error: Callable[[str, int], status_pb2.Status | None] = lambda _id, _tries: None

    async def _results(self, request: Any, context: Context) -> list[tuple[int, bool, status_pb2.Status | None]]:
        self.frames += 1
        number = self.frames
        if self.before_frame is not None:
            await self.before_frame(number, context)
        results = [self._record(item) for item in request.items]
        if self.before_answer is not None:
            await self.before_answer(number, context)
        return results

    def _record(self, item: Any) -> tuple[int, bool, status_pb2.Status | None]:
        self.tries[item.request_id] = self.tries.get(item.request_id, 0) + 1
        error = self.item_error(item.request_id, self.tries[item.request_id])
        if error is not None:
            return 0, False, error
        replayed = item.request_id in self.recorded
        self.items[item.request_id] = item
        return self.recorded.setdefault(item.request_id, len(self.recorded) + 1), replayed, None

    async def IngestInteractions(
        self, request_iterator: AsyncIterator[interaction.IngestInteractionsRequest], context: Context
    ) -> AsyncIterator[interaction.IngestInteractionsResponse]:
        self.streams += 1
        async for request in request_iterator:
            results = await self._results(request, context)
            yield interaction.IngestInteractionsResponse(
                results=[
                    interaction.IngestInteractionsResult(position=position, replayed=replayed, error=error)
                    for position, replayed, error in results
                ]
            )
        self.finished += not context.cancelled()

    async def IngestExchanges(
        self, request_iterator: AsyncIterator[exchange.IngestExchangesRequest], context: Context
    ) -> AsyncIterator[exchange.IngestExchangesResponse]:
        self.streams += 1
        async for request in request_iterator:
            results = await self._results(request, context)
            yield exchange.IngestExchangesResponse(
                results=[
                    exchange.IngestExchangesResult(
                        result=OperationResult(outcome=self.outcome, position=position), replayed=replayed, error=error
                    )
                    for position, replayed, error in results
                ]
            )


class FakeAudit(audit_grpc.AuditServiceServicer):
    """Plays one script of frames for each call; an exception in a script ends that call with it."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.scripts: list[list[Any]] = []

    async def _play(self, request: Any, context: Context) -> AsyncIterator[Any]:
        self.requests.append(request)
        async for frame in play(self.scripts.pop(0), context):
            yield frame

    async def ReadEvents(
        self, request: audit.ReadEventsRequest, context: Context
    ) -> AsyncIterator[audit.ReadEventsResponse]:
        async for frame in self._play(request, context):
            yield frame

    async def Subscribe(
        self, request: audit.SubscribeRequest, context: Context
    ) -> AsyncIterator[audit.SubscribeResponse]:
        async for frame in self._play(request, context):
            yield frame


class FakePolicies(policy_grpc.PolicyServiceServicer):
    """Registers whatever it is given."""

    def __init__(self) -> None:
        self.requests: list[policy.RegisterAssetsRequest] = []

    async def RegisterAssets(
        self, request: policy.RegisterAssetsRequest, context: Context
    ) -> policy.RegisterAssetsResponse:
        self.requests.append(request)
        return policy.RegisterAssetsResponse(position=1)

    async def ListAssets(self, request: policy.ListAssetsRequest, context: Context) -> policy.ListAssetsResponse:
        return policy.ListAssetsResponse()


class FakeRelationships(relationship_grpc.RelationshipServiceServicer):
    """Lists `customers` in pages as large as asked for; answers about balances with what the test wrote down.

    `explanations` are played as FakeAudit's scripts are; `statements` are the pages of one statement.
    """

    def __init__(self) -> None:
        self.customers: list[str] = []
        self.pages = 0
        self.balance = Balance()
        self.difference = relationship.DiffViewsResponse()
        self.statements: list[Statement] = []
        self.explanations: list[list[Any]] = []
        self.failure: tuple[grpc.StatusCode, str] | None = None
        self.asked: list[Any] = []
        self.why: list[list[Any]] = []
        """Scripts of ExplainRelationship."""
        self.answers: dict[str, Any] = {}
        """By the name of the rpc: what is answered about measures."""

    async def ExplainRelationship(
        self, request: explaining.ExplainRelationshipRequest, context: Context
    ) -> AsyncIterator[explaining.ExplainRelationshipResponse]:
        await self._note(request, context)
        async for part in play(self.why.pop(0), context):
            yield part

    async def GetRelationship(
        self, request: relationship.GetRelationshipRequest, context: Context
    ) -> relationship.GetRelationshipResponse:
        await self._note(request, context)
        found: relationship.GetRelationshipResponse = self.answers["GetRelationship"]
        return found

    async def BatchGetRelationships(
        self, request: relationship.BatchGetRelationshipsRequest, context: Context
    ) -> relationship.BatchGetRelationshipsResponse:
        await self._note(request, context)
        found: relationship.BatchGetRelationshipsResponse = self.answers["BatchGetRelationships"]
        return found

    async def DiffRelationship(
        self, request: explaining.DiffRelationshipRequest, context: Context
    ) -> explaining.DiffRelationshipResponse:
        await self._note(request, context)
        found: explaining.DiffRelationshipResponse = self.answers["DiffRelationship"]
        return found

    async def ExplainIdentity(
        self, request: explaining.ExplainIdentityRequest, context: Context
    ) -> explaining.ExplainIdentityResponse:
        await self._note(request, context)
        found: explaining.ExplainIdentityResponse = self.answers["ExplainIdentity"]
        return found

    async def ExplainPersona(
        self, request: explaining.ExplainPersonaRequest, context: Context
    ) -> explaining.ExplainPersonaResponse:
        await self._note(request, context)
        found: explaining.ExplainPersonaResponse = self.answers["ExplainPersona"]
        return found

    async def ListRelationships(
        self, request: relationship.ListRelationshipsRequest, context: Context
    ) -> relationship.ListRelationshipsResponse:
        self.pages += 1
        begin = int(request.page_token or 0)
        end = begin + request.page_size
        response = relationship.ListRelationshipsResponse(
            next_page_token=str(end) if end < len(self.customers) else "", position=9
        )
        for customer in self.customers[begin:end]:
            response.relationships.add(organization_id=request.organization_id, customer_id=customer, position=9)
        return response

    async def _note(self, request: Any, context: Context) -> None:
        self.asked.append(request)
        if self.failure is not None:
            await fail(context, *self.failure)

    async def GetBalance(
        self, request: relationship.GetBalanceRequest, context: Context
    ) -> relationship.GetBalanceResponse:
        await self._note(request, context)
        return relationship.GetBalanceResponse(balance=self.balance)

    async def ExplainBalance(
        self, request: relationship.ExplainBalanceRequest, context: Context
    ) -> AsyncIterator[relationship.ExplainBalanceResponse]:
        await self._note(request, context)
        async for part in play(self.explanations.pop(0), context):
            yield part

    async def DiffViews(
        self, request: relationship.DiffViewsRequest, context: Context
    ) -> relationship.DiffViewsResponse:
        await self._note(request, context)
        return self.difference

    async def GetStatement(
        self, request: relationship.GetStatementRequest, context: Context
    ) -> relationship.GetStatementResponse:
        await self._note(request, context)
        page = int(request.page_token or 0)
        token = str(page + 1) if page + 1 < len(self.statements) else ""
        return relationship.GetStatementResponse(statement=self.statements[page], next_page_token=token)


class FakeContacts(contact_grpc.ContactServiceServicer):
    """Searches and simulates as `searches` and `simulations` say, played as FakeAudit's scripts are."""

    def __init__(self) -> None:
        self.searches: list[list[Any]] = []
        self.simulations: list[list[Any]] = []
        self.asked: list[Any] = []

    async def FindAudience(
        self, request: contact.FindAudienceRequest, context: Context
    ) -> AsyncIterator[contact.FindAudienceResponse]:
        self.asked.append(request)
        async for frame in play(self.searches.pop(0), context):
            yield frame

    async def SimulatePolicy(
        self, request: contact.SimulatePolicyRequest, context: Context
    ) -> AsyncIterator[contact.SimulatePolicyResponse]:
        self.asked.append(request)
        async for frame in play(self.simulations.pop(0), context):
            yield frame


class FakeServer:
    """All of them on one port of loopback."""

    def __init__(self) -> None:
        self.consents = FakeConsents()  # type: ignore[abstract]  # The tests need only these methods.
        self.ingest = FakeIngest()  # type: ignore[abstract]  # The tests need only these methods.
        self.audit = FakeAudit()  # type: ignore[abstract]  # The tests need only these methods.
        self.policies = FakePolicies()  # type: ignore[abstract]  # The tests need only these methods.
        self.relationships = FakeRelationships()  # type: ignore[abstract]  # The tests need only these methods.
        self.contacts = FakeContacts()  # type: ignore[abstract]  # The tests need only these methods.
        self.target = ""
        self.server: aio.Server

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 picks one."""
        self.server = aio.server(options=(("grpc.so_reuseport", 0),))
        consent_grpc.add_ConsentServiceServicer_to_server(self.consents, self.server)
        interaction_grpc.add_InteractionServiceServicer_to_server(self.ingest, self.server)
        exchange_grpc.add_ExchangeServiceServicer_to_server(self.ingest, self.server)
        audit_grpc.add_AuditServiceServicer_to_server(self.audit, self.server)
        policy_grpc.add_PolicyServiceServicer_to_server(self.policies, self.server)
        relationship_grpc.add_RelationshipServiceServicer_to_server(self.relationships, self.server)
        contact_grpc.add_ContactServiceServicer_to_server(self.contacts, self.server)
        port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.target = f"127.0.0.1:{port}"
        await self.server.start()


@asynccontextmanager
async def fake_server() -> AsyncIterator[FakeServer]:
    """Yield a running server; stop it afterwards."""
    fake = FakeServer()
    await fake.start()
    try:
        yield fake
    finally:
        await fake.server.stop(None)
