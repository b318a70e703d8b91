"""Contacts: may we contact them now, and why; what would be, what was, who may be asked; and who cannot be reached."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from rapport.contact.v1 import contact_service_pb2 as messages
from rapport.contact.v1.contact_service_pb2_grpc import ContactServiceStub
from rapport.events.v1.contact_pb2 import ContactAborted
from services.client.calls import Subject, ended_early, request_id_or_new
from services.client.errors import RapportError
from services.client.frames import read_frames
from services.client.values import timestamp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.events.v1.consent_pb2 import SuppressionAdded, SuppressionLifted
    from rapport.events.v1.contact_pb2 import ContactQuestion, DecisionOutcome
    from rapport.events.v1.contact_policy_pb2 import ContactPolicy
    from rapport.type.v1.as_of_pb2 import AsOf
    from rapport.type.v1.event_context_pb2 import EventContext
    from rapport.type.v1.window_pb2 import Window

STREAM_IDLE_S: Final = 60.0
"""Seconds without any frame after which a search or a simulation is taken for broken."""


class Contacts(Subject):
    """ContactService. Every write takes a `request_id`; without one a new id is made and kept over repetitions."""

    async def decide(
        self,
        organization_id: str,
        customer_id: str,
        question: ContactQuestion,
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.DecideResponse:
        """Decide one contact and record the answer. Only a PERMIT whose time is not over allows the contact.

        Raises:
            RapportError: CONCURRENCY_CONFLICT, then there is no permit; or what any call may meet.
        """
        request = messages.DecideRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            question=question,
            context=context,
        )
        return await self._calls.call(self._contacts.Decide, request, timeout_s)

    async def batch_decide(
        self,
        organization_id: str,
        items: Iterable[messages.DecideItem],
        *,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.BatchDecideResponse:
        """Decide 1 to 500 contacts, each on what the earlier ones left, and record the answers, all or none."""
        request = messages.BatchDecideRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            items=items,
            context=context,
        )
        return await self._calls.call(self._contacts.BatchDecide, request, timeout_s)

    async def simulate_decision(
        self,
        organization_id: str,
        customer_id: str,
        question: ContactQuestion,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        contact_policy_version: int = 0,
        contact_policy: ContactPolicy | None = None,
        added: Iterable[messages.HypotheticalFact] = (),
        timeout_s: float | None = None,
    ) -> messages.SimulateDecisionResponse:
        """Decide without recording, as of any moment, under any contact policy, with facts that did not happen.

        Raises:
            RapportError: POLICY_UNKNOWN, KNOWN_AT_NOT_SETTLED, KNOWN_AT_IN_FUTURE, KNOWN_AT_INSIDE_BATCH.
        """
        request = messages.SimulateDecisionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            question=question,
            as_of=as_of,
            min_position=min_position,
            contact_policy_version=contact_policy_version,
            contact_policy=contact_policy,
            added=added,
        )
        return await self._calls.call(self._contacts.SimulateDecision, request, timeout_s)

    async def batch_simulate_decisions(
        self,
        organization_id: str,
        items: Iterable[messages.DecideItem],
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.BatchSimulateDecisionsResponse:
        """Simulate 1 to 500 decisions at one point of view."""
        request = messages.BatchSimulateDecisionsRequest(
            organization_id=organization_id, items=items, as_of=as_of, min_position=min_position
        )
        return await self._calls.call(self._contacts.BatchSimulateDecisions, request, timeout_s)

    async def explain_decision(
        self,
        organization_id: str,
        customer_id: str,
        decision_id: int,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ExplainDecisionResponse:
        """Return a recorded decision, its permit, its replay, and what later knowledge makes of it.

        Raises:
            RapportError: DECISION_UNKNOWN, DECISION_MODEL_UNSUPPORTED, or as `simulate_decision`.
        """
        request = messages.ExplainDecisionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            decision_id=decision_id,
            as_of=as_of,
            min_position=min_position,
        )
        return await self._calls.call(self._contacts.ExplainDecision, request, timeout_s)

    async def abort_contact(
        self,
        organization_id: str,
        customer_id: str,
        decision_id: int,
        reason: str = "",
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.AbortContactResponse:
        """Give a permit back. `occur_time` default: the server's clock.

        Raises:
            RapportError: DECISION_UNKNOWN, PERMIT_NOT_OPEN, or what any call may meet.
        """
        request = messages.AbortContactRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            abort=ContactAborted(decision_id=decision_id, reason=reason),
            context=context,
        )
        return await self._calls.call(self._contacts.AbortContact, request, timeout_s)

    async def simulate_policy(
        self,
        organization_id: str,
        *,
        contact_policy_version: int = 0,
        contact_policy: ContactPolicy | None = None,
        window: Window | None = None,
        all: bool = False,  # noqa: A002  # The name of the field.
        idle_timeout_s: float = STREAM_IDLE_S,
    ) -> AsyncIterator[messages.SimulatePolicyResponse]:
        """Yield the recorded decisions that another contact policy changes, and how far it is; the last frame is done.

        Not repeated when the connection breaks: it records nothing, so it may begin anew.

        Raises:
            RapportError: POLICY_UNKNOWN, WINDOW_INVALID, or the connection broke.
        """
        request = messages.SimulatePolicyRequest(
            organization_id=organization_id,
            contact_policy_version=contact_policy_version,
            contact_policy=contact_policy,
            window=window,
            all=all,
        )
        done = False
        async with aclosing(read_frames(self._contacts.SimulatePolicy(request), idle_timeout_s)) as frames:
            async for frame in frames:
                done = frame.progress.done
                yield frame
        if not done:
            raise ended_early("simulation")

    async def find_audience(
        self,
        organization_id: str,
        question: ContactQuestion,
        *,
        outcomes: Iterable[DecisionOutcome.ValueType] = (),
        after_customer_id: str = "",
        min_position: int = 0,
        idle_timeout_s: float = STREAM_IDLE_S,
    ) -> AsyncIterator[messages.FindAudienceResponse]:
        """Yield customers who asked for the question's topic, in order of their ids, and how far it is.

        A stream that breaks is opened again after the last customer looked at: each comes once, and counts add up. The
        last frame is a progress that is done. `outcomes` default: those who may be contacted now.

        Raises:
            RapportError: POLICY_UNKNOWN, PROJECTION_BEHIND; the stream breaks time and again.
        """
        search = _Search(
            messages.FindAudienceRequest(
                organization_id=organization_id,
                question=question,
                outcomes=outcomes,
                after_customer_id=after_customer_id,
                min_position=min_position,
            )
        )
        attempts = self._calls.attempts()
        while not search.done:
            try:
                call = self._contacts.FindAudience(search.request)
                async with aclosing(search.frames(read_frames(call, idle_timeout_s))) as frames:
                    async for frame in frames:
                        attempts.succeeded()
                        yield frame
                if not search.done:
                    raise ended_early("search")
            except RapportError as error:
                await self._calls.wait_or_raise(error, attempts)

    async def get_contact_report(
        self,
        organization_id: str,
        customer_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        window: Window | None = None,
        timeout_s: float | None = None,
    ) -> messages.GetContactReportResponse:
        """Count a customer's contacts and decisions.

        Raises:
            RapportError: RELATIONSHIP_UNKNOWN, WINDOW_INVALID, or as `simulate_decision`.
        """
        request = messages.GetContactReportRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            as_of=as_of,
            min_position=min_position,
            window=window,
        )
        return await self._calls.call(self._contacts.GetContactReport, request, timeout_s)

    async def add_suppression(
        self,
        organization_id: str,
        customer_id: str,
        suppression: SuppressionAdded,
        *,
        occur_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.AddSuppressionResponse:
        """Record that a customer cannot or must not be reached. `occur_time` default: the server's clock."""
        request = messages.AddSuppressionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            suppression=suppression,
            context=context,
        )
        return await self._calls.call(self._contacts.AddSuppression, request, timeout_s)

    async def lift_suppression(
        self,
        organization_id: str,
        customer_id: str,
        lift: SuppressionLifted,
        context: EventContext,
        *,
        occur_time: datetime | Timestamp | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.LiftSuppressionResponse:
        """Record that a suppression no longer stands. The context names an actor.

        Raises:
            RapportError: SUPPRESSION_UNKNOWN, or what any call may meet.
        """
        request = messages.LiftSuppressionRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            request_id=request_id_or_new(request_id),
            occur_time=None if occur_time is None else timestamp(occur_time),
            lift=lift,
            context=context,
        )
        return await self._calls.call(self._contacts.LiftSuppression, request, timeout_s)

    async def import_suppressions(
        self,
        organization_id: str,
        list_name: str,
        list_version: str,
        entries: Iterable[messages.SuppressionEntry],
        *,
        list_sha256: bytes = b"",
        list_time: datetime | Timestamp | None = None,
        context: EventContext | None = None,
        request_id: str | None = None,
        timeout_s: float | None = None,
    ) -> messages.ImportSuppressionsResponse:
        """Record 1 to 1,000 customers who are on a list, all or none; those that it named before change nothing."""
        request = messages.ImportSuppressionsRequest(
            organization_id=organization_id,
            request_id=request_id_or_new(request_id),
            list_name=list_name,
            list_version=list_version,
            list_sha256=list_sha256,
            list_time=None if list_time is None else timestamp(list_time),
            entries=entries,
            context=context,
        )
        return await self._calls.call(self._contacts.ImportSuppressions, request, timeout_s)

    async def get_suppressions(
        self,
        organization_id: str,
        customer_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.GetSuppressionsResponse:
        """Return the suppressions of a customer, lifted ones too, by position.

        Raises:
            RapportError: RELATIONSHIP_UNKNOWN, or as `simulate_decision`.
        """
        request = messages.GetSuppressionsRequest(
            organization_id=organization_id, customer_id=customer_id, as_of=as_of, min_position=min_position
        )
        return await self._calls.call(self._contacts.GetSuppressions, request, timeout_s)

    @property
    def _contacts(self) -> ContactServiceStub:
        return self._calls.stub(ContactServiceStub)


class _Search:
    """A search for an audience over as many streams as it takes."""

    def __init__(self, request: messages.FindAudienceRequest) -> None:
        self.request = request
        """For what did not come yet: after the last progress, so that its counts can be added to."""
        self.done = False
        self._before = messages.AudienceProgress()
        self._last_member = ""

    async def frames(
        self, frames: AsyncGenerator[messages.FindAudienceResponse, None]
    ) -> AsyncGenerator[messages.FindAudienceResponse, None]:
        """Yield the frames of one stream that are new, with counts over all streams."""
        before = self._before
        async with aclosing(frames):
            async for frame in frames:
                if frame.HasField("member"):
                    # Ids are ASCII, so they compare here as they do where they are kept.
                    if frame.member.customer_id <= self._last_member:
                        continue
                    self._last_member = frame.member.customer_id
                else:
                    self._add_up(frame.progress, before)
                yield frame

    def _add_up(self, progress: messages.AudienceProgress, before: messages.AudienceProgress) -> None:
        progress.looked_at_count += before.looked_at_count
        progress.permit_count += before.permit_count
        progress.defer_count += before.defer_count
        progress.deny_count += before.deny_count
        self.request.after_customer_id = progress.last_customer_id
        self.done = progress.done
        self._before = progress
