"""The rpcs of PolicyService about the catalogue of attributes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ledger.domain.decider import Step
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import PolicyState
from ledger.domain.publishing import PublishAttributeCatalogue
from ledger.domain.times import timestamp
from rapport.policy.v1 import contact_policies_pb2 as pb
from services.policy.rpcs import Context, Rpcs, stands_at
from services.runtime.translating import context_of
from services.runtime.validation import check


class Attributes(Rpcs):
    """Publishes and shows the catalogue of attributes. Errors are listed in `policy_service.proto`."""

    async def PublishAttributeCatalogue(  # noqa: N802  # Named by the proto.
        self,
        request: pb.PublishAttributeCatalogueRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.PublishAttributeCatalogueResponse:
        """Publish the catalogue of attributes, whole."""
        receipt, state = await self._publish(request, partial(publish_steps, request))
        (found,) = [each for each in state.attributes.versions if each.stream_version == stands_at(receipt)]
        return pb.PublishAttributeCatalogueResponse(
            version=found.version,
            position=receipt.position,
            record_time=timestamp(found.record_time),
            replayed=receipt.replayed,
        )

    async def ListAttributeDefinitions(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ListAttributeDefinitionsRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ListAttributeDefinitionsResponse:
        """Return the catalogue, now or as of a past moment."""
        look = await self._look(request)
        state: PolicyState = look.state
        found = state.attributes.current.message
        return pb.ListAttributeDefinitionsResponse(catalogue=found, position=look.view.position)


def publish_steps(request: pb.PublishAttributeCatalogueRequest) -> Sequence[Step]:
    """Return the one step of a PublishAttributeCatalogue.

    Raises:
        Invalid: fields of the request break their rules; every violation is named.
    """
    check(request)
    context = context_of(request)
    stream_id = policy_stream(request.organization_id)
    step = PublishAttributeCatalogue(
        stream_id=stream_id, catalogue=request.catalogue, context=context, path="catalogue"
    )
    return [step]
