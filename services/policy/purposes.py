"""The rpcs of PolicyService about the registry of purposes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ledger.domain.decider import Step
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import PolicyState
from ledger.domain.publishing import PURPOSES, PublishPurposes
from ledger.domain.times import timestamp
from ledger.policy.valuation import unknown
from rapport.policy.v1 import contact_policies_pb2 as pb
from services.policy.rpcs import Context, Rpcs, stands_at
from services.runtime.translating import context_of
from services.runtime.validation import check


class Purposes(Rpcs):
    """Publishes and shows the registry of purposes. Errors are listed in `policy_service.proto`."""

    async def PublishPurposes(  # noqa: N802  # Named by the proto.
        self,
        request: pb.PublishPurposesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.PublishPurposesResponse:
        """Publish the registry of purposes, whole."""
        receipt, state = await self._publish(request, partial(publish_steps, request))
        (found,) = [each for each in state.purposes.versions if each.stream_version == stands_at(receipt)]
        return pb.PublishPurposesResponse(
            version=found.version,
            position=receipt.position,
            record_time=timestamp(found.record_time),
            replayed=receipt.replayed,
        )

    async def ListPurposes(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListPurposesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListPurposesResponse:
        """Return the registry, now or as of a past moment."""
        look = await self._look(request)
        state: PolicyState = look.state
        found = state.purposes.version(request.version) if request.version else state.purposes.current
        if found is None:
            raise unknown(PURPOSES, request.version)
        count = len(state.purposes.versions)
        return pb.ListPurposesResponse(registry=found.message, versions_count=count, position=look.view.position)


def publish_steps(request: pb.PublishPurposesRequest) -> Sequence[Step]:
    """Return the one step of a PublishPurposes.

    Raises:
        Invalid: fields of the request break their rules; every violation is named.
    """
    check(request)
    context = context_of(request)
    stream_id = policy_stream(request.organization_id)
    return [PublishPurposes(stream_id=stream_id, registry=request.registry, context=context, path="registry")]
