"""What the tests of acts of consent through gRPC send of one customer, and how they ask what then holds."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.domain.times import MICROSECONDS, timestamp
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.consent.v1.consent_cell_pb2 import ConsentCell
from rapport.consent.v1.consent_service_pb2_grpc import ConsentServiceStub
from rapport.events.v1 import consent_pb2 as ev
from rapport.events.v1 import contact_policy_pb2 as policies
from rapport.events.v1 import interaction_pb2 as talk
from rapport.events.v1.attribute_pb2 import DisclosureRecorded
from rapport.policy.v1 import contact_policies_pb2
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from tests.server import Serving, serving

DAY = 86_400 * MICROSECONDS
MARCH = 1_772_366_400_000_000
"""2026-03-01T12:00:00Z, a Sunday."""
SHA = hashlib.sha256(b"letmein").digest()
EMAIL, SMS = talk.CHANNEL_EMAIL, talk.CHANNEL_SMS


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
def stub(server: Serving) -> ConsentServiceStub:
    return ConsentServiceStub(server.channel)


def ids(customer_id: str = "c-1") -> dict[str, Any]:
    return {"organization_id": "acme", "customer_id": customer_id, "request_id": str(uuid.uuid4())}


def when(at: int | None) -> Timestamp | None:
    return None if at is None else timestamp(at)


def asking(name: str, message: Message, at: int | None = None, **more: Any) -> Any:
    """Return the request of an rpc that records one event, given in its only field of that type."""
    request_class = getattr(acts, f"{name}Request", None) or getattr(pb, f"{name}Request")
    (field,) = [
        field.name
        for field in request_class.DESCRIPTOR.fields
        if field.message_type and field.message_type.full_name == message.DESCRIPTOR.full_name
    ]
    return request_class(**ids(), occur_time=when(at), **{field: message}, **more)


async def call(stub: ConsentServiceStub, name: str, message: Message, at: int | None = None, **more: Any) -> Any:
    return await getattr(stub, name)(asking(name, message, at, **more))


async def give(stub: ConsentServiceStub, *purposes: str, at: int | None = None, **more: Any) -> pb.GiveConsentResponse:
    return await call(stub, "GiveConsent", ev.ConsentGiven(purposes=purposes, **more), at)  # type: ignore[no-any-return]


async def told(stub: ConsentServiceStub, *cells: ConsentCell, **asked: Any) -> list[str]:
    request = pb.GetConsentsRequest(organization_id="acme", customer_id="c-1", cells=cells, **asked)
    answer = await stub.GetConsents(request)
    return [ev.ConsentStatus.Name(each.status).removeprefix("CONSENT_STATUS_") for each in answer.consents]


async def history(stub: ConsentServiceStub, **asked: Any) -> list[acts.ConsentHistoryEntry]:
    answer = await stub.GetConsentHistory(
        acts.GetConsentHistoryRequest(organization_id="acme", customer_id="c-1", **asked)
    )
    return list(answer.entries)


async def publish(server: Serving, **policy: Any) -> None:
    request = contact_policies_pb2.PublishContactPolicyRequest(
        organization_id="acme", request_id=str(uuid.uuid4()), policy=policies.ContactPolicy(**policy)
    )
    await PolicyServiceStub(server.channel).PublishContactPolicy(request)


def scope(*purposes: str, **more: Any) -> ev.ConsentScope:
    return ev.ConsentScope(purposes=purposes, **more)


def files_below(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())


NOTICE = ev.NoticeReference(notice_id="privacy", version="2", sha256=SHA, language="de", purposes=["marketing.direct"])

GOOD: dict[str, Any] = {
    "ServeNotice": ev.NoticeServed(notice=NOTICE, channel=EMAIL),
    "RequestConsent": ev.ConsentRequested(scope=scope("marketing")),
    "DeferConsent": ev.ConsentDeferred(scope=scope("marketing")),
    "RenewConsent": ev.ConsentRenewed(consent=ev.ConsentGiven(purposes=["marketing"])),
    "RevokeConsent": ev.ConsentRevoked(scope=scope("marketing")),
    "InvalidateConsent": ev.ConsentInvalidated(scope=scope("marketing")),
    "RaiseObjection": ev.ObjectionRaised(scope=scope("marketing")),
    "AppointGuardian": ev.GuardianAppointed(guardian_id="g-1", verification_method="form"),
    "RevokeRecipient": ev.RecipientGrantRevoked(recipient="partner"),
    "RecordDisclosure": DisclosureRecorded(recipient="partner", purposes=["marketing"], fields=["contact"]),
}


LATER = timestamp(4_000_000_000 * MICROSECONDS)
