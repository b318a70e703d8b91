"""Request ids that come out the same whenever the same line is imported: UUIDs of version 8 (RFC 9562).

    48 bits   of SHA-256 of the source's name: the ids of one source stand together in the store's index
    12 bits   which of the mapping's records it is, from 0
    36 bits   the line's number
    26 bits   more of the hash

In this order ids ascend within a record of a source, so that SQLite fills its index page by page; random ones cost a
third of its insert rate. Where cells are the key and not the line's number, all bits but the record's are of a hash.
"""

from __future__ import annotations

import hashlib
from typing import Final
from uuid import UUID

_TAG: Final = b"rapport.import.v1"
_MOST_RECORDS: Final = 1 << 12
_MOST_LINES: Final = 1 << 36


class ImportIds:
    """Request ids of one source."""

    def __init__(self, source: str) -> None:
        self._source = _digest(source)
        self._prefix = int.from_bytes(self._source[:6])
        self._rest = int.from_bytes(self._source[6:10]) >> 6

    def of_line(self, line: int, record: int) -> str:
        """Return the id of a record of a line, where the line's number is what makes it unique."""
        assert 0 <= record < _MOST_RECORDS
        assert 0 < line < _MOST_LINES
        return _layout(self._prefix, record, line << 26 | self._rest)

    def of_key(self, key: tuple[str, ...], record: int) -> str:
        """Return the id of a record of a line, where cells are what makes it unique."""
        assert 0 <= record < _MOST_RECORDS
        digest = _digest(*key, seed=self._source)
        low = int.from_bytes(digest[6:14]) & (1 << 62) - 1
        return _layout(int.from_bytes(digest[:6]), record, low)


def _layout(prefix: int, record: int, low: int) -> str:
    return str(UUID(int=prefix << 80 | 8 << 76 | record << 64 | 2 << 62 | low))


def _digest(*parts: str, seed: bytes = b"") -> bytes:
    """Return SHA-256 over parts with their lengths, so that no two lists of parts are the same bytes."""
    hashed = hashlib.sha256(_TAG + seed)
    for part in parts:
        encoded = part.encode()
        hashed.update(len(encoded).to_bytes(4) + encoded)
    return hashed.digest()
