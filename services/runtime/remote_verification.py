"""Making all changes anew in a process of its own, which ends with that."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from ledger.change.verifying import Abandoned
from ledger.domain.errors import LedgerError, Rejected, StoreFailed
from services.runtime.detector_child import Child
from services.runtime.settings import Settings

WORD: Final = "verify"
"""What the process is told to do."""
COMPLETE: Final = "complete"
REFUSED: Final = "refused"
FAILED: Final = "failed"


class RemoteVerification:
    """What `ledger.change.verifying.Verification` is for one that runs here. Lives on one event loop."""

    def __init__(self) -> None:
        self.position = 0
        self.head = 0
        self.compared = 0
        self._abandoned = asyncio.Event()

    def abandon(self) -> None:
        """Let it end at once."""
        self._abandoned.set()

    async def run(self, settings: Settings) -> None:
        """Make anew and compare.

        Raises:
            Rejected: CHANGES_DIFFER, at the first change that does.
            Abandoned: it was to end.
            LedgerError: nothing can be said.
        """
        child = await Child.start(settings, WORD)
        listening = asyncio.ensure_future(self._listen(child))
        abandoned = asyncio.ensure_future(self._abandoned.wait())
        try:
            await asyncio.wait({listening, abandoned}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            abandoned.cancel()
            code = await child.end(0.0 if self._abandoned.is_set() else 1.0)  # It only reads.
            ended = await listening
        if self._abandoned.is_set():
            raise Abandoned
        if ended is None:
            raise StoreFailed(f"the process that made changes anew ended with {code}")
        _raise(ended)

    async def _listen(self, child: Child) -> dict[str, Any] | None:
        """Take note of how far it is; return how it ended, None where it did not say."""
        while (told := await child.lines.read()) is not None:
            self.position, self.head, self.compared = told["at"]
            if "end" in told:
                return dict(told)
        return None


def verdict(error: Exception | None) -> dict[str, Any]:
    """Return how a verification ended, as JSON can hold it."""
    if error is None:
        return {"end": COMPLETE}
    if isinstance(error, Rejected):
        return {"end": REFUSED, "reason": error.reason, "text": str(error), "metadata": error.metadata}
    return {"end": FAILED, "text": f"{type(error).__qualname__}: {error}"}


def _raise(ended: dict[str, Any]) -> None:
    """Raise what `verdict` told."""
    if ended["end"] == REFUSED:
        raise Rejected(ended["reason"], ended["text"], **ended["metadata"])
    if ended["end"] == FAILED:
        raise LedgerError(ended["text"])
