"""Random messages of any type: mostly plausible, sometimes wrong in every way that a field can be."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from buf.validate import validate_pb2

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
GOOD = {
    "organization_id": "acme",
    "customer_id": "c-1",
    "request_id": ID,
    "asset": "EUR/2",
    "exchange_id": "x-1",
    "unit_of_account": "EUR",
    "group": "MONEY",
    "policy_id": "acme",
    "rule_id": "acme",
    "source": "acme",
    "jurisdiction": "IE",
    "default_jurisdiction": "IE",
    "jurisdictions": "IE",
    "country": "IE",
    "date": "2026-01-01",
    "checked_on": "2026-01-01",
    "rapport.events.v1.AttributeDefinition.group": "acme",
}
TEXTS = [
    "",
    "a",
    "acme",
    "acme\n",
    "\n",
    "A",
    "EUR/2",
    "a b",
    "é",
    "a" * 64,
    "a" * 65,
    "x" * 129,
    "x" * 5000,
    ID,
    "US-CA",
]
NUMBERS = [0, 1, 2, 999_999, 1_000_000, 1_000_001, 10**15, 10**15 + 1, 2**31 - 1]
TIMES = [(0, 0), (1, 1_000), (1, 1), (-1, 0), (1, -1_000), (1, 10**9), (253_402_300_800, 0), (-62_135_596_801, 0)]


def a_scalar(field: FieldDescriptor, chance: random.Random) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return chance.choice([b"", b"x", b"x" * 16, b"x" * 32])
        case FieldDescriptor.CPPTYPE_STRING:
            good = GOOD.get(field.full_name) or GOOD.get(field.name, "acme")
            return good if chance.random() < 0.95 else chance.choice(TEXTS)
        case FieldDescriptor.CPPTYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return chance.choice(_numbers(field))
        case FieldDescriptor.CPPTYPE_INT32 | FieldDescriptor.CPPTYPE_UINT32:
            return chance.choice(NUMBERS[:6])
        case _:
            return chance.choice(NUMBERS)


@cache
def _numbers(field: FieldDescriptor) -> list[int]:
    assert field.enum_type is not None
    return [1, 1, 1, *list(field.enum_type.values_by_number)[:4], 99]


def is_asked_for(rules: validate_pb2.FieldRules) -> bool:
    """Whether a message without this field is refused."""
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        return False
    text, least = (
        rules.string.min_len or rules.string.pattern or rules.string.uuid,
        rules.uint32.gte or rules.uint64.gte,
    )
    return bool(rules.required or rules.enum.not_in or rules.repeated.min_items or text or least)


@cache
def _is_likely(field: FieldDescriptor) -> bool:
    return field.name in GOOD or is_asked_for(field.GetOptions().Extensions[validate_pb2.field])


def fill(message: Any, chance: random.Random, depth: int = 0) -> None:
    """Set some fields of a message, mostly to something plausible."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() > (0.97 if _is_likely(field) else 0.3 / (1 + depth)):
            continue
        value = getattr(message, field.name)
        if field.message_type is None:
            if field.is_repeated:
                value.extend(a_scalar(field, chance) for _ in range(chance.choice([1, 1, 2, 33, 65])))
            else:
                setattr(message, field.name, a_scalar(field, chance))
            continue
        for item in [value.add() for _ in range(chance.choice([1, 2]))] if field.is_repeated else [value]:
            if not field.is_repeated:
                item.SetInParent()
            if field.message_type.full_name == "google.protobuf.Timestamp":
                item.seconds, item.nanos = TIMES[0] if chance.random() < 0.8 else chance.choice(TIMES)
            elif depth < 5:
                fill(item, chance, depth + 1)
    for oneof in message.DESCRIPTOR.oneofs:
        required = oneof.GetOptions().Extensions[validate_pb2.oneof].required
        if required and message.WhichOneof(oneof.name) is None and chance.random() < 0.97:
            field = chance.choice(oneof.fields)
            if field.message_type is None:
                setattr(message, field.name, a_scalar(field, chance))
            else:
                nested = getattr(message, field.name)
                nested.SetInParent()
                fill(nested, chance, depth + 1)
