"""Consents given, refused and withdrawn in a history, for tests, and what is then told of a cell."""

from __future__ import annotations

import pytest

from ledger.domain.consent import (
    Cell,
    CellVerdict,
    GiveConsent,
    RefuseConsent,
    WithdrawalEffect,
    WithdrawConsent,
    permits,
    status,
)
from ledger.domain.times import timestamp
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentRefused, ConsentWithdrawn, NoticeReference, Validity
from rapport.type.v1.event_context_pb2 import EventContext
from tests.relationship_history import STREAM, History

DIRECT = "marketing.direct"
SOCIAL = "marketing.social"
EMAIL, SMS = i.CHANNEL_EMAIL, i.CHANNEL_SMS
IMPORT = EventContext(historical_import=True)


@pytest.fixture
def history() -> History:
    return History()


def give(
    *purposes: str,
    at: int | None = None,
    channels: tuple[i.Channel.ValueType, ...] = (),
    points: tuple[str, ...] = (),
    brands: tuple[str, ...] = (),
    listed: tuple[str, ...] = (),
    validity: Validity | None = None,
    valid_from: int | None = None,
    context: EventContext | None = None,
) -> GiveConsent:
    event = ConsentGiven(
        purposes=purposes, channels=channels, contact_point_ids=points, brands=brands, validity=validity
    )
    if listed:
        event.notice.CopyFrom(NoticeReference(notice_id="n", purposes=listed))
    if valid_from is not None:
        event.valid_from_time.CopyFrom(timestamp(valid_from))
    return GiveConsent(STREAM, event, at, context)


def withdraw(
    *purposes: str,
    at: int | None = None,
    channels: tuple[i.Channel.ValueType, ...] = (),
    points: tuple[str, ...] = (),
    brands: tuple[str, ...] = (),
) -> WithdrawConsent:
    event = ConsentWithdrawn(purposes=purposes, channels=channels, contact_point_ids=points, brands=brands)
    return WithdrawConsent(STREAM, event, at)


def refuse(*purposes: str, at: int | None = None, channels: tuple[i.Channel.ValueType, ...] = ()) -> RefuseConsent:
    return RefuseConsent(STREAM, ConsentRefused(purposes=purposes, channels=channels), at)


def verdict(history: History, cell: Cell, at: int | None = None) -> CellVerdict:
    return status(history.state().consents, cell, history.now if at is None else at)


def is_live(history: History, *cell: object, at: int | None = None) -> bool:
    return permits(verdict(history, Cell(*cell), at).status)  # type: ignore[arg-type]  # Tests spell cells shortly.


def effect(history: History, step: WithdrawConsent) -> WithdrawalEffect:
    return WithdrawalEffect.noted(history.decide(step).note)
