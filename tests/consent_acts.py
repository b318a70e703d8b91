"""Acts of consent in a history, for tests: given with a token, confirmed, and what is then told of a cell."""

from __future__ import annotations

from hashlib import sha256

import pytest

from ledger.domain.consent import Cell, CellVerdict, GiveConsent, RenewConsent, status
from ledger.domain.consent_confirming import ConfirmConsent
from ledger.domain.contact_policy import CONTACT_PUBLISHED
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, ContactPolicyPublished, DoubleOptInRule
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1.event_context_pb2 import EventContext
from tests.relationship_history import STREAM, History

DIRECT = "marketing.direct"
SOCIAL = "marketing.social"
TOKEN = sha256(b"letmein").digest()
IMPORT = EventContext(historical_import=True)


@pytest.fixture
def history() -> History:
    return History()


def publish(history: History, policy: ContactPolicy) -> None:
    policy.version = 1
    event = ContactPolicyPublished(policy=policy)
    history.policies.evolve(Fact(1, 1, 0, 0, CONTACT_PUBLISHED, event, EventMetadata()))


def double_opt_in(history: History, **rule: object) -> None:
    publish(history, ContactPolicy(double_opt_in=[DoubleOptInRule(**rule)]))  # type: ignore[arg-type]


def given(*purposes: str, **more: object) -> c.ConsentGiven:
    return c.ConsentGiven(purposes=purposes, confirmation_sha256=TOKEN, **more)  # type: ignore[arg-type]


def give(history: History, *purposes: str, at: int | None = None, **more: object) -> Fact:
    return record_first(history, GiveConsent(STREAM, given(*purposes, **more), at))


def record_first(history: History, step: GiveConsent | RenewConsent | ConfirmConsent) -> Fact:
    """Decide a step, keep all its facts and return the first."""
    first, *_ = [history.add(new.topic, new.event, new.occur_time) for new in history.decide(step).facts]
    return first


def confirm(*purposes: str, at: int | None = None, token: bytes = TOKEN) -> ConfirmConsent:
    return ConfirmConsent(STREAM, token, purposes, occur_time=at)


def scope(*purposes: str, channels: tuple[int, ...] = ()) -> c.ConsentScope:
    return c.ConsentScope(purposes=purposes, channels=channels)  # type: ignore[arg-type]


def verdict(history: History, *cell: object, at: int | None = None) -> CellVerdict:
    return status(history.state().consents, Cell(*cell), history.now if at is None else at)  # type: ignore[arg-type]


def told(history: History, *cell: object, at: int | None = None) -> str:
    number = verdict(history, *cell, at=at).status
    return c.ConsentStatus.Name(number).removeprefix("CONSENT_STATUS_")  # type: ignore[arg-type]


def refused(history: History, step: object) -> Rejected:
    with pytest.raises(Rejected) as caught:
        history.decide(step)  # type: ignore[arg-type]
    return caught.value
