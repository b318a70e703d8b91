"""Sealing: the worked example byte for byte, and everything that must not open."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.sealing import (
    SEAL_RANDOM_BYTES,
    MalformedSeal,
    Place,
    SealBroken,
    SealingError,
    WrongKey,
    commitment,
    event_key,
    key_id_of,
    open_sealed,
    open_with_event_key,
    seal,
)

DATA_KEY = bytes(range(0x20))
OTHER_KEY = bytes(range(0x01, 0x21))
RANDOMNESS = bytes(range(0x20, 0x4C))  # The salt 20..3f, then the nonce 40..4b.
PLACE = Place("acme/c-1", 2, "consent.withdrawn.v1", b"", bytes.fromhex("0a096d61726b6574696e67"))
PERSONAL = bytes.fromhex("120568656c6c6f")


def sealed_example() -> bytes:
    return seal(DATA_KEY, "acme/c-1", PLACE, PERSONAL, RANDOMNESS)


def test_event_key_commitment_and_ciphertext_of_the_specification() -> None:
    key = event_key(DATA_KEY, RANDOMNESS[:32])
    sealed = sealed_example()

    assert "d161158f894fe1efd19aed90aa67f9c32514dd6a20f1dc0ee87aadb0db9dc58f" == key.hex()
    assert "0711553b9dddb00d2402ebf81a7b402528bd3765378e8b5f7787bce60049e56e" == commitment(key).hex()
    assert "64cb0bf699055f02ef163444e1c08d40fd1e50709c90ab" == sealed[-23:].hex()
    assert 112 == len(sealed)


def test_the_layout_of_a_sealed_part() -> None:
    expected = b"\x01" + b"\x00\x00\x00\x08acme/c-1" + RANDOMNESS[:32]
    sealed = sealed_example()

    assert sealed.startswith(expected)
    assert sealed[45:77] == commitment(event_key(DATA_KEY, RANDOMNESS[:32]))
    assert sealed[77:89] == RANDOMNESS[32:]


def test_what_was_sealed_opens() -> None:
    assert PERSONAL == open_sealed(DATA_KEY, PLACE, sealed_example())


def test_it_opens_with_the_key_of_this_event_alone() -> None:
    key = event_key(DATA_KEY, RANDOMNESS[:32])

    assert PERSONAL == open_with_event_key(key, PLACE, sealed_example())
    with pytest.raises(WrongKey):
        open_with_event_key(DATA_KEY, PLACE, sealed_example())


def test_it_names_the_key_it_needs() -> None:
    assert "acme/c-1" == key_id_of(sealed_example())


def test_a_wrong_key_fails_on_the_commitment() -> None:
    with pytest.raises(WrongKey):
        open_sealed(OTHER_KEY, PLACE, sealed_example())


@pytest.mark.parametrize(
    "place",
    [
        PLACE._replace(stream_id="acme/c-2"),
        PLACE._replace(version=3),
        PLACE._replace(topic="consent.given.v1"),
        PLACE._replace(metadata=b"\x00"),
        PLACE._replace(event=PLACE.event[:-1]),
        # The same characters, parted elsewhere.
        PLACE._replace(stream_id="acme/c-1consent", topic=".withdrawn.v1"),
    ],
)
def test_it_opens_in_no_other_place(place: Place) -> None:
    with pytest.raises(SealBroken):
        open_sealed(DATA_KEY, place, sealed_example())


def test_swapped_sealed_parts_do_not_open() -> None:
    second = PLACE._replace(version=3)
    sealed = sealed_example()
    sealed_second = seal(DATA_KEY, "acme/c-1", second, PERSONAL, bytes(reversed(RANDOMNESS)))

    with pytest.raises(SealBroken):
        open_sealed(DATA_KEY, PLACE, sealed_second)
    with pytest.raises(SealBroken):
        open_sealed(DATA_KEY, second, sealed)


def test_a_key_id_that_was_exchanged_does_not_open() -> None:
    sealed = sealed_example().replace(b"acme/c-1", b"acme/c-2")

    with pytest.raises(SealBroken):
        open_sealed(DATA_KEY, PLACE, sealed)


@pytest.mark.parametrize("bit", range(8))
def test_every_flipped_bit_of_a_sealed_part_fails(bit: int) -> None:
    sealed = sealed_example()

    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1 << bit
        with pytest.raises(SealingError):
            open_sealed(DATA_KEY, PLACE, bytes(changed))


def test_every_flipped_byte_of_what_stands_beside_it_fails() -> None:
    place = PLACE._replace(metadata=b"\x0a\x02\x08\x01")
    sealed = seal(DATA_KEY, "acme/c-1", place, PERSONAL, RANDOMNESS)

    for metadata in each_byte_flipped(place.metadata):
        with pytest.raises(SealBroken):
            open_sealed(DATA_KEY, place._replace(metadata=metadata), sealed)
    for event in each_byte_flipped(place.event):
        with pytest.raises(SealBroken):
            open_sealed(DATA_KEY, place._replace(event=event), sealed)


def each_byte_flipped(content: bytes) -> Iterator[bytes]:
    for at in range(len(content)):
        yield content[:at] + bytes([content[at] ^ 0x01]) + content[at + 1 :]


def test_every_shortened_or_lengthened_part_is_refused() -> None:
    sealed = sealed_example()

    for size in range(len(sealed)):
        with pytest.raises(SealingError):
            open_sealed(DATA_KEY, PLACE, sealed[:size])
    with pytest.raises(SealBroken):
        open_sealed(DATA_KEY, PLACE, sealed + b"\x00")


def test_a_key_id_that_is_no_text_is_malformed() -> None:
    with pytest.raises(MalformedSeal):
        key_id_of(sealed_example().replace(b"acme/c-1", b"\xff" * 8))


@given(st.binary(min_size=1, max_size=200), st.binary(min_size=SEAL_RANDOM_BYTES, max_size=SEAL_RANDOM_BYTES))
def test_anything_sealed_opens_and_hides(personal: bytes, randomness: bytes) -> None:
    sealed = seal(DATA_KEY, "acme/c-1", PLACE, personal, randomness)

    assert personal == open_sealed(DATA_KEY, PLACE, sealed)
    assert len(personal) < 8 or personal not in sealed
