"""Which file system a path lies on, where the operating system tells.

SQLite's write-ahead log needs shared memory and locks that work; a network file system gives neither across machines,
and may tell that bytes are durable when they are not.
"""

import os
from pathlib import Path

from ledger.domain.errors import StoreRefused

NETWORK_FILE_SYSTEMS = frozenset(
    (
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "gcsfuse",
        "glusterfs",
        "goofys",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "rclone",
        "s3fs",
        "smb3",
        "smbfs",
        "sshfs",
    )
)
"""Types as Linux names them in /proc/mounts; with or without `fuse.` before them."""


def refuse_network_file_system(path: str) -> None:
    """Raise StoreRefused where `path` is known to lie on a network file system; say nothing where nobody knows."""
    kind = file_system_of(path)
    if kind is not None and kind.removeprefix("fuse.") in NETWORK_FILE_SYSTEMS:
        raise StoreRefused(f"the database must be on a local disk, and its folder is on a network file system ({kind})")


def file_system_of(path: str, mounts: str | None = None) -> str | None:
    """Return the type of the file system that holds `path`, or None where the system does not tell (not Linux).

    mounts: text in the format of /proc/mounts, in the order in which the file systems were mounted.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    found, length = None, -1
    for line in mounts.splitlines():
        _, mount_point, kind, *_ = line.split(" ")
        mount_point = _unescaped(mount_point)
        # A later mount hides an earlier one at the same place.
        if len(mount_point) >= length and _lies_in(os.path.realpath(path), mount_point):
            found, length = kind, len(mount_point)
    return found


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
