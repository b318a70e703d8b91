"""Entries and hashes against the worked examples of the specification, byte for byte."""

import pytest

from ledger.log.entries import (
    ENTRY_BYTES_MAX,
    EventTooLarge,
    check_entry_size,
    entry_bytes,
    entry_size,
    leaf_hash,
    node_hash,
)
from ledger.log.envelope import join_state
from ledger.log.sealing import Place, seal
from ledger.log.store import EventRow

NEW_YEAR_2026_US = 1_767_225_600_000_000
WITHDRAWN = bytes.fromhex("0a096d61726b6574696e67")

ENTRY_1 = bytes.fromhex(
    "00000010" + "726170706f72742e656e7472792e7631"  # lp("rapport.entry.v1")
    "0000000000000001"  # position
    "0006474846204000"  # record_time
    "00000008" + "61636d652f632d31"  # lp("acme/c-1")
    "0000000000000001"  # version
    "00000014" + "636f6e73656e742e77697468647261776e2e7631"  # lp("consent.withdrawn.v1")
    "00000010" + "000102030405060708090a0b0c0d0e0f"  # lp(salt)
    "00000000"  # metadata
    "0000000b" + "0a096d61726b6574696e67"  # event
    "00000000"  # sealed
)
LEAF_1 = "48c1aad945c770d7bbaf0f0a47e9a64032e11d02ae40bdc47db6792e16f535a9"
LEAF_2 = "8a5e46d151616d5d5e9b17c4df17395707e2a48698d30f8ee8259432797a2b3d"
ROOT_OF_BOTH = "9f042dca92a764f07b87325f55899aede55677f3f0c141d3fa5426308e5b9202"

# RFC 6962 roots of the first 0 to 8 of these leaves.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def example_entry_1() -> bytes:
    return entry_bytes(
        EventRow(
            position=1,
            stream_id="acme/c-1",
            version=1,
            topic="consent.withdrawn.v1",
            record_time=NEW_YEAR_2026_US,
            salt=bytes(range(0x10)),
            state=join_state(b"", WITHDRAWN),
        )
    )


def example_entry_2() -> bytes:
    place = Place("acme/c-1", 2, "consent.withdrawn.v1", b"", WITHDRAWN)
    randomness = bytes(range(0x20, 0x4C))  # The salt 20..3f, then the nonce 40..4b.
    sealed = seal(bytes(range(0x20)), "acme/c-1", place, bytes.fromhex("120568656c6c6f"), randomness)
    return entry_bytes(
        EventRow(
            position=2,
            stream_id="acme/c-1",
            version=2,
            topic="consent.withdrawn.v1",
            record_time=NEW_YEAR_2026_US + 1,
            salt=bytes(range(0x10, 0x20)),
            state=join_state(b"", WITHDRAWN, sealed),
        )
    )


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word; written for this test."""
    if not leaves:
        return bytes.fromhex(ROOTS[0])
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(root(leaves[:split]), root(leaves[split:]))


def test_entry_1_has_the_bytes_of_the_specification() -> None:
    assert 123 == len(ENTRY_1)
    assert ENTRY_1 == example_entry_1()


def test_leaf_1() -> None:
    assert LEAF_1 == leaf_hash(example_entry_1()).hex()


def test_leaf_2_with_a_sealed_part() -> None:
    assert LEAF_2 == leaf_hash(example_entry_2()).hex()


def test_the_root_of_both_is_the_one_in_the_signed_checkpoint() -> None:
    assert ROOT_OF_BOTH == root([example_entry_1(), example_entry_2()]).hex()


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_roots_of_rfc_6962(size: int) -> None:
    assert ROOTS[size] == root(LEAVES[:size]).hex()


def test_every_flipped_byte_of_an_entry_changes_the_leaf() -> None:
    leaves = {LEAF_2}
    for at in range(len(example_entry_2())):
        entry = bytearray(example_entry_2())
        entry[at] ^= 0x01
        leaves.add(leaf_hash(bytes(entry)).hex())

    assert len(example_entry_2()) + 1 == len(leaves)


@pytest.mark.parametrize("stream_id", ["acme/c-1", "acme/müller", "@ledger/@log"])
def test_the_size_is_known_before_the_entry_is(stream_id: str) -> None:
    state = join_state(b"metadata", b"event")
    entry = entry_bytes(EventRow(7, stream_id, 3, "a.b.v1", NEW_YEAR_2026_US, bytes(16), state))

    assert len(entry) == entry_size(stream_id, "a.b.v1", state)


def test_an_entry_of_65535_bytes_passes_and_one_more_does_not() -> None:
    room = ENTRY_BYTES_MAX - entry_size("acme/c-1", "a.b.v1", b"")

    check_entry_size("acme/c-1", "a.b.v1", bytes(room))
    with pytest.raises(EventTooLarge) as refusal:
        check_entry_size("acme/c-1", "a.b.v1", bytes(room + 1))

    assert ENTRY_BYTES_MAX + 1 == refusal.value.size_bytes
