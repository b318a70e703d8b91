"""View tokens: what they keep, that they stay the same bytes, and what is taken for damage."""

from __future__ import annotations

import pytest

from ledger.balance.view import BalanceView
from ledger.domain.errors import Rejected
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION
from services.relationship.view_tokens import Token, read, write

STREAM = "acme/anna"
WHOLE = Token(
    2**63,
    BalanceView(1_767_225_600_000_000, PARTY_ORGANIZATION, -5, 10**15, 3650),
    "standard",
    7,
    bytes(range(32)),
    bytes(range(32, 64)),
)
PLAIN = Token(5, BalanceView(0, PARTY_CUSTOMER), "", 0, b"\x01" * 32, b"\x02" * 32)


@pytest.mark.parametrize(
    "token",
    [
        WHOLE,
        PLAIN,
        PLAIN._replace(view=BalanceView(START_OF_TIME, PARTY_CUSTOMER, None, START_OF_TIME)),
        PLAIN._replace(view=BalanceView(END_OF_TIME - 1, PARTY_CUSTOMER, START_OF_TIME, None)),
        PLAIN._replace(policy_id="p" * 64, policy_version=2**31 - 1),
    ],
)
def test_a_token_keeps_its_view_and_the_digests(token: Token) -> None:
    assert token == read(STREAM, write(STREAM, token), "view.token")


def test_tokens_are_short_and_the_same_bytes_for_ever() -> None:
    assert (
        "0100010000000000000005000000000000000001000000"
        + "00" * 20
        + "01" * 32
        + "02" * 32
        + "00"
        + "e479c56c3c2f6e2f2545c3fbdece9dfa"
    ) == write(STREAM, PLAIN).hex()
    assert len(write("a" * 63 + "/" + "c" * 128, WHOLE._replace(policy_id="p" * 64))) <= 256


def test_every_damaged_byte_is_noticed() -> None:
    token = write(STREAM, WHOLE)

    for place in range(len(token)):
        for bit in (1, 128):
            broken = token[:place] + bytes([token[place] ^ bit]) + token[place + 1 :]
            with pytest.raises(Rejected) as refused:
                read(STREAM, broken, "a.token")
            assert reasons.ERROR_REASON_VIEW_TOKEN_INVALID == refused.value.reason
            assert ["a.token"] == [violation.field for violation in refused.value.violations]


@pytest.mark.parametrize("length", [0, 1, 16, 60, -1, -16, -17])
def test_a_part_of_a_token_is_none(length: int) -> None:
    with pytest.raises(Rejected):
        read(STREAM, write(STREAM, WHOLE)[:length], "view.token")


@pytest.mark.parametrize("other", ["acme/anne", "acme/anna2", "acm/eanna", "other/anna"])
def test_a_token_is_of_one_relationship(other: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(other, write(STREAM, WHOLE), "view.token")

    assert reasons.ERROR_REASON_VIEW_TOKEN_INVALID == refused.value.reason


def test_a_token_names_nobody() -> None:
    assert b"anna" not in write(STREAM, WHOLE)


@pytest.mark.parametrize("model_version", [0, 2, 65_535])
def test_a_token_of_other_arithmetic_is_refused_as_such(model_version: int) -> None:
    with pytest.raises(Rejected) as refused:
        read(STREAM, write(STREAM, WHOLE._replace(model_version=model_version)), "view.token")

    assert reasons.ERROR_REASON_VIEW_MODEL_UNSUPPORTED == refused.value.reason
    assert {"model_version": str(model_version)} == refused.value.metadata
