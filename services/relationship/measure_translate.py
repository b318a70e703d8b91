"""Measures of a relationship as messages: one function for each group, in the order of `Measures`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import END_OF_TIME, MICROSECONDS
from ledger.measure import results
from ledger.measure.existence import formed_at
from ledger.measure.measured import Measured
from ledger.measure.personae import memberships
from rapport.events.v1.disclosure_pb2 import PROVENANCE_INFERRED
from rapport.relationship.v1 import explaining_pb2 as explaining
from rapport.relationship.v1 import measures_pb2 as pb
from rapport.type.v1 import levels_pb2 as levels
from services.relationship.measuring import Sight

EVIDENCE_MAX: Final = 64
"""Positions told with a measure; an explanation has all of them."""

Groups = Collection[explaining.MeasureGroup.ValueType]


def tell_measures(told: pb.Measures, m: Measured, groups: Groups) -> None:
    """Fill in the measures of some groups, all of them where none is named."""
    for group in groups or _TELL:
        _TELL[group](told, m)
    _tell_outlook(told, m)


class Gap(NamedTuple):
    """What the one measure is made of that `steady_until` leaves out: how long the silence is beside the cadence."""

    last_time: int | None
    cadence: int
    """Both as `LifecycleMeasure`."""


def gap_of(m: Measured) -> Gap:
    """Return what a gap is made of."""
    return Gap(m.lifecycle.last_time, m.lifecycle.cadence)


def tell_gap(told: pb.Measures, gap: Gap, at: int) -> None:
    """Fill in how long the silence is at an instant, in microseconds."""
    if gap.last_time is not None:
        tell_ratio(told.lifecycle.gap_ratio, results.Ratio(at - gap.last_time, gap.cadence))


def _tell_outlook(told: pb.Measures, m: Measured) -> None:
    """Say under what all of it was measured, and when it may next cross a level."""
    outlook = m.outlook
    set_time(told.next_crossing_time, m.next_crossing)
    told.relationship_policy_version = outlook.rules.version
    told.contact_policy_version = outlook.contact_policy_version
    told.types_version = outlook.types_version
    told.valuation_policy_id = outlook.valuation_policy_id
    told.what_if = outlook.what_if


def tell_scope(told: pb.Measures, sight: Sight, scope: levels.ViewScope.ValueType) -> None:
    """Say whose facts were folded."""
    told.scope = scope or levels.VIEW_SCOPE_RELATIONSHIP
    if told.scope == levels.VIEW_SCOPE_PERSON:
        told.person_customer_ids.extend(sight.customer_ids)


def set_time(field: Timestamp, time: int | None) -> None:
    """Set a time in microseconds; None leaves it absent."""
    if time is not None:
        field.seconds, micros = divmod(min(time, END_OF_TIME - MICROSECONDS), MICROSECONDS)
        field.nanos = micros * 1000
        field.SetInParent()  # Also where it is the first instant of 1970.


def tell_ratio(told: pb.Measure, ratio: results.Ratio) -> None:
    """Fill in a ratio, or why it is not known."""
    if ratio.unknown is None:
        told.ppm = ratio.ppm
    else:
        told.unknown = ratio.unknown


def _existence(told: pb.Measures, m: Measured) -> None:
    existence, of = m.existence, told.existence
    of.exists = existence.exists
    of.missing_legs.extend(existence.missing)
    set_time(of.formed_time, formed_at(m.record, m.outlook))
    for leg in existence.legs:
        row = of.legs.add(leg=leg.leg, holds=leg.holds, evidence_positions=leg.evidence[:EVIDENCE_MAX])
        set_time(row.until, leg.until)


def _lifecycle(told: pb.Measures, m: Measured) -> None:
    lifecycle, of = m.lifecycle, told.lifecycle
    of.lifecycle = lifecycle.lifecycle
    set_time(of.since, lifecycle.since)
    of.cadence_seconds = lifecycle.cadence // MICROSECONDS
    of.cadence_source = lifecycle.cadence_source
    of.gaps, of.sessions = lifecycle.gaps, lifecycle.sessions
    set_time(of.last_time, lifecycle.last_time)
    of.last_position = lifecycle.last_position
    tell_ratio(of.gap_ratio, lifecycle.gap_ratio)
    set_time(of.next_time, lifecycle.changes_at)
    of.evidence_positions.extend(lifecycle.evidence[:EVIDENCE_MAX])


def _strength(told: pb.Measures, m: Measured) -> None:
    strength, of = m.strength, told.strength
    of.score_ppm = strength.score
    of.band = strength.band
    of.coverage_ppm = strength.coverage
    for contribution in strength.contributions:
        tell_contribution(of.contributions.add(), contribution)


def tell_contribution(told: pb.Contribution, contribution: results.Contribution) -> None:
    """Fill in one line of the strength."""
    told.component = contribution.component
    told.contribution_ppm = contribution.ppm
    told.weight_ppm = contribution.weight
    tell_ratio(told.ratio, contribution.ratio)
    told.evidence_positions.extend(contribution.evidence[:EVIDENCE_MAX])


def _preference(told: pb.Measures, m: Measured) -> None:
    preference, of = m.preference, told.preference
    tell_ratio(of.preference, preference.preference)
    of.repeat_count = preference.repeats
    of.unincentivised_count = preference.unincentivised
    of.elsewhere_count = preference.elsewhere
    tell_ratio(of.incentivised_share, preference.incentivised_share)


def _axes(told: pb.Measures, m: Measured) -> None:
    axes, of = m.axes, told.axes
    of.valence, of.closeness, of.intensity = axes.valence, axes.closeness, axes.intensity
    tell_ratio(of.valence_value, axes.valence_value)
    tell_ratio(of.closeness_value, axes.closeness_value)
    tell_ratio(of.intensity_value, axes.intensity_value)


def _types(told: pb.Measures, m: Measured) -> None:
    types, of = m.types, told.types
    of.desired_slug, of.desired_position = types.desired_slug, types.desired_position
    of.actual_slug = types.actual_slug
    of.actual_provenance = types.actual_provenance  # type: ignore[assignment]  # A number of the enum.
    of.inferred_slug, of.inferred_rule = types.inferred_slug, types.inferred_rule
    for slug, our_function, assessor_id, until, position in types.assessed:
        row = of.assessed.add(slug=slug, our_function=our_function, assessor_id=assessor_id, position=position)
        set_time(row.until, until)
    for clause in types.clauses:
        of.clauses.add(clause=clause.clause, value=clause.value, evidence_positions=clause.evidence[:EVIDENCE_MAX])
    for mismatch in types.mismatches:
        of.mismatches.add(axis=mismatch.axis, direction=mismatch.direction)
    if types.mismatch_unknown is not None:
        of.mismatch_unknown = types.mismatch_unknown


def _vectors(told: pb.Measures, m: Measured) -> None:
    of = told.vectors
    tell_ratio(of.open_count, m.vectors.open_count)
    for vector in m.vectors.vectors:
        row = of.vectors.add(
            vector_id=vector.vector_id,
            goal=vector.goal,
            status=vector.status,
            next_reason=vector.next_reason,
            evidence_positions=vector.evidence[:EVIDENCE_MAX],
        )
        set_time(row.opened_time, vector.opened_time)
        set_time(row.changed_time, vector.changed_time)
    for obstacle in m.record.state.obstacles.open():
        open_row = told.obstacles.add(
            obstacle_id=obstacle.obstacle_id, obstacle=obstacle.obstacle, position=obstacle.position
        )
        set_time(open_row.reported_time, obstacle.occur_time)


def _conversation(told: pb.Measures, m: Measured) -> None:
    conversation, of = m.conversation, told.conversation
    of.inbound_count, of.outbound_count = conversation.inbound, conversation.outbound
    tell_ratio(of.listening, conversation.listening)
    of.needing_count, of.answered_count = conversation.needing, conversation.answered_count
    tell_ratio(of.answered, conversation.answered)
    of.streak, of.broadcast = conversation.streak, conversation.broadcast
    of.asked_count = conversation.asked
    tell_ratio(of.value_answered, conversation.value_answered)
    of.accepted_count, of.rejected_count = conversation.accepted, conversation.rejected
    tell_ratio(of.accepted_share, conversation.accepted_share)


def _solicitations(told: pb.Measures, m: Measured) -> None:
    solicitations, of = m.solicitations, told.solicitations
    of.delivered_count, of.matured_count = solicitations.delivered, solicitations.matured
    of.bought_count, of.replied_count = solicitations.bought, solicitations.replied
    of.opted_out_count, of.no_response_count = solicitations.opted_out, solicitations.no_response
    tell_ratio(of.response, solicitations.response)
    tell_ratio(of.waste, solicitations.waste)
    of.wasted_seconds, of.uncosted_count = solicitations.wasted_seconds, solicitations.uncosted
    for asset, units in solicitations.wasted_costs:
        of.wasted_costs.add(asset=asset, units=units)
    tell_ratio(of.breakeven, solicitations.breakeven)
    tell_ratio(of.social_breakeven, solicitations.social_breakeven)
    tell_ratio(of.pressure_per_30_days, solicitations.pressure_per_30_days)
    of.prospect = solicitations.prospect
    tell_ratio(of.relevance, solicitations.relevance)


def _conduct(told: pb.Measures, m: Measured) -> None:
    conduct, of = m.conduct, told.conduct
    of.contact_count, of.honoured_count, of.avoided_count = conduct.contacts, conduct.honoured_count, conduct.avoided
    tell_ratio(of.honoured, conduct.honoured)
    tell_ratio(of.decided, conduct.decided)
    of.dishonoured_positions.extend(conduct.dishonoured[:EVIDENCE_MAX])


def _tactics(told: pb.Measures, m: Measured) -> None:
    for each in m.tactics:
        row = told.tactics.add(tactic=each.tactic, matured_count=each.matured, followed_count=each.followed)
        tell_ratio(row.effect, each.effect)
        if each.mean_strength_change is not None:
            row.mean_strength_change_ppm = each.mean_strength_change


def _promises(told: pb.Measures, m: Measured) -> None:
    promises, of = m.promises, told.promises
    of.kept_count, of.broken_count, of.due_count = promises.kept, promises.broken, promises.due
    tell_ratio(of.kept_rate, promises.kept_rate)


def _contacts(told: pb.Measures, m: Measured) -> None:
    contacts, of = m.contacts, told.contacts
    of.shape, of.wanted_shape = contacts.shape, contacts.wanted_shape
    of.interaction_count = contacts.interactions
    tell_ratio(of.concentration, contacts.concentration)
    tell_ratio(of.single_point, contacts.single_point)
    of.person_count, of.function_count = contacts.persons, contacts.functions
    for person, our_function, count in contacts.edges[:EVIDENCE_MAX]:
        of.edges.add(customer_person_id=person, our_function=our_function, interaction_count=count)
    for share in contacts.shares[:EVIDENCE_MAX]:
        row = of.persons.add(person_id=share.person_id, side=share.side, risk=share.risk)
        tell_ratio(row.share, share.share)


def _knowledge(told: pb.Measures, m: Measured) -> None:
    knowledge, of = m.knowledge, told.knowledge
    of.groups_declared, of.groups_count = knowledge.groups_declared, knowledge.groups
    for provenance, count in knowledge.keys:
        of.keys.add(provenance=provenance, count=count)
    for each in m.record.state.assessments.latest():
        given = each.message
        row = told.assessments.add(
            instrument=given.instrument,
            dimension=given.dimension,
            score=given.score,
            scale_min=given.scale_min,
            scale_max=given.scale_max,
            position=each.position,
        )
        set_time(row.assessed_time, each.occur_time)
    for membership in memberships(m):
        persona = told.personae.add(persona_id=membership.persona_id, version=membership.version)
        tell_ratio(persona.inferred_share, membership.inferred_share)


def _open_hours(told: pb.Measures, m: Measured) -> None:
    of = told.open_hours
    of.provenance = PROVENANCE_INFERRED
    for each in m.open_hours:
        tell_ratio(of.hours.add(hour_of_week=each.hour_of_week).share, each.share)


_TELL: Final[Mapping[Any, Callable[[pb.Measures, Measured], None]]] = {
    explaining.MEASURE_GROUP_EXISTENCE: _existence,
    explaining.MEASURE_GROUP_LIFECYCLE: _lifecycle,
    explaining.MEASURE_GROUP_STRENGTH: _strength,
    explaining.MEASURE_GROUP_PREFERENCE: _preference,
    explaining.MEASURE_GROUP_AXES: _axes,
    explaining.MEASURE_GROUP_TYPES: _types,
    explaining.MEASURE_GROUP_VECTORS: _vectors,
    explaining.MEASURE_GROUP_CONVERSATION: _conversation,
    explaining.MEASURE_GROUP_SOLICITATIONS: _solicitations,
    explaining.MEASURE_GROUP_CONDUCT: _conduct,
    explaining.MEASURE_GROUP_TACTICS: _tactics,
    explaining.MEASURE_GROUP_PROMISES: _promises,
    explaining.MEASURE_GROUP_CONTACTS: _contacts,
    explaining.MEASURE_GROUP_KNOWLEDGE: _knowledge,
    explaining.MEASURE_GROUP_OPEN_HOURS: _open_hours,
}
