"""Columns of a group as PostgreSQL arrays, in binary.

psycopg's own dumper of lists looks at every element several times; for a group of 500 events it cost more than the
insert. These three know their type. Format: https://www.postgresql.org/docs/current/protocol-overview.html (binary
values), `array_recv` in PostgreSQL's sources: dimensions, flags, element type, then per dimension its length and first
index, then each element as its length (-1: NULL) and its bytes.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any

from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

_INT8, _TEXT, _BYTEA = 20, 25, 17
_INT8_ARRAY, _TEXT_ARRAY, _BYTEA_ARRAY = 1016, 1009, 1001
_length = struct.Struct(">i").pack
_NULL = _length(-1)


class BigintArray(tuple[int, ...]):
    """Integers of 64 bits."""

    __slots__ = ()


class TextArray(tuple[str, ...]):
    """Texts, sent as UTF-8."""

    __slots__ = ()


class ByteaArray(tuple[bytes | None, ...]):
    """Byte strings, some of them possibly NULL."""

    __slots__ = ()


def register(connection: Connection[Any]) -> None:
    """Let `connection` send the three kinds of arrays."""
    for kind, dumper in ((BigintArray, _BigintArrayDumper), (TextArray, _TextArrayDumper), (ByteaArray, _ByteaDumper)):
        connection.adapters.register_dumper(kind, dumper)


class _BigintArrayDumper(Dumper):
    format = Format.BINARY
    oid = _INT8_ARRAY

    def dump(self, obj: BigintArray) -> bytes:
        elements = struct.pack(">" + "iq" * len(obj), *chain.from_iterable(zip(repeat(8), obj, strict=False)))
        return _header(_INT8, obj) + elements


class _TextArrayDumper(Dumper):
    format = Format.BINARY
    oid = _TEXT_ARRAY

    def dump(self, obj: TextArray) -> bytes:
        return _header(_TEXT, obj) + _join(text.encode() for text in obj)


class _ByteaDumper(Dumper):
    format = Format.BINARY
    oid = _BYTEA_ARRAY

    def dump(self, obj: ByteaArray) -> bytes:
        return _header(_BYTEA, obj) + _join(obj)


def _header(element_type: int, values: Sequence[object]) -> bytes:
    if not values:
        return struct.pack(">iii", 0, 0, element_type)
    has_null = None in values if element_type == _BYTEA else False
    return struct.pack(">iiiii", 1, has_null, element_type, len(values), 1)


def _join(values: Iterable[bytes | None]) -> bytes:
    parts: list[bytes] = []
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            parts.append(_length(len(value)))
            parts.append(value)
    return b"".join(parts)
