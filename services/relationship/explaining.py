"""Why a relationship is measured as it is, and in what two views of it differ.

Both are made from records folded for this reader alone, so that nothing moves on while an explanation is sent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Final

from ledger.domain.errors import Rejected
from ledger.domain.identifiers import relationship_stream
from ledger.ledger import Ledger
from ledger.measure import differing, explaining, shares
from ledger.measure.measured import Measured
from ledger.views import View
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.relationship.v1 import explaining_pb2 as pb
from services.relationship import translate
from services.relationship.measure_translate import set_time, tell_contribution, tell_measures, tell_scope
from services.relationship.measuring import Asked, Measuring, Sight
from services.runtime.translating import as_of_told

POSITIONS_MAX: Final = 1_000
"""Events told that only one of two views knows."""


async def explain(
    ledger: Ledger, measuring: Measuring, request: pb.ExplainRelationshipRequest
) -> AsyncGenerator[pb.ExplainRelationshipResponse, None]:
    """Yield a header, evidence by measure, contributions with their shares, and a trailer.

    Raises:
        Rejected: RELATIONSHIP_UNKNOWN, POLICY_UNKNOWN, and what a view may be refused for; EXPLANATION_MISMATCH.
    """
    asked = Asked(request.as_of, request.under, request.scope)
    view = await ledger.resolve(request.as_of, request.min_position)
    sight = await _seen(measuring, request.organization_id, request.customer_id, view, asked)
    messages = [*_lines(sight.measured)]  # Checked before the first of them is sent.
    header = pb.ExplanationHeader(
        organization_id=request.organization_id,
        customer_id=request.customer_id,
        position=view.position,
        as_of=as_of_told(view.occur_time, view.position),
    )
    tell_measures(header.measures, sight.measured, ())
    tell_scope(header.measures, sight, asked.scope)
    yield pb.ExplainRelationshipResponse(header=header)
    for each in explaining.evidence(sight.measured):
        yield pb.ExplainRelationshipResponse(
            evidence=pb.MeasureEvidence(
                measure=each.measure,
                value=each.value,
                formula=each.formula,
                evidence_positions=each.positions,
                evidence_count=each.found,
            )
        )
    for message in messages:
        yield message


def _lines(measured: Measured) -> Iterator[pb.ExplainRelationshipResponse]:
    """Yield the lines of the strength, each with its shares, and the trailer."""
    total = lines = parts = 0
    for line, split in shares.shares(measured):
        message = pb.ExplainRelationshipResponse()
        tell_contribution(message.contribution, line)
        yield message
        if split and sum(share.ppm for share in split) != line.ppm:
            raise _mismatch("the shares of a line do not add up to it")
        for position, occur_time, ppm in split:
            share = pb.ExplainRelationshipResponse()
            share.share.position, share.share.share_ppm = position, ppm
            set_time(share.share.occur_time, occur_time)
            yield share
        total, lines, parts = total + line.ppm, lines + 1, parts + len(split)
    if total != measured.strength.score:
        raise _mismatch("the lines do not add up to the score")
    trailer = pb.ExplanationTrailer(score_ppm=total, contributions_count=lines, shares_count=parts)
    yield pb.ExplainRelationshipResponse(trailer=trailer)


def _mismatch(what: str) -> Rejected:
    return Rejected(reasons.ERROR_REASON_EXPLANATION_MISMATCH, f"{what}; tell the maintainers, nothing was sent")


async def differ(
    ledger: Ledger, measuring: Measuring, request: pb.DiffRelationshipRequest
) -> pb.DiffRelationshipResponse:
    """Return in what two views differ; refuse as `relationship_service.proto` says."""
    organization_id, customer_id = request.organization_id, request.customer_id
    response = pb.DiffRelationshipResponse()
    sights, known = [], []
    for side, as_of, measures in (
        (request.a, response.a_as_of, response.a_measures),
        (request.b, response.b_as_of, response.b_measures),
    ):
        view = await ledger.resolve(side.as_of, request.min_position)
        asked = Asked(side.as_of, side.under, side.scope)
        sight = await _seen(measuring, organization_id, customer_id, view, asked)
        as_of.CopyFrom(as_of_told(view.occur_time, view.position))
        tell_measures(measures, sight.measured, ())
        tell_scope(measures, sight, side.scope)
        sights.append(sight)
        known.append(await _positions(ledger, organization_id, sight, view))
    a, b = (sight.measured for sight in sights)
    for component, ppm in differing.deltas(a.strength.contributions, b.strength.contributions):
        response.strength_deltas.add(component=component, delta_ppm=ppm)
    for change in differing.changes(a, b):
        response.changes.add(measure=change.measure, a=change.a, b=change.b)
    only_a, only_b = sorted(known[0] - known[1]), sorted(known[1] - known[0])
    response.only_in_a_positions.extend(only_a[:POSITIONS_MAX])
    response.only_in_b_positions.extend(only_b[:POSITIONS_MAX])
    response.only_in_a_count, response.only_in_b_count = len(only_a), len(only_b)
    return response


async def _seen(measuring: Measuring, organization_id: str, customer_id: str, view: View, asked: Asked) -> Sight:
    sight = await measuring.past(relationship_stream(organization_id, customer_id), view, asked)
    if sight is None:
        raise translate.unknown(organization_id, customer_id)
    return sight


async def _positions(ledger: Ledger, organization_id: str, sight: Sight, view: View) -> set[int]:
    """Return the positions of the facts that a view folds."""
    found: set[int] = set()
    for customer_id in sight.customer_ids:
        facts = await ledger.facts(relationship_stream(organization_id, customer_id), view._replace(given=False))
        found.update(fact.position for fact in facts if fact.occur_time <= view.occur_time)
    return found
