"""The rpcs of CustomerService: translate, execute or look, translate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from ledger.contact.person import person
from ledger.domain.decider import Step
from ledger.domain.errors import Rejected
from ledger.domain.identifiers import customer_of, policy_stream
from ledger.domain.policy import PolicyState
from ledger.domain.times import END_OF_TIME
from ledger.log.reading import parts
from ledger.requests import Receipt, Request
from ledger.views import Look, View
from rapport.customer.v1 import customer_service_pb2 as pb
from rapport.customer.v1 import customer_service_pb2_grpc as stubs
from rapport.errors.v1 import error_reason_pb2 as reasons
from services.customer import answers, translate
from services.customer.answers import Asked
from services.customer.relationship_acts import RelationshipActs
from services.customer.zones import time_zones
from services.runtime.app import App
from services.runtime.translating import stream_of
from services.runtime.validation import check, request_id

SERVICE: Final = "rapport.customer.v1.CustomerService"

Query = pb.GetCustomerRequest | pb.GetAttributesRequest | pb.GetPromisesRequest
"""Requests with a point of view."""

Context = grpc.aio.ServicerContext[Any, Any]


def mount(server: grpc.aio.Server, app: App) -> None:
    """Add CustomerService to a server."""
    stubs.add_CustomerServiceServicer_to_server(Servicer(app), server)


class Servicer(RelationshipActs):
    """Records and shows what concerns a customer as a person. Errors are listed in `customer_service.proto`."""

    def __init__(self, app: App) -> None:
        self._ledger = app.ledger

    async def DeclareProfile(  # noqa: N802  # Named by the proto.
        self,
        request: pb.DeclareProfileRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.DeclareProfileResponse:
        """Record where the customer lives and from when on they are of age."""
        return translate.written(
            pb.DeclareProfileResponse(), await self._record("DeclareProfile", request, translate.profile_steps)
        )

    async def VerifyIdentifier(  # noqa: N802  # Named by the proto.
        self,
        request: pb.VerifyIdentifierRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.VerifyIdentifierResponse:
        """Record that a contact point was checked to be the customer's."""
        return translate.written(
            pb.VerifyIdentifierResponse(), await self._record("VerifyIdentifier", request, translate.verify_steps)
        )

    async def RevokeIdentifier(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RevokeIdentifierRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RevokeIdentifierResponse:
        """Record that a contact point is no longer the customer's."""
        return translate.written(
            pb.RevokeIdentifierResponse(), await self._record("RevokeIdentifier", request, translate.revoke_steps)
        )

    async def LinkCustomers(  # noqa: N802  # Named by the proto.
        self,
        request: pb.LinkCustomersRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.LinkCustomersResponse:
        """Record in both streams that two customer ids are one person."""
        return translate.joined(
            pb.LinkCustomersResponse(), await self._record("LinkCustomers", request, translate.link_steps)
        )

    async def UnlinkCustomers(  # noqa: N802  # Named by the proto.
        self,
        request: pb.UnlinkCustomersRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.UnlinkCustomersResponse:
        """Record in both streams that a link was wrong."""
        return translate.joined(
            pb.UnlinkCustomersResponse(), await self._record("UnlinkCustomers", request, translate.unlink_steps)
        )

    async def DeclarePreference(  # noqa: N802  # Named by the proto.
        self,
        request: pb.DeclarePreferenceRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.DeclarePreferenceResponse:
        """Record how the customer wants to be spoken to."""
        return translate.written(
            pb.DeclarePreferenceResponse(), await self._record("DeclarePreference", request, translate.declare_steps)
        )

    async def ClearPreference(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ClearPreferenceRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ClearPreferenceResponse:
        """Record that a preference no longer holds."""
        return translate.written(
            pb.ClearPreferenceResponse(), await self._record("ClearPreference", request, translate.clear_steps)
        )

    async def RequestAttribute(  # noqa: N802  # Named by the proto.
        self,
        request: pb.RequestAttributeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.RequestAttributeResponse:
        """Record that the customer was asked for something about them."""
        return translate.written(
            pb.RequestAttributeResponse(), await self._record("RequestAttribute", request, translate.request_steps)
        )

    async def DiscloseAttribute(  # noqa: N802  # Named by the proto.
        self,
        request: pb.DiscloseAttributeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.DiscloseAttributeResponse:
        """Record what the customer told about themselves."""
        return translate.written(
            pb.DiscloseAttributeResponse(), await self._record("DiscloseAttribute", request, translate.disclose_steps)
        )

    async def ObserveAttribute(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ObserveAttributeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ObserveAttributeResponse:
        """Record what was seen in what the customer did."""
        return translate.written(
            pb.ObserveAttributeResponse(), await self._record("ObserveAttribute", request, translate.observe_steps)
        )

    async def InferAttribute(  # noqa: N802  # Named by the proto.
        self,
        request: pb.InferAttributeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.InferAttributeResponse:
        """Record what a rule or a model concluded."""
        return translate.written(
            pb.InferAttributeResponse(), await self._record("InferAttribute", request, translate.infer_steps)
        )

    async def ObtainAttribute(  # noqa: N802  # Named by the proto.
        self,
        request: pb.ObtainAttributeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.ObtainAttributeResponse:
        """Record what was obtained otherwise."""
        return translate.written(
            pb.ObtainAttributeResponse(), await self._record("ObtainAttribute", request, translate.obtain_steps)
        )

    async def WithdrawAttribute(  # noqa: N802  # Named by the proto.
        self,
        request: pb.WithdrawAttributeRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.WithdrawAttributeResponse:
        """Empty a slot."""
        return translate.written(
            pb.WithdrawAttributeResponse(), await self._record("WithdrawAttribute", request, translate.withdraw_steps)
        )

    async def MakePromise(  # noqa: N802  # Named by the proto.
        self,
        request: pb.MakePromiseRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.MakePromiseResponse:
        """Record a promise."""
        return translate.written(
            pb.MakePromiseResponse(), await self._record("MakePromise", request, translate.promise_steps)
        )

    async def TriggerPromise(  # noqa: N802  # Named by the proto.
        self,
        request: pb.TriggerPromiseRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.TriggerPromiseResponse:
        """Record that what was awaited has happened."""
        return translate.triggered(await self._record("TriggerPromise", request, translate.trigger_steps))

    async def KeepPromise(  # noqa: N802  # Named by the proto.
        self,
        request: pb.KeepPromiseRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.KeepPromiseResponse:
        """Record that a promise was kept, in time or late."""
        return translate.kept(await self._record("KeepPromise", request, translate.keep_steps))

    async def CancelPromise(  # noqa: N802  # Named by the proto.
        self,
        request: pb.CancelPromiseRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.CancelPromiseResponse:
        """Record that a promise was given up with a reason."""
        return translate.written(
            pb.CancelPromiseResponse(), await self._record("CancelPromise", request, translate.cancel_steps)
        )

    async def GetCustomer(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetCustomerRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetCustomerResponse:
        """Return profile, contact points, links and preferences."""
        check(request)
        looks, policy = await self._person(request)
        (_, own), *others = looks.items()
        zones = time_zones(own.state, policy, own.view.occur_time)
        return answers.customer(
            request.customer_id, own.state, {name: look.state for name, look in others}, zones, own.view
        )

    async def GetAttributes(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetAttributesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetAttributesResponse:
        """Return slots of attributes, never one in place of another."""
        check(request)
        own, published = stream_of(request), policy_stream(request.organization_id)
        looks = await self._looks(request, (own,), published)
        look, catalogue = looks[own], looks[published].state.attributes.current
        # At once: while others are waited for, the state goes on.
        asked, inventory = answers.asked_slots(request, look.state.attributes), look.state.attributes.inventory()
        return answers.attributes(asked, inventory, catalogue, await self._with_text(asked), look.view)

    async def GetPromises(  # noqa: N802  # Named by the proto.
        self,
        request: pb.GetPromisesRequest,
        context: Context,  # noqa: ARG002
    ) -> pb.GetPromisesResponse:
        """Return the promises and the rate of those kept."""
        check(request)
        stream_id = stream_of(request)
        look = _shown(request, await self._ledger.look(stream_id, request.as_of, request.min_position))
        return answers.promises(look.state, look.view)

    async def _record(self, rpc: str, request: Message, steps: Callable[[Any], Sequence[Step]]) -> Receipt:
        """Record what a request asks for; `steps` validates it."""
        organization_id: str = getattr(request, "organization_id")  # noqa: B009  # Every request has it.
        asked = Request(f"/{SERVICE}/{rpc}", organization_id, request_id(request), request)
        try:
            return await self._ledger.execute(asked, partial(steps, request))
        except Rejected as refusal:
            raise translate.alone(refusal) from None

    async def _person(self, request: pb.GetCustomerRequest) -> tuple[dict[str, Look], PolicyState]:
        """Return all relationships of the person as the request sees them, by customer id, the one asked about first.

        And what the organization has published. To be read before the next await.
        """
        own, published = stream_of(request), policy_stream(request.organization_id)
        names: tuple[str, ...] = (own,)
        while True:
            looks = await self._looks(request, names, published)
            found = person(own, {name: looks[name].state for name in names})
            if not found.missing:
                # Not all that were asked for: a link may have been undone since it was followed.
                shown = {customer_of(name): looks[name] for name in (own, *found.linked)}
                return shown, looks[published].state
            names = (own, *found.linked, *sorted(found.missing))

    async def _looks(
        self, request: pb.GetCustomerRequest | pb.GetAttributesRequest, names: tuple[str, ...], published: str
    ) -> dict[str, Look]:
        """Return relationships as a request sees them, the one asked about first, and what is published.

        Of that all counts which was known by then: policies obey the position of a view, not its time.

        Raises:
            Rejected: RELATIONSHIP_UNKNOWN, of the first; and as `Ledger.look`.
        """
        if request.as_of.ListFields():
            view = await self._ledger.resolve(request.as_of, request.min_position)
            looks = {name: await self._ledger.state_at(name, view) for name in names}
            looks[published] = await self._ledger.state_at(published, View(END_OF_TIME, view.position))
        else:
            looks = await self._ledger.current_many((*names, published), request.min_position)
        _shown(request, looks[names[0]])
        return looks

    async def _with_text(self, asked: Sequence[Asked]) -> set[int]:
        """Return the positions of those events that hold words: a sealed part, which no fold sees."""
        positions = {each.slot.position for each in asked if each.slot is not None and each.slot.value is not None}
        rows = [await self._ledger.follower.reads(self._ledger.store.get, position) for position in sorted(positions)]
        return {row.position for row in rows if row is not None and parts(row).sealed}


def _shown(request: Query, look: Look) -> Look:
    """Return what is seen, where anything is.

    Raises:
        Rejected: RELATIONSHIP_UNKNOWN.
    """
    if not look.version:
        raise Rejected(
            reasons.ERROR_REASON_RELATIONSHIP_UNKNOWN,
            "nothing was recorded between the two in this view; check both ids",
            organization_id=request.organization_id,
            customer_id=request.customer_id,
        )
    return look
