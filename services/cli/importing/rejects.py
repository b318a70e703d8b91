"""Lines that were not recorded, with the reason, in a file beside the one that is imported.

    line <TAB> reason <TAB> the line as it stands in the file

Mend such a line where it stands and import the file again: what is recorded already is passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TextIO

if TYPE_CHECKING:
    from services.cli.importing.source import Line

HEADER: Final = "line\treason\ttext\n"


class Rejects:
    """The rejects file of one run. It is made with the first rejected line; one of an earlier run is replaced then.

    A run without rejected lines removes what an earlier one left, so that the file always tells about the last run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        """Lines written."""
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, line: Line, reason: str) -> None:
        """Write one line.

        Raises:
            OSError: The file cannot be made or written.
        """
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
            self._file.write(HEADER)
        one_line = " ".join(reason.split())
        text = line.text.replace("\r", "\\r").replace("\n", "\\n")
        self._file.write(f"{line.number}\t{one_line}\t{text}\n")
        self.count += 1

    def close(self) -> None:
        """Close the file, or remove an earlier run's where this one had nothing to reject."""
        if self._file is not None:
            self._file.close()
        elif _is_ours(self.path):
            self.path.unlink()


def _is_ours(path: Path) -> bool:
    """Tell whether a file is a rejects file; anything else of that name is not ours to remove."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline() == HEADER
    except OSError:
        return False


def rejects_path(file: Path, wanted: Path | None) -> Path:
    """Return where rejects go: where the caller wants, else beside the file, else (it is read-only there) here."""
    if wanted is not None:
        return wanted
    beside = file.with_name(file.name + ".rejects")
    try:
        # Opened for appending: what an earlier run wrote stays until this one has something to say.
        existed = beside.exists()
        with beside.open("a"):
            pass
        if not existed:
            beside.unlink()
    except OSError:
        return Path(beside.name)
    return beside
