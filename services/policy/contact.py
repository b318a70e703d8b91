"""The rpcs of PolicyService about contact policies, and how they are told."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from ledger.domain.contact_policy_rules import unsourced
from ledger.domain.decider import Step
from ledger.domain.errors import Violation
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import PolicyState
from ledger.domain.policy_versions import PolicyVersions, Published
from ledger.domain.publishing import CONTACT, PublishContactPolicy, checked
from ledger.domain.times import timestamp
from ledger.domain.valuation_policy import BYTES_MAX
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from rapport.policy.v1 import contact_policies_pb2 as pb
from services.policy.rpcs import Context, Rpcs, is_in_force, stands_at, version_asked
from services.runtime.errors import SENT
from services.runtime.translating import context_of
from services.runtime.validation import check, violations_of

_POLICY: Final = "policy"


class ContactPolicies(Rpcs):
    """Publishes, checks and shows contact policies. Errors are listed in `policy_service.proto`."""

    async def PublishContactPolicy(  # noqa: N802  # Named by the proto.
        self,
        request: pb.PublishContactPolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.PublishContactPolicyResponse:
        """Publish a version of the contact policy."""
        receipt, state = await self._publish(request, partial(publish_steps, request))
        (found,) = [each for each in state.contact.versions if each.stream_version == stands_at(receipt)]
        return pb.PublishContactPolicyResponse(
            version=found.version,
            position=receipt.position,
            record_time=timestamp(found.record_time),
            replayed=receipt.replayed,
        )

    async def CheckContactPolicy(  # noqa: N802  # Named by the proto.
        self,
        request: pb.CheckContactPolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.CheckContactPolicyResponse:
        """Say what publishing a policy would say, every fault at once."""
        # What is in the policy is not refused: it is what the answer is about.
        policy = ContactPolicy() if request.HasField(_POLICY) else None
        check(pb.CheckContactPolicyRequest(organization_id=request.organization_id, policy=policy))
        look = await self._app.ledger.current(policy_stream(request.organization_id))
        return told_of(request.policy, look.state, look.view.occur_time, look.view.position)

    async def GetContactPolicy(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetContactPolicyRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetContactPolicyResponse:
        """Return one version of the contact policy, whole."""
        if request.built_in and request.version:
            check(request, Violation("version", "must be unset where `built_in` is true"))
        look = await self._look(request)
        state: PolicyState = look.state
        found = version_asked(request, state.contact, CONTACT, look.view.occur_time)
        return pb.GetContactPolicyResponse(
            policy=found.policy,
            published_position=found.position,
            record_time=timestamp(found.record_time) if found.version else None,
            in_force=is_in_force(found, state.contact, look.view.occur_time),
            position=look.view.position,
        )

    async def ListContactPolicies(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListContactPoliciesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListContactPoliciesResponse:
        """Return the versions of the contact policy, without what is in them."""
        look = await self._look(request)
        state: PolicyState = look.state
        policies = [_summary(each, state.contact, look.view.occur_time) for each in state.contact.versions]
        return pb.ListContactPoliciesResponse(policies=policies, position=look.view.position)


def publish_steps(request: pb.PublishContactPolicyRequest) -> Sequence[Step]:
    """Return the one step of a PublishContactPolicy.

    Raises:
        Invalid: fields of the request break their rules; every violation is named.
    """
    check(request)
    context = context_of(request)
    stream_id = policy_stream(request.organization_id)
    return [PublishContactPolicy(stream_id=stream_id, policy=request.policy, context=context, path=_POLICY)]


def told_of(asked: ContactPolicy, state: PolicyState, now: int, position: int) -> pb.CheckContactPolicyResponse:
    """Return everything that publishing a policy would refuse, or the version as it would be stored.

    What fields break by themselves comes first, then what else is wrong with those that are well-formed.
    """
    broken = violations_of(asked)
    named = {each.field for each in broken}
    found, whole = checked(asked, state, now)
    small = asked.ByteSize() <= BYTES_MAX
    faults = [*broken, *(fault.violation for fault in found if fault.violation.field not in named)]
    return pb.CheckContactPolicyResponse(
        faults=map(_told, faults),
        unsourced=unsourced(asked) if small else (),
        policy=None if faults else whole,
        position=position,
    )


def _told(fault: Violation) -> pb.ContactPolicyFault:
    return pb.ContactPolicyFault(
        field=f"{_POLICY}.{fault.field}", description=fault.description, reason=SENT[fault.reason].name
    )


def _summary(
    found: Published[ContactPolicy], versions: PolicyVersions[ContactPolicy], at: int
) -> pb.ContactPolicySummary:
    return pb.ContactPolicySummary(
        version=found.version,
        effective_from_time=timestamp(found.effective_from),
        published_position=found.position,
        record_time=timestamp(found.record_time),
        in_force=is_in_force(found, versions, at),
    )
