"""What measures answer: plain values, for answers, lists and the detector of changes alike.

Ratios are in ppm, times in microseconds, evidence are log positions. `changes_at` is the earliest later instant at
which a level of the measure could differ by the clock alone: a lower bound, later than the instant measured at; None:
never.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from rapport.relationship.v1.measures_pb2 import UnknownReason
from rapport.type.v1 import levels_pb2 as levels


class Ratio(NamedTuple):
    """A measure: n / d exactly, or unknown."""

    n: int
    d: int
    unknown: UnknownReason.ValueType | None = None

    @property
    def ppm(self) -> int:
        """The ratio in millionths, rounded half to even; only of a known one."""
        whole, rest = divmod(1_000_000 * self.n, self.d)
        return whole + (2 * rest > self.d or (2 * rest == self.d and whole % 2 == 1))


_UNKNOWN: Final = {reason: Ratio(0, 1, reason) for reason in UnknownReason.values()}


def unknown(reason: UnknownReason.ValueType) -> Ratio:
    """Return a measure that is not known."""
    return _UNKNOWN[reason]


class Leg(NamedTuple):
    """One of the three tests of existence."""

    leg: levels.ExistenceLeg.ValueType
    holds: bool
    evidence: tuple[int, ...]
    until: int | None


class Existence(NamedTuple):
    """Whether there is a relationship (relationship.md 3)."""

    exists: bool
    legs: tuple[Leg, Leg, Leg]
    changes_at: int | None

    @property
    def missing(self) -> tuple[levels.ExistenceLeg.ValueType, ...]:
        """Legs that do not hold."""
        return tuple([leg.leg for leg in self.legs if not leg.holds])


class LifecycleMeasure(NamedTuple):
    """Lifecycle by personal cadence (relationship.md 4)."""

    lifecycle: levels.Lifecycle.ValueType
    since: int | None
    cadence: int
    """Microseconds."""
    cadence_source: levels.CadenceSource.ValueType
    gaps: int
    sessions: int
    last_time: int | None
    last_position: int
    gap_ratio: Ratio
    evidence: tuple[int, ...]
    changes_at: int | None


class Share(NamedTuple):
    """What one event adds to a line of the strength."""

    position: int
    occur_time: int
    ppm: int


class Contribution(NamedTuple):
    """One line of the strength."""

    component: levels.StrengthComponent.ValueType
    ppm: int
    weight: int
    ratio: Ratio
    evidence: tuple[int, ...]
    """At most 64; the shares have all."""


class Strength(NamedTuple):
    """The score and its lines (relationship.md 5)."""

    score: int
    band: levels.StrengthBand.ValueType
    coverage: int
    contributions: tuple[Contribution, ...]
    """Six components in order, penalties by position, then a clamp if one was needed. They sum to the score."""
    changes_at: int | None
    """Later than `at`: when the score could have moved so far that a level or a step of 100 points differs."""


class PreferenceMeasure(NamedTuple):
    """Preferential repurchase (relationship.md 6)."""

    preference: Ratio
    repeats: int
    unincentivised: int
    elsewhere: int
    incentivised_share: Ratio
    evidence: Sequence[int]


class Axes(NamedTuple):
    """The three axes (relationship.md 7); UNSPECIFIED (0): not known."""

    valence: levels.Valence.ValueType
    valence_value: Ratio
    closeness: levels.Closeness.ValueType
    closeness_value: Ratio
    intensity: levels.Intensity.ValueType
    intensity_value: Ratio
    evidence: Mapping[str, tuple[int, ...]]
    """By `valence`, `closeness`, `intensity`; at most 64 each."""
    changes_at: int | None


class AssessedType(NamedTuple):
    """A judgement that holds."""

    slug: str
    our_function: int
    assessor_id: str
    until: int
    position: int


class TypeClause(NamedTuple):
    """A condition of a rule."""

    clause: str
    value: str
    evidence: tuple[int, ...]


class Mismatch(NamedTuple):
    """An axis on which the relationship differs from the wish."""

    axis: str
    direction: levels.MismatchDirection.ValueType


class Types(NamedTuple):
    """Types from three provenances (relationship.md 8)."""

    desired_slug: str
    desired_position: int
    actual_slug: str
    actual_provenance: int
    """A `Provenance`: ASSESSED or INFERRED."""
    actual_position: int
    """Of the judgement that it follows; 0: it is inferred."""
    assessed: tuple[AssessedType, ...]
    inferred_slug: str
    inferred_rule: int
    clauses: Sequence[TypeClause]
    mismatches: tuple[Mismatch, ...]
    mismatch_unknown: UnknownReason.ValueType | None
    changes_at: int | None


class ConversationMeasure(NamedTuple):
    """Who speaks and who answers, over the window (relationship.md 10)."""

    inbound: int
    outbound: int
    listening: Ratio
    needing: int
    answered_count: int
    answered: Ratio
    streak: int
    """At most 1,000."""
    broadcast: bool
    asked: int
    value_answered: Ratio
    accepted: int
    rejected: int
    accepted_share: Ratio
    evidence: Mapping[str, tuple[int, ...]]
    """By `listening`, `answered`, `streak`, `value_answered`; at most 64 each, the latest."""
    changes_at: int | None


class Solicitations(NamedTuple):
    """What became of solicitations (relationship.md 10)."""

    delivered: int
    matured: int
    bought: int
    replied: int
    opted_out: int
    no_response: int
    response: Ratio
    waste: Ratio
    wasted_seconds: int
    wasted_costs: tuple[tuple[str, int], ...]
    """Asset and units, by asset."""
    uncosted: int
    breakeven: Ratio
    social_breakeven: Ratio
    pressure_per_30_days: Ratio
    prospect: bool
    rated: int
    relevant: int
    relevance: Ratio
    evidence: Mapping[str, tuple[int, ...]]


class Conduct(NamedTuple):
    """How the organization kept to what was decided and declared, over the window (relationship.md 10)."""

    contacts: int
    honoured_count: int
    honoured: Ratio
    needing_decision: int
    decided_count: int
    decided: Ratio
    avoided: int
    dishonoured: tuple[int, ...]
    """Positions; at most 64."""


class TacticEffect(NamedTuple):
    """What followed the outbounds of a tactic."""

    tactic: int
    matured: int
    followed: int
    effect: Ratio
    mean_strength_change: int | None


class Promises(NamedTuple):
    """Promises (relationship.md 12)."""

    kept: int
    broken: int
    kept_rate: Ratio
    due: int
    evidence: tuple[int, ...]
    changes_at: int | None


class Edge(NamedTuple):
    """Interactions between a customer-side person and one of our functions."""

    customer_person_id: str
    our_function: int
    interactions: int


class PersonShare(NamedTuple):
    """How much hangs on one person."""

    person_id: str
    side: int
    """A `Party`."""
    interactions: int
    share: Ratio
    risk: bool


class Contacts(NamedTuple):
    """Points of contact over the window (relationship.md 11)."""

    shape: levels.ContactShape.ValueType
    wanted_shape: levels.ContactShape.ValueType
    interactions: int
    concentration: Ratio
    single_point: Ratio
    persons: int
    functions: int
    edges: tuple[Edge, ...]
    shares: tuple[PersonShare, ...]
    evidence: tuple[int, ...]
    changes_at: int | None


class Vector(NamedTuple):
    """An involvement vector."""

    vector_id: str
    goal: str
    status: levels.VectorStatus.ValueType
    next_reason: str
    opened_time: int
    changed_time: int
    evidence: tuple[int, ...]


class Vectors(NamedTuple):
    """Involvement vectors (relationship.md 9)."""

    open_count: Ratio
    """n / 1 where one was ever opened."""
    vectors: Sequence[Vector]


class Knowledge(NamedTuple):
    """What is known of the customer (relationship.md 10)."""

    keys: tuple[tuple[int, int], ...]
    """Provenance and how many keys, by provenance."""
    groups_declared: int
    groups: int


class OpenHour(NamedTuple):
    """One hour of the week."""

    hour_of_week: int
    share: Ratio
