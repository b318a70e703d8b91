"""What customers tell, what is inferred of them and what was promised to them, through gRPC, on SQLite."""

from __future__ import annotations

import uuid

from ledger.domain.times import microseconds, timestamp
from rapport.customer.v1 import customer_service_pb2 as pb
from rapport.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from rapport.events.v1 import attribute_pb2, identity_pb2
from rapport.events.v1.consent_pb2 import LEGAL_BASIS_CONTRACT_PERFORMANCE
from rapport.events.v1.contact_policy_pb2 import AttributeCatalogue, AttributeDefinition
from rapport.events.v1.disclosure_pb2 import (
    PROVENANCE_DECLARED,
    PROVENANCE_INFERRED,
    PROVENANCE_OBSERVED,
)
from rapport.policy.v1.contact_policies_pb2 import PublishAttributeCatalogueRequest
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.type.v1.as_of_pb2 import AsOf
from tests.customer_calls import (
    DAY,
    KEY,
    MARCH,
    NOTIFY,
    disclose,
    infer,
    keep,
    make,
    new,
    server,
    slots,
    stub,
    talk,
    trigger,
    who,
)
from tests.refusals import metadata_of, reason_of, refusal
from tests.server import Serving

__all__ = ["server", "stub"]
"""Fixtures of all tests of the service; a test has them by their names."""


async def test_what_was_inferred_is_not_known_where_what_was_declared_is_asked(stub: CustomerServiceStub) -> None:
    await stub.InferAttribute(infer("within.a.month"))

    assert [(KEY, "DECLARED", "NOT_KNOWN", "")] == await slots(stub, keys=[KEY], provenances=[PROVENANCE_DECLARED])
    assert [(KEY, "INFERRED", "KNOWN", "within.a.month")] == await slots(stub)
    assert [] == await slots(stub, keys=["unheard.of"])
    assert [("unheard.of", "OBSERVED", "NOT_KNOWN", "")] == await slots(
        stub, keys=["unheard.of"], provenances=[PROVENANCE_OBSERVED]
    )


async def test_two_slots_that_disagree_are_both_shown_and_the_inventory_counts_keys(
    stub: CustomerServiceStub, server: Serving
) -> None:
    position = await talk(server)
    await stub.DiscloseAttribute(disclose("never", position))
    await stub.InferAttribute(infer("soon"))
    asked = attribute_pb2.AttributeRequested(key="age", purposes=["service.care"], reason="to.advise")
    await stub.RequestAttribute(pb.RequestAttributeRequest(**new(), asked=asked))

    answer = await stub.GetAttributes(pb.GetAttributesRequest(**who()))

    assert [(KEY, "DECLARED", "KNOWN", "never"), (KEY, "INFERRED", "KNOWN", "soon")] == (await slots(stub))[1:]
    assert ("age", "DECLARED", "NOT_KNOWN", "") == (await slots(stub))[0]
    assert [(PROVENANCE_DECLARED, 1), (PROVENANCE_INFERRED, 1)] == [
        (each.provenance, each.keys) for each in answer.inventory
    ]
    assert [(False, "not_known"), (True, ""), (False, "no_legal_basis")] == [
        (told.usable, told.reason) for told in answer.slots
    ]


async def test_a_withdrawn_slot_had_a_value(stub: CustomerServiceStub) -> None:
    first = await stub.InferAttribute(infer("soon"))
    emptied = attribute_pb2.AttributeWithdrawn(key=KEY, provenance=PROVENANCE_INFERRED)
    await stub.WithdrawAttribute(pb.WithdrawAttributeRequest(**new(), withdrawal=emptied))

    assert [(KEY, "INFERRED", "WITHDRAWN", "")] == await slots(stub)
    assert [(KEY, "INFERRED", "KNOWN", "soon")] == await slots(stub, as_of=AsOf(position=first.position))


async def test_what_a_customer_tells_was_told_in_an_interaction_of_theirs(
    stub: CustomerServiceStub, server: Serving
) -> None:
    position = await talk(server, "c-2")

    status = await refusal(stub.DiscloseAttribute(disclose(position=position)))

    assert ("INTERACTION_UNKNOWN", {"original_position": str(position)}) == (reason_of(status), metadata_of(status))


async def test_a_published_catalogue_is_kept_to_and_says_what_values_are_for(
    stub: CustomerServiceStub, server: Serving
) -> None:
    position = await talk(server)
    await stub.InferAttribute(infer("anything"))
    before = server.app.ledger.head.position
    plans = AttributeDefinition(key=KEY, codes=["soon", "never"], purposes=["service.care", "marketing"])
    await PolicyServiceStub(server.channel).PublishAttributeCatalogue(
        PublishAttributeCatalogueRequest(
            organization_id="acme", request_id=str(uuid.uuid4()), catalogue=AttributeCatalogue(attributes=[plans])
        )
    )

    other = disclose("soon", position, key="other")
    for call in (stub.InferAttribute(infer("anything")), stub.DiscloseAttribute(other)):
        assert "ATTRIBUTE_UNKNOWN" == reason_of(await refusal(call))
    await stub.DiscloseAttribute(disclose("soon", position, purposes=["marketing.direct", "analytics.usage"]))
    seen = attribute_pb2.AttributeObserved(key=KEY, code="never", legal_basis=LEGAL_BASIS_CONTRACT_PERFORMANCE)
    await stub.ObserveAttribute(pb.ObserveAttributeRequest(**new(), attribute=seen))

    answer = await stub.GetAttributes(pb.GetAttributesRequest(**who()))
    past = await stub.GetAttributes(pb.GetAttributesRequest(**who(), as_of=AsOf(position=before)))

    assert [
        (PROVENANCE_DECLARED, ["marketing.direct"], ""),
        (PROVENANCE_OBSERVED, ["marketing", "service.care"], ""),
        (PROVENANCE_INFERRED, ["marketing", "service.care"], "no_legal_basis"),
    ] == [(told.provenance, list(told.purposes), told.reason) for told in answer.slots]
    assert [[]] == [list(told.purposes) for told in past.slots]


async def test_a_promise_breaks_by_the_clock_of_the_view_without_an_event(
    stub: CustomerServiceStub, server: Serving
) -> None:
    await stub.MakePromise(make(at=MARCH - DAY, kind=NOTIFY, topic="chabon"))
    answer = await stub.TriggerPromise(trigger(at=MARCH))
    head = server.app.ledger.head.position
    due = MARCH + 7 * DAY

    async def seen(at: int) -> tuple[str, int, int, int | None]:
        asked = pb.GetPromisesRequest(**who(), as_of=AsOf(occur_time=timestamp(at)))
        told = await stub.GetPromises(asked)
        rate = told.kept_rate_ppm if told.HasField("kept_rate_ppm") else None
        return pb.PromiseState.Name(told.promises[0].state)[14:], told.kept_count, told.broken_count, rate

    assert due == microseconds(answer.due_time)
    assert ("OPEN", 0, 0, None) == await seen(MARCH - 1)
    assert ("TRIGGERED", 0, 0, None) == await seen(due - 1)
    assert ("BROKEN", 0, 1, 0) == await seen(due)
    assert head == server.app.ledger.head.position
    late = await stub.KeepPromise(keep(at=due))
    assert pb.PROMISE_STATE_KEPT_LATE == late.state
    assert ("KEPT_LATE", 0, 1, 0) == await seen(due)
    assert ("TRIGGERED", 0, 0, None) == await seen(due - 1)

    (told,) = (await stub.GetPromises(pb.GetPromisesRequest(**who()))).promises
    assert (MARCH - DAY, MARCH, due, due, late.position) == (
        *(microseconds(time) for time in (told.made_time, told.triggered_time, told.due_time, told.ended_time)),
        told.ended_position,
    )


async def test_refusals_about_promises_name_them(stub: CustomerServiceStub) -> None:
    await stub.MakePromise(make(at=MARCH))

    status = await refusal(stub.MakePromise(make()))
    assert ("PROMISE_ID_TAKEN", "p-1") == (reason_of(status), metadata_of(status)["promise_id"])
    status = await refusal(stub.TriggerPromise(trigger("p-2")))
    assert ("PROMISE_UNKNOWN", {"promise_id": "p-2"}) == (reason_of(status), metadata_of(status))
    status = await refusal(stub.KeepPromise(keep()))
    assert ("PROMISE_NOT_OPEN", "OPEN") == (reason_of(status), metadata_of(status)["state"])
    denied = identity_pb2.PromiseCancelled(
        promise_id="p-1", reason=identity_pb2.PROMISE_CANCEL_REASON_CONTACT_DENIED, decision_id=1
    )
    status = await refusal(stub.CancelPromise(pb.CancelPromiseRequest(**new(), cancellation=denied)))
    assert ("DECISION_UNKNOWN", {"decision_id": "1"}) == (reason_of(status), metadata_of(status))
