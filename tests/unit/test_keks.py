"""Key encryption keys: their file, and what unwraps under them."""

import base64
from pathlib import Path

import pytest

from ledger.log.keks import CannotUnwrap, KekFileRefused, Keks, create_kek_file, kek_id, read_kek_file

KEK = bytes(range(0x20))
OTHER_KEK = bytes(range(0x01, 0x21))
DATA_KEY = bytes(range(0x40, 0x60))
NONCE = bytes(range(12))


def write_kek_file(path: Path, content: bytes, mode: int = 0o400) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def test_a_wrapped_key_unwraps_under_its_id() -> None:
    keks = Keks([KEK])
    wrapped = keks.wrap("acme/c-1", DATA_KEY, NONCE)

    assert 61 == len(wrapped)
    assert DATA_KEY not in wrapped
    assert DATA_KEY == keks.unwrap("acme/c-1", keks.current_id, wrapped)


def test_a_wrapped_key_does_not_unwrap_under_another_id() -> None:
    keks = Keks([KEK])

    with pytest.raises(CannotUnwrap):
        keks.unwrap("acme/c-2", keks.current_id, keks.wrap("acme/c-1", DATA_KEY, NONCE))


def test_every_flipped_byte_of_a_wrapped_key_is_noticed() -> None:
    keks = Keks([KEK])
    wrapped = keks.wrap("acme/c-1", DATA_KEY, NONCE)

    for at in range(len(wrapped)):
        changed = wrapped[:at] + bytes([wrapped[at] ^ 0x01]) + wrapped[at + 1 :]
        with pytest.raises(CannotUnwrap):
            keks.unwrap("acme/c-1", keks.current_id, changed)


def test_a_key_wrapped_with_an_unknown_kek_does_not_unwrap() -> None:
    wrapped = Keks([OTHER_KEK]).wrap("acme/c-1", DATA_KEY, NONCE)

    with pytest.raises(CannotUnwrap, match=kek_id(OTHER_KEK)):
        Keks([KEK]).unwrap("acme/c-1", kek_id(OTHER_KEK), wrapped)
    with pytest.raises(CannotUnwrap):
        Keks([KEK]).unwrap("acme/c-1", kek_id(KEK), wrapped)


def test_an_older_kek_unwraps_and_the_first_one_wraps() -> None:
    wrapped = Keks([OTHER_KEK]).wrap("acme/c-1", DATA_KEY, NONCE)
    both = Keks([KEK, OTHER_KEK])

    assert DATA_KEY == both.unwrap("acme/c-1", kek_id(OTHER_KEK), wrapped)
    assert kek_id(KEK) == both.current_id


def test_a_created_file_is_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    create_kek_file(path, KEK)

    assert 0o400 == path.stat().st_mode & 0o777
    assert kek_id(KEK) == read_kek_file(path).current_id
    assert [path] == list(tmp_path.iterdir())


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    create_kek_file(path, KEK)
    create_kek_file(path, OTHER_KEK)

    assert kek_id(KEK) == read_kek_file(path).current_id


def test_a_file_may_hold_older_keks(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    write_kek_file(path, base64.b64encode(KEK) + b"\n" + base64.b64encode(OTHER_KEK) + b"\n")
    wrapped = Keks([OTHER_KEK]).wrap("acme/c-1", DATA_KEY, NONCE)

    assert DATA_KEY == read_kek_file(path).unwrap("acme/c-1", kek_id(OTHER_KEK), wrapped)


@pytest.mark.parametrize("mode", [0o600, 0o440, 0o404, 0o500, 0o644])
def test_a_file_of_another_mode_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "kek"
    write_kek_file(path, base64.b64encode(KEK), mode)

    with pytest.raises(KekFileRefused, match="0400"):
        read_kek_file(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KekFileRefused):
        read_kek_file(tmp_path / "kek")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kek").mkdir(mode=0o400)

    with pytest.raises(KekFileRefused):
        read_kek_file(tmp_path / "kek")


@pytest.mark.parametrize("line", [b"", b"\n", b"not base64", base64.b64encode(KEK[:-1]), base64.b64encode(KEK + KEK)])
def test_a_file_without_a_kek_is_refused_and_its_content_not_told(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "kek"
    write_kek_file(path, line)

    with pytest.raises(KekFileRefused) as refusal:
        read_kek_file(path)

    assert not line.strip() or line.decode() not in str(refusal.value)
