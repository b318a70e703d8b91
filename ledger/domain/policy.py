"""What an organization publishes, in its stream `organization_id/@policy`: the fold, and the asset registry.

Code, kind and scale of an asset are final; its limit only rises (reciprocity.md 2). So an amount that was ever accepted
stays readable, and a resend of it stays acceptable. `valuation_policy.py` publishes what assets are worth.
"""

from dataclasses import dataclass
from itertools import islice
from struct import Struct
from typing import ClassVar, Final, NamedTuple

from ledger.domain.amounts import code_of
from ledger.domain.attribute_catalogue import ATTRIBUTES_PUBLISHED, AttributeCatalogues
from ledger.domain.contact_policy import CONTACT_PUBLISHED, ContactPolicies
from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Decision, Fact, NewFact
from ledger.domain.fields import field_path
from ledger.domain.persona import FOLDS as PERSONA_FOLDS
from ledger.domain.persona import Personae
from ledger.domain.purposes import PURPOSES_PUBLISHED, PurposeRegistries
from ledger.domain.relationship_policy import RELATIONSHIP_PUBLISHED, RelationshipPolicies
from ledger.domain.relationship_types import TYPES_PUBLISHED, TypeCatalogues
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.policy_pb2 import AssetKind, AssetRegistered
from rapport.events.v1.valuation_pb2 import ValuationPolicy, ValuationPolicyPublished
from rapport.type.v1.event_context_pb2 import EventContext

ASSET_REGISTERED: Final = "policy.asset_registered.v1"
VALUATION_PUBLISHED: Final = "policy.valuation_published.v1"
LEG_VALUE_MAX: Final = 9 * 10**18
"""Most that the largest leg of an asset may be worth, in nanos, so that every value fits 64 bits (reciprocity.md 5)."""
_NOTE: Final = Struct(">Q")


class Asset(NamedTuple):
    """One entry of the registry."""

    kind: AssetKind.ValueType
    max_units_per_leg: int
    """From 1 to 10^15."""
    position: int
    """Log position of the event that last set it."""
    version: int
    """The same event's version in the policy stream."""


class HighestRate(NamedTuple):
    """The rule that values an asset highest, of all that were ever published."""

    nanos: int
    """Its `high_nanos`."""
    rule_id: str
    policy_id: str
    version: int
    """Of the policy."""


class Published(NamedTuple):
    """A version of a valuation policy and where it stands."""

    policy: ValuationPolicy
    """As it is stored; never changed."""
    position: int
    """Log position of the event."""
    record_time: int
    """Microseconds."""
    version: int
    """The event's version in the policy stream; that of the policy is in the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterAsset:
    """Put an asset into the registry, or raise its limit; change nothing where it stands with the same content."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    """The organization's policy stream."""
    asset: AssetRegistered
    """Code, kind and limit, each well-formed."""
    context: EventContext | None = None
    path: str = ""
    """Where the asset stands in the request; refusals put it before the names of fields."""

    def decide(self, state: "PolicyState", setting: Setting) -> Decision:
        """Return the registration; nothing but a note (`noted_version`) where the entry stands already.

        Raises:
            Rejected: ASSET_CODE_TAKEN by another scale or kind, or by a higher limit; RATE_OUT_OF_RANGE, where a
                published rate is too high for the limit asked.
        """
        asked = self.asset
        name = state.by_code.get(code_of(asked.asset))
        if name is not None:
            asset = state.assets[name]
            if name != asked.asset:
                raise self._taken(name, asset, "asset", "its scale is final")
            if asset.kind != asked.kind:
                raise self._taken(name, asset, "kind", "its kind is final")
            if asset.max_units_per_leg > asked.max_units_per_leg:
                raise self._taken(name, asset, "max_units_per_leg", "its limit only rises")
            if asset.max_units_per_leg == asked.max_units_per_leg:
                return unchanged(asset.version)
            self._refuse_values_too_high(state)
        fact = NewFact(
            topic=ASSET_REGISTERED, event=asked, occur_time=setting.now, defaulted=True, context=self.context
        )
        return Decision((fact,))

    def _refuse_values_too_high(self, state: "PolicyState") -> None:
        asked = self.asset
        highest = state.highest_rate(asked.asset)
        if highest is not None and asked.max_units_per_leg * highest.nanos > LEG_VALUE_MAX:
            reason, most = reasons.ERROR_REASON_RATE_OUT_OF_RANGE, LEG_VALUE_MAX // highest.nanos
            where = f"rule {highest.rule_id} of policy {highest.policy_id}, version {highest.version}"
            description = f"must be at most {most}: a leg may be worth 9 * 10^18 nanos, at the high rate of {where}"
            violation = Violation(field_path(self.path, "max_units_per_leg"), description, reason)
            values = {"rule_id": highest.rule_id, "asset": asked.asset, "policy_id": highest.policy_id}
            raise Rejected(reason, f"{violation.field}: {description}", [violation], **values)

    def _taken(self, name: str, asset: Asset, field: str, why: str) -> Rejected:
        reason = reasons.ERROR_REASON_ASSET_CODE_TAKEN
        kind = AssetKind.Name(asset.kind).removeprefix("ASSET_KIND_")
        description = f"{name} is registered as {kind} with at most {asset.max_units_per_leg} units in a leg; {why}"
        violation = Violation(field_path(self.path, field), description, reason)
        limit = asset.max_units_per_leg
        return Rejected(reason, description, [violation], asset=name, kind=kind, max_units_per_leg=limit)


def unchanged(version: int) -> Decision:
    """Return the decision that nothing changes: what is asked stands since the event of this version in the stream."""
    return Decision((), _NOTE.pack(version))


def noted_version(note: bytes) -> int:
    """Return the version that the note of a decision without an event names: of the event that says the same already.

    A version, not a position: while a group is being decided the positions of its events are only predicted.
    """
    version: int = _NOTE.unpack(note)[0]
    return version


class PolicyState:
    """Fold of an organization's policy stream. Mutable inside the fold (settled.md 21).

    The registry of assets obeys the bound on occur times. Policies do not: from when on a version counts is in the
    version, whenever it was published (reciprocity.md 5 and 11.3).
    """

    __slots__ = (
        "__weakref__", "_highest", "_ranked", "_until", "assets", "attributes", "by_code", "contact",
        "last_record_time", "latest", "personae", "published", "purposes", "relationship", "types",
        "valuation_version", "version",
    )  # fmt: skip

    def __init__(self, until: int = END_OF_TIME) -> None:
        self._until = until
        self.version = 0
        """Version of the stream; 0 before its first event."""
        self.last_record_time = START_OF_TIME
        """Record time of the last event folded, in microseconds."""
        self.valuation_version = 0
        """Version in the stream of the last event that moved what exchanges are worth; 0: there is none."""
        self.contact = ContactPolicies()
        """Versions of the contact policy."""
        self.purposes = PurposeRegistries()
        """Versions of the registry of purposes."""
        self.attributes = AttributeCatalogues()
        """Versions of the catalogue of attributes."""
        self.relationship = RelationshipPolicies()
        """Versions of the relationship policy."""
        self.types = TypeCatalogues()
        """Versions of the catalogue of relationship types."""
        self.personae = Personae()
        """Personae and their approvals."""
        self.assets: dict[str, Asset] = {}
        """The registry, by `CODE/scale`."""
        self.by_code: dict[str, str] = {}
        """`CODE/scale` by code."""
        self.published: dict[tuple[str, int], Published] = {}
        """Versions of valuation policies by policy_id and version, in the order of their publication."""
        self.latest: dict[str, int] = {}
        """Greatest version of each policy, in the order of their first publication."""
        self._highest: dict[str, HighestRate] = {}
        self._ranked = 0

    @property
    def default_policy_id(self) -> str:
        """The policy that was published first; empty where none was."""
        return next(iter(self.latest), "")

    def highest_rate(self, asset: str) -> HighestRate | None:
        """Return the rule that values an asset highest, or None where none does.

        Found out when it is asked, for limits rise rarely and the fold is read with every exchange.
        """
        for policy, *_ in islice(self.published.values(), self._ranked, None):
            for rule in policy.rules:
                known = self._highest.get(rule.asset)
                if known is None or rule.high_nanos > known.nanos:
                    self._highest[rule.asset] = HighestRate(
                        rule.high_nanos, rule.rule_id, policy.policy_id, policy.version
                    )
        self._ranked = len(self.published)
        return self._highest.get(asset)

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order; of an organization's other publications nothing is kept."""
        self.version = fact.version
        self.last_record_time = fact.record_time
        event = fact.event
        if fact.topic == ASSET_REGISTERED and fact.occur_time <= self._until:
            assert isinstance(event, AssetRegistered)
            self.assets[event.asset] = Asset(event.kind, event.max_units_per_leg, fact.position, fact.version)
            self.by_code.setdefault(code_of(event.asset), event.asset)
        elif fact.topic == VALUATION_PUBLISHED:
            assert isinstance(event, ValuationPolicyPublished)
            policy = event.policy
            published = Published(policy, fact.position, fact.record_time, fact.version)
            self.published[policy.policy_id, policy.version] = published
            self.latest[policy.policy_id] = policy.version
            self.valuation_version = fact.version
        elif fact.topic == CONTACT_PUBLISHED:
            self.contact.evolve(fact)
        elif fact.topic == PURPOSES_PUBLISHED:
            self.purposes.evolve(fact)
        elif fact.topic == ATTRIBUTES_PUBLISHED:
            self.attributes.evolve(fact)
        elif fact.topic == RELATIONSHIP_PUBLISHED:
            self.relationship.evolve(fact)
        elif fact.topic == TYPES_PUBLISHED:
            self.types.evolve(fact)
        elif fact.topic in PERSONA_FOLDS:
            self.personae.evolve(fact)
