"""Changes of relationships: watched, listed in the order in which they were found, made anew."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from rapport.change.v1 import change_service_pb2 as messages
from rapport.change.v1.change_service_pb2_grpc import ChangeServiceStub
from services.client.calls import Subject, ended_early
from services.client.frames import read_frames
from services.client.watching import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from rapport.change.v1.change_pb2 import ChangeKind

VERIFY_IDLE_TIMEOUT_S: Final = 30.0
"""Seconds without progress after which a verification is taken for broken; the server tells it twice a second."""


class Changes(Subject):
    """ChangeService."""

    async def list_changes(
        self,
        organization_id: str,
        *,
        subject_ids: Iterable[str] = (),
        kinds: Iterable[ChangeKind.ValueType] = (),
        after_number: int = 0,
        checkpoint: str = "",
        min_position: int = 0,
        page_size: int = 0,
        page_token: str = "",
        timeout_s: float | None = None,
    ) -> messages.ListChangesResponse:
        """Return one page of changes, oldest first.

        `checkpoint`: the one told with `after_number`, so that it is not taken for a number of another past.

        Raises:
            RapportError: PAGE_TOKEN_INVALID, PROJECTION_BEHIND, CHANGES_BEGUN_ANEW.
        """
        request = messages.ListChangesRequest(
            organization_id=organization_id,
            filter=messages.ChangeFilter(subject_ids=subject_ids, kinds=kinds),
            after_number=after_number,
            checkpoint=checkpoint,
            min_position=min_position,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._calls.call(self._changes.ListChanges, request, timeout_s)

    def watch_relationships(
        self,
        organization_id: str,
        *,
        after_number: int | None = None,
        checkpoint: str = "",
        subject_ids: Iterable[str] = (),
        kinds: Iterable[ChangeKind.ValueType] = (),
    ) -> Watch:
        """Return a watch over changes: those after a number, then what is found, without end. None: from now on.

        `checkpoint`: the one told with `after_number`, so that it is not taken for a number of another past.
        """
        request = messages.WatchRelationshipsRequest(
            organization_id=organization_id,
            filter=messages.ChangeFilter(subject_ids=subject_ids, kinds=kinds),
            checkpoint=checkpoint,
        )
        if after_number is None:
            request.from_now = True
        else:
            request.after_number = after_number
        return Watch(self._calls, request)

    async def get_detector(self, *, timeout_s: float | None = None) -> messages.GetDetectorResponse:
        """Return how far changes are found, and what is due."""
        return await self._calls.call(self._changes.GetDetector, messages.GetDetectorRequest(), timeout_s)

    async def verify_changes(
        self, *, idle_timeout_s: float = VERIFY_IDLE_TIMEOUT_S
    ) -> AsyncGenerator[messages.VerifyChangesResponse, None]:
        """Have all changes made anew and compared; yield progress, the last of which has `complete`.

        Raises:
            RapportError: CHANGES_DIFFER, or the server goes away.
        """
        call = self._changes.VerifyChanges(messages.VerifyChangesRequest())
        complete = False
        async with aclosing(read_frames(call, idle_timeout_s)) as frames:
            async for frame in frames:
                complete = frame.complete
                yield frame
        if not complete:
            raise ended_early("verification")

    @property
    def _changes(self) -> ChangeServiceStub:
        return self._calls.stub(ChangeServiceStub)
