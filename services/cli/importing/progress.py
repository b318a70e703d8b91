"""How far an import is: a bar with rate and time left on a terminal, nothing elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from rich.console import Console

    from services.cli.importing.loading import Totals
    from services.client import RapportError


SHORT_S: Final = 0.5
"""A wait that is over before it is read about."""
QUIET_S: Final = 10.0
"""Seconds between two words about a server that is away."""


class ProgressBar:
    """The bar of one import, on standard error, so that standard output stays for the answer."""

    def __init__(self, console: Console, name: str, size: int) -> None:
        self._console = console
        self._told = -QUIET_S
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        # Bytes, not lines: how many lines there are is known only at the end.
        self._task = self._progress.add_task(name, total=max(size, 1), rate="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, totals: Totals, bytes_done: int) -> None:
        """Draw where the import is."""
        events_per_second = (totals.recorded + totals.replayed) / max(totals.seconds, 0.001)
        rejected = f", {totals.rejected:,} rejected" if totals.rejected else ""
        rate = f"{totals.lines:,} lines, {events_per_second:,.0f} events/s{rejected}"
        self._progress.update(self._task, completed=bytes_done, rate=rate)

    def waiting(self, error: RapportError, delay_s: float) -> None:
        """Say that the server is away and that the import goes on trying; not at every attempt."""
        now = time.monotonic()
        if delay_s < SHORT_S or now - self._told < QUIET_S:
            return
        self._told = now
        self._console.print(f"waiting for the server: {error}", soft_wrap=True, markup=False, highlight=False)
