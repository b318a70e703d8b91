"""Measures of relationships: why they are what they are, in what views differ, who belongs where."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from rapport.relationship.v1 import explaining_pb2 as messages
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.levels_pb2 import VIEW_SCOPE_UNSPECIFIED, ViewScope
from services.client.calls import Subject, protocol_broken
from services.client.frames import EXPLANATION_IDLE_S, explained, read_frames

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
    from rapport.relationship.v1.measures_pb2 import Contribution
    from rapport.type.v1.as_of_pb2 import AsOf
    from services.client.calls import Calls


def under_policy(policy: RelationshipPolicy | int | None) -> messages.UnderPolicy | None:
    """Return the policy of a what-if: a published version, 0 for the built-in one, or a policy; None: none."""
    if policy is None:
        return None
    return messages.UnderPolicy(version=policy) if isinstance(policy, int) else messages.UnderPolicy(unpublished=policy)


def relationship_view(
    *,
    as_of: AsOf | None = None,
    under: RelationshipPolicy | int | None = None,
    scope: ViewScope.ValueType = VIEW_SCOPE_UNSPECIFIED,
) -> messages.RelationshipView:
    """Return a view to compare; without arguments one relationship now, by the policy in force."""
    return messages.RelationshipView(as_of=as_of, under=under_policy(under), scope=scope)


class RelationshipExplanation:
    """An explanation: iterate over it for its parts, `async for part in explanation`.

    A stream that breaks is opened again in the view of its header: each part comes once, in order. It ends with a
    trailer that fits what came, or with an error.
    """

    def __init__(self, calls: Calls, request: messages.ExplainRelationshipRequest, idle_timeout_s: float) -> None:
        self._calls = calls
        self._request = request
        self._idle_timeout_s = idle_timeout_s
        self._seen = 0
        self._sums = _Sums()
        self.header: messages.ExplanationHeader | None = None
        """The first part, once it came: every measure."""
        self.trailer: messages.ExplanationTrailer | None = None
        """The last part, once it came and was found to fit."""

    def __aiter__(self) -> AsyncIterator[messages.ExplainRelationshipResponse]:
        """Yield the header, evidence by measure, each line of the strength with its shares, and the trailer.

        Raises:
            RapportError: As `get_relationship`; the stream breaks time and again, or what came does not add up.
        """
        return explained(self._calls, self._frames, lambda: self.trailer is not None)

    async def _frames(self) -> AsyncGenerator[messages.ExplainRelationshipResponse, None]:
        """Open the stream once, and yield the parts that are new."""
        call = self._calls.stub(RelationshipServiceStub).ExplainRelationship(self._same())
        number = 0
        async with aclosing(read_frames(call, self._idle_timeout_s)) as frames:
            async for part in frames:
                number += 1
                if number <= self._seen:
                    # The same view gives the same parts again, in order.
                    if part.HasField("header") and part.header != self.header:
                        raise protocol_broken("the explanation was taken up again with other measures of the same view")
                    continue
                self._note(part)
                self._seen = number
                yield part

    def _same(self) -> messages.ExplainRelationshipRequest:
        """Return the request, of the view that was answered where one was."""
        request = messages.ExplainRelationshipRequest()
        request.CopyFrom(self._request)
        if self.header is not None:
            request.as_of.CopyFrom(self.header.as_of)
        return request

    def _note(self, part: messages.ExplainRelationshipResponse) -> None:
        kind = part.WhichOneof("part")
        if self.header is None and kind != "header":
            raise protocol_broken("the explanation did not begin with its header")
        match kind:
            case "header":
                self.header = part.header
            case "contribution":
                self._sums.begin(part.contribution)
            case "share":
                self._sums.add(part.share)
            case "trailer":
                self._sums.check(part.trailer)
                if self.header is not None and self.header.measures.strength.score_ppm != part.trailer.score_ppm:
                    raise protocol_broken("what is explained is not the score that was answered")
                self.trailer = part.trailer
            case _:
                pass


class _Sums:
    """What the lines and shares of an explanation add up to."""

    def __init__(self) -> None:
        self._score = 0
        self._lines = 0
        self._shares = 0
        self._line = 0
        self._of_line = 0
        self._split = False

    def begin(self, line: Contribution) -> None:
        """Add a line; its shares follow."""
        self._end()
        self._score += line.contribution_ppm
        self._lines += 1
        self._line, self._of_line, self._split = line.contribution_ppm, 0, False

    def add(self, share: messages.EventShare) -> None:
        """Add a share of the line before."""
        self._shares += 1
        self._of_line += share.share_ppm
        self._split = True

    def check(self, trailer: messages.ExplanationTrailer) -> None:
        """Compare with the trailer, exactly."""
        self._end()
        here = (self._score, self._lines, self._shares)
        there = (trailer.score_ppm, trailer.contributions_count, trailer.shares_count)
        if here != there:
            raise protocol_broken(f"the explanation does not add up: score, lines and shares are {here}, told {there}")

    def _end(self) -> None:
        """Hold the shares of a line to it; a line of 0, and a clamp, have none."""
        if self._split and self._line != self._of_line:
            raise protocol_broken(f"the shares of a line add up to {self._of_line}, and not to its {self._line}")


class Measures(Subject):
    """The measures of RelationshipService. All reads take a `min_position`."""

    def explain_relationship(
        self,
        organization_id: str,
        customer_id: str,
        *,
        as_of: AsOf | None = None,
        under: RelationshipPolicy | int | None = None,
        scope: ViewScope.ValueType = VIEW_SCOPE_UNSPECIFIED,
        min_position: int = 0,
        idle_timeout_s: float = EXPLANATION_IDLE_S,
    ) -> RelationshipExplanation:
        """Return every measure with its formula and events, and what each event adds to the strength.

        Args:
            organization_id: Company side.
            customer_id: Customer side.
            as_of: Point of view; `values.view` makes one. Default: now.
            under: What-if: a version of the relationship policy, or one that was not published.
            scope: PERSON folds the facts of all customer ids that are one person.
            min_position: The answer must reflect the log at least up to there.
            idle_timeout_s: Seconds without any part after which the stream is opened again.
        """
        request = messages.ExplainRelationshipRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            as_of=as_of,
            min_position=min_position,
            under=under_policy(under),
            scope=scope,
        )
        return RelationshipExplanation(self._calls, request, idle_timeout_s)

    async def diff_relationship(
        self,
        organization_id: str,
        customer_id: str,
        a: messages.RelationshipView | None = None,
        b: messages.RelationshipView | None = None,
        *,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.DiffRelationshipResponse:
        """Return in what view `b` differs from view `a`; `relationship_view` makes them. Default of both: now.

        Raises:
            RapportError: As `get_relationship`.
        """
        request = messages.DiffRelationshipRequest(
            organization_id=organization_id, customer_id=customer_id, min_position=min_position, a=a, b=b
        )
        return await self._calls.call(self._measures.DiffRelationship, request, timeout_s)

    async def explain_identity(
        self,
        organization_id: str,
        customer_id: str,
        *,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ExplainIdentityResponse:
        """Return the links by which customer ids are one person, ended ones too, with their evidence.

        Raises:
            RapportError: RELATIONSHIP_UNKNOWN, and those of points of view.
        """
        request = messages.ExplainIdentityRequest(
            organization_id=organization_id, customer_id=customer_id, as_of=as_of, min_position=min_position
        )
        return await self._calls.call(self._measures.ExplainIdentity, request, timeout_s)

    async def explain_persona(
        self,
        organization_id: str,
        customer_id: str,
        persona_id: str,
        *,
        version: int = 0,
        as_of: AsOf | None = None,
        min_position: int = 0,
        timeout_s: float | None = None,
    ) -> messages.ExplainPersonaResponse:
        """Return whether a customer belongs to a persona, clause by clause; version 0: the latest that is active.

        Raises:
            RapportError: PERSONA_UNKNOWN, PERSONA_NOT_ACTIVE; RELATIONSHIP_UNKNOWN, and those of points of view.
        """
        request = messages.ExplainPersonaRequest(
            organization_id=organization_id,
            customer_id=customer_id,
            persona_id=persona_id,
            version=version,
            as_of=as_of,
            min_position=min_position,
        )
        return await self._calls.call(self._measures.ExplainPersona, request, timeout_s)

    @property
    def _measures(self) -> RelationshipServiceStub:
        return self._calls.stub(RelationshipServiceStub)
