"""Publishing what relationships are measured by: the relationship policy, and the catalogue of types.

As `publishing.py` does: whole, as a version that is never changed, with its number and its defaults filled in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from ledger.domain import relationship_policy, relationship_types
from ledger.domain.contact_policy_rules import faults_of_lists
from ledger.domain.decider import Setting
from ledger.domain.fact import Decision
from ledger.domain.faults import Fault
from ledger.domain.policy import PolicyState
from ledger.domain.policy_faults import invalid
from ledger.domain.publishing import Asked, decided, next_number, publication
from ledger.domain.relationship_policy import RELATIONSHIP, RELATIONSHIP_PUBLISHED
from ledger.domain.relationship_policy_rules import faults_of_policy
from ledger.domain.relationship_types import TYPES_PUBLISHED
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, RelationshipPolicyPublished
from rapport.events.v1.relationship_types_pb2 import TypeCatalogue, TypesPublished
from rapport.type.v1.event_context_pb2 import EventContext

TYPES: Final = "types"
"""How refusals name the catalogue: `policy_id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRelationshipPolicy:
    """Publish a version of the relationship policy; change nothing where it stands with the same content."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    """The organization's policy stream."""
    policy: RelationshipPolicy
    """As the caller asks it; each field keeps its own rules."""
    context: EventContext | None = None
    path: str = ""
    """Where it stands in the request; refusals put it before the names of fields."""

    def decide(self, state: PolicyState, setting: Setting) -> Decision:
        """Return the publication; nothing but a note (`noted_version`) where this version stands with this content.

        Raises:
            Rejected: REQUEST_INVALID, POLICY_RULES_CONFLICT, TYPE_UNKNOWN, EVENT_TOO_LARGE or POLICY_VERSION_TAKEN,
                the first of these that applies. Every fault is named.
        """
        asked = _policy(self.policy, state)
        faults = asked.faults(_faults(self.policy, state))
        event = RelationshipPolicyPublished(policy=asked.whole)
        return decided(asked, faults, publication(self, RELATIONSHIP_PUBLISHED, event, setting), self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishTypes:
    """Publish an organization's catalogue of types; change nothing where it stands with the same content.

    It may leave out what an earlier one had: whether a relationship was given a type, only all of them together know.
    """

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    catalogue: TypeCatalogue
    context: EventContext | None = None
    path: str = ""

    def decide(self, state: PolicyState, setting: Setting) -> Decision:
        """Return the publication, or a note, or refuse it, as `PublishRelationshipPolicy` does."""
        asked = _types(self.catalogue, state)
        faults = asked.faults(faults_of_types(self.catalogue))
        event = TypesPublished(catalogue=asked.whole)
        return decided(asked, faults, publication(self, TYPES_PUBLISHED, event, setting), self.path)


def checked(policy: RelationshipPolicy, state: PolicyState) -> tuple[list[Fault], RelationshipPolicy]:
    """Return everything that publishing a policy would refuse, and the policy as it would be stored.

    Fields are named as the policy names them.
    """
    asked = _policy(policy, state)
    return ([] if asked.stands else asked.faults(_faults(policy, state))), asked.whole


def faults_of_types(catalogue: TypeCatalogue) -> Iterator[Fault]:
    """Yield what is wrong with a catalogue; the reason is REQUEST_INVALID."""
    yield from faults_of_lists(catalogue)
    seen: dict[str, int] = {}
    for index, each in enumerate(catalogue.types):
        first = seen.setdefault(each.slug, index)
        if first != index:
            yield invalid(f"types[{index}].slug", f"must be named once; types[{first}] has it too")


def _faults(policy: RelationshipPolicy, state: PolicyState) -> Iterator[Fault]:
    return faults_of_policy(policy, state.types.current, state.latest)


def _policy(policy: RelationshipPolicy, state: PolicyState) -> Asked:
    whole = relationship_policy.filled(policy)
    whole.version = next_number(policy.version, state.relationship.latest)
    known = state.relationship.version(whole.version)
    stored, version = (known.stored, known.stream_version) if known else (None, 0)
    return Asked(RELATIONSHIP, whole, stored, version, state.relationship.latest, "types.rules")


def _types(catalogue: TypeCatalogue, state: PolicyState) -> Asked:
    ordered = sorted(catalogue.types, key=lambda each: each.slug)
    whole = TypeCatalogue(
        version=next_number(catalogue.version, state.types.latest),
        types=[relationship_types.filled(each) for each in ordered],
    )
    known = state.types.version(whole.version)
    stored, version = (known.message, known.stream_version) if known else (None, 0)
    return Asked(TYPES, whole, stored, version, state.types.latest, "types")
