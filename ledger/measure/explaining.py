"""Why each measure is what it is: its value, its formula with the numbers in place, the events that made it so.

Measures have paths, in the order of `rapport.relationship.v1.Measures`. Values are told as people read them: ratios in
ppm, levels by name, what is not known with its reason. What each event adds to the strength is told by `shares`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ledger.domain.times import MICROSECONDS, text
from ledger.measure.existence import formed_at
from ledger.measure.personae import memberships
from ledger.measure.results import Ratio
from ledger.measure.strength import COMPONENTS
from rapport.events.v1 import disclosure_pb2 as disclosure
from rapport.events.v1 import interaction_pb2 as interaction
from rapport.events.v1.exchange_pb2 import Party
from rapport.relationship.v1.measures_pb2 import UnknownReason
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from ledger.measure.measured import Measured
    from ledger.measure.results import Contribution

EVIDENCE_MAX: Final = 1_000
"""Most positions told of one measure."""
_LEGS: Final = ("know", "common", "communicate")
_OTHER_STATES: Final = {
    levels.LIFECYCLE_STRANGER: "no act begun, no leg holds, no contact point is known",
    levels.LIFECYCLE_ACQUAINTED: "no act begun, but a leg holds or a contact point is known",
    levels.LIFECYCLE_ENDED: "ended, and no act since that reopens",
    levels.LIFECYCLE_ERASED: "erasure was started",
}
"""Why a relationship stands where it does when it is not by the time since the last act."""


class Explained(NamedTuple):
    """One measure, explained."""

    measure: str
    """Its path. Example: `existence.legs.know`."""
    value: str
    """As people read it."""
    formula: str = ""
    """With its numbers in place. Example: `3 / (6 + 2)`. Empty: there is none, it is on record as it is."""
    positions: tuple[int, ...] = ()
    """Of the events that made it so, ascending; at most EVIDENCE_MAX. Measures keep the latest 64 of most kinds."""
    found: int = 0
    """How many there are."""


def evidence(m: Measured) -> Iterator[Explained]:
    """Yield every measure, in the order of `Measures`; of one that has no parts, such as a tactic, nothing."""
    yield from _existence(m)
    yield from _lifecycle(m)
    yield from _strength(m)
    yield from _preference(m)
    yield from _axes(m)
    yield from _types(m)
    yield from _vectors(m)
    yield from _conversation(m)
    yield from _solicitations(m)
    yield from _conduct(m)
    yield from _promises(m)
    yield from _contacts(m)
    yield from _knowledge(m)


def word(enum: Any, number: int) -> str:
    """Return a value of an enum as people read it: without its prefix. Example: `AT_RISK`."""
    descriptor = enum.DESCRIPTOR
    prefix = descriptor.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return str(descriptor.values_by_number[number].name.removeprefix(prefix))


def told(ratio: Ratio) -> str:
    """Return a ratio in ppm, or why it is not known. Example: `UNKNOWN TOO_FEW`."""
    return str(ratio.ppm) if ratio.unknown is None else f"UNKNOWN {word(UnknownReason, ratio.unknown)}"


def _row(
    measure: str, value: object, formula: str = "", positions: Sequence[int] = (), count: int | None = None
) -> Explained:
    kept = tuple(positions)
    return Explained(measure, str(value), formula, kept[-EVIDENCE_MAX:], max(count or 0, len(kept)))


def _of_ratio(
    measure: str, ratio: Ratio, formula: str, positions: Sequence[int] = (), count: int | None = None
) -> Explained:
    """Explain a ratio; where it is not known, its formula still tells by which numbers."""
    return _row(measure, told(ratio), formula, positions, count)


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _existence(m: Measured) -> Iterator[Explained]:
    existence, spoken = m.existence, m.conversation
    named = [position for leg in existence.legs for position in leg.evidence]
    yield _row(
        "existence.exists",
        _yes(existence.exists),
        " and ".join(f"{name} {_yes(leg.holds)}" for name, leg in zip(_LEGS, existence.legs, strict=True)),
        sorted(set(named)),
    )
    record = m.record
    begun = len(m.sessions.acts)
    formulas = (
        f"{len(record.state.profile.identifiers)} verified contact points >= 1 and {begun} acts begun >= 1",
        f"{len(existence.legs[1].evidence)} of declared ground, exchange of both sides, membership >= 1",
        f"{spoken.inbound} in >= 1 and {spoken.outbound} out >= 1",
    )
    for name, leg, formula in zip(_LEGS, existence.legs, formulas, strict=True):
        yield _row(f"existence.legs.{name}", _yes(leg.holds), formula, leg.evidence)
    formed = formed_at(record, m.outlook)
    yield _row("existence.formed_time", "never" if formed is None else text(formed))


def _lifecycle(m: Measured) -> Iterator[Explained]:
    found, rules = m.lifecycle, m.outlook.rules
    cadence, last = found.cadence // MICROSECONDS, found.last_time
    bounds = (
        f"{text(last)} + {rules.at_risk_factor} and {rules.lapsed_factor} * {cadence} s" if last is not None else ""
    )
    formula = _OTHER_STATES.get(found.lifecycle, f"{text(m.at)} against {bounds}")
    yield _row("lifecycle.lifecycle", word(levels.Lifecycle, found.lifecycle), formula, found.evidence)
    if found.since is not None:
        yield _row("lifecycle.since", text(found.since))
    source = word(levels.CadenceSource, found.cadence_source)
    yield _row("lifecycle.cadence_seconds", cadence, f"{source} by {found.gaps} gaps of {found.sessions} sessions")
    silence = "" if last is None else f"{(m.at - last) // MICROSECONDS} s / {cadence} s"
    # Where something else than silence decides, the evidence of the state is of that.
    acts = found.evidence if found.lifecycle not in _OTHER_STATES else () if last is None else (found.last_position,)
    yield _of_ratio("lifecycle.gap_ratio", found.gap_ratio, silence, acts)


def _strength(m: Measured) -> Iterator[Explained]:
    strength, rules = m.strength, m.outlook.rules
    lines = strength.contributions
    yield _row("strength.score_ppm", strength.score, _sum([line.ppm for line in lines]))
    band = word(levels.StrengthBand, strength.band)
    yield _row("strength.band", band, f"{strength.score} against {rules.moderate_from} and {rules.strong_from}")
    known = [line.weight for line in lines[: len(COMPONENTS)] if line.ratio.unknown is None]
    yield _row("strength.coverage_ppm", strength.coverage, _sum(known))
    for line in lines[: len(COMPONENTS)]:
        yield _row(_path_of(line), _known_ppm(line), _weighted(line), line.evidence)
    penalties: dict[str, list[Contribution]] = {}
    for line in lines[len(COMPONENTS) :]:
        penalties.setdefault(_path_of(line), []).append(line)
    for path, of_kind in penalties.items():
        positions = [position for line in of_kind for position in line.evidence]
        amounts = [line.ppm for line in of_kind]
        yield _row(path, sum(amounts), _sum(amounts), positions)


def _path_of(line: Contribution) -> str:
    return f"strength.contributions.{word(levels.StrengthComponent, line.component).lower()}"


def _known_ppm(line: Contribution) -> str:
    return str(line.ppm) if line.ratio.unknown is None else told(line.ratio)


def _weighted(line: Contribution) -> str:
    return "" if line.ratio.unknown is not None else f"{line.weight} * {line.ratio.n} / {line.ratio.d}"


def _sum(amounts: Sequence[int]) -> str:
    return " + ".join(map(str, amounts)).replace("+ -", "- ") if amounts else "0"


def _preference(m: Measured) -> Iterator[Explained]:
    found, prior = m.preference, m.outlook.rules.preference_prior
    occasions = found.repeats + found.elsewhere
    formula = f"{found.unincentivised} / ({occasions} + {prior})"
    yield _of_ratio("preference.preference", found.preference, formula, found.evidence, occasions)
    formula = f"{found.repeats - found.unincentivised} / {found.repeats}"
    yield _of_ratio("preference.incentivised_share", found.incentivised_share, formula, (), found.repeats)


def _axes(m: Measured) -> Iterator[Explained]:
    axes = m.axes
    for name, enum, level, value in (
        ("valence", levels.Valence, axes.valence, axes.valence_value),
        ("closeness", levels.Closeness, axes.closeness, axes.closeness_value),
        ("intensity", levels.Intensity, axes.intensity, axes.intensity_value),
    ):
        positions = axes.evidence.get(name, ())
        formula = f"{value.n} / {value.d}" if value.unknown is None else ""
        yield _row(f"axes.{name}", word(enum, level) if level else told(value), formula, positions)
        yield _of_ratio(f"axes.{name}_value", value, formula, positions)


def _types(m: Measured) -> Iterator[Explained]:
    types = m.types
    wish = (types.desired_position,) if types.desired_position else ()
    yield _row("types.desired_slug", types.desired_slug or "NOT_KNOWN", positions=wish)
    clauses = " and ".join(f"{each.clause} {each.value}" for each in types.clauses)
    positions = sorted({position for each in types.clauses for position in each.evidence})
    provenance = word(disclosure.Provenance, types.actual_provenance)
    deciding = (types.actual_position,) if types.actual_position else positions
    yield _row("types.actual_slug", types.actual_slug, provenance, deciding)
    for function, slug, position in sorted((each.our_function, each.slug, each.position) for each in types.assessed):
        name = word(interaction.OurFunction, function).lower() if function else "no_function"
        yield _row(f"types.assessed.{name}", slug, positions=(position,))
    rule = f"rule {types.inferred_rule}: {clauses}" if types.inferred_rule else "no rule matches"
    yield _row("types.inferred_slug", types.inferred_slug, rule, positions)
    if types.mismatch_unknown is not None:
        differs = f"UNKNOWN {word(UnknownReason, types.mismatch_unknown)}"
    else:
        directions = [f"{each.axis} {word(levels.MismatchDirection, each.direction)}" for each in types.mismatches]
        differs = ", ".join(directions) or "none"
    yield _row(
        "types.mismatches", differs, f"{types.desired_slug} against the axes" if types.desired_slug else "", wish
    )


def _vectors(m: Measured) -> Iterator[Explained]:
    vectors = m.vectors
    number = vectors.open_count
    yield _row("vectors.open_count", number.n if number.unknown is None else told(number))
    for each in vectors.vectors:
        status = word(levels.VectorStatus, each.status)
        reason = f" for {each.next_reason}" if each.next_reason else ""
        yield _row(f"vectors.{each.vector_id}", f"{status}{reason}", positions=each.evidence)
    obstacles = m.record.state.obstacles.open()
    yield _row("obstacles", len(obstacles), positions=sorted(each.position for each in obstacles))


def _conversation(m: Measured) -> Iterator[Explained]:
    found, rules, of = m.conversation, m.outlook.rules, m.conversation.evidence
    spoken = found.inbound + found.outbound
    listening = f"{found.inbound} / ({found.inbound} + {found.outbound})"
    yield _of_ratio("conversation.listening", found.listening, listening, of["listening"], spoken)
    answered = f"{found.answered_count} / {found.needing}"
    yield _of_ratio("conversation.answered", found.answered, answered, of["answered"], found.needing)
    yield _row("conversation.streak", found.streak, "", of["streak"], found.streak)
    mode = f"{found.streak} >= {rules.broadcast_streak}, or {found.outbound} >= {rules.broadcast_out_min} and listening"
    yield _row("conversation.broadcast", _yes(found.broadcast), f"{mode} < {rules.broadcast_below}", of["streak"])
    declared = f"{found.value_answered.n} / {found.asked}"
    yield _of_ratio("conversation.value_answered", found.value_answered, declared, of["value_answered"], found.asked)
    decided = found.accepted + found.rejected
    accepted, why = f"{found.accepted} / {decided}", of["accepted_share"]
    yield _of_ratio("conversation.accepted_share", found.accepted_share, accepted, why, decided)


def _solicitations(m: Measured) -> Iterator[Explained]:
    found, of = m.solicitations, m.solicitations.evidence
    answers = f"{found.bought} + {found.replied}"
    response = f"({answers}) / {found.matured}"
    answered = found.bought + found.replied
    yield _of_ratio("solicitations.response", found.response, response, of.get("response", ()), answered)
    waste, wasted = f"1 - {response}", found.opted_out + found.no_response
    yield _of_ratio("solicitations.waste", found.waste, waste, of.get("waste", ()), wasted)
    yield _row("solicitations.wasted_seconds", found.wasted_seconds)
    costs = ", ".join(f"{units} {asset}" for asset, units in found.wasted_costs) or "0"
    yield _row("solicitations.wasted_costs", costs, f"{found.uncosted} without a cost" if found.uncosted else "")
    yield _of_ratio("solicitations.breakeven", found.breakeven, _division(found.breakeven))
    yield _of_ratio("solicitations.social_breakeven", found.social_breakeven, _division(found.social_breakeven))
    pressure, who = found.pressure_per_30_days, "prospect" if found.prospect else "customer"
    yield _of_ratio("solicitations.pressure_per_30_days", pressure, f"{_division(pressure)} on a {who}")
    relevant = f"{found.relevant} / {found.delivered}"
    yield _of_ratio("solicitations.relevance", found.relevance, relevant, of.get("relevance", ()), found.rated)


def _division(ratio: Ratio) -> str:
    return f"{ratio.n} / {ratio.d}" if ratio.unknown is None else ""


def _conduct(m: Measured) -> Iterator[Explained]:
    found = m.conduct
    honoured, wrong = f"{found.honoured_count} / {found.contacts}", found.contacts - found.honoured_count
    yield _of_ratio("conduct.honoured", found.honoured, honoured, found.dishonoured, wrong)
    yield _of_ratio("conduct.decided", found.decided, f"{found.decided_count} / {found.needing_decision}")
    yield _row("conduct.avoided_count", found.avoided)
    for each in m.tactics:
        path, formula = f"tactics.{word(interaction.Tactic, each.tactic).lower()}", f"{each.followed} / {each.matured}"
        yield _of_ratio(path, each.effect, formula)


def _promises(m: Measured) -> Iterator[Explained]:
    found = m.promises
    formula = f"{found.kept} / ({found.kept} + {found.broken})"
    yield _of_ratio("promises.kept_rate", found.kept_rate, formula, found.evidence, found.kept + found.broken)
    yield _row("promises.due_count", found.due)


def _contacts(m: Measured) -> Iterator[Explained]:
    found, rules = m.contacts, m.outlook.rules
    most = f"{found.persons} persons, {found.functions} functions, single point {told(found.single_point)}"
    bounds = f"against {rules.bow_tie_from}, {rules.diamond_persons}, {rules.diamond_functions}, {rules.diamond_up_to}"
    shape, count = word(levels.ContactShape, found.shape), found.interactions
    yield _row("contacts.shape", shape, f"{most} {bounds}", found.evidence, count)
    wanted = word(levels.ContactShape, found.wanted_shape) if found.wanted_shape else "NOT_KNOWN"
    yield _row("contacts.wanted_shape", wanted)
    squares = " + ".join(f"{edge.interactions}^2" for edge in found.edges)
    listed = sum(edge.interactions for edge in found.edges) == count
    concentration = f"({squares}) / {count}^2" if count and listed else _division(found.concentration)
    yield _of_ratio("contacts.concentration", found.concentration, concentration, found.evidence, count)
    yield _of_ratio("contacts.single_point", found.single_point, _division(found.single_point), found.evidence, count)
    for share in found.shares:
        side = word(Party, share.side).lower()
        path = f"contacts.persons.{side}.{share.person_id}" if share.person_id else f"contacts.persons.{side}"
        yield _of_ratio(path, share.share, f"{_division(share.share)}{', a risk' if share.risk else ''}")


def _knowledge(m: Measured) -> Iterator[Explained]:
    found = m.knowledge
    for provenance, count in found.keys:
        yield _row(f"knowledge.keys.{word(disclosure.Provenance, provenance).lower()}", count)
    yield _row("knowledge.groups_declared", found.groups_declared, f"of {found.groups}")
    for each in m.record.state.assessments.latest():
        of = each.message
        path, scale = f"assessments.{of.instrument}.{of.dimension}", f"on a scale of {of.scale_min} to {of.scale_max}"
        yield _row(path, of.score, scale, (each.position,))
    for persona in memberships(m):
        yield _row(f"personae.{persona.persona_id}", f"version {persona.version}", told(persona.inferred_share))
    hours = ", ".join(str(each.hour_of_week) for each in m.open_hours)
    yield _row("open_hours.hours", hours or "none")
