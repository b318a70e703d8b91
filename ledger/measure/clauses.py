"""Clauses of personae and conditions of type rules as measures read them: plain values, made once when published.

Messages cost more to read than levels take to compare, and every change of every customer asks for all of them.
"""

from typing import Final, NamedTuple

from rapport.events.v1 import disclosure_pb2
from rapport.events.v1.disclosure_pb2 import PROVENANCE_INFERRED
from rapport.events.v1.persona_pb2 import PersonaClause, PersonaDefined
from rapport.events.v1.relationship_policy_pb2 import TypeRule

PROVENANCES: Final = tuple(
    sorted(filter(None, disclosure_pb2.Provenance.values()), key=lambda each: (each == PROVENANCE_INFERRED, each))
)
"""In this order slots are looked at: what rests on better grounds than an inference does not rest on it."""


class Clause(NamedTuple):
    """One condition of a persona: about an attribute, or about levels."""

    negated: bool
    key: str
    """Of the attribute; empty: it is about levels."""
    provenances: tuple[int, ...]
    """From which slots, in the order in which they are looked at."""
    codes: frozenset[str]
    """Empty: any value."""
    levels: tuple[tuple[str, frozenset[int]], ...]
    """By the field of the clause: the levels that it admits."""


class Conditions(NamedTuple):
    """What has to hold for a rule that infers a type."""

    slug: str
    lifecycles: frozenset[int]
    """Empty: any."""
    valence: int
    """0: any; likewise the others."""
    closeness: int
    intensity: int
    ratio_min: int | None
    """Of got / gave, in ppm. None: no bound."""
    ratio_max: int | None

    @property
    def bounded(self) -> bool:
        """Whether got / gave has to lie within bounds."""
        return self.ratio_min is not None or self.ratio_max is not None


def clauses_of(persona: PersonaDefined) -> tuple[Clause, ...]:
    """Return the clauses of a persona, in order."""
    return tuple(map(_clause, persona.clauses))


def conditions_of(rule: TypeRule) -> Conditions:
    """Return the conditions of a rule."""
    return Conditions(
        rule.slug,
        frozenset(rule.lifecycles),
        rule.valence,
        rule.closeness,
        rule.intensity,
        rule.reciprocity_min_ppm if rule.HasField("reciprocity_min_ppm") else None,
        rule.reciprocity_max_ppm if rule.HasField("reciprocity_max_ppm") else None,
    )


def _clause(clause: PersonaClause) -> Clause:
    attribute = clause.attribute
    asked = frozenset(attribute.provenances)
    levels = tuple(
        (field.name, frozenset(value if field.is_repeated else (value,))) for field, value in clause.state.ListFields()
    )
    provenances = tuple(each for each in PROVENANCES if not asked or each in asked)
    return Clause(clause.negated, attribute.key, provenances, frozenset(attribute.codes), levels)
