"""Canonical JSON: the examples of RFC 8785 that hold no numbers, and what is refused."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from ledger.domain.canonical_json import canonical


def test_members_stand_in_the_order_of_their_utf16_code_units() -> None:
    # RFC 8785 3.2.3: the emoji comes before U+FB33, because its first surrogate is smaller.
    members: dict[str, str] = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }

    found = json.loads(canonical(members), object_pairs_hook=list)

    assert ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"] == [name for name, _ in found]


def test_texts_are_escaped_as_little_as_can_be() -> None:
    # RFC 8785 3.2.2.2, with the text of its example; then every short escape, a long one, and what needs none.
    assert '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'.encode() == canonical('€$\u000f\nA\'B"\\\\"/')
    assert b'"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f"' == canonical("\b\f\n\r\t\x00\x1f\x7f")


def test_nothing_stands_between_members_and_items() -> None:
    assert b'{"a":[true,false,"",[],{}],"b":{"c":"d"}}' == canonical({"b": {"c": "d"}, "a": [True, False, "", [], {}]})


@pytest.mark.parametrize("value", [1, 1.5, None, b"bytes", {"a": 1}, [None]])
def test_what_has_no_form_here_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical(value)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        canonical("\ud800")


def test_any_value_reads_back_and_is_written_the_same_again() -> None:
    chosen = random.Random(8785)
    for _ in range(500):
        value = _any(chosen, 4)

        written = canonical(value)
        read = json.loads(written)

        assert value == read
        assert written == canonical(_shuffled(chosen, read))


def _any(chosen: random.Random, depth: int) -> Any:
    match chosen.randrange(4 if depth else 2):
        case 0:
            return _text(chosen)
        case 1:
            return chosen.random() < 0.5
        case 2:
            return [_any(chosen, depth - 1) for _ in range(chosen.randrange(4))]
        case _:
            return {_text(chosen): _any(chosen, depth - 1) for _ in range(chosen.randrange(4))}


def _text(chosen: random.Random) -> str:
    ranges = [(0, 0x20), (0x20, 0x80), (0x80, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)]
    return "".join(chr(chosen.randrange(*chosen.choice(ranges))) for _ in range(chosen.randrange(5)))


def _shuffled(chosen: random.Random, value: Any) -> Any:
    if isinstance(value, list):
        return [_shuffled(chosen, each) for each in value]
    if isinstance(value, dict):
        members = list(value.items())
        chosen.shuffle(members)
        return {name: _shuffled(chosen, each) for name, each in members}
    return value
