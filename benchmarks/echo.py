"""The null echo: the server that the targets are measured against.

It is the standalone server with handlers that do nothing: the same start, options, interceptors, parsing of the same
request, and log line; the same messages go over the wire. What it leaves out is the ledger's work and its durability.
"""

import os
from typing import Any, Final

import grpc

from rapport.contact.v1 import contact_service_pb2 as contacts
from rapport.contact.v1 import contact_service_pb2_grpc as contact_stubs
from rapport.interaction.v1 import interaction_service_pb2 as interactions
from rapport.interaction.v1 import interaction_service_pb2_grpc as interaction_stubs
from rapport.relationship.v1 import relationship_service_pb2 as relationships
from rapport.relationship.v1 import relationship_service_pb2_grpc as relationship_stubs
from services.runtime.app import App
from services.runtime.run import main

Context = grpc.aio.ServicerContext[Any, Any]

_RECORDED: Final = interactions.RecordInteractionResponse(position=1, version=1)
_RELATIONSHIP: Final = relationships.GetRelationshipResponse()
_DECISION: Final = contacts.SimulateDecisionResponse()
_BALANCE: Final = relationships.GetBalanceResponse()


class InteractionEcho(interaction_stubs.InteractionServiceServicer):
    """Answers RecordInteraction at once."""

    async def RecordInteraction(  # noqa: N802  # Named by the proto.
        self,
        request: interactions.RecordInteractionRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> interactions.RecordInteractionResponse:
        """Return the same answer always."""
        return _RECORDED


class RelationshipEcho(relationship_stubs.RelationshipServiceServicer):
    """Answers GetRelationship and GetBalance at once."""

    async def GetRelationship(  # noqa: N802  # Named by the proto.
        self,
        request: relationships.GetRelationshipRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> relationships.GetRelationshipResponse:
        """Return the same answer always."""
        return _RELATIONSHIP

    async def GetBalance(  # noqa: N802  # Named by the proto.
        self,
        request: relationships.GetBalanceRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> relationships.GetBalanceResponse:
        """Return the same answer always."""
        return _BALANCE


class ContactEcho(contact_stubs.ContactServiceServicer):
    """Answers SimulateDecision at once."""

    async def SimulateDecision(  # noqa: N802  # Named by the proto.
        self,
        request: contacts.SimulateDecisionRequest,  # noqa: ARG002
        context: Context,  # noqa: ARG002
    ) -> contacts.SimulateDecisionResponse:
        """Return the same answer always."""
        return _DECISION


class _Interactions:
    SERVICE = "rapport.interaction.v1.InteractionService"

    def mount(self, server: grpc.aio.Server, app: App) -> None:  # noqa: ARG002
        """Add the echo to a server."""
        echo = InteractionEcho()  # type: ignore[abstract]  # What it leaves out is answered UNIMPLEMENTED.
        interaction_stubs.add_InteractionServiceServicer_to_server(echo, server)


class _Relationships:
    SERVICE = "rapport.relationship.v1.RelationshipService"

    def mount(self, server: grpc.aio.Server, app: App) -> None:  # noqa: ARG002
        """Add the echo to a server."""
        echo = RelationshipEcho()  # type: ignore[abstract]  # As above.
        relationship_stubs.add_RelationshipServiceServicer_to_server(echo, server)


class _Contacts:
    SERVICE = "rapport.contact.v1.ContactService"

    def mount(self, server: grpc.aio.Server, app: App) -> None:  # noqa: ARG002
        """Add the echo to a server."""
        echo = ContactEcho()  # type: ignore[abstract]  # As above.
        contact_stubs.add_ContactServiceServicer_to_server(echo, server)


if __name__ == "__main__":
    main((_Interactions(), _Relationships(), _Contacts()), os.environ)
