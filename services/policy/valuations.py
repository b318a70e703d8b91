"""Valuation policies, between requests and what the ledger knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ledger.domain.decider import Step
from ledger.domain.errors import Invalid, Violation
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import PolicyState, Published
from ledger.domain.times import timestamp
from ledger.domain.valuation_policy import RULES_MAX, PublishValuationPolicy, faults_of, filled
from ledger.policy.valuation import unknown, valuations_of
from ledger.requests import Receipt
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION, Party
from rapport.events.v1.valuation_pb2 import ValuationPolicy
from rapport.policy.v1 import policy_service_pb2 as pb
from services.policy.rpcs import stands_at
from services.runtime.errors import SENT
from services.runtime.translating import context_of
from services.runtime.validation import check, violations_of

_POLICY: Final = "policy"
_PERSPECTIVES: Final = (PARTY_CUSTOMER, PARTY_ORGANIZATION)


def publish_steps(request: pb.PublishValuationPolicyRequest) -> Sequence[Step]:
    """Return the one step of a PublishValuationPolicy.

    Raises:
        Invalid: fields of the request break their rules; every violation is named.
    """
    _refuse_too_many_rules(request.policy)
    check(request)
    context = context_of(request)
    stream_id = policy_stream(request.organization_id)
    return [PublishValuationPolicy(stream_id=stream_id, policy=request.policy, context=context, path=_POLICY)]


def published(receipt: Receipt, policy: PolicyState) -> pb.PublishValuationPolicyResponse:
    """Return the answer to a PublishValuationPolicy; `policy` is the state at the receipt's position.

    Whether the version is in force is told for the time it was recorded, so that a retry gets the same answer.
    """
    (found,) = [each for each in policy.published.values() if each.version == stands_at(receipt)]
    return pb.PublishValuationPolicyResponse(
        published=_told(found, policy, receipt.record_time), position=receipt.position, replayed=receipt.replayed
    )


def check_asked(request: pb.CheckValuationPolicyRequest) -> None:
    """Refuse a check that cannot be made. What is in the policy is not looked at: it is what the answer is about.

    Raises:
        Invalid: the organization's id is none, or there is no policy or one of more rules than are looked at.
    """
    missing = [] if request.HasField(_POLICY) else [Violation(_POLICY, "value is required")]
    check(pb.CheckValuationPolicyRequest(organization_id=request.organization_id), *missing)
    _refuse_too_many_rules(request.policy)


def checked(asked: ValuationPolicy, policy: PolicyState, position: int) -> pb.CheckValuationPolicyResponse:
    """Return everything that publishing a policy would refuse, or the version as it would be stored."""
    faults = list(_faults(asked, policy))
    return pb.CheckValuationPolicyResponse(
        faults=faults,
        policy=None if faults else filled(asked, policy),
        unvalued=_unvalued(asked, policy.assets),
        position=position,
    )


def listed(policy: PolicyState, policy_id: str, at: int, position: int) -> pb.ListValuationPoliciesResponse:
    """Return the versions of one policy, or of all where `policy_id` is empty; `at` decides which are in force."""
    versions = [each for key, each in sorted(policy.published.items()) if policy_id in ("", key[0])]
    return pb.ListValuationPoliciesResponse(policies=[_told(each, policy, at) for each in versions], position=position)


def shown(policy: PolicyState, policy_id: str, version: int, at: int, position: int) -> pb.GetValuationPolicyResponse:
    """Return one version, whole; version 0: the one in force at a time, in microseconds.

    Raises:
        Rejected: POLICY_UNKNOWN.
    """
    history = valuations_of(policy).history(policy_id)
    in_force = history.in_force(at) if history is not None and not version else None
    found = policy.published.get((policy_id, version if in_force is None else in_force.version))
    if found is None:
        raise unknown(policy_id, version)
    return pb.GetValuationPolicyResponse(published=_told(found, policy, at, whole=True), position=position)


def _refuse_too_many_rules(policy: ValuationPolicy) -> None:
    # Before anything looks at each of them.
    if len(policy.rules) > RULES_MAX:
        raise Invalid([Violation(f"{_POLICY}.rules", f"must have at most {RULES_MAX} rules")])


def _told(found: Published, policy: PolicyState, at: int, *, whole: bool = False) -> pb.PublishedValuationPolicy:
    message = found.policy
    history = valuations_of(policy).history(message.policy_id)
    in_force = None if history is None else history.in_force(at)
    return pb.PublishedValuationPolicy(
        policy=message if whole else _without_rules(message),
        position=found.position,
        record_time=timestamp(found.record_time),
        rules_count=len(message.rules),
        in_force=in_force is not None and in_force.version == message.version,
        is_default=message.policy_id == policy.default_policy_id,
    )


def _without_rules(policy: ValuationPolicy) -> ValuationPolicy:
    return ValuationPolicy(
        policy_id=policy.policy_id,
        version=policy.version,
        unit_of_account=policy.unit_of_account,
        effective_from_time=policy.effective_from_time,
        kappa_nanos=policy.kappa_nanos,
        labels=policy.labels,
        trend_days=policy.trend_days,
        digest=policy.digest,
    )


def _faults(asked: ValuationPolicy, policy: PolicyState) -> Iterator[pb.PolicyFault]:
    """Yield what fields break by themselves, then what else is wrong with those that are well-formed."""
    broken = violations_of(asked)
    named = {each.field for each in broken}
    yield from map(_fault, broken)
    yield from (_fault(each.violation) for each in faults_of(asked, policy) if each.violation.field not in named)


def _fault(violation: Violation) -> pb.PolicyFault:
    return pb.PolicyFault(
        field=f"{_POLICY}.{violation.field}", description=violation.description, reason=SENT[violation.reason].name
    )


def _unvalued(asked: ValuationPolicy, assets: Iterable[str]) -> list[str]:
    """Return the registered assets that a perspective has no rule for, by perspective, then asset."""
    valued = {(rule.perspective, rule.asset) for rule in asked.rules}
    names = sorted(assets)
    return [
        f"{Party.Name(perspective).removeprefix('PARTY_')} {asset}"
        for perspective in _PERSPECTIVES
        for asset in names
        if (perspective, asset) not in valued
    ]
