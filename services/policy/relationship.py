"""The rpcs of PolicyService about relationship policies, and how they are told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from ledger.domain.decider import Step
from ledger.domain.errors import Violation
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import PolicyState
from ledger.domain.policy_versions import PolicyVersions, Published
from ledger.domain.relationship_policy import RELATIONSHIP
from ledger.domain.relationship_publishing import PublishRelationshipPolicy, checked
from ledger.domain.times import timestamp
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.policy.v1 import relationship_policies_pb2 as pb
from services.policy.rpcs import Context, Rpcs, is_in_force, stands_at, version_asked
from services.runtime.errors import SENT
from services.runtime.translating import context_of
from services.runtime.validation import check, violations_of

_POLICY: Final = "policy"


class RelationshipPolicies(Rpcs):
    """Publishes, checks and shows relationship policies. Errors are listed in `policy_service.proto`."""

    async def PublishRelationshipPolicy(  # noqa: N802  # Named by the proto.
        self,
        request: pb.PublishRelationshipPolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.PublishRelationshipPolicyResponse:
        """Publish a version of the relationship policy."""
        receipt, state = await self._publish(request, partial(publish_steps, request))
        (found,) = [each for each in state.relationship.versions if each.stream_version == stands_at(receipt)]
        return pb.PublishRelationshipPolicyResponse(
            version=found.version,
            position=receipt.position,
            record_time=timestamp(found.record_time),
            replayed=receipt.replayed,
        )

    async def CheckRelationshipPolicy(  # noqa: N802  # Named by the proto.
        self,
        request: pb.CheckRelationshipPolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.CheckRelationshipPolicyResponse:
        """Say what publishing a policy would say, every fault at once."""
        # What is in the policy is not refused: it is what the answer is about.
        policy = RelationshipPolicy() if request.HasField(_POLICY) else None
        check(pb.CheckRelationshipPolicyRequest(organization_id=request.organization_id, policy=policy))
        look = await self._app.ledger.current(policy_stream(request.organization_id))
        return told_of(request.policy, look.state)

    async def GetRelationshipPolicy(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetRelationshipPolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetRelationshipPolicyResponse:
        """Return one version of the relationship policy, whole."""
        if request.built_in and request.version:
            check(request, Violation("version", "must be unset where `built_in` is true"))
        look = await self._look(request)
        state: PolicyState = look.state
        found = version_asked(request, state.relationship, RELATIONSHIP, look.view.occur_time)
        return pb.GetRelationshipPolicyResponse(
            policy=found.policy,
            published_position=found.position,
            record_time=timestamp(found.record_time) if found.version else None,
            in_force=is_in_force(found, state.relationship, look.view.occur_time),
            position=look.view.position,
        )

    async def ListRelationshipPolicies(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListRelationshipPoliciesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListRelationshipPoliciesResponse:
        """Return the versions of the relationship policy, without what is in them."""
        look = await self._look(request)
        state: PolicyState = look.state
        policies = [_summary(each, state.relationship, look.view.occur_time) for each in state.relationship.versions]
        return pb.ListRelationshipPoliciesResponse(policies=policies, position=look.view.position)


def publish_steps(request: pb.PublishRelationshipPolicyRequest) -> Sequence[Step]:
    """Return the one step of a PublishRelationshipPolicy.

    Raises:
        Invalid: fields of the request break their rules; every violation is named.
    """
    check(request)
    context = context_of(request)
    stream_id = policy_stream(request.organization_id)
    return [PublishRelationshipPolicy(stream_id=stream_id, policy=request.policy, context=context, path=_POLICY)]


def told_of(asked: RelationshipPolicy, state: PolicyState) -> pb.CheckRelationshipPolicyResponse:
    """Return everything that publishing a policy would refuse, or the version as it would be stored.

    What fields break by themselves comes first, then what else is wrong with those that are well-formed.
    """
    broken = violations_of(asked)
    named = {each.field for each in broken}
    found, whole = checked(asked, state)
    faults = [*broken, *(fault.violation for fault in found if fault.violation.field not in named)]
    return pb.CheckRelationshipPolicyResponse(faults=map(_told, faults), filled=None if faults else whole)


def _told(fault: Violation) -> pb.RelationshipPolicyFault:
    return pb.RelationshipPolicyFault(
        field=f"{_POLICY}.{fault.field}", description=fault.description, reason=SENT[fault.reason].name
    )


def _summary(
    found: Published[RelationshipPolicy], versions: PolicyVersions[RelationshipPolicy], at: int
) -> pb.RelationshipPolicySummary:
    return pb.RelationshipPolicySummary(
        version=found.version,
        effective_from_time=timestamp(found.effective_from),
        published_position=found.position,
        record_time=timestamp(found.record_time),
        in_force=is_in_force(found, versions, at),
    )
