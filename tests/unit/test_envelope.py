"""The state of an event: three strings, back as they were, and nothing else accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.log.envelope import MalformedState, State, join_state, lp, split_state


def test_the_layout_is_three_lengths_and_three_strings() -> None:
    assert bytes.fromhex("00000002 6d6d 00000001 65 00000000".replace(" ", "")) == join_state(b"mm", b"e")


def test_lp_of_nothing_is_its_length() -> None:
    assert b"\x00\x00\x00\x00" == lp(b"")


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
def test_what_was_joined_splits_into_the_same(metadata: bytes, event: bytes, sealed: bytes) -> None:
    state = join_state(metadata, event, sealed)

    assert lp(metadata) + lp(event) + lp(sealed) == state
    assert State(metadata, event, sealed) == split_state(state)


def test_every_shortened_state_is_refused() -> None:
    state = join_state(b"metadata", b"event", b"sealed")

    for size in range(len(state)):
        with pytest.raises(MalformedState):
            split_state(state[:size])


def test_bytes_left_over_are_refused() -> None:
    with pytest.raises(MalformedState):
        split_state(join_state(b"metadata", b"event") + b"\x00")


@pytest.mark.parametrize("at", [0, 12, 21])
def test_a_length_beyond_the_end_is_refused(at: int) -> None:
    state = bytearray(join_state(b"metadata", b"event", b"sealed"))
    state[at] = 0xFF

    with pytest.raises(MalformedState):
        split_state(bytes(state))


@given(st.binary(max_size=64))
def test_any_bytes_are_split_exactly_or_refused(anything: bytes) -> None:
    try:
        parts = split_state(anything)
    except MalformedState:
        return
    assert anything == join_state(*parts)
