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

    def __init__(self, *places: Path) -> None:
        """Keep the places where the file may be made; the first that can be written is taken."""
        self._places = places
        self.path: Path | None = None
        """Where the file is. None: there is none."""
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
            OSError: The file cannot be made in any of the places, or not be written.
        """
        if self._file is None:
            self._file = self._open()
            self._file.write(HEADER)
        one_line = " ".join(reason.split())
        text = line.text.replace("\r", "\\r").replace("\n", "\\n")
        self._file.write(f"{line.number}\t{one_line}\t{text}\n")
        self.count += 1

    def close(self) -> None:
        """Close the file, or remove an earlier run's where this one had nothing to reject."""
        if self._file is not None:
            self._file.close()
            return
        for place in self._places:
            if _is_ours(place):
                place.unlink()

    def _open(self) -> TextIO:
        for place in self._places:
            try:
                file = place.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
            except OSError:
                if place == self._places[-1]:
                    raise
            else:
                self.path = place
                return file
        raise ValueError("no place was given for the rejects")


def _is_ours(path: Path) -> bool:
    """Tell whether a file is a rejects file; anything else of that name is not ours to remove."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline() == HEADER
    except OSError:
        return False


def places_for(file: Path, wanted: Path | None) -> tuple[Path, ...]:
    """Return where rejects may go: where the caller wants, else beside the file, else (it is read-only there) here."""
    if wanted is not None:
        return (wanted,)
    beside = file.with_name(file.name + ".rejects")
    return beside, Path(beside.name)
