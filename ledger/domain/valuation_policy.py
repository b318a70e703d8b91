"""Publishing a version of a valuation policy: what an organization says that exchanges are worth (reciprocity.md 5).

A version is never changed. A correction is a later version with the same `effective_from_time`. What is stored is
whole: number, defaults and digest are filled in, so that no later release can read another policy out of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Final

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Decision, NewFact
from ledger.domain.faults import Fault
from ledger.domain.fields import field_path, first_difference
from ledger.domain.policy import VALUATION_PUBLISHED, PolicyState, unchanged
from ledger.domain.valuation_rules import faults_of_labels, faults_of_rules
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.errors.v1.error_reason_pb2 import ErrorReason
from rapport.events.v1.valuation_pb2 import ValuationLabel, ValuationPolicy, ValuationPolicyPublished
from rapport.type.v1.event_context_pb2 import EventContext

DEFAULT_KAPPA_NANOS: Final = 10 * 10**9
"""10 units of account."""
DEFAULT_TREND_DAYS: Final = 90
DEFAULT_LABELS: Final = (("BALANCED", 100_000), ("TILTED", 333_333), ("LOPSIDED", 1_000_000))
"""Names by rising distance of the index from 0, in millionths (reciprocity.md 6.2)."""
RULES_MAX: Final = 1_000
BYTES_MAX: Final = 60_000
"""Most that a version may take as it is stored: an entry of the log has 65,535 bytes, the envelope's among them."""
_VERSION_MAX: Final = 2**31 - 1

_TOLD_FIRST: Final[dict[ErrorReason.ValueType, int]] = {
    reason: order
    for order, reason in enumerate(
        (
            reasons.ERROR_REASON_REQUEST_INVALID,
            reasons.ERROR_REASON_ASSET_UNKNOWN,
            reasons.ERROR_REASON_POLICY_RULES_CONFLICT,
            reasons.ERROR_REASON_RATE_OUT_OF_RANGE,
            reasons.ERROR_REASON_EVENT_TOO_LARGE,
            reasons.ERROR_REASON_POLICY_VERSION_TAKEN,
            reasons.ERROR_REASON_POLICY_UNIT_CHANGED,
        )
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishValuationPolicy:
    """Publish a version of a valuation policy; change nothing where it stands with the same content."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = True

    stream_id: str
    """The organization's policy stream."""
    policy: ValuationPolicy
    """As the caller asks it; each field keeps its own rules."""
    context: EventContext | None = None
    path: str = ""
    """Where the policy stands in the request; refusals put it before the names of fields."""

    def decide(self, state: PolicyState, setting: Setting) -> Decision:
        """Return the publication; nothing but a note (`noted_version`) where this version stands with this content.

        Raises:
            Rejected: REQUEST_INVALID, ASSET_UNKNOWN, POLICY_RULES_CONFLICT, RATE_OUT_OF_RANGE, EVENT_TOO_LARGE,
                POLICY_VERSION_TAKEN or POLICY_UNIT_CHANGED, the first of these that applies. Every fault is named.
        """
        whole = filled(self.policy, state)
        if not (self.policy.digest and self.policy.digest != whole.digest):
            known = state.published.get((whole.policy_id, whole.version))
            if known is not None and known.policy.digest == whole.digest:
                return unchanged(known.version)
        faults = faults_of(self.policy, state)
        if faults:
            raise self._refusal(faults)
        event = ValuationPolicyPublished(policy=whole)
        # From when on it counts is in the policy; it is published now, whichever time that names.
        fact = NewFact(
            topic=VALUATION_PUBLISHED, event=event, occur_time=setting.now, defaulted=True, context=self.context
        )
        return Decision((fact,))

    def _refusal(self, faults: list[Fault]) -> Rejected:
        told = min(faults, key=lambda fault: _TOLD_FIRST[fault.violation.reason])
        violations = [v._replace(field=field_path(self.path, v.field)) for v, _ in faults]
        message = f"{field_path(self.path, told.violation.field)}: {told.violation.description}"
        return Rejected(
            told.violation.reason, message, violations, **{"policy_id": self.policy.policy_id, **told.values}
        )


def filled(policy: ValuationPolicy, state: PolicyState) -> ValuationPolicy:
    """Return a policy as it would be stored: number, defaults and digest filled in."""
    whole = ValuationPolicy()
    whole.CopyFrom(policy)
    # After the last number there is none: the last is offered again, and refused.
    whole.version = policy.version or min(state.latest.get(policy.policy_id, 0) + 1, _VERSION_MAX)
    if not policy.HasField("kappa_nanos"):
        whole.kappa_nanos = DEFAULT_KAPPA_NANOS
    if not policy.labels:
        whole.labels.extend(ValuationLabel(name=name, up_to_ppm=ppm) for name, ppm in DEFAULT_LABELS)
    whole.trend_days = policy.trend_days or DEFAULT_TREND_DAYS
    whole.digest = digest_of(whole)
    return whole


def digest_of(policy: ValuationPolicy) -> bytes:
    """Return the SHA-256 of a policy serialised deterministically, with its digest empty."""
    bare = ValuationPolicy()
    bare.CopyFrom(policy)
    bare.ClearField("digest")
    return sha256(bare.SerializeToString(deterministic=True)).digest()


def faults_of(policy: ValuationPolicy, state: PolicyState) -> list[Fault]:
    """Return everything that publishing a policy now would refuse, with fields as the policy names them.

    Total: a policy whose fields break their own rules is looked at as far as it makes sense.
    """
    whole = filled(policy, state)
    return [
        *faults_of_rules(policy.rules, state.assets),
        *faults_of_labels(policy.labels),
        *_faults_of_digest(policy, whole),
        *_faults_of_size(whole),
        *_faults_of_version(whole, state),
        *_faults_of_unit(whole, state),
    ]


def _faults_of_digest(policy: ValuationPolicy, whole: ValuationPolicy) -> Iterator[Fault]:
    if policy.digest and policy.digest != whole.digest:
        description = f"must be unset, or the SHA-256 of the policy with its defaults, {whole.digest.hex()}"
        yield Fault(Violation("digest", description))


def _faults_of_size(whole: ValuationPolicy) -> Iterator[Fault]:
    size = whole.ByteSize()
    if size > BYTES_MAX:
        reason = reasons.ERROR_REASON_EVENT_TOO_LARGE
        description = f"a version may take {BYTES_MAX} bytes and this one takes {size}: shorten the sources"
        yield Fault(Violation("rules", description, reason), {"size": size, "limit": BYTES_MAX})


def _faults_of_version(whole: ValuationPolicy, state: PolicyState) -> Iterator[Fault]:
    version, latest = whole.version, state.latest.get(whole.policy_id, 0)
    known = state.published.get((whole.policy_id, version))
    if known is not None and known.policy.digest != whole.digest:
        where = first_difference(known.policy, whole)
        description = f"version {version} was published with other content, see {where}; the latest is {latest}"
    elif known is None and version <= latest:
        description = f"must be above the latest, {latest}"
    else:
        return
    reason = reasons.ERROR_REASON_POLICY_VERSION_TAKEN
    yield Fault(Violation("version", description, reason), {"version": version, "latest": latest})


def _faults_of_unit(whole: ValuationPolicy, state: PolicyState) -> Iterator[Fault]:
    latest = state.published.get((whole.policy_id, state.latest.get(whole.policy_id, 0)))
    if latest is not None and latest.policy.unit_of_account != whole.unit_of_account:
        unit, reason = latest.policy.unit_of_account, reasons.ERROR_REASON_POLICY_UNIT_CHANGED
        description = f"must be {unit}, as in the versions before"
        yield Fault(Violation("unit_of_account", description, reason), {"unit_of_account": unit})
