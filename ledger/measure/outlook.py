"""What an organization has published, as measures of its relationships at one instant see it."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from ledger.domain.attribute_catalogue import NO_CATALOGUE, Catalogue
from ledger.domain.policy import PolicyState
from ledger.domain.relationship_policy import RELATIONSHIP
from ledger.domain.relationship_policy_rules import well_formed
from ledger.domain.times import END_OF_TIME, MICROSECONDS
from ledger.measure.clauses import Clause, clauses_of
from ledger.measure.rules import Rules, rules_of
from ledger.policy.valuation import Opinion, unknown, valuations_of
from rapport.events.v1.contact_policy_pb2 import AttributeCatalogue, ContactPolicy, Purpose
from rapport.events.v1.exchange_pb2 import CATEGORY_ATTENTION, PARTY_CUSTOMER
from rapport.events.v1.persona_pb2 import PersonaDefined
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.events.v1.relationship_types_pb2 import RelationshipType

_SECONDS: Final = "SEC/0"
_DAY: Final = 86_400 * MICROSECONDS


class ActivePersona(NamedTuple):
    """A persona that enough functions approved."""

    persona: PersonaDefined
    functions: tuple[int, ...]
    """`OurFunction`s that approved it, ascending."""
    clauses: tuple[Clause, ...]
    """As measures read them."""


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
    attributes: Catalogue = NO_CATALOGUE
    """The same as `catalogue`, as the domain reads it: version 0 admits any key."""
    kept: tuple[tuple[str, int], ...] = ()
    """Keys that clauses of these personae name and whose values are used for a time only, with that time."""


class _Known(NamedTuple):
    """An outlook, and for which instants of which state it holds."""

    version: int
    """Of the policy stream."""
    since: int
    until: int
    outlook: Outlook


_known: WeakKeyDictionary[PolicyState, _Known] = WeakKeyDictionary()
"""The outlook asked for last, by state: a detector asks with every event, and what is published rarely changes."""


def outlook_of(published: PolicyState, at: int, under: RelationshipPolicy | int | None = None) -> Outlook:
    """Return the outlook at an instant, in microseconds.

    `under`: another relationship policy than the one in force then: a published version, or a policy, filled or not.
    A number that is the version in force is no what-if.

    Raises:
        Rejected: POLICY_UNKNOWN; what publishing the policy would be refused for.
    """
    if under is not None:
        return _what_if(published, at, under)
    known = _known.get(published)
    if known is not None and known.version == published.version and known.since <= at < known.until:
        return known.outlook
    outlook = _outlook(published, at, rules_of(published.relationship.in_force(at).policy))
    until = next_policy_change(published, at)
    _known[published] = _Known(published.version, at, END_OF_TIME if until is None else until, outlook)
    return outlook


def next_policy_change(published: PolicyState, at: int) -> int | None:
    """Return the earliest later instant at which another published version comes into force, or None.

    Of the relationship policy, of the contact policy, and of the valuation policy that the former names.
    """
    named = published.relationship.in_force(at).policy.valuation_policy_id or published.default_policy_id
    history = valuations_of(published).history(named)
    begins = () if history is None else (since for since, _ in history.segments())
    changes = (
        published.relationship.next_change(at),
        published.contact.next_change(at),
        min((since for since in begins if since > at), default=None),
    )
    return min((each for each in changes if each is not None), default=None)


def _what_if(published: PolicyState, at: int, under: RelationshipPolicy | int) -> Outlook:
    in_force = published.relationship.in_force(at)
    if isinstance(under, RelationshipPolicy):
        return _outlook(published, at, rules_of(well_formed(under, published)), what_if=True)
    found = published.relationship.version(under)
    if found is None:
        raise unknown(RELATIONSHIP, under)
    return _outlook(published, at, rules_of(found.policy), what_if=found.version != in_force.version)


def _outlook(published: PolicyState, at: int, rules: Rules, *, what_if: bool = False) -> Outlook:
    contact = published.contact.in_force(at)
    attributes = published.attributes.current
    named = rules.valuation_policy_id or published.default_policy_id
    valuations = valuations_of(published)
    opinion = valuations.opinion(named, 0, at) if valuations.history(named) is not None else None
    personae = tuple(
        ActivePersona(each.message, each.functions, clauses_of(each.message))
        for each in published.personae.active(rules.persona_approvals)
    )
    return Outlook(
        rules=rules,
        opinion=opinion,
        valuation_policy_id=named,
        attention_nanos=_attention(opinion),
        contact_policy=contact.policy,
        contact_policy_version=contact.version,
        purposes=published.purposes.current.by_slug,
        catalogue=attributes.message if attributes.version else None,
        types=published.types.current,
        types_version=published.types.latest,
        personae=personae,
        what_if=what_if,
        attributes=attributes,
        kept=tuple(_kept(personae, attributes)),
    )


def _kept(personae: tuple[ActivePersona, ...], catalogue: Catalogue) -> Iterator[tuple[str, int]]:
    for key in sorted({clause.key for each in personae for clause in each.clauses}):
        definition = catalogue.by_key.get(key)
        if definition is not None and definition.retention_days:
            yield key, definition.retention_days * _DAY


def _attention(opinion: Opinion | None) -> int:
    if opinion is None or opinion.closing is None:
        return 0
    rate = opinion.closing.rate(PARTY_CUSTOMER, PARTY_CUSTOMER, CATEGORY_ATTENTION, _SECONDS)
    return 0 if rate is None else rate.rate
