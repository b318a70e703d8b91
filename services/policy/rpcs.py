"""What the rpcs of all policies have in common: they look at an organization's policies, or publish one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import grpc

from ledger.domain.decider import Step
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import PolicyState, noted_version
from ledger.domain.policy_versions import PolicyVersions, Published
from ledger.domain.times import END_OF_TIME
from ledger.policy.valuation import unknown
from ledger.requests import Receipt, Request
from ledger.views import Look, View
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.policy.v1 import contact_policies_pb2 as contacts
from rapport.policy.v1 import policy_service_pb2 as pb
from rapport.policy.v1 import relationship_policies_pb2 as relationships
from services.runtime.app import App
from services.runtime.validation import check, request_id

SERVICE: Final = "rapport.policy.v1.PolicyService"

Publication = (
    pb.PublishValuationPolicyRequest
    | contacts.PublishContactPolicyRequest
    | contacts.PublishPurposesRequest
    | contacts.PublishAttributeCatalogueRequest
    | relationships.PublishRelationshipPolicyRequest
    | relationships.PublishTypesRequest
    | relationships.DefinePersonaRequest
    | relationships.ApprovePersonaRequest
    | relationships.RetirePersonaRequest
)
"""Requests to publish one thing."""

Query = (
    pb.ListAssetsRequest
    | pb.ListValuationPoliciesRequest
    | pb.GetValuationPolicyRequest
    | contacts.ListPurposesRequest
    | contacts.GetContactPolicyRequest
    | contacts.ListContactPoliciesRequest
    | contacts.ListAttributeDefinitionsRequest
    | relationships.GetRelationshipPolicyRequest
    | relationships.ListRelationshipPoliciesRequest
    | relationships.ListTypesRequest
    | relationships.ListPersonaeRequest
)
"""Requests with a point of view."""

P = TypeVar("P", ContactPolicy, RelationshipPolicy)

Context = grpc.aio.ServicerContext[Any, Any]


class Rpcs:
    """The ledger, as rpcs about policies use it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def _look(self, request: Query) -> Look:
        check(request)
        as_of = request.as_of if request.HasField("as_of") else None
        return await self._app.ledger.look(policy_stream(request.organization_id), as_of, request.min_position)

    async def _publish(self, request: Publication, steps: Callable[[], Sequence[Step]]) -> tuple[Receipt, PolicyState]:
        """Publish what a request asks; return the receipt, and the policies as they stood at its position."""
        method = type(request).__name__.removesuffix("Request")
        asked = Request(f"/{SERVICE}/{method}", request.organization_id, request_id(request), request)
        receipt = await self._app.ledger.execute(asked, steps, 1)
        view = View(END_OF_TIME, receipt.position)
        look = await self._app.ledger.state_at(policy_stream(request.organization_id), view)
        return receipt, look.state


def stands_at(receipt: Receipt) -> int:
    """Return the version in the policy stream of the event that says what was asked, whether or not it is new."""
    (step,) = receipt.steps
    return step.places[0].version if step.places else noted_version(step.note)


def version_asked(
    request: contacts.GetContactPolicyRequest | relationships.GetRelationshipPolicyRequest,
    versions: PolicyVersions[P],
    policy_id: str,
    at: int,
) -> Published[P]:
    """Return the version that a request names, or the one in force at a time, in microseconds, where it names none.

    Raises:
        Rejected: POLICY_UNKNOWN.
    """
    if not (request.version or request.built_in):
        return versions.in_force(at)
    found = versions.version(request.version)
    if found is None:
        raise unknown(policy_id, request.version)
    return found


def is_in_force(found: Published[P], versions: PolicyVersions[P], at: int) -> bool:
    """Tell whether a version is the one in force at a time, in microseconds."""
    return versions.in_force(at).version == found.version
