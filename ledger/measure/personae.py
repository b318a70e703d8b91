"""Personae that a customer belongs to, and why (relationship.md 11).

Membership is derived, never stored: it ends with the first clause that holds no more. Clauses read open codes and
levels only. Of attributes they read what a decision may read: no value without legal basis, withdrawn, out of the
catalogue or kept beyond its time. A clause that nothing is known of does not hold, so its negation does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.domain.attribute import Slot, usable
from ledger.measure.clauses import PROVENANCES, Clause, clauses_of
from ledger.measure.results import Ratio
from ledger.measure.types import EVIDENCE_MAX, level_name
from rapport.events.v1 import disclosure_pb2
from rapport.events.v1.disclosure_pb2 import PROVENANCE_INFERRED
from rapport.events.v1.persona_pb2 import PersonaDefined
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from ledger.measure.measured import Measured


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


class _Level(NamedTuple):
    """A level of the relationship, with what makes it so."""

    value: str
    evidence: Sequence[int]


def memberships(m: Measured) -> tuple[Membership, ...]:
    """Return the active personae that the customer belongs to, by id."""
    return tuple(_memberships(m))


def explain(m: Measured, persona: PersonaDefined) -> Explained:
    """Return what each clause of a persona comes to. Whether it is active, whoever asks has found out."""
    findings = tuple(_finding(number, clause, m) for number, clause in enumerate(clauses_of(persona), 1))
    inferred = Ratio(sum(each.inferred for each in findings), len(findings))
    return Explained(all(each.holds for each in findings), findings, inferred)


def changes_at(m: Measured) -> int | None:
    """Return when the clock alone next ends the use of a value that a clause of an active persona names, or None.

    In microseconds. Levels have crossings of their own.
    """
    if not m.outlook.kept:
        return None
    return min(_ends(m), default=None)


def _memberships(m: Measured) -> Iterator[Membership]:
    for persona, _, clauses in m.outlook.personae:
        inferred = _inferred_of_member(clauses, m)
        if inferred is not None:
            yield Membership(persona.persona_id, persona.version, Ratio(inferred, len(clauses)))


def _inferred_of_member(clauses: tuple[Clause, ...], m: Measured) -> int | None:
    """Return how many clauses rest on inferred data; None at the first that does not hold."""
    inferred = 0
    for clause in clauses:
        if clause.key:
            slot = _matching(clause, m)
            holds = slot is not None
            if not holds and clause.negated and clause.codes:
                slot = _with_any_code(clause, m)
            inferred += slot is not None and slot.provenance == PROVENANCE_INFERRED
        else:
            holds = _levels_hold(clause, m)
        if holds == clause.negated:
            return None
    return inferred


def _levels_hold(clause: Clause, m: Measured) -> bool:
    return all(_LEVELS[name](m) in admitted for name, admitted in clause.levels)


def _matching(clause: Clause, m: Measured) -> Slot | None:
    """Return the first slot with one of the values that a decision may read, or None."""
    attributes = m.record.state.attributes
    for provenance in clause.provenances:
        slot = attributes.slot(clause.key, provenance)
        if slot is None or slot.value is None or (clause.codes and slot.value.code not in clause.codes):
            continue
        if not usable(slot, m.outlook.attributes, m.at).reason:
            return slot
    return None


def _with_any_code(clause: Clause, m: Measured) -> Slot | None:
    """Return the first slot that a clause looks at and a decision may read: what a denial rests on."""
    return _matching(clause._replace(codes=frozenset()), m)


def _finding(number: int, clause: Clause, m: Measured) -> Finding:
    if clause.key:
        return _of_attribute(number, clause, m)
    found = [_TOLD[name](m) for name, _ in clause.levels]
    value = ", ".join(each.value for each in found)
    evidence = sorted({position for each in found for position in each.evidence})[-EVIDENCE_MAX:]
    return Finding(number, _levels_hold(clause, m) != clause.negated, value, False, tuple(evidence))


def _of_attribute(number: int, clause: Clause, m: Measured) -> Finding:
    """Return the slot that decided, else the first that has any value."""
    slot = _matching(clause, m)
    shown = slot or _with_any_code(clause, m)
    holds = (slot is not None) != clause.negated
    if shown is None:
        return Finding(number, holds, f"{clause.key}: not known", False, ())
    value = shown.value
    assert value is not None, "an empty slot has no value"
    provenance = disclosure_pb2.Provenance.Name(shown.provenance).removeprefix("PROVENANCE_")  # type: ignore[arg-type]
    told = f"{clause.key}: {value.code or 'in words'} ({provenance})"
    return Finding(number, holds, told, shown.provenance == PROVENANCE_INFERRED, (shown.position,))


_LEVELS: Final[Mapping[str, Callable[[Measured], int]]] = {
    "lifecycles": lambda m: m.lifecycle.lifecycle,
    "bands": lambda m: m.strength.band,
    "shapes": lambda m: m.contacts.shape,
    "exists": lambda m: m.existence.exists,
    "broadcast": lambda m: m.conversation.broadcast,
    "valence": lambda m: m.axes.valence,
    "closeness": lambda m: m.axes.closeness,
    "intensity": lambda m: m.axes.intensity,
}
"""By the field of a clause; 0 where it is not known, which no clause admits."""


def _lifecycle(m: Measured) -> _Level:
    name = levels.Lifecycle.Name(m.lifecycle.lifecycle).removeprefix("LIFECYCLE_")
    return _Level(name, m.lifecycle.evidence)


def _band(m: Measured) -> _Level:
    name = levels.StrengthBand.Name(m.strength.band).removeprefix("STRENGTH_BAND_")
    return _Level(name, [position for line in m.strength.contributions for position in line.evidence])


def _shape(m: Measured) -> _Level:
    return _Level(levels.ContactShape.Name(m.contacts.shape).removeprefix("CONTACT_SHAPE_"), m.contacts.evidence)


def _exists(m: Measured) -> _Level:
    evidence = [position for leg in m.existence.legs for position in leg.evidence]
    return _Level("exists" if m.existence.exists else "does not exist", evidence)


def _broadcast(m: Measured) -> _Level:
    value = "broadcast" if m.conversation.broadcast else "no broadcast"
    return _Level(value, m.conversation.evidence.get("streak", ()))


def _axis(axis: str) -> Callable[[Measured], _Level]:
    def tell(m: Measured) -> _Level:
        level: int = getattr(m.axes, axis)
        return _Level(level_name(axis, level) if level else f"{axis}: not known", m.axes.evidence.get(axis, ()))

    return tell


_TOLD: Final[Mapping[str, Callable[[Measured], _Level]]] = {
    "lifecycles": _lifecycle,
    "bands": _band,
    "shapes": _shape,
    "exists": _exists,
    "broadcast": _broadcast,
    "valence": _axis("valence"),
    "closeness": _axis("closeness"),
    "intensity": _axis("intensity"),
}
"""How each level is told, with its evidence."""


def _ends(m: Measured) -> Iterator[int]:
    for key, kept in m.outlook.kept:
        for provenance in PROVENANCES:
            slot = m.record.state.attributes.slot(key, provenance)
            if slot is not None and slot.since + kept > m.at:
                yield slot.since + kept
