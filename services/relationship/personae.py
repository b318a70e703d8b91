"""Whether a customer belongs to a persona, clause by clause (relationship.md 11)."""

from __future__ import annotations

from ledger.domain.errors import Rejected
from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.domain.persona import Persona
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME
from ledger.ledger import Ledger
from ledger.measure.personae import explain
from ledger.views import View
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.relationship.v1 import explaining_pb2 as pb
from services.relationship import translate
from services.relationship.measure_translate import tell_ratio
from services.relationship.measuring import Asked, Measuring


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
    persona = _persona(published, request.persona_id, request.version, needed)
    explained = explain(sight.measured, persona.message)
    response = pb.ExplainPersonaResponse(
        persona_id=persona.message.persona_id,
        version=persona.message.version,
        member=explained.member,
        approved_functions=persona.functions,  # type: ignore[arg-type]  # Numbers of the enum.
        position=view.position,
        as_of=translate.view(view.occur_time, view.position),
    )
    tell_ratio(response.inferred_share, explained.inferred_share)
    for number, holds, value, inferred, evidence in explained.findings:
        response.clauses.add(number=number, holds=holds, value=value, inferred=inferred, evidence_positions=evidence)
    return response


def _persona(published: PolicyState, persona_id: str, version: int, needed: int) -> Persona:
    """Return the version of a persona that is asked for, which must be active.

    Raises:
        Rejected: PERSONA_UNKNOWN, PERSONA_NOT_ACTIVE.
    """
    personae = published.personae
    persona = personae.version(persona_id, version) if version else None
    persona = persona or personae.counting(persona_id, needed) or personae.get(persona_id)
    if persona is None or (version and persona.message.version != version):
        raise Rejected(
            reasons.ERROR_REASON_PERSONA_UNKNOWN,
            "no such persona was defined; list the personae",
            persona_id=persona_id,
            version=version,
        )
    if not persona.is_active(needed):
        raise Rejected(
            reasons.ERROR_REASON_PERSONA_NOT_ACTIVE,
            "the persona is retired, or too few functions have approved this version; have others approve it",
            persona_id=persona_id,
            approvals=len(persona.functions),
            needed=needed,
        )
    return persona
