"""Measures for people: a row for each, with what it rests on; what is not known with its reason, never as 0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from rapport.events.v1 import disclosure_pb2, exchange_pb2, interaction_pb2
from rapport.relationship.v1 import measures_pb2 as messages
from rapport.type.v1 import levels_pb2 as levels
from services.cli.output import Rows, amount_cell, enum_cell, time_cell
from services.client import ppm_text

if TYPE_CHECKING:
    from rapport.relationship.v1.measures_pb2 import Measure, Measures

_PPM: Final = 1_000_000
_HOUR: Final = 3_600
_DAY: Final = 24 * _HOUR
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_POSITIONS: Final = 8
"""Positions told in a cell."""
_BY_SILENCE: Final = (levels.LIFECYCLE_ACTIVE, levels.LIFECYCLE_AT_RISK, levels.LIFECYCLE_LAPSED)
"""Lifecycles that follow from the last act, which has a row of its own."""
_REASONS: Final = {
    messages.UNKNOWN_REASON_NO_EVIDENCE: "nothing of it is recorded",
    messages.UNKNOWN_REASON_TOO_FEW: "fewer than the policy asks for",
    messages.UNKNOWN_REASON_NOTHING_MATURED: "its time is not over",
    messages.UNKNOWN_REASON_NOT_VALUED: "no exchange has a value",
    messages.UNKNOWN_REASON_NO_MARGIN: "no margin is known",
    messages.UNKNOWN_REASON_NOT_DECLARED: "no wish is declared",
    messages.UNKNOWN_REASON_NOT_COMPARABLE: "no axis can be compared",
}


class Line(NamedTuple):
    """One row."""

    measure: str
    value: str
    because: str = ""


def show_measures(measures: Measures) -> None:
    """Print the measures that an answer has, and the lines of the strength."""
    rows = Rows("MEASURE", "VALUE", "BECAUSE")
    for line in lines(measures):
        rows.add(*line)
    rows.end()
    if measures.strength.contributions:
        print()
        show_contributions(measures.strength.contributions)


def show_contributions(contributions: Iterable[messages.Contribution]) -> None:
    """Print the lines of the strength: together they are the score."""
    rows = Rows("STRENGTH", "ADDS", "OF", "RATIO", "EVENTS")
    total = 0
    for each in contributions:
        total += each.contribution_ppm
        rows.add(
            enum_cell(levels.StrengthComponent.DESCRIPTOR, each.component),
            f"{each.contribution_ppm:+,}",
            f"{each.weight_ppm:,}" if each.weight_ppm else "",
            ratio_text(each.ratio) if each.ratio.WhichOneof("value") else "",
            positions_text(each.evidence_positions),
        )
    rows.add("score", f"{total:,}", "", "", "")
    rows.end()


def ratio_text(measure: Measure) -> str:
    """Return a ratio, or why it is not known. Examples: `0.634 (634,000 ppm)`, `UNKNOWN: nothing of it is recorded`."""
    if measure.WhichOneof("value") == "ppm":
        return ppm_text(measure.ppm, signed=False)
    return f"UNKNOWN: {_REASONS.get(measure.unknown, 'for a reason that this version does not know')}"


def positions_text(positions: Iterable[int], found: int = 0) -> str:
    """Return positions of events, the first of them where there are many. Example: `3, 17, 20 and 5 more`."""
    listed = list(positions)
    more = max(found, len(listed)) - _POSITIONS
    told = ", ".join(map(str, listed[:_POSITIONS]))
    return f"{told} and {more} more" if more > 0 else told


def seconds_text(seconds: int) -> str:
    """Return a length of time in the unit that suits it. Examples: `7.5 d`, `36 h`, `90 s`."""
    if seconds >= 2 * _DAY:
        return f"{seconds * 10 // _DAY / 10:g} d"
    return f"{seconds // _HOUR} h" if seconds >= 2 * _HOUR else f"{seconds} s"


def lines(measures: Measures) -> Iterator[Line]:
    """Yield a row for each measure of the groups that are there, in the order of `Measures`."""
    for name, tell in _TELL.items():
        if measures.HasField(name):  # type: ignore[arg-type]  # Names of its fields.
            yield from tell(measures)
    yield from _lists(measures)
    if measures.HasField("next_crossing_time"):
        yield Line("next crossing", time_cell(measures.next_crossing_time), "no level changes by the clock before")


def _existence(measures: Measures) -> Iterator[Line]:
    existence = measures.existence
    missing = ", ".join(enum_cell(levels.ExistenceLeg.DESCRIPTOR, leg) for leg in existence.missing_legs)
    # When it began for the first time; it may have ceased to exist since, and have begun again.
    formed = f"first on {time_cell(existence.formed_time)}" if existence.HasField("formed_time") else ""
    why = [f"missing: {missing}" if missing else "", formed]
    yield Line("exists", _yes(existence.exists), ", ".join(filter(None, why)))
    for leg in existence.legs:
        until = f", until {time_cell(leg.until)}" if leg.HasField("until") else ""
        name = enum_cell(levels.ExistenceLeg.DESCRIPTOR, leg.leg).lower()
        yield Line(f"leg {name}", _yes(leg.holds), _events(leg.evidence_positions) + until)


def _lifecycle(measures: Measures) -> Iterator[Line]:
    of = measures.lifecycle
    since = f"since {time_cell(of.since)}" if of.HasField("since") else ""
    until = f", until {time_cell(of.next_time)} if silent" if of.HasField("next_time") else ""
    because = since + until
    if of.lifecycle not in _BY_SILENCE and of.evidence_positions:
        because = f"{because}, {_events(of.evidence_positions)}".removeprefix(", ")
    yield Line("lifecycle", enum_cell(levels.Lifecycle.DESCRIPTOR, of.lifecycle), because)
    source = enum_cell(levels.CadenceSource.DESCRIPTOR, of.cadence_source).lower()
    yield Line("cadence", seconds_text(of.cadence_seconds), f"{source}: {of.gaps} gaps of {of.sessions} sessions")
    last = f"last act {time_cell(of.last_time)}, event {of.last_position}" if of.last_position else ""
    yield Line("silence / cadence", ratio_text(of.gap_ratio), last)


def _strength(measures: Measures) -> Iterator[Line]:
    of = measures.strength
    yield Line("strength", ppm_text(of.score_ppm, signed=False), f"{ppm_text(of.coverage_ppm, signed=False)} is known")
    yield Line("band", enum_cell(levels.StrengthBand.DESCRIPTOR, of.band))


def _preference(measures: Measures) -> Iterator[Line]:
    of = measures.preference
    because = (
        f"{of.unincentivised_count} of {of.repeat_count} repeats without incentive, {of.elsewhere_count} elsewhere"
    )
    yield Line("preference", ratio_text(of.preference), because)
    yield Line("incentivised share", ratio_text(of.incentivised_share))


def _axes(measures: Measures) -> Iterator[Line]:
    of = measures.axes
    for name, enum, level, value in (
        ("valence", levels.Valence, of.valence, of.valence_value),
        ("closeness", levels.Closeness, of.closeness, of.closeness_value),
        ("intensity", levels.Intensity, of.intensity, of.intensity_value),
    ):
        known = value.WhichOneof("value") == "ppm"
        told = enum_cell(enum.DESCRIPTOR, level) if level else "UNKNOWN" if known else ratio_text(value)
        yield Line(name, told, ppm_text(value.ppm, signed=name == "valence") if known else "")


def _types(measures: Measures) -> Iterator[Line]:
    of = measures.types
    wish = f"event {of.desired_position}" if of.desired_position else ""
    yield Line("wished type", of.desired_slug or "UNKNOWN: no wish is declared", wish)
    provenance = enum_cell(disclosure_pb2.Provenance.DESCRIPTOR, of.actual_provenance)
    yield Line("actual type", of.actual_slug, provenance)
    for each in of.assessed:
        function = enum_cell(interaction_pb2.OurFunction.DESCRIPTOR, each.our_function) if each.our_function else "us"
        told = f"by {each.assessor_id} for {function} until {time_cell(each.until)}, event {each.position}"
        yield Line("assessed type", each.slug, told)
    clauses = ", ".join(f"{each.clause} {each.value}" for each in of.clauses)
    yield Line("inferred type", of.inferred_slug, f"rule {of.inferred_rule}: {clauses}" if of.inferred_rule else "")
    if of.mismatch_unknown:
        yield Line("mismatch", ratio_text(messages.Measure(unknown=of.mismatch_unknown)))
        return
    directions = levels.MismatchDirection.DESCRIPTOR
    found = ", ".join(f"{each.axis} {enum_cell(directions, each.direction)}" for each in of.mismatches)
    yield Line("mismatch", found or "none")


def _vectors(measures: Measures) -> Iterator[Line]:
    of = measures.vectors
    known = of.open_count.WhichOneof("value") == "ppm"
    yield Line("open vectors", str(of.open_count.ppm // _PPM) if known else ratio_text(of.open_count))
    for each in of.vectors:
        status = enum_cell(levels.VectorStatus.DESCRIPTOR, each.status)
        reason = f", next: {each.next_reason}" if each.next_reason else ""
        yield Line(f"vector {each.vector_id}", f"{status}: {each.goal}", _events(each.evidence_positions) + reason)


def _conversation(measures: Measures) -> Iterator[Line]:
    of = measures.conversation
    yield Line("listening", ratio_text(of.listening), f"{of.inbound_count} in, {of.outbound_count} out")
    yield Line("answered", ratio_text(of.answered), f"{of.answered_count} of {of.needing_count} that need it")
    yield Line("broadcast", _yes(of.broadcast), f"{of.streak} solicitations since they last spoke")
    yield Line("value asked and told", ratio_text(of.value_answered), f"asked {of.asked_count} times")
    decided = f"{of.accepted_count} accepted, {of.rejected_count} rejected"
    yield Line("contributions accepted", ratio_text(of.accepted_share), decided)


def _solicitations(measures: Measures) -> Iterator[Line]:
    of = measures.solicitations
    told = (
        f"{of.bought_count} bought, {of.replied_count} replied, {of.opted_out_count} opted out, "
        f"{of.no_response_count} silent, of {of.matured_count} ({of.delivered_count} delivered)"
    )
    yield Line("response", ratio_text(of.response), told)
    costs = ", ".join(amount_cell(cost.units, cost.asset) for cost in of.wasted_costs)
    uncosted = f"{of.uncosted_count} without a cost" if of.uncosted_count else ""
    yield Line("waste", ratio_text(of.waste), ", ".join(part for part in (costs, uncosted) if part))
    yield Line("wasted attention", seconds_text(of.wasted_seconds))
    yield Line("breakeven response", ratio_text(of.breakeven))
    yield Line("with their attention", ratio_text(of.social_breakeven))
    known = of.pressure_per_30_days.WhichOneof("value") == "ppm"
    a_month = f"{of.pressure_per_30_days.ppm / _PPM:.1f} in 30 days" if known else ratio_text(of.pressure_per_30_days)
    yield Line("pressure", a_month, "a prospect: nothing was ever bought" if of.prospect else "")
    yield Line("relevance", ratio_text(of.relevance))


def _conduct(measures: Measures) -> Iterator[Line]:
    of = measures.conduct
    wrong = f", not: {_events(of.dishonoured_positions)}" if of.dishonoured_positions else ""
    yield Line("honoured", ratio_text(of.honoured), f"{of.honoured_count} of {of.contact_count} contacts{wrong}")
    yield Line("decided", ratio_text(of.decided))
    yield Line("contacts avoided", str(of.avoided_count))


def _promises(measures: Measures) -> Iterator[Line]:
    of = measures.promises
    told = f"{of.kept_count} kept, {of.broken_count} broken, {of.due_count} due"
    yield Line("promises kept", ratio_text(of.kept_rate), told)


def _contacts(measures: Measures) -> Iterator[Line]:
    of = measures.contacts
    shapes = levels.ContactShape.DESCRIPTOR
    wanted = f", wanted: {enum_cell(shapes, of.wanted_shape)}" if of.wanted_shape else ""
    told = f"{of.person_count} persons, {of.function_count} functions, {of.interaction_count} interactions{wanted}"
    yield Line("shape", enum_cell(shapes, of.shape), told)
    yield Line("concentration", ratio_text(of.concentration))
    yield Line("single point", ratio_text(of.single_point))
    functions = interaction_pb2.OurFunction.DESCRIPTOR
    for edge in of.edges[:_POSITIONS]:
        name = f"edge {edge.customer_person_id or 'the customer'} - {enum_cell(functions, edge.our_function)}"
        yield Line(name, f"{edge.interaction_count} interactions")
    for each in of.persons[:_POSITIONS]:
        side = enum_cell(exchange_pb2.Party.DESCRIPTOR, each.side).lower()
        name = f"on {each.person_id or 'the customer'}"
        yield Line(name, ratio_text(each.share), f"{side}{', left: a risk' if each.risk else ''}")


def _knowledge(measures: Measures) -> Iterator[Line]:
    of = measures.knowledge
    provenances = disclosure_pb2.Provenance.DESCRIPTOR
    keys = ", ".join(f"{each.count} {enum_cell(provenances, each.provenance)}" for each in of.keys)
    yield Line("known attributes", keys or "none", f"{of.groups_declared} of {of.groups_count} groups declared")


def _open_hours(measures: Measures) -> Iterator[Line]:
    hours = (
        f"{_DAYS[each.hour_of_week // 24]} {each.hour_of_week % 24:02}:00" for each in measures.open_hours.hours[:5]
    )
    yield Line("open hours (UTC)", ", ".join(hours) or "none", "inferred")


def _lists(measures: Measures) -> Iterator[Line]:
    for effect in measures.tactics:
        name = enum_cell(interaction_pb2.Tactic.DESCRIPTOR, effect.tactic).lower()
        change = ""
        if effect.HasField("mean_strength_change_ppm"):
            change = f", strength {effect.mean_strength_change_ppm:+,} ppm in 30 days"
        told = f"{effect.followed_count} of {effect.matured_count} followed{change}; not a cause"
        yield Line(f"tactic {name}", ratio_text(effect.effect), told)
    for obstacle in measures.obstacles:
        told = f"{time_cell(obstacle.reported_time)}, event {obstacle.position}"
        yield Line(f"obstacle {obstacle.obstacle_id}", obstacle.obstacle, told)
    for given in measures.assessments:
        told = f"{given.scale_min} to {given.scale_max}, {time_cell(given.assessed_time)}, event {given.position}"
        yield Line(f"{given.instrument} {given.dimension}", str(given.score), told)
    for persona in measures.personae:
        yield Line(f"persona {persona.persona_id}", f"version {persona.version}", _inferred(persona.inferred_share))


def _inferred(share: Measure) -> str:
    return f"{ratio_text(share)} inferred"


def _events(positions: Iterable[int]) -> str:
    told = positions_text(positions)
    return f"events {told}" if told else ""


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


_TELL: Final = {
    "existence": _existence,
    "lifecycle": _lifecycle,
    "strength": _strength,
    "preference": _preference,
    "axes": _axes,
    "types": _types,
    "vectors": _vectors,
    "conversation": _conversation,
    "solicitations": _solicitations,
    "conduct": _conduct,
    "promises": _promises,
    "contacts": _contacts,
    "knowledge": _knowledge,
    "open_hours": _open_hours,
}
