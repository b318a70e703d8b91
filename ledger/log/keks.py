"""Key encryption keys (KEKs): what data keys are wrapped with where they are stored.

A KEK lives in a file of mode 0400, apart from the key store and its backups: whoever has one of the two has nothing.
The file has one KEK per line, 32 bytes in base64. The first wraps; the others are older ones, kept while rows wrapped
with them remain. Losing every KEK loses every personal field, and nothing else.

    kek_id  = first 8 bytes of HMAC-SHA-256(kek, "rapport.kek.v1"), in hex
    wrapped = 0x01 || nonce(12) || AES-256-GCM(kek, nonce, data_key, aad = lp(key_id) || lp(kek_id))      61 bytes

The nonce is random: one KEK wraps at most 2^32 keys (NIST SP 800-38D, section 8.3).
"""

import base64
import binascii
import contextlib
import os
import stat
from collections.abc import Sequence
from hmac import digest as hmac_digest
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ledger.domain.errors import LedgerError, StoreRefused
from ledger.log.envelope import lp

KEK_BYTES: Final = 32
WRAP_NONCE_BYTES: Final = 12
WRAPPED_BYTES: Final = 1 + WRAP_NONCE_BYTES + 32 + 16

_FORMAT = b"\x01"
_MODE = 0o400


class KekFileRefused(StoreRefused):
    """The file of KEKs is missing, readable by others, or not in the format."""


class CannotUnwrap(LedgerError):
    """A wrapped key does not open: its KEK is not known here, or its row was changed or belongs to another key id."""


class Keks:
    """The KEKs of this installation: wraps with the first of them, unwraps with any."""

    def __init__(self, keks: Sequence[bytes]) -> None:
        assert keks, "at least one KEK"
        assert all(len(kek) == KEK_BYTES for kek in keks)
        self._ciphers = {kek_id(kek): AESGCM(kek) for kek in keks}
        self.current_id: Final = kek_id(keks[0])
        """Id of the KEK that wraps."""

    def wrap(self, key_id: str, data_key: bytes, nonce: bytes) -> bytes:
        """Return `data_key` wrapped under the current KEK, for this key id only; `nonce` has 12 random bytes."""
        assert len(nonce) == WRAP_NONCE_BYTES
        cipher = self._ciphers[self.current_id]
        return _FORMAT + nonce + cipher.encrypt(nonce, data_key, _aad(key_id, self.current_id))

    def unwrap(self, key_id: str, wrapping_kek_id: str, wrapped: bytes) -> bytes:
        """Return the data key in `wrapped`.

        Raises:
            CannotUnwrap: the KEK is not here, or row and key do not belong together.
        """
        cipher = self._ciphers.get(wrapping_kek_id)
        if cipher is None:
            raise CannotUnwrap(f"the key of {key_id} is wrapped with KEK {wrapping_kek_id}, which is not in the file")
        if len(wrapped) != WRAPPED_BYTES or wrapped[:1] != _FORMAT:
            raise CannotUnwrap(f"the wrapped key of {key_id} does not have the layout")
        nonce, ciphertext = wrapped[1 : 1 + WRAP_NONCE_BYTES], wrapped[1 + WRAP_NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, ciphertext, _aad(key_id, wrapping_kek_id))
        except InvalidTag:
            raise CannotUnwrap(f"the wrapped key of {key_id} was changed, or belongs to another id") from None


def kek_id(kek: bytes) -> str:
    """Return the name of a KEK, 16 hex digits; made from it, so that name and key cannot be mixed up."""
    return hmac_digest(kek, b"rapport.kek.v1", "sha256")[:8].hex()


def read_kek_file(path: Path) -> Keks:
    """Return the KEKs in a file.

    Raises:
        KekFileRefused: there is no such file, its mode is not 0400, or a line is not 32 bytes in base64.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KekFileRefused(f"the KEK file {path} cannot be read: {error.strerror}") from error
    try:
        # Asked of the open file, not of the path: nobody can exchange it in between.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != _MODE:
            raise KekFileRefused(f"the KEK file {path} must be a file of mode 0400: chmod 0400 it")
        lines = os.read(descriptor, status.st_size).split()
    finally:
        os.close(descriptor)
    keks = [_parse_line(path, number, line) for number, line in enumerate(lines, start=1)]
    if not keks:
        raise KekFileRefused(f"the KEK file {path} is empty")
    return Keks(keks)


def create_kek_file(path: Path, kek: bytes) -> None:
    """Write a new file with one KEK, durable on return; a file that is already there stays as it is.

    Only for a ledger without a key store: a new KEK opens no key that another one wrapped. Two processes may create
    the file at once; both then read the same.
    """
    assert len(kek) == KEK_BYTES
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(kek) + b"\n")
            file.flush()
            os.fsync(descriptor)
        # A link appears whole or not at all, and never replaces a file.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(unfinished)
    finally:
        unfinished.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names of new files in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse_line(path: Path, number: int, line: bytes) -> bytes:
    try:
        kek = base64.b64decode(line, validate=True)
    except binascii.Error:
        kek = b""
    if len(kek) != KEK_BYTES:
        # The line itself stays out of the message: it may be a key.
        raise KekFileRefused(f"line {number} of the KEK file {path} is not 32 bytes in base64")
    return kek


def _aad(key_id: str, wrapping_kek_id: str) -> bytes:
    return lp(key_id.encode()) + lp(wrapping_kek_id.encode())
