"""Relationship policies, types and personae that tests publish, and the states they fold into."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from ledger.domain.decider import Setting
from ledger.domain.fact import Decision, Fact
from ledger.domain.persona_acts import ApprovePersona, DefinePersona, RetirePersona
from ledger.domain.policy import PolicyState
from ledger.domain.relationship_publishing import PublishRelationshipPolicy, PublishTypes
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.persona_pb2 import (
    AttributeClause,
    PersonaApproved,
    PersonaClause,
    PersonaDefined,
    PersonaRetired,
    StateClause,
)
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.events.v1.relationship_types_pb2 import RelationshipType, TypeAxes, TypeCatalogue
from rapport.type.v1 import levels_pb2 as levels

STREAM = "shop/@policy"
NOW = 1_790_000_000 * MICROSECONDS
"""2026-09-21."""
APPROVERS = (i.OUR_FUNCTION_MARKETING, i.OUR_FUNCTION_SALES, i.OUR_FUNCTION_SERVICE)


def own_type(slug: str = "house:regular", **values: Any) -> RelationshipType:
    """Return a type of an organization's own."""
    axes = values.pop("axes", TypeAxes(closeness=levels.CLOSENESS_INTIMATE))
    return RelationshipType(**{"slug": slug, "title": slug, "source": "our own", "axes": axes, **values})


def types(*found: RelationshipType, version: int = 0) -> TypeCatalogue:
    """Return a catalogue of types, or of one."""
    return TypeCatalogue(version=version, types=found or [own_type()])


def has(key: str, *codes: str, provenances: tuple[Any, ...] = (), negated: bool = False) -> PersonaClause:
    """Return a clause about an attribute."""
    clause = AttributeClause(key=key, codes=codes, provenances=provenances)
    return PersonaClause(attribute=clause, negated=negated)


def stands(*, negated: bool = False, **levels_set: Any) -> PersonaClause:
    """Return a clause about the state of the relationship."""
    return PersonaClause(state=StateClause(**levels_set), negated=negated)


def persona(*clauses: PersonaClause, persona_id: str = "regulars", version: int = 0, **values: Any) -> PersonaDefined:
    """Return a persona of active customers, unless said otherwise."""
    held = clauses or (stands(lifecycles=[levels.LIFECYCLE_ACTIVE]),)
    return PersonaDefined(persona_id=persona_id, version=version, title="Regulars", clauses=held, **values)


def approval(function: Any, persona_id: str = "regulars", version: int = 1) -> PersonaApproved:
    """Return the approval of a function."""
    return PersonaApproved(persona_id=persona_id, version=version, our_function=function, approver_id="u-1")


class Publications:
    """An organization's policy stream in memory: what is decided is folded."""

    def __init__(self) -> None:
        self.state = PolicyState()
        self.now = NOW
        self.decision: Decision = Decision(())

    def do(self, asked: Message) -> PolicyState:
        """Publish one thing; return the state.

        Raises:
            Rejected: it was refused, and nothing was folded.
        """
        return self.carry_out(_step(asked))

    def carry_out(self, step: Any) -> PolicyState:
        """Carry out a step; return the state."""
        self.decision = step.decide(self.state, Setting(now=self.now, others={}))
        for new in self.decision.facts:
            version = self.state.version + 1
            fact = Fact(version, version, self.now, new.occur_time, new.topic, new.event, EventMetadata())
            self.state.evolve(fact)
        return self.state

    def approve(self, *functions: Any, persona_id: str = "regulars", version: int = 1) -> PolicyState:
        """Approve a version of a persona for several functions."""
        for function in functions:
            self.do(approval(function, persona_id, version))
        return self.state


def published(*asked: Message) -> PolicyState:
    """Return the state after publishing several things, in order."""
    stream = Publications()
    for each in asked:
        stream.do(each)
    return stream.state


def _step(asked: Message) -> Any:
    match asked:
        case RelationshipPolicy():
            return PublishRelationshipPolicy(stream_id=STREAM, policy=asked, path="policy")
        case TypeCatalogue():
            return PublishTypes(stream_id=STREAM, catalogue=asked, path="catalogue")
        case PersonaDefined():
            return DefinePersona(stream_id=STREAM, persona=asked, path="persona")
        case PersonaApproved():
            return ApprovePersona(stream_id=STREAM, approval=asked)
        case PersonaRetired():
            return RetirePersona(stream_id=STREAM, retirement=asked)
        case _:
            raise AssertionError("nothing of the kind is published here")
