"""Whether a customer belongs to a persona, clause by clause (relationship.md 11)."""

from __future__ import annotations

from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.domain.persona_acts import required
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME
from ledger.ledger import Ledger
from ledger.measure.personae import explain
from ledger.views import View
from rapport.relationship.v1 import explaining_pb2 as pb
from services.relationship import translate
from services.relationship.measure_translate import tell_ratio
from services.relationship.measuring import Asked, Measuring
from services.runtime.translating import as_of_told


async def explain_persona(
    ledger: Ledger, measuring: Measuring, request: pb.ExplainPersonaRequest
) -> pb.ExplainPersonaResponse:
    """Return what each clause comes to; refuse as `relationship_service.proto` says."""
    view = await ledger.resolve(request.as_of, request.min_position)
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    sight = await measuring.past(stream_id, view, Asked(request.as_of))
    if sight is None:
        raise translate.unknown(request.organization_id, request.customer_id)
    known = View(END_OF_TIME, view.position)
    published: PolicyState = (await ledger.state_at(policy_stream(request.organization_id), known)).state
    needed = sight.measured.outlook.rules.persona_approvals
    persona = required(published, request.persona_id, request.version, needed)
    explained = explain(sight.measured, persona.message)
    response = pb.ExplainPersonaResponse(
        persona_id=persona.message.persona_id,
        version=persona.message.version,
        member=explained.member,
        approved_functions=persona.functions,  # type: ignore[arg-type]  # Numbers of the enum.
        position=view.position,
        as_of=as_of_told(view.occur_time, view.position),
    )
    tell_ratio(response.inferred_share, explained.inferred_share)
    for number, holds, value, inferred, evidence in explained.findings:
        response.clauses.add(number=number, holds=holds, value=value, inferred=inferred, evidence_positions=evidence)
    return response
