"""What a well-formed relationship policy is (relationship.md 16): weights that sum, thresholds in order, known slugs.

Every fault is found, not only the first: whoever writes a policy mends them all at once. What is judged is the policy
with its defaults: a threshold that is given may contradict one that is not.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from ledger.domain.built_in_relationship_policy import decay_sha256
from ledger.domain.contact_policy_rules import faults_of_lists
from ledger.domain.decay import HALF_LIFE_DAYS_MAX
from ledger.domain.errors import Rejected, Violation
from ledger.domain.faults import Fault
from ledger.domain.fields import field_path
from ledger.domain.policy import PolicyState
from ledger.domain.policy_faults import conflict, invalid
from ledger.domain.relationship_policy import RELATIONSHIP, filled
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, StrengthWeights, TypeRule, TypeRules

WHOLE: Final = 1_000_000

_BELOW: Final = (
    ("cadence.at_risk_factor", "cadence.lapsed_factor"),
    ("strength.moderate_from_ppm", "strength.strong_from_ppm"),
    ("returns.from_days", "returns.until_days"),
)
"""Of each pair the first is below the second, or nothing would lie between the two."""
_AT_MOST: Final = (
    ("cadence.gaps_min", "cadence.gaps_max"),
    ("cadence.days_min", "cadence.days_default"),
    ("cadence.days_default", "cadence.days_max"),
    ("contact_shape.diamond_up_to_ppm", "contact_shape.bow_tie_from_ppm"),
    ("announcements.band_gap_ppm", "strength.moderate_from_ppm"),
    # What is entered on one side is cleared at the same level or on the other: else it would come and go at once.
    ("returns.alarm_below_ppm", "returns.clear_from_ppm"),
    ("solicitations.waste_clear_ppm", "solicitations.waste_above_ppm"),
    ("conversation.broadcast_below_ppm", "conversation.broadcast_left_from_ppm"),
    ("announcements.imbalance_below_ppm", "announcements.imbalance_clear_ppm"),
)
"""Of each pair the first is at most the second."""


def faults_of_policy(
    policy: RelationshipPolicy, types: Collection[str], valuation_policies: Collection[str]
) -> Iterator[Fault]:
    """Yield what is wrong with a policy. Total: where fields break their own rules it looks as far as it makes sense.

    `types`: slugs that are known. `valuation_policies`: ids that are published. Reasons: POLICY_RULES_CONFLICT for
    numbers and rules that contradict or repeat each other, TYPE_UNKNOWN for a slug, else REQUEST_INVALID.
    """
    whole = filled(policy)
    yield from faults_of_lists(policy)
    yield from _faults_of_decay(whole)
    yield from _faults_of_weights(whole.strength.weights)
    yield from _faults_of_order(whole)
    yield from _taken_twice("strength.kind_weights", "kind", [each.kind for each in policy.strength.kind_weights])
    attention = [each.channel for each in policy.solicitations.attention]
    yield from _taken_twice("solicitations.attention", "channel", attention)
    yield from _faults_of_types(policy.types, types)
    named = policy.valuation_policy_id
    if named and named not in valuation_policies:
        yield invalid("valuation_policy_id", f"must be a published valuation policy, and {named} is not; publish it")


def well_formed(policy: RelationshipPolicy, published: PolicyState, path: str = "") -> RelationshipPolicy:
    """Return a policy with every default filled in, as publishing it now would store it; `path`: where it was sent.

    Raises:
        Rejected: REQUEST_INVALID, POLICY_RULES_CONFLICT or TYPE_UNKNOWN; every fault is named.
    """
    faults = list(faults_of_policy(policy, published.types.current, published.latest))
    if faults:
        violations = [each.violation._replace(field=field_path(path, each.violation.field)) for each in faults]
        told = violations[0]
        values = {"policy_id": RELATIONSHIP, **faults[0].values}
        raise Rejected(told.reason, f"{told.field}: {told.description}", violations, **values)
    return filled(policy)


def unknown_type(field: str, slug: str) -> Fault:
    """Return the fault of a type that is neither shipped nor in the organization's catalogue."""
    description = f"must be a known type, and {slug} is in no catalogue; publish it first, or correct it"
    return Fault(Violation(field, description, reasons.ERROR_REASON_TYPE_UNKNOWN), {"slug": slug})


def _faults_of_decay(whole: RelationshipPolicy) -> Iterator[Fault]:
    days = whole.half_life_days
    if days > HALF_LIFE_DAYS_MAX:
        yield invalid("half_life_days", f"must be 1 to {HALF_LIFE_DAYS_MAX}, and it is {days}")
    elif whole.decay_sha256 != decay_sha256(days):
        wanted = decay_sha256(days).hex()
        yield invalid("decay_sha256", f"must be {wanted}, that of a half-life of {days} days, or be left out")


def _faults_of_weights(weights: StrengthWeights) -> Iterator[Fault]:
    total = sum(getattr(weights, field.name) for field in StrengthWeights.DESCRIPTOR.fields)
    if total != WHOLE:
        yield invalid("strength.weights", f"must sum to {WHOLE}, and they sum to {total}; give all six, or none")


def _faults_of_order(whole: RelationshipPolicy) -> Iterator[Fault]:
    for first, second in _BELOW:
        low, high = _value(whole, first), _value(whole, second)
        if low >= high:
            yield conflict(first, f"must be below {second}, which is {high}, and it is {low}")
    for first, second in _AT_MOST:
        low, high = _value(whole, first), _value(whole, second)
        if low > high:
            yield conflict(first, f"must be at most {second}, which is {high}, and it is {low}")
    if not (whole.axes.positive_from_ppm or whole.axes.negative_from_ppm):
        other = "axes.negative_from_ppm is 0 too, so a tone of 0 would be both"
        yield conflict("axes.positive_from_ppm", f"must be above 0: {other}")


def _value(policy: RelationshipPolicy, path: str) -> int:
    message, _, field = path.partition(".")
    value: int = getattr(getattr(policy, message), field)
    return value


def _taken_twice(name: str, field: str, values: Iterable[int]) -> Iterator[Fault]:
    seen: dict[int, int] = {}
    for index, value in enumerate(values):
        first = seen.setdefault(value, index)
        if first != index:
            yield conflict(f"{name}[{index}].{field}", f"must be named once; {name}[{first}] is for it too")


def _faults_of_types(types: TypeRules, known: Collection[str]) -> Iterator[Fault]:
    if types.fallback_slug and types.fallback_slug not in known:
        yield unknown_type("types.fallback_slug", types.fallback_slug)
    for index, rule in enumerate(types.rules):
        place = f"types.rules[{index}]"
        if rule.slug not in known:
            yield unknown_type(f"{place}.slug", rule.slug)
        yield from _faults_of_conditions(place, rule)
    yield from _never_reached(types)


def _faults_of_conditions(place: str, rule: TypeRule) -> Iterator[Fault]:
    if len(rule.ListFields()) <= bool(rule.slug):
        yield invalid(place, "must have a condition; where nothing else matches there is types.fallback_slug")
    bounded = rule.HasField("reciprocity_min_ppm") and rule.HasField("reciprocity_max_ppm")
    if bounded and rule.reciprocity_min_ppm > rule.reciprocity_max_ppm:
        most = f"{place}.reciprocity_max_ppm, which is {rule.reciprocity_max_ppm}"
        yield conflict(f"{place}.reciprocity_min_ppm", f"must be at most {most}")


def _never_reached(types: TypeRules) -> Iterator[Fault]:
    """Yield rules with the conditions of an earlier one: the first that matches counts."""
    seen: dict[bytes, int] = {}
    for index, rule in enumerate(types.rules):
        first = seen.setdefault(_conditions(rule), index)
        if first != index:
            why = f"has the conditions of types.rules[{first}], so it never counts; keep one of them"
            yield conflict(f"types.rules[{index}]", why)


def _conditions(rule: TypeRule) -> bytes:
    bare = TypeRule()
    bare.CopyFrom(rule)
    bare.ClearField("slug")
    ordered = sorted(rule.lifecycles)
    bare.ClearField("lifecycles")
    bare.lifecycles.extend(ordered)
    return bare.SerializeToString(deterministic=True)
