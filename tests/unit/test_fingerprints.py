"""Fingerprints: equal for the same request, different for any other, and silent about personal content."""

from hashlib import sha256
from hmac import digest as hmac_digest

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from ledger.log.envelope import lp
from ledger.log.fingerprints import fingerprint
from rapport.events.v1.interaction_pb2 import InteractionRecorded
from rapport.events.v1.metadata_pb2 import EventMetadata

METHOD = "/rapport.interaction.v1.InteractionService/RecordInteraction"
DATA_KEY = bytes(range(0x20))
OTHER_KEY = bytes(range(0x01, 0x21))


def content(request: Message) -> bytes:
    return lp(b"rapport.request.v1") + lp(METHOD.encode()) + lp(request.SerializeToString(deterministic=True))


def test_an_open_request_has_a_plain_digest() -> None:
    request = InteractionRecorded(campaign="spring")

    assert sha256(content(request)).digest() == fingerprint(METHOD, request)
    assert fingerprint(METHOD, request) == fingerprint(METHOD, request, [DATA_KEY])


def test_personal_content_puts_it_under_the_subjects_key() -> None:
    request = InteractionRecorded(campaign="spring", summary="Asked about the invoice.")
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"rapport.fingerprint.v1").derive(DATA_KEY)

    assert hmac_digest(key, content(request), "sha256") == fingerprint(METHOD, request, [DATA_KEY])
    assert fingerprint(METHOD, request, [OTHER_KEY]) != fingerprint(METHOD, request, [DATA_KEY])


def test_personal_content_of_several_subjects_needs_all_their_keys() -> None:
    request = InteractionRecorded(summary="Asked about the invoice.")
    of_both = fingerprint(METHOD, request, [DATA_KEY, OTHER_KEY])

    assert of_both == fingerprint(METHOD, request, [DATA_KEY, OTHER_KEY])
    assert of_both not in {fingerprint(METHOD, request, [DATA_KEY]), fingerprint(METHOD, request, [OTHER_KEY])}


def test_personal_content_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="data key"):
        fingerprint(METHOD, InteractionRecorded(summary="Asked about the invoice."))


def test_the_request_id_does_not_count_and_stays_in_the_request() -> None:
    first = EventMetadata(actor="shop", request_id=bytes(16))
    again = EventMetadata(actor="shop", request_id=bytes(range(16)))

    assert fingerprint(METHOD, first) == fingerprint(METHOD, again)
    assert bytes(16) == first.request_id


def test_another_content_or_method_is_another_request() -> None:
    request = InteractionRecorded(campaign="spring")
    others = {
        fingerprint(METHOD, InteractionRecorded(campaign="sprint")),
        fingerprint(METHOD, InteractionRecorded(programme="spring")),
        fingerprint(METHOD + "s", request),
        fingerprint(METHOD, InteractionRecorded()),
    }

    assert 4 == len(others)
    assert fingerprint(METHOD, request) not in others


def test_the_order_in_which_a_map_was_filled_does_not_count() -> None:
    names = [f"key-{number}" for number in range(50)]
    forwards, backwards = Struct(), Struct()
    for name in names:
        forwards[name] = name
    for name in reversed(names):
        backwards[name] = name

    assert fingerprint(METHOD, forwards) == fingerprint(METHOD, backwards)
