"""The key store: one data key per relationship, so that forgetting the key forgets the person.

The personal fields of a stream are sealed under its data key (`sealing.py`), whose id is that of the stream. Keys live
in a database of their own, never in that of the events, its log files or its backups, each wrapped under a KEK
(`keks.py`).

What the store promises:

* A key is durable before anybody gets to use it, and is made once: of concurrent creations one wins, for all.
* A destroyed key leaves a tombstone, also where there was no key. None is made under that id again (I27).
* A process holds an unwrapped key for at most `key_lease_s`, then it asks again. So that long after a key was destroyed
  nobody can use it any more, wherever it was held.
"""

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from hmac import digest as hmac_digest
from threading import Lock
from typing import Final, NamedTuple, Protocol

from ledger.domain.errors import LedgerError, StoreRefused
from ledger.log.keks import WRAP_NONCE_BYTES, CannotUnwrap, Keks
from ledger.log.sealing import DATA_KEY_BYTES
from rapport.errors.v1 import error_reason_pb2 as reasons

KEY_LEASE_S: Final = 5.0
"""Seconds that a process may hold an unwrapped key."""

LEASES_MAX: Final = 100_000
"""Keys held at once; beyond it the oldest is dropped, and asked for again when it is needed."""

_NEW_KEY_RANDOM_BYTES = DATA_KEY_BYTES + WRAP_NONCE_BYTES


class KeyUnavailable(LedgerError):
    """There is no key to use under this id."""

    reason = reasons.ERROR_REASON_STORE_UNAVAILABLE

    def __init__(self, key_id: str, reason: str) -> None:
        super().__init__(f"{key_id}: {reason}")
        self.key_id = key_id

    @property
    def metadata(self) -> dict[str, str]:
        """Both sides of the relationship, as the id of its stream names them."""
        organization_id, _, customer_id = self.key_id.partition("/")
        return {"organization_id": organization_id, "customer_id": customer_id}


class KeyDestroyed(KeyUnavailable):
    """The key was destroyed: the personal content of its subject is erased, and none can be added."""

    reason = reasons.ERROR_REASON_SUBJECT_ERASED


class KeyMissing(KeyUnavailable):
    """No key was ever made under this id."""


class KeyUnreadable(KeyUnavailable):
    """The key is there and does not unwrap: the KEK is missing, or the row is damaged. An alarm, not an erasure."""


class KeyStoreMismatch(StoreRefused):
    """The key store belongs to another log: one of the two databases was exchanged, or restored from elsewhere."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"the key store belongs to log {found}, and must belong to log {expected}")


class Keys(NamedTuple):
    """What was found under a set of key ids. An id in none of the three has no key yet."""

    present: Mapping[str, bytes]
    """Data keys of 32 bytes. Not to be kept: ask the store again instead."""
    destroyed: frozenset[str] = frozenset()
    unreadable: frozenset[str] = frozenset()

    def require(self, key_id: str) -> bytes:
        """Return the data key under one id.

        Raises:
            KeyDestroyed, KeyUnreadable, KeyMissing: there is none to use.
        """
        if (data_key := self.present.get(key_id)) is not None:
            return data_key
        if key_id in self.destroyed:
            raise KeyDestroyed(key_id, "its key was destroyed")
        if key_id in self.unreadable:
            raise KeyUnreadable(key_id, "its key does not unwrap")
        raise KeyMissing(key_id, "it has no key")


class KeyRow(NamedTuple):
    """A key as it is stored."""

    key_id: str
    kek_id: str
    wrapped: bytes
    """The wrapped key (`keks.py`); only zero bytes, as many, once it was destroyed."""

    @property
    def destroyed(self) -> bool:
        """Whether this is a tombstone."""
        return self.wrapped.startswith(b"\x00")


class KeyTable(Protocol):
    """A database of wrapped keys, bound to one log. Every method may be called from any thread.

    Every method raises `StoreFailed` where the database does not answer, and `StoreClosed` once it is closed, by its
    owner or by itself after an error of the disk.
    """

    def find(self, key_ids: Sequence[str]) -> dict[str, KeyRow]:
        """Return the rows that exist under these ids, tombstones too, in one query."""
        ...

    def create(self, rows: Sequence[KeyRow]) -> dict[str, KeyRow]:
        """Store those rows whose id is new, in one transaction; return the row in force under every id given.

        Durable on return. Where somebody else was first, theirs is in force, be it a key or a tombstone. After an
        error some or all rows may be stored; calling again is safe.
        """
        ...

    def destroy(self, key_ids: Sequence[str], destroyed_time: int) -> None:
        """Overwrite the keys under these ids and leave tombstones, in one transaction; durable on return.

        Ids without a key get a tombstone too. A tombstone that is already there keeps its time. `destroyed_time`: in
        microseconds since the epoch. After an error, call again.
        """
        ...

    def close(self) -> None:
        """Let go of the database. Calling it twice is the same as calling it once."""
        ...

    def description(self) -> dict[str, str]:
        """Return engine, version and the settings that durability and erasure rest on, for health."""
        ...


class KeyStore:
    """Data keys by id: found or made in batches, unwrapped, and leased. Every method may be called from any thread."""

    def __init__(
        self,
        table: KeyTable,
        keks: Keks,
        *,
        key_lease_s: float = KEY_LEASE_S,
        leases_max: int = LEASES_MAX,
        monotonic: Callable[[], float] = time.monotonic,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._table = table
        self._keks = keks
        self._key_lease_s = key_lease_s
        self._leases_max = leases_max
        self._monotonic = monotonic
        self._random_bytes = random_bytes
        self._lock = Lock()
        # In order of their end, since all leases are equally long.
        self._leases: dict[str, _Lease] = {}

    def find(self, key_ids: Collection[str]) -> Keys:
        """Return what exists under these ids; at most one query, none for keys on lease.

        Raises:
            StoreFailed, StoreClosed: as `KeyTable` says.
        """
        # The lease runs from before the question: a key that is destroyed while the answer travels is not held longer.
        asked = self._monotonic()
        leased = self._leased(key_ids, asked)
        unknown = [key_id for key_id in key_ids if key_id not in leased]
        return self._keys(leased, self._table.find(unknown), asked) if unknown else Keys(leased)

    def ensure(self, key_ids: Collection[str]) -> Keys:
        """Return what `find` returns, after making a key under each id that had none.

        One transaction for all. A key that is returned is durable. Whether this call made it cannot be seen, and does
        not matter: the stream says whether `privacy.key_created.v1` is still to be recorded.

        Raises:
            StoreFailed, StoreClosed: as `KeyTable` says. Keys may have been made; calling again finds them.
        """
        keys = self.find(key_ids)
        missing = [key_id for key_id in dict.fromkeys(key_ids) if not _known(keys, key_id)]
        if not missing:
            return keys
        asked = self._monotonic()
        rows = self._table.create(self._new_rows(missing))
        made = self._keys({}, rows, asked)
        return Keys(
            {**keys.present, **made.present}, keys.destroyed | made.destroyed, keys.unreadable | made.unreadable
        )

    def destroy(self, key_ids: Collection[str], destroyed_time: int) -> None:
        """Destroy the keys under these ids for ever; ids without a key get a tombstone.

        Other processes, and calls of this one that are under way, may use a key for another `key_lease_s`.
        `destroyed_time`: in microseconds since the epoch. May be repeated.

        Raises:
            StoreFailed, StoreClosed: as `KeyTable` says. Nothing is certain then; call again.
        """
        self._table.destroy(list(dict.fromkeys(key_ids)), destroyed_time)
        with self._lock:
            for key_id in key_ids:
                self._leases.pop(key_id, None)

    def drop_expired(self) -> None:
        """Forget the keys whose lease has ended.

        Every other method does so too; a process that may be idle calls this once in a while, so that a key does not
        outlive its lease in memory. It is never used after its lease in any case.
        """
        with self._lock:
            self._drop_expired(self._monotonic())

    def close(self) -> None:
        """Forget all keys and close the database."""
        with self._lock:
            self._leases.clear()
        self._table.close()

    def description(self) -> dict[str, str]:
        """Return what the table says of itself, and the KEK in use, for health."""
        return {**self._table.description(), "kek_id": self._keks.current_id}

    def _leased(self, key_ids: Collection[str], now: float) -> dict[str, bytes]:
        with self._lock:
            self._drop_expired(now)
            return {key_id: lease.data_key for key_id in key_ids if (lease := self._leases.get(key_id)) is not None}

    def _drop_expired(self, now: float) -> None:
        expired = []
        for key_id, lease in self._leases.items():
            if lease.until > now:
                break
            expired.append(key_id)
        for key_id in expired:
            del self._leases[key_id]

    def _keys(self, leased: dict[str, bytes], rows: Mapping[str, KeyRow], asked: float) -> Keys:
        present: dict[str, bytes] = {}
        destroyed: set[str] = set()
        unreadable: set[str] = set()
        for key_id, row in rows.items():
            if row.destroyed:
                destroyed.add(key_id)
                continue
            try:
                present[key_id] = self._keks.unwrap(key_id, row.kek_id, row.wrapped)
            except CannotUnwrap:
                # Of this key alone: one damaged row must not stop everybody else in the batch.
                unreadable.add(key_id)
        self._lease(present, asked + self._key_lease_s)
        return Keys({**leased, **present}, frozenset(destroyed), frozenset(unreadable))

    def _lease(self, data_keys: Mapping[str, bytes], until: float) -> None:
        with self._lock:
            for key_id, data_key in data_keys.items():
                self._leases.pop(key_id, None)  # So that it goes to the end.
                self._leases[key_id] = _Lease(data_key, until)
            while len(self._leases) > self._leases_max:
                del self._leases[next(iter(self._leases))]

    def _new_rows(self, key_ids: Sequence[str]) -> list[KeyRow]:
        randomness = self._random_bytes(_NEW_KEY_RANDOM_BYTES * len(key_ids))
        rows = []
        for number, key_id in enumerate(key_ids):
            start = number * _NEW_KEY_RANDOM_BYTES
            data_key = randomness[start : start + DATA_KEY_BYTES]
            nonce = randomness[start + DATA_KEY_BYTES : start + _NEW_KEY_RANDOM_BYTES]
            rows.append(KeyRow(key_id, self._keks.current_id, self._keks.wrap(key_id, data_key, nonce)))
        return rows


def key_check(data_key: bytes) -> bytes:
    """Return what `privacy.key_created.v1` holds of a key: 32 bytes that fit no other key and reveal nothing of it."""
    return hmac_digest(data_key, b"rapport.key.v1", "sha256")


class _Lease(NamedTuple):
    data_key: bytes
    until: float
    """On the monotonic clock."""


def _known(keys: Keys, key_id: str) -> bool:
    return key_id in keys.present or key_id in keys.destroyed or key_id in keys.unreadable
