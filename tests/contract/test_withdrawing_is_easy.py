"""Withdrawing is as easy as giving (consent.md 4, rule 1; GDPR Article 7(3)): read off the descriptors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from buf.validate import validate_pb2
from rapport.consent.v1 import consent_acts_pb2, consent_service_pb2
from rapport.events.v1 import consent_pb2
from services.runtime.validation import check
from tests.messages import GOOD, is_asked_for

GIVE = consent_service_pb2.GiveConsentRequest.DESCRIPTOR
WITHDRAW = consent_service_pb2.WithdrawConsentRequest.DESCRIPTOR
OBJECT = consent_acts_pb2.RaiseObjectionRequest.DESCRIPTOR
PAYLOADS = {"consent", "withdrawal", "objection"}


def rules_of(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def needed(message: Descriptor, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the paths of the fields that a message cannot do without; what the act says goes by the name "act"."""
    for field in message.fields:
        if is_asked_for(rules_of(field)):
            here = (*path, "act" if field.name in PAYLOADS else field.name)
            yield ".".join(here)
            if field.message_type is not None and not field.is_repeated:
                yield from needed(field.message_type, here)


@pytest.mark.parametrize("request_type", [WITHDRAW, OBJECT], ids=lambda found: found.name)
def test_ending_needs_a_customer_and_a_request_id_and_giving_needs_more(request_type: Descriptor) -> None:
    giving, ending = set(needed(GIVE)), set(needed(request_type))

    assert {"organization_id", "customer_id", "request_id"} == ending
    assert ending < giving
    assert {"act", "act.purposes"} == giving - ending


def test_a_withdrawal_has_no_field_that_a_consent_has_not() -> None:
    fields = {field.name for field in consent_pb2.ConsentWithdrawn.DESCRIPTOR.fields}

    assert fields <= {field.name for field in consent_pb2.ConsentGiven.DESCRIPTOR.fields}
    assert len(WITHDRAW.fields) <= len(GIVE.fields)
    assert len(OBJECT.fields) <= len(GIVE.fields)


def test_a_withdrawal_is_bounded_in_size_and_by_nothing_else() -> None:
    for field in consent_pb2.ConsentWithdrawn.DESCRIPTOR.fields:
        rules = rules_of(field)
        said = {name.name for name, _ in rules.ListFields()}
        assert said <= {"repeated", "string"}, field.name
        assert {name.name for name, _ in rules.repeated.ListFields()} <= {"max_items"}, field.name
        assert {name.name for name, _ in rules.string.ListFields()} <= {"max_len"}, field.name


def test_the_least_that_can_be_sent_ends_everything() -> None:
    who: dict[str, Any] = {name: GOOD[name] for name in ("organization_id", "customer_id", "request_id")}

    check(consent_service_pb2.WithdrawConsentRequest(**who))
    check(consent_acts_pb2.RaiseObjectionRequest(**who))
