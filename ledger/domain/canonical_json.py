"""JSON in one form for one content, byte for byte: RFC 8785, as far as texts, truth values, objects and lists go.

Numbers are left out: their form is the part of that RFC that takes work, and what we write so has none (ADR 0022).
"""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "str | bool | Mapping[str, Json] | Sequence[Json]"
"""What can be written."""


def canonical(value: Json) -> bytes:
    """Return the canonical UTF-8 of a value: no spaces, members in the order of their names' UTF-16 code units.

    Raises:
        TypeError: it holds a number, null or something that is no JSON.
        UnicodeEncodeError: a text holds half of a surrogate pair, which is no Unicode.
    """
    return _written(value).encode()


def _written(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # Escapes what RFC 8785 3.2.2.2 escapes, and in its way.
    if isinstance(value, Mapping):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_written(name)}:{_written(each)}" for name, each in members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_written, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no canonical form here")
