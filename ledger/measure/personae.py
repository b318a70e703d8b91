"""Personae that a customer belongs to, and why (relationship.md 11).

Membership is derived, never stored: it ends with the first clause that holds no more. Clauses read open codes and
levels only. Of attributes they read what a decision may read: no value without legal basis, withdrawn, out of the
catalogue or kept beyond its time. A clause that nothing is known of does not hold, so its negation does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.domain.attribute import Slot, usable
from ledger.domain.times import MICROSECONDS
from ledger.measure.results import Ratio
from ledger.measure.types import EVIDENCE_MAX, level_name
from rapport.events.v1 import disclosure_pb2
from rapport.events.v1.disclosure_pb2 import PROVENANCE_INFERRED
from rapport.events.v1.persona_pb2 import AttributeClause, PersonaClause, PersonaDefined, StateClause
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from ledger.measure.measured import Measured
    from ledger.measure.outlook import ActivePersona

_DAY: Final = 86_400 * MICROSECONDS
_PROVENANCES: Final = tuple(
    sorted(filter(None, disclosure_pb2.Provenance.values()), key=lambda each: (each == PROVENANCE_INFERRED, each))
)
"""In this order slots are looked at: what rests on better grounds than an inference does not rest on it."""


class Finding(NamedTuple):
    """A clause and whether it holds."""

    number: int
    """From 1."""
    holds: bool
    value: str
    """The value found, as people read it."""
    inferred: bool
    """Whether it rests on inferred data."""
    evidence: tuple[int, ...]
    """Positions, at most 64."""


class Membership(NamedTuple):
    """A persona that the customer belongs to."""

    persona_id: str
    version: int
    inferred_share: Ratio
    """Clauses that rest on inferred data, of all clauses."""


class Explained(NamedTuple):
    """Whether the customer belongs to a persona, clause by clause."""

    member: bool
    findings: tuple[Finding, ...]
    inferred_share: Ratio


class _Found(NamedTuple):
    holds: bool
    value: str
    inferred: bool = False
    evidence: tuple[int, ...] = ()


def memberships(m: Measured) -> tuple[Membership, ...]:
    """Return the active personae that the customer belongs to, by id."""
    return tuple(_memberships(m))


def explain(m: Measured, persona: PersonaDefined) -> Explained:
    """Return what each clause of a persona comes to. Whether it is active, whoever asks has found out."""
    findings = tuple(_finding(number, clause, m) for number, clause in enumerate(persona.clauses, 1))
    return Explained(all(each.holds for each in findings), findings, _inferred_share(findings))


def changes_at(m: Measured) -> int | None:
    """Return when the clock alone next ends the use of a value that a clause of an active persona names, or None.

    In microseconds. Levels have crossings of their own.
    """
    keys = {clause.attribute.key for each in m.outlook.personae for clause in each.persona.clauses}
    return min((end for key in keys for end in _ends(key, m)), default=None)


def _memberships(m: Measured) -> Iterator[Membership]:
    each: ActivePersona
    for each in m.outlook.personae:
        findings = _all_of_them(each.persona, m)
        if findings is not None:
            yield Membership(each.persona.persona_id, each.persona.version, _inferred_share(findings))


def _all_of_them(persona: PersonaDefined, m: Measured) -> tuple[Finding, ...] | None:
    """Return the findings of a persona whose clauses all hold; None at the first that does not."""
    findings = []
    for number, clause in enumerate(persona.clauses, 1):
        findings.append(_finding(number, clause, m))
        if not findings[-1].holds:
            return None
    return tuple(findings)


def _inferred_share(findings: tuple[Finding, ...]) -> Ratio:
    return Ratio(sum(each.inferred for each in findings), len(findings))


def _finding(number: int, clause: PersonaClause, m: Measured) -> Finding:
    found = _attribute(clause.attribute, m) if clause.HasField("attribute") else _state(clause.state, m)
    return Finding(number, found.holds != clause.negated, found.value, found.inferred, found.evidence[:EVIDENCE_MAX])


def _attribute(clause: AttributeClause, m: Measured) -> _Found:
    """Look for a slot with one of the values; told is the first that has one, else the first that is known at all."""
    known: list[Slot] = []
    for provenance in _PROVENANCES:
        if clause.provenances and provenance not in clause.provenances:
            continue
        slot = m.record.state.attributes.slot(clause.key, provenance)
        if slot is None or slot.value is None or usable(slot, m.outlook.attributes, m.at).reason:
            continue
        if not clause.codes or slot.value.code in clause.codes:
            return _of_slot(slot, holds=True)
        known.append(slot)
    return _of_slot(known[0], holds=False) if known else _Found(False, "not known")


def _of_slot(slot: Slot, *, holds: bool) -> _Found:
    value = slot.value
    assert value is not None, "an empty slot has no value"
    provenance = disclosure_pb2.Provenance.Name(slot.provenance).removeprefix("PROVENANCE_")  # type: ignore[arg-type]
    told = f"{value.code or 'in words'} ({provenance})"
    return _Found(holds, told, slot.provenance == PROVENANCE_INFERRED, (slot.position,))


def _state(clause: StateClause, m: Measured) -> _Found:
    """Look at every level that is set; all of them are told."""
    found = [_LEVELS[field.name](m, clause) for field, _ in clause.ListFields()]
    return _Found(
        all(each.holds for each in found),
        ", ".join(each.value for each in found),
        any(each.inferred for each in found),
        tuple(sorted({position for each in found for position in each.evidence})[-EVIDENCE_MAX:]),
    )


def _lifecycle(m: Measured, clause: StateClause) -> _Found:
    level = m.lifecycle.lifecycle
    name = levels.Lifecycle.Name(level).removeprefix("LIFECYCLE_")
    return _Found(level in clause.lifecycles, name, evidence=tuple(m.lifecycle.evidence))


def _band(m: Measured, clause: StateClause) -> _Found:
    strength = m.strength
    evidence = tuple(position for line in strength.contributions for position in line.evidence)
    name = levels.StrengthBand.Name(strength.band).removeprefix("STRENGTH_BAND_")
    return _Found(strength.band in clause.bands, name, evidence=tuple(sorted(set(evidence))[-EVIDENCE_MAX:]))


def _shape(m: Measured, clause: StateClause) -> _Found:
    shape = m.contacts.shape
    name = levels.ContactShape.Name(shape).removeprefix("CONTACT_SHAPE_")
    return _Found(shape in clause.shapes, name, evidence=tuple(m.contacts.evidence))


def _exists(m: Measured, clause: StateClause) -> _Found:
    exists = m.existence.exists
    evidence = tuple(sorted({position for leg in m.existence.legs for position in leg.evidence}))
    return _Found(exists == clause.exists, "exists" if exists else "does not exist", evidence=evidence)


def _broadcast(m: Measured, clause: StateClause) -> _Found:
    broadcast = m.conversation.broadcast
    evidence = m.conversation.evidence.get("streak", ())
    value = "broadcast" if broadcast else "no broadcast"
    return _Found(broadcast == clause.broadcast, value, evidence=tuple(evidence))


def _axis(axis: str) -> Callable[[Measured, StateClause], _Found]:
    def look(m: Measured, clause: StateClause) -> _Found:
        level: int = getattr(m.axes, axis)
        value = level_name(axis, level) if level else "not known"
        return _Found(level == getattr(clause, axis), value, evidence=tuple(m.axes.evidence.get(axis, ())))

    return look


_LEVELS: Final[Mapping[str, Callable[[Measured, StateClause], _Found]]] = {
    "lifecycles": _lifecycle,
    "bands": _band,
    "shapes": _shape,
    "exists": _exists,
    "broadcast": _broadcast,
    "valence": _axis("valence"),
    "closeness": _axis("closeness"),
    "intensity": _axis("intensity"),
}
"""How each field of a clause is looked up."""


def _ends(key: str, m: Measured) -> Iterator[int]:
    definition = m.outlook.attributes.by_key.get(key)
    if definition is None or not definition.retention_days:
        return
    for provenance in _PROVENANCES:
        slot = m.record.state.attributes.slot(key, provenance)
        end = 0 if slot is None else slot.since + definition.retention_days * _DAY
        if end > m.at:
            yield end
