"""Personae: defining a version, approving it for a function, retiring it (relationship.md 11).

Whoever defines a persona does not make it count: functions approve it, one after the other, and a changed persona is a
new version that nobody has approved yet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from ledger.domain.attribute_catalogue import Catalogue
from ledger.domain.contact_policy_rules import faults_of_lists
from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Decision
from ledger.domain.faults import Fault
from ledger.domain.persona import PERSONA_APPROVED, PERSONA_DEFINED, PERSONA_RETIRED, Persona
from ledger.domain.policy import PolicyState, unchanged
from ledger.domain.policy_faults import conflict, invalid
from ledger.domain.publishing import Asked, decided, next_number, publication
from ledger.domain.relationship_policy_rules import unknown_type
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.persona_pb2 import (
    AttributeClause,
    PersonaApproved,
    PersonaClause,
    PersonaDefined,
    PersonaRetired,
)
from rapport.type.v1.event_context_pb2 import EventContext

PERSONA: Final = "persona"
"""How refusals of a definition name it: `policy_id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinePersona:
    """Define a version of a persona; change nothing where it stands with the same content."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    """The organization's policy stream."""
    persona: PersonaDefined
    context: EventContext | None = None
    path: str = ""
    """Where it stands in the request; refusals put it before the names of fields."""

    def decide(self, state: PolicyState, setting: Setting) -> Decision:
        """Return the definition; nothing but a note (`noted_version`) where this version stands with this content.

        Raises:
            Rejected: REQUEST_INVALID, POLICY_RULES_CONFLICT, ATTRIBUTE_UNKNOWN, TYPE_UNKNOWN, EVENT_TOO_LARGE or
                POLICY_VERSION_TAKEN, the first of these that applies. Every fault is named.
        """
        asked = _persona(self.persona, state)
        faults = asked.faults(faults_of_persona(self.persona, state))
        return decided(asked, faults, publication(self, PERSONA_DEFINED, asked.whole, setting), self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovePersona:
    """Approve a version of a persona for a function; change nothing where that function did before."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    approval: PersonaApproved
    context: EventContext | None = None

    def decide(self, state: PolicyState, setting: Setting) -> Decision:
        """Return the approval; a note where it stands.

        Raises:
            Rejected: PERSONA_UNKNOWN.
        """
        asked = self.approval
        found = state.personae.version(asked.persona_id, asked.version)
        if found is None:
            raise unknown_persona(asked.persona_id, asked.version)
        known = found.approvals.get(asked.our_function)
        if known is not None:
            return unchanged(known.stream_version)
        return Decision((publication(self, PERSONA_APPROVED, asked, setting),))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetirePersona:
    """Use a persona no more; change nothing where it is retired. Only a new version brings it back."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    retirement: PersonaRetired
    context: EventContext | None = None

    def decide(self, state: PolicyState, setting: Setting) -> Decision:
        """Return the retirement; a note where it is retired.

        Raises:
            Rejected: PERSONA_UNKNOWN.
        """
        found = state.personae.get(self.retirement.persona_id)
        if found is None:
            raise unknown_persona(self.retirement.persona_id, 0)
        if found.retired:
            return unchanged(found.retired.stream_version)
        return Decision((publication(self, PERSONA_RETIRED, self.retirement, setting),))


def faults_of_persona(persona: PersonaDefined, state: PolicyState) -> Iterator[Fault]:
    """Yield what is wrong with a persona, given the catalogues it is published with."""
    yield from faults_of_lists(persona)
    for index, clause in enumerate(persona.clauses):
        yield from _faults_of_clause(f"clauses[{index}]", clause, state.attributes.current)
    yield from _faults_of_pairs(persona)
    for index, slug in enumerate(persona.expected_types):
        if slug not in state.types.current:
            yield unknown_type(f"expected_types[{index}]", slug)


def required(state: PolicyState, persona_id: str, version: int, needed: int) -> Persona:
    """Return a version of a persona that is active; version 0: the latest that is. `needed`: as the policy asks.

    Raises:
        Rejected: PERSONA_UNKNOWN, PERSONA_NOT_ACTIVE.
    """
    latest = state.personae.get(persona_id)
    found = state.personae.version(persona_id, version) if version else latest
    if found is None or latest is None:
        raise unknown_persona(persona_id, version)
    if not version:
        found = state.personae.counting(persona_id, needed) or latest
    if not found.is_active(needed):
        raise not_active(found, needed)
    return found


def unknown_persona(persona_id: str, version: int) -> Rejected:
    """Return the refusal of a persona, or a version of it, that is not defined; version 0: any."""
    which = f"version {version} of persona" if version else "persona"
    return Rejected(
        reasons.ERROR_REASON_PERSONA_UNKNOWN,
        f"no {which} {persona_id!r} is defined; ListPersonae tells those that are",
        persona_id=persona_id,
        version=version,
    )


def not_active(found: Persona, needed: int) -> Rejected:
    """Return the refusal of a persona that does not count, given how many functions the policy asks for."""
    persona_id, version, approvals = found.message.persona_id, found.message.version, len(found.approvals)
    why = (
        "is retired; define it anew" if found.retired else f"has {approvals} of {needed} approvals; have others approve"
    )
    return Rejected(
        reasons.ERROR_REASON_PERSONA_NOT_ACTIVE,
        f"version {version} of persona {persona_id!r} {why}",
        persona_id=persona_id,
        version=version,
        approvals=approvals,
        needed=needed,
    )


def _faults_of_clause(place: str, clause: PersonaClause, catalogue: Catalogue) -> Iterator[Fault]:
    if clause.HasField("attribute") == clause.HasField("state"):
        yield invalid(place, "must have either `attribute` or `state`")
        return
    if clause.HasField("attribute"):
        yield from _faults_of_attribute(f"{place}.attribute", clause.attribute, catalogue)
    elif not clause.state.ListFields():
        yield invalid(f"{place}.state", "must set a level")


def _faults_of_attribute(place: str, clause: AttributeClause, catalogue: Catalogue) -> Iterator[Fault]:
    if not catalogue.admits(clause.key):
        yield _unknown_attribute(f"{place}.key", clause.key, "key")
        return
    definition = catalogue.by_key.get(clause.key)
    if definition is None or not definition.codes:
        return
    for index, code in enumerate(clause.codes):
        if code not in definition.codes:
            yield _unknown_attribute(f"{place}.codes[{index}]", clause.key, "code")


def _unknown_attribute(field: str, key: str, what: str) -> Fault:
    description = f"must be in the catalogue of attributes, and this {what} is not; publish it, or correct it"
    return Fault(Violation(field, description, reasons.ERROR_REASON_ATTRIBUTE_UNKNOWN), {"key": key})


def _faults_of_pairs(persona: PersonaDefined) -> Iterator[Fault]:
    """Yield clauses that repeat an earlier one, or say the opposite, so that nobody would ever belong."""
    seen: dict[bytes, Mapping[bool, int]] = {}
    for index, clause in enumerate(persona.clauses):
        condition = _condition(clause)
        before = seen.get(condition, {})
        if clause.negated in before:
            yield conflict(f"clauses[{index}]", f"says the same as clauses[{before[clause.negated]}]; keep one")
        elif before:
            first = before[not clause.negated]
            yield conflict(f"clauses[{index}]", f"says the opposite of clauses[{first}], so nobody would belong")
        seen[condition] = {clause.negated: index, **before}


def _condition(clause: PersonaClause) -> bytes:
    bare = PersonaClause()
    bare.CopyFrom(clause)
    bare.negated = False
    return bare.SerializeToString(deterministic=True)


def _persona(persona: PersonaDefined, state: PolicyState) -> Asked:
    latest = state.personae.latest(persona.persona_id)
    whole = PersonaDefined()
    whole.CopyFrom(persona)
    whole.version = next_number(persona.version, latest)
    known = state.personae.version(persona.persona_id, whole.version)
    stored, version = (known.message, known.stream_version) if known else (None, 0)
    return Asked(PERSONA, whole, stored, version, latest, "clauses")
