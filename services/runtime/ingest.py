"""Loading in bulk over a bidirectional stream: frames of items, each item a request of its own.

Every frame is answered by one frame with one result per item, in order. A bad item never fails its frame: its error is
in its result, as the unary call would have said it. A bounded number of frames is at work at once; the next one is read
only when the oldest of them was answered, so that a fast sender waits at its end. Items of one stream are queued in the
order in which they came.

When the process stops, or the stream gets as old as one may be, nothing more is read, what was read is answered, and
the stream ends with SHUTTING_DOWN: what was not answered is to be sent again, with the same request ids.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from google.protobuf.message import Message
from google.rpc import status_pb2

from ledger.domain.decider import Step
from ledger.domain.errors import Invalid, LedgerError, Violation
from ledger.requests import Receipt, Request
from services.runtime.app import App
from services.runtime.errors import internal_status, report_unexpected, to_status
from services.runtime.limits import Stopping
from services.runtime.validation import check_size, request_id, violations_of

FRAMES_AT_WORK: Final = 4
"""Frames of one stream that are at work at once."""

_ITEM: Final = re.compile(r"items\[(\d+)\]\.?")

Item = TypeVar("Item", bound=Message)
Result = TypeVar("Result", bound=Message)
Response = TypeVar("Response", bound=Message)


@dataclass(frozen=True, slots=True)
class Loading(Generic[Item, Result, Response]):
    """One rpc that loads: how its items become steps, and receipts become results.

    Its frames have `organization_id` and `items`, and its items `request_id`.
    """

    method: str
    """Full name of the rpc."""
    steps: Callable[[str, Item], Sequence[Step]]
    """Returns the steps of an item of an organization. The item keeps the rules of its proto."""
    result: Callable[[Receipt], Result] | None
    """Returns what is told of an item that was recorded; None where a receipt does not say it all and `answer` does."""
    failed: Callable[[status_pb2.Status], Result]
    """Returns what is told of an item that was not."""
    response: Callable[[Sequence[Result]], Response]
    answer: Callable[[App, str, Item, Receipt], Awaitable[Result]] | None = None
    """Returns what is told of an item of an organization that was recorded, where that takes more than the receipt."""

    async def run(self, app: App, frames: AsyncIterator[Any]) -> AsyncGenerator[Response, None]:
        """Yield the answer to each frame, in order.

        Raises:
            Stopping: the process stops or the stream is too old; every frame that was read was answered.
        """
        at_work: deque[asyncio.Task[Response]] = deque()
        intake = _Intake(frames, app)
        try:
            while True:
                frame = await intake.next(
                    wanted=len(at_work) < FRAMES_AT_WORK, answered=at_work[0] if at_work else None
                )
                if frame is not None:
                    at_work.append(asyncio.create_task(self._frame(app, frame)))
                elif at_work:
                    yield await at_work.popleft()
                else:
                    break
            if not intake.ended:
                raise Stopping("the stream is closed here; send what was not answered again, on a new one")
        finally:
            intake.close()
            for task in at_work:
                task.cancel()

    async def _frame(self, app: App, frame: Any) -> Response:
        at_fault = _faults(frame)
        results = await asyncio.gather(
            *(
                self._item(app, frame, item, at_fault.get(index, ()) or at_fault.get(None, ()))
                for index, item in enumerate(frame.items)
            )
        )
        return self.response(results)

    async def _item(self, app: App, frame: Any, item: Any, faults: Sequence[Violation]) -> Result:
        try:
            check_size(len(frame.items), app.settings.batch_items_max)
            if faults:
                raise Invalid(faults)
            organization_id: str = frame.organization_id
            request = Request(self.method, organization_id, request_id(item), item)
            receipt = await app.ledger.execute(request, self.steps(organization_id, item))
            if self.answer is not None:
                return await self.answer(app, organization_id, item, receipt)
            assert self.result is not None, "one of them is given"
            return self.result(receipt)
        except LedgerError as error:
            return self.failed(to_status(error))
        except Exception as error:  # noqa: BLE001  # A defect met by one item is not the end of the others.
            development = app.settings.development
            return self.failed(internal_status(report_unexpected(error, self.method, with_text=development)))


class _Intake:
    """Reads frames as they are wanted, and stops reading when the process stops or the stream is too old."""

    def __init__(self, frames: AsyncIterator[Any], app: App) -> None:
        self._frames = frames
        self._until = asyncio.get_running_loop().time() + app.settings.stream_age_max_s
        self._stopping = asyncio.create_task(app.stopping.wait())
        self._reading: asyncio.Task[Any] | None = None
        self.ended = False
        """The sender sent everything."""
        self._closed = False

    async def next(self, *, wanted: bool, answered: asyncio.Task[Any] | None) -> Any | None:
        """Return the next frame; None when `answered` is done first, when none is wanted, or when there are no more."""
        if not wanted or self.ended or self._closed:
            return None
        if self._reading is None:
            self._reading = asyncio.create_task(anext(self._frames, None))
        waiting = {self._reading, self._stopping} | ({answered} if answered is not None else set())
        left_s = self._until - asyncio.get_running_loop().time()
        await asyncio.wait(waiting, timeout=max(left_s, 0), return_when=asyncio.FIRST_COMPLETED)
        if self._reading.done():
            frame = self._reading.result()
            self._reading = None
            self.ended = frame is None
            return frame
        if answered is None or not answered.done():
            self._closed = True
        return None

    def close(self) -> None:
        """Read no more."""
        self._stopping.cancel()
        if self._reading is not None:
            self._reading.cancel()


def _faults(frame: Any) -> dict[int | None, list[Violation]]:
    """Return the violations by item; those of the frame itself under None, and for every item.

    The frame is judged as one message, which costs half of judging each item.
    """
    found: dict[int | None, list[Violation]] = {}
    for violation in violations_of(frame):
        item = _ITEM.match(violation.field)
        if item is None:
            found.setdefault(None, []).append(violation)
        else:
            told = violation._replace(field=violation.field[item.end() :])
            found.setdefault(int(item[1]), []).append(told)
    return found
