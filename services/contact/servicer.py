"""The rpcs of ContactService: may we contact them now, and why."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Final

import grpc

from ledger.projections.projector import Projector
from ledger.requests import Request
from rapport.contact.v1 import contact_service_pb2 as pb
from rapport.contact.v1 import contact_service_pb2_grpc as stubs
from services.contact import translate
from services.contact.audience import Audience
from services.contact.deciding import Deciding
from services.contact.explaining import Explaining
from services.contact.policy_simulation import PolicySimulation
from services.contact.reporting import Reporting
from services.contact.sights import Sights
from services.contact.simulating import Simulating
from services.contact.suppressions import Context, Suppressions
from services.runtime.app import App
from services.runtime.projecting import projector_of
from services.runtime.validation import request_id

SERVICE: Final = "rapport.contact.v1.ContactService"

WAIT_S: Final = 5.0
"""Seconds that a search waits for its `min_position`, at most."""
_PART_OF_DEADLINE: Final = 0.8
"""How much of the time that a call has left it may wait, so that it can still say that it waited in vain."""

_ABORT: Final = f"/{SERVICE}/AbortContact"


def mount(server: grpc.aio.Server, app: App) -> None:
    """Add ContactService to a server; the projection that audiences are found in runs beside it."""
    stubs.add_ContactServiceServicer_to_server(Servicer(app, projector_of(app)), server)


class Servicer(Suppressions):
    """Decides contacts, and tells of decisions. What is refused, and why, is said in `contact_service.proto`."""

    def __init__(self, app: App, projector: Projector) -> None:
        super().__init__(app)
        sights = Sights(app)
        self._deciding = Deciding(app, sights)
        self._simulating = Simulating(app, sights)
        self._explaining = Explaining(app)
        self._policies = PolicySimulation(app)
        self._audience = Audience(app, sights, projector)
        self._reporting = Reporting(app)

    async def Decide(  # noqa: N802  # Named by the proto.
        self,
        request: pb.DecideRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.DecideResponse:
        """Decide one contact and record the answer."""
        return await self._deciding.decide(request)

    async def BatchDecide(  # noqa: N802  # Named by the proto.
        self,
        request: pb.BatchDecideRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.BatchDecideResponse:
        """Decide many contacts and record the answers, all or none."""
        return await self._deciding.batch(request)

    async def SimulateDecision(  # noqa: N802  # Named by the proto.
        self,
        request: pb.SimulateDecisionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.SimulateDecisionResponse:
        """Decide without recording."""
        return await self._simulating.simulate(request)

    async def BatchSimulateDecisions(  # noqa: N802  # Named by the proto.
        self,
        request: pb.BatchSimulateDecisionsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.BatchSimulateDecisionsResponse:
        """Decide many contacts without recording."""
        return await self._simulating.batch(request)

    async def ExplainDecision(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ExplainDecisionRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ExplainDecisionResponse:
        """Return a recorded decision and what became of it."""
        return await self._explaining.explain(request)

    async def AbortContact(  # noqa: N802  # Named by the proto.
        self,
        request: pb.AbortContactRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.AbortContactResponse:
        """Record that a permit will not be used."""
        asked = Request(_ABORT, request.organization_id, request_id(request), request)
        return translate.aborted(await self._ledger.execute(asked, partial(translate.abort_steps, request)))

    async def SimulatePolicy(  # noqa: N802  # A generator, whatever the stub says.
        self,
        request: pb.SimulatePolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> AsyncGenerator[pb.SimulatePolicyResponse, None]:
        """Yield the recorded decisions that another policy changes."""
        async with aclosing(self._policies.frames(request)) as frames:
            async for frame in frames:
                yield frame

    async def FindAudience(  # noqa: N802  # A generator, whatever the stub says.
        self,
        request: pb.FindAudienceRequest,
        context: Context,
    ) -> AsyncGenerator[pb.FindAudienceResponse, None]:
        """Yield the customers who asked for a topic."""
        remaining_s: float | None = context.time_remaining()
        # None: there is no deadline, whatever its type says.
        wait_s = min(WAIT_S, _PART_OF_DEADLINE * (remaining_s or WAIT_S / _PART_OF_DEADLINE))
        async with aclosing(self._audience.frames(request, wait_s)) as frames:
            async for frame in frames:
                yield frame

    async def GetContactReport(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetContactReportRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetContactReportResponse:
        """Count a customer's contacts and decisions."""
        return await self._reporting.report(request)
