"""A request in the queue of the group commit, with the caller who waits for its receipt."""

import asyncio
from collections.abc import Sequence

from ledger.domain.decider import Step
from ledger.domain.errors import RequestIdReused
from ledger.log.store import RequestKey, RequestRow
from ledger.requests import Plan, Receipt, Request


class Waiting:
    """One request. Decided once per attempt; answered once."""

    __slots__ = ("_future", "attempts", "fingerprint", "key", "personal", "plan", "request", "steps", "weight")

    def __init__(self, request: Request, plan: Plan, weight: int, future: asyncio.Future[Receipt]) -> None:
        self.request = request
        self.plan = plan
        self.weight = weight
        self.key = RequestKey(request.organization_id, request.request_id)
        self.steps: Sequence[Step] = ()
        """What the plan returned; empty before it was asked."""
        self.personal = False
        """Whether the request has personal content."""
        self.fingerprint = b""
        self.attempts = 0
        self._future = future

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits any more. What is already handed to the store is committed all the same."""
        return self._future.done()

    def answer(self, receipt: Receipt) -> None:
        """Give the caller the receipt, unless it went away."""
        if not self._future.done():
            self._future.set_result(receipt)

    def fail(self, error: BaseException) -> None:
        """Give the caller the error, unless it went away or was answered."""
        if not self._future.done():
            self._future.set_exception(error)

    def check_same(self, row: RequestRow) -> None:
        """Let pass a request that repeats the one remembered.

        Raises:
            RequestIdReused: the request_id belongs to a request of other content, or for another method.
        """
        if row.fingerprint != self.fingerprint:
            raise RequestIdReused(row.first_position, row.last_position)
