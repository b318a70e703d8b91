"""Changes of relationships: listed in the order in which they were found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.change.v1 import change_service_pb2 as messages
from rapport.change.v1.change_service_pb2_grpc import ChangeServiceStub
from services.client.calls import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.change.v1.change_pb2 import ChangeKind


class Changes(Subject):
    """ChangeService."""

    async def list_changes(
        self,
        organization_id: str,
        *,
        subject_ids: Iterable[str] = (),
        kinds: Iterable[ChangeKind.ValueType] = (),
        after_number: int = 0,
        min_position: int = 0,
        page_size: int = 0,
        page_token: str = "",
        timeout_s: float | None = None,
    ) -> messages.ListChangesResponse:
        """Return one page of changes, oldest first.

        Raises:
            RapportError: PAGE_TOKEN_INVALID, PROJECTION_BEHIND.
        """
        request = messages.ListChangesRequest(
            organization_id=organization_id,
            filter=messages.ChangeFilter(subject_ids=subject_ids, kinds=kinds),
            after_number=after_number,
            min_position=min_position,
            page_size=page_size,
            page_token=page_token,
        )
        return await self._calls.call(self._changes.ListChanges, request, timeout_s)

    @property
    def _changes(self) -> ChangeServiceStub:
        return self._calls.stub(ChangeServiceStub)
