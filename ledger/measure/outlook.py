"""What an organization has published, as measures of its relationships at one instant see it."""

from collections.abc import Mapping
from typing import NamedTuple

from ledger.domain.policy import PolicyState
from ledger.measure.rules import Rules
from ledger.policy.valuation import Opinion
from rapport.events.v1.contact_policy_pb2 import AttributeCatalogue, ContactPolicy, Purpose
from rapport.events.v1.persona_pb2 import PersonaDefined
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.events.v1.relationship_types_pb2 import RelationshipType


class ActivePersona(NamedTuple):
    """A persona that enough functions approved."""

    persona: PersonaDefined
    functions: tuple[int, ...]
    """`OurFunction`s that approved it, ascending."""


class Outlook(NamedTuple):
    """Everything published that a measure may need."""

    rules: Rules
    opinion: Opinion | None
    """None: no valuation policy is published."""
    valuation_policy_id: str
    attention_nanos: int
    """Worth of a second of the attention of a customer, by the CUSTOMER / GIVE / ATTENTION rule of `SEC/0`; 0: none."""
    contact_policy: ContactPolicy
    contact_policy_version: int
    purposes: Mapping[str, Purpose]
    catalogue: AttributeCatalogue | None
    types: Mapping[str, RelationshipType]
    types_version: int
    personae: tuple[ActivePersona, ...]
    what_if: bool = False


def outlook_of(published: PolicyState, at: int, under: RelationshipPolicy | int | None = None) -> Outlook:
    """Return the outlook at an instant, in microseconds.

    `under`: another relationship policy than the one in force then: a published version, or a policy, filled or not.

    Raises:
        Rejected: POLICY_UNKNOWN; what publishing the policy would be refused for.
    """
    raise NotImplementedError


def next_policy_change(published: PolicyState, at: int) -> int | None:
    """Return the earliest later instant at which another published version comes into force, or None."""
    raise NotImplementedError
