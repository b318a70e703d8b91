"""Publishing what contacts go by: the contact policy, the registry of purposes, the catalogue of attributes.

Each is published whole, as a version that is never changed; a correction is a later version. What is stored has its
number and its defaults filled in, so that no later release can read another policy out of it. Only from when on a
policy counts may be left open: it is the time of its event then.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from google.protobuf.message import Message

from ledger.domain.attribute_catalogue import ATTRIBUTES_PUBLISHED
from ledger.domain.contact_policy import CONTACT_PUBLISHED, filled
from ledger.domain.contact_policy_rules import faults_of_policy
from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Decision, NewFact
from ledger.domain.faults import Fault
from ledger.domain.fields import field_path, first_difference
from ledger.domain.policy import PolicyState, unchanged
from ledger.domain.purposes import PURPOSES_PUBLISHED
from ledger.domain.registry_rules import faults_of_catalogue, faults_of_registry
from ledger.domain.valuation_policy import BYTES_MAX
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.errors.v1.error_reason_pb2 import ErrorReason
from rapport.events.v1.contact_policy_pb2 import (
    AttributeCatalogue,
    AttributesPublished,
    ContactPolicy,
    ContactPolicyPublished,
    PurposeRegistry,
    PurposesPublished,
)
from rapport.type.v1.event_context_pb2 import EventContext

CONTACT: Final = "contact"
PURPOSES: Final = "purposes"
ATTRIBUTES: Final = "attributes"
"""How refusals name what was to be published: `policy_id`."""
_VERSION_MAX: Final = 2**31 - 1
_TOLD_FIRST: Final[dict[ErrorReason.ValueType, int]] = {
    reason: order
    for order, reason in enumerate(
        (
            reasons.ERROR_REASON_REQUEST_INVALID,
            reasons.ERROR_REASON_POLICY_RULES_CONFLICT,
            reasons.ERROR_REASON_ATTRIBUTE_UNKNOWN,
            reasons.ERROR_REASON_TYPE_UNKNOWN,
            reasons.ERROR_REASON_EVENT_TOO_LARGE,
            reasons.ERROR_REASON_POLICY_VERSION_TAKEN,
        )
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishContactPolicy:
    """Publish a version of the contact policy; change nothing where it stands with the same content."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    """The organization's policy stream."""
    policy: ContactPolicy
    """As the caller asks it; each field keeps its own rules."""
    context: EventContext | None = None
    path: str = ""
    """Where it stands in the request; refusals put it before the names of fields."""

    def decide(self, state: PolicyState, setting: Setting) -> Decision:
        """Return the publication; nothing but a note (`noted_version`) where this version stands with this content.

        Raises:
            Rejected: REQUEST_INVALID, POLICY_RULES_CONFLICT, EVENT_TOO_LARGE or POLICY_VERSION_TAKEN, the first of
                these that applies. Every fault is named.
        """
        asked = _contact(self.policy, state)
        faults = asked.faults(faults_of_policy(self.policy, state.purposes.current.by_slug, setting.now))
        event = ContactPolicyPublished(policy=asked.whole)
        return decided(asked, faults, publication(self, CONTACT_PUBLISHED, event, setting), self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishPurposes:
    """Publish the registry of purposes; change nothing where this version stands with the same content."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    registry: PurposeRegistry
    context: EventContext | None = None
    path: str = ""

    def decide(self, state: PolicyState, setting: Setting) -> Decision:
        """Return the publication, or a note, or refuse it, as `PublishContactPolicy` does."""
        asked = _purposes(self.registry, state)
        faults = asked.faults(faults_of_registry(self.registry))
        event = PurposesPublished(registry=asked.whole)
        return decided(asked, faults, publication(self, PURPOSES_PUBLISHED, event, setting), self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishAttributeCatalogue:
    """Publish the catalogue of attributes; change nothing where this version stands with the same content."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    catalogue: AttributeCatalogue
    context: EventContext | None = None
    path: str = ""

    def decide(self, state: PolicyState, setting: Setting) -> Decision:
        """Return the publication, or a note, or refuse it, as `PublishContactPolicy` does."""
        asked = _attributes(self.catalogue, state)
        faults = asked.faults(faults_of_catalogue(self.catalogue, state.purposes.current.by_slug))
        event = AttributesPublished(catalogue=asked.whole)
        return decided(asked, faults, publication(self, ATTRIBUTES_PUBLISHED, event, setting), self.path)


def checked(policy: ContactPolicy, state: PolicyState, now: int) -> tuple[list[Fault], ContactPolicy]:
    """Return everything that publishing a contact policy now would refuse, and the policy as it would be stored.

    Fields are named as the policy names them. `now`: microseconds.
    """
    asked = _contact(policy, state)
    if asked.stands:
        return [], asked.whole
    return asked.faults(faults_of_policy(policy, state.purposes.current.by_slug, now)), asked.whole


class Asked(NamedTuple):
    """What is to be published, and what of its kind stands. What else is published whole uses it too."""

    kind: str
    whole: Any
    """As it would be stored."""
    known: Message | None
    """What stands under its version, as it is stored."""
    known_version: int
    """The version in the stream of the event that published that."""
    latest: int
    """Greatest version published."""
    list_name: str
    """Of its longest list, where it is too long."""

    @property
    def stands(self) -> bool:
        """Whether it is published already, with the same content under the same version."""
        return self.known is not None and self.known == self.whole

    def faults(self, found: Iterable[Fault]) -> list[Fault]:
        """Return what was found and what its version breaks; of what is too large only that, and nothing is looked at.

        `found` is asked for only then: what compares rules with each other takes its time.
        """
        size = self.whole.ByteSize()
        if size <= BYTES_MAX:
            return [*found, *self._faults_of_version()]
        reason = reasons.ERROR_REASON_EVENT_TOO_LARGE
        description = f"a version may take {BYTES_MAX} bytes and this one takes {size}: shorten its texts"
        too_large = Fault(Violation(self.list_name, description, reason), {"size": size, "limit": BYTES_MAX})
        return [too_large, *self._faults_of_version()]

    def _faults_of_version(self) -> Iterator[Fault]:
        version = self.whole.version
        if self.known is not None and self.known != self.whole:
            where = first_difference(self.known, self.whole)
            description = (
                f"version {version} was published with other content, see {where}; the latest is {self.latest}"
            )
        elif self.known is None and version <= self.latest:
            description = f"must be above the latest, {self.latest}"
        else:
            return
        reason = reasons.ERROR_REASON_POLICY_VERSION_TAKEN
        yield Fault(Violation("version", description, reason), {"version": version, "latest": self.latest})


def _contact(policy: ContactPolicy, state: PolicyState) -> Asked:
    whole = filled(policy)
    whole.version = next_number(policy.version, state.contact.latest)
    known = state.contact.version(whole.version)
    stored, version = (known.stored, known.stream_version) if known else (None, 0)
    return Asked(CONTACT, whole, stored, version, state.contact.latest, "sources")


def _purposes(registry: PurposeRegistry, state: PolicyState) -> Asked:
    slugs = {each.slug for each in registry.purposes}
    ordered = sorted(registry.purposes, key=lambda each: each.slug)
    whole = PurposeRegistry(version=next_number(registry.version, state.purposes.latest), purposes=ordered)
    for purpose in whole.purposes:
        above = purpose.slug.rpartition(".")[0]
        if above in slugs and not purpose.parent:
            purpose.parent = above
    known = state.purposes.version(whole.version)
    stored, version = (known.message, known.stream_version) if known else (None, 0)
    return Asked(PURPOSES, whole, stored, version, state.purposes.latest, "purposes")


def _attributes(catalogue: AttributeCatalogue, state: PolicyState) -> Asked:
    ordered = sorted(catalogue.attributes, key=lambda each: each.key)
    whole = AttributeCatalogue(version=next_number(catalogue.version, state.attributes.latest), attributes=ordered)
    known = state.attributes.version(whole.version)
    stored, version = (known.message, known.stream_version) if known else (None, 0)
    return Asked(ATTRIBUTES, whole, stored, version, state.attributes.latest, "attributes")


def next_number(asked: int, latest: int) -> int:
    """Return the number that a version gets: what is asked, else the next."""
    # After the last number there is none: the last is offered again, and refused.
    return asked or min(latest + 1, _VERSION_MAX)


def publication(step: Any, topic: str, event: Message, setting: Setting) -> NewFact:
    """Return what a step publishes, as a fact of now."""
    # From when on it counts is in the policy; it is published now, whichever time that names.
    return NewFact(topic=topic, event=event, occur_time=setting.now, defaulted=True, context=step.context)


def decided(asked: Asked, faults: Sequence[Fault], fact: NewFact, path: str) -> Decision:
    """Return the publication; a note where it stands already.

    Raises:
        Rejected: there are faults; the reason is the first of `_TOLD_FIRST` that applies, and every fault is named.
    """
    if asked.stands:
        return unchanged(asked.known_version)
    if faults:
        raise _refusal(asked, faults, path)
    return Decision((fact,))


def _refusal(asked: Asked, faults: Sequence[Fault], path: str) -> Rejected:
    told = min(faults, key=lambda fault: _TOLD_FIRST[fault.violation.reason])
    violations = [v._replace(field=field_path(path, v.field)) for v, _ in faults]
    message = f"{field_path(path, told.violation.field)}: {told.violation.description}"
    return Rejected(told.violation.reason, message, violations, **{"policy_id": asked.kind, **told.values})
