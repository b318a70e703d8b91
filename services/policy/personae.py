"""The rpcs of PolicyService about personae."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ledger.domain import persona_acts
from ledger.domain.decider import Step
from ledger.domain.errors import Violation
from ledger.domain.identifiers import policy_stream
from ledger.domain.persona import Persona
from ledger.domain.policy import PolicyState
from ledger.domain.times import timestamp
from rapport.policy.v1 import relationship_policies_pb2 as pb
from services.policy.rpcs import Context, Rpcs, stands_at
from services.runtime.translating import context_of
from services.runtime.validation import check


class Personae(Rpcs):
    """Defines, approves, retires and lists personae. Errors are listed in `policy_service.proto`."""

    async def DefinePersona(  # noqa: N802  # Named by the proto.
        self,
        request: pb.DefinePersonaRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.DefinePersonaResponse:
        """Define a version of a persona, which nobody has approved yet."""
        receipt, state = await self._publish(request, partial(define_steps, request))
        found = _defined(request.persona.persona_id, stands_at(receipt), state)
        return pb.DefinePersonaResponse(
            version=found.message.version,
            position=receipt.position,
            record_time=timestamp(found.record_time),
            replayed=receipt.replayed,
        )

    async def ApprovePersona(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ApprovePersonaRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ApprovePersonaResponse:
        """Record that a function approves a version of a persona."""
        receipt, state = await self._publish(request, partial(approve_steps, request))
        asked = request.approval
        found = state.personae.version(asked.persona_id, asked.version)
        assert found is not None, "what is not defined is not approved"
        needed = _needed(state, receipt.record_time)
        return pb.ApprovePersonaResponse(
            approvals_count=len(found.approvals),
            active=state.personae.counting(asked.persona_id, needed) is not None,
            position=receipt.position,
            record_time=timestamp(found.approvals[asked.our_function].record_time),
            replayed=receipt.replayed,
        )

    async def RetirePersona(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RetirePersonaRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RetirePersonaResponse:
        """Record that a persona is used no more."""
        receipt, state = await self._publish(request, partial(retire_steps, request))
        found = state.personae.get(request.retirement.persona_id)
        assert found is not None, "what is not defined is not retired"
        assert found.retired is not None, "it is retired at the position of its receipt"
        return pb.RetirePersonaResponse(
            position=receipt.position,
            record_time=timestamp(found.retired.record_time),
            replayed=receipt.replayed,
        )

    async def ListPersonae(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListPersonaeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListPersonaeResponse:
        """Return the latest version of each persona, with its approvals."""
        look = await self._look(request)
        needed = _needed(look.state, look.view.occur_time)
        personae = [_told(each, look.state, needed) for each in look.state.personae.all()]
        return pb.ListPersonaeResponse(personae=personae, position=look.view.position)


def define_steps(request: pb.DefinePersonaRequest) -> Sequence[Step]:
    """Return the one step of a DefinePersona.

    Raises:
        Invalid: fields of the request break their rules; every violation is named.
    """
    check(request)
    context = context_of(request)
    stream_id = policy_stream(request.organization_id)
    return [persona_acts.DefinePersona(stream_id=stream_id, persona=request.persona, context=context, path="persona")]


def approve_steps(request: pb.ApprovePersonaRequest) -> Sequence[Step]:
    """Return the one step of an ApprovePersona; raise as `define_steps` does."""
    # Nobody approves what they have not read, so the version is named, and never the latest by default.
    unset = [] if request.approval.version else [Violation("approval.version", "must be at least 1")]
    check(request, *unset)
    context = context_of(request)
    stream_id = policy_stream(request.organization_id)
    return [persona_acts.ApprovePersona(stream_id=stream_id, approval=request.approval, context=context)]


def retire_steps(request: pb.RetirePersonaRequest) -> Sequence[Step]:
    """Return the one step of a RetirePersona; raise as `define_steps` does."""
    check(request)
    context = context_of(request)
    stream_id = policy_stream(request.organization_id)
    return [persona_acts.RetirePersona(stream_id=stream_id, retirement=request.retirement, context=context)]


def _defined(persona_id: str, stream_version: int, state: PolicyState) -> Persona:
    (found,) = [each for each in state.personae.versions(persona_id) if each.stream_version == stream_version]
    return found


def _needed(state: PolicyState, at: int) -> int:
    """Return how many functions have to approve a persona by the policy in force at a time."""
    return state.relationship.in_force(at).policy.persona_approvals


def _told(found: Persona, state: PolicyState, needed: int) -> pb.PersonaOnRecord:
    counting = state.personae.counting(found.message.persona_id, needed)
    return pb.PersonaOnRecord(
        persona=found.message,
        approvals=[found.approvals[each].message for each in found.functions],
        active=found.is_active(needed),
        retired=found.retired is not None,
        defined_position=found.position,
        active_version=0 if counting is None else counting.message.version,
    )
