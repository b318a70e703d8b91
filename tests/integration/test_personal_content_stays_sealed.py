"""No personal value reaches a log line, an error text, a metric, or the open part of a stored event (I29).

A random marker is planted in every personal field of every writing rpc, once in a request that is fine and once in one
that is refused for that very field; then it is looked for wherever it must not be.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message
from prometheus_client import generate_latest

from ledger.log.envelope import split_state
from rapport.annotations.v1.data_class_pb2 import DATA_CLASS_PERSONAL, data_class
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as consents
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.customer.v1 import customer_service_pb2 as customers
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from rapport.events.v1 import attribute_pb2, consent_pb2, identity_pb2, interaction_pb2
from rapport.events.v1.disclosure_pb2 import PROVENANCE_IMPORTED
from rapport.interaction.v1 import interaction_service_pb2 as interactions
from rapport.interaction.v1.interaction_service_pb2_grpc import InteractionServiceStub
from tests.good_requests import RELATIONSHIP_ACTS
from tests.refusals import status_of
from tests.server import Serving, serving

CALL = interaction_pb2.InteractionRecorded(
    kind=interaction_pb2.INTERACTION_KIND_CALL, direction=interaction_pb2.DIRECTION_INBOUND
)

TOKEN = "a-token-of-32-characters-at-least"


def is_personal(field: Any) -> bool:
    return bool(field.GetOptions().Extensions[data_class] == DATA_CLASS_PERSONAL)


def plant(message: Message, marker: str, within: tuple[str, ...] = ()) -> Iterator[str]:
    """Set every personal field of a message and of the messages it may hold; yield their names."""
    for field in message.DESCRIPTOR.fields:
        nested = field.message_type
        if is_personal(field) and nested is None:
            setattr(message, field.name, marker.encode() if field.type == field.TYPE_BYTES else marker)
            yield field.full_name
        elif nested is not None and nested.full_name.startswith("rapport.") and nested.full_name not in within:
            held = getattr(message, field.name)
            if field.is_repeated and not is_personal(field):
                items = list(held)
            else:
                items = [held.add()] if field.is_repeated else [held]
            for item in items:
                probe = type(item)()
                if found := list(plant(probe, marker, (*within, nested.full_name))):
                    yield from found
                    item.MergeFrom(probe)


class Begun(NamedTuple):
    """Positions of what requests refer to."""

    interaction: int
    objection: int


def ids() -> dict[str, Any]:
    return {"organization_id": "acme", "customer_id": "c-1", "request_id": str(uuid.uuid4())}


async def begin(server: Serving) -> Begun:
    """Record what later requests are about: an interaction, a consent to be confirmed, an objection."""
    call = interactions.RecordInteractionRequest(**ids(), interaction=CALL)
    interaction = await InteractionServiceStub(server.channel).RecordInteraction(call)
    stub = ConsentServiceStub(server.channel)
    unconfirmed = consent_pb2.ConsentGiven(
        purposes=["club"], confirmation_required=True, confirmation_sha256=hashlib.sha256(TOKEN.encode()).digest()
    )
    await stub.GiveConsent(consents.GiveConsentRequest(**ids(), consent=unconfirmed))
    objection = await stub.RaiseObjection(acts.RaiseObjectionRequest(**ids()))
    return Begun(interaction.position, objection.position)


def requests(begun: Begun) -> list[tuple[str, Any]]:
    """Return one request for every unary rpc that writes personal content of one customer."""
    original = begun.interaction
    replacement = interaction_pb2.InteractionCorrected(original_position=original, replacement=CALL)
    given = consent_pb2.ConsentGiven(purposes=["newsletter"])
    scope = consent_pb2.ConsentScope(purposes=["other"])
    lift = consent_pb2.ObjectionLifted(raised_position=begun.objection, reason="asked")
    told = attribute_pb2.AttributeDisclosed(
        key="age", indicated_by=consent_pb2.INDICATED_BY_SUBJECT, interaction_position=original
    )
    concluded = attribute_pb2.AttributeInferred(key="age", rule="guess")
    obtained = attribute_pb2.AttributeObtained(key="age", provenance=PROVENANCE_IMPORTED, source="old.system")
    contact_point = identity_pb2.IdentifierVerified(contact_point_id="cp-1", kind="email")
    promise = identity_pb2.PromiseMade(promise_id="p-1", kind=identity_pb2.PROMISE_KIND_OTHER)
    return [
        ("RecordInteraction", interactions.RecordInteractionRequest(**ids(), interaction=CALL)),
        ("CorrectInteraction", interactions.CorrectInteractionRequest(**ids(), correction=replacement)),
        ("ConfirmConsent", acts.ConfirmConsentRequest(**ids(), confirmation_token=TOKEN)),
        ("LiftObjection", acts.LiftObjectionRequest(**ids(), lift=lift)),
        ("GiveConsent", consents.GiveConsentRequest(**ids(), consent=given)),
        ("RenewConsent", acts.RenewConsentRequest(**ids(), renewal=consent_pb2.ConsentRenewed(consent=given))),
        ("RefuseConsent", consents.RefuseConsentRequest(**ids(), refusal=consent_pb2.ConsentRefused())),
        ("WithdrawConsent", consents.WithdrawConsentRequest(**ids(), withdrawal=consent_pb2.ConsentWithdrawn())),
        (
            "RevokeConsent",
            consents.RevokeConsentRequest(
                **ids(), revocation=consent_pb2.ConsentRevoked(scope=scope, reason="controller.ends")
            ),
        ),
        (
            "InvalidateConsent",
            consents.InvalidateConsentRequest(
                **ids(), invalidation=consent_pb2.ConsentInvalidated(scope=scope, reason="not.informed")
            ),
        ),
        ("RaiseObjection", acts.RaiseObjectionRequest(**ids())),
        ("RecordInboundText", consents.RecordInboundTextRequest(**ids(), channel=interaction_pb2.CHANNEL_SMS)),
        ("VerifyIdentifier", customers.VerifyIdentifierRequest(**ids(), identifier=contact_point)),
        ("DiscloseAttribute", customers.DiscloseAttributeRequest(**ids(), attribute=told)),
        (
            "ObserveAttribute",
            customers.ObserveAttributeRequest(**ids(), attribute=attribute_pb2.AttributeObserved(key="age")),
        ),
        ("InferAttribute", customers.InferAttributeRequest(**ids(), attribute=concluded)),
        ("ObtainAttribute", customers.ObtainAttributeRequest(**ids(), attribute=obtained)),
        ("MakePromise", customers.MakePromiseRequest(**ids(), promise=promise)),
        *((name, make()) for name, make in RELATIONSHIP_ACTS.items() if list(plant(make(), "marker"))),
        # Last: what is retracted is nothing that others may refer to.
        (
            "RetractInteraction",
            interactions.RetractInteractionRequest(
                **ids(), retraction=interaction_pb2.InteractionRetracted(original_position=original)
            ),
        ),
    ]


async def outcome(server: Serving, name: str, request: Any) -> str:
    """Send a request; return everything that came back, as text."""
    kinds = (InteractionServiceStub, ConsentServiceStub, CustomerServiceStub)
    stubs: list[Any] = [kind(server.channel) for kind in kinds]
    (call,) = [getattr(stub, name) for stub in stubs if hasattr(stub, name)]
    try:
        return f"OK {await call(request)}"
    except grpc.aio.AioRpcError as error:
        return f"{error.code()} {error.details()} {status_of(error)} {error.trailing_metadata()}"


def open_parts(server: Serving) -> str:
    """Return what is stored in the open, of every event."""
    rows = server.app.ledger.store.read_log(0, 10_000)
    return " ".join(repr((row.stream_id, *split_state(row.state)[:2])) for row in rows)


@pytest.mark.parametrize("environment", ["development", "production"])
async def test_what_is_personal_shows_nowhere_but_in_its_seal(tmp_path: Path, seed: int, environment: str) -> None:
    chance = random.Random(seed)
    async with serving(tmp_path):
        pass  # Makes the KEK that production asks for.
    fields: set[str] = set()
    leaks: list[str] = []
    async with serving(tmp_path, environment=environment, kek_file=tmp_path / "kek") as server:
        begun = await begin(server)
        for refused in (False, True):
            for name, request in requests(begun):
                marker = f"m{chance.randrange(2**64):016x}"
                # Beyond every bound, so that the field itself is at fault.
                fields.update(plant(request, marker * 2_000 if refused else marker))
                told = await outcome(server, name, request)
                assert told.startswith("OK") != refused, (name, told[:500])
                shown = {
                    "answer": told,
                    "log": server.logged(),
                    "metrics": generate_latest(server.app.metrics.registry).decode(),
                    "store": open_parts(server),
                }
                leaks += [f"{name}: {place}" for place, text in shown.items() if marker in text]

    told_once = {"invariant": "I29", "N": len(fields), "violations": len(leaks), "seed": seed}
    sys.stdout.write(json.dumps(told_once) + "\n")
    assert [] == leaks
    assert len(fields) >= 31, fields


def test_no_rpc_that_writes_personal_content_is_left_out() -> None:
    named = {name for name, _ in requests(Begun(1, 2))}
    probes = {
        rpc.name
        for service in ("interaction.v1.InteractionService", "consent.v1.ConsentService", "customer.v1.CustomerService")
        for rpc in descriptor_pool.Default().FindServiceByName(f"rapport.{service}").methods
        if list(plant(message_factory.GetMessageClass(rpc.input_type)(), "marker"))
    }

    assert {"VerifyReceipt"} == probes - named  # A receipt is only looked at; lists of items take the same steps.


async def test_the_search_would_find_what_is_stored_in_the_open(tmp_path: Path, seed: int) -> None:
    """The control: the same marker in a field of class ID is found in the log and in the store."""
    marker = f"m{seed:016x}"
    async with serving(tmp_path) as server:
        request = interactions.RecordInteractionRequest(**ids(), interaction=CALL)
        request.customer_id = marker
        await outcome(server, "RecordInteraction", request)

        assert marker in server.logged()
        assert marker in open_parts(server)
