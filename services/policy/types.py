"""The rpcs of PolicyService about types of relationship."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ledger.domain import relationship_publishing
from ledger.domain.decider import Step
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import PolicyState
from ledger.domain.relationship_types import is_for
from ledger.domain.times import timestamp
from rapport.policy.v1 import relationship_policies_pb2 as pb
from services.policy.rpcs import Context, Rpcs, stands_at
from services.runtime.translating import context_of
from services.runtime.validation import check


class Types(Rpcs):
    """Publishes and shows the catalogue of types. Errors are listed in `policy_service.proto`."""

    async def PublishTypes(  # noqa: N802  # Named by the proto.
        self,
        request: pb.PublishTypesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.PublishTypesResponse:
        """Publish the organization's own types, whole."""
        receipt, state = await self._publish(request, partial(publish_steps, request))
        (found,) = [each for each in state.types.versions if each.stream_version == stands_at(receipt)]
        return pb.PublishTypesResponse(
            version=found.version,
            position=receipt.position,
            record_time=timestamp(found.record_time),
            replayed=receipt.replayed,
        )

    async def ListTypes(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListTypesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListTypesResponse:
        """Return the types, shipped and own, that are for an industry, a brand and a country."""
        look = await self._look(request)
        state: PolicyState = look.state
        known = state.types.last
        types = [
            pb.TypeOnRecord(type=each, shipped=known.is_shipped(slug))
            for slug, each in known.by_slug.items()
            if is_for(each, request.industry, request.brand, request.country)
        ]
        return pb.ListTypesResponse(types=types, version=known.version, position=look.view.position)


def publish_steps(request: pb.PublishTypesRequest) -> Sequence[Step]:
    """Return the one step of a PublishTypes.

    Raises:
        Invalid: fields of the request break their rules; every violation is named.
    """
    check(request)
    context = context_of(request)
    stream_id = policy_stream(request.organization_id)
    step = relationship_publishing.PublishTypes(
        stream_id=stream_id, catalogue=request.catalogue, context=context, path="catalogue"
    )
    return [step]
