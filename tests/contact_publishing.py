"""Contact policies and registries published, for tests: what is stored, what is refused, which faults are named."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision
from ledger.domain.policy import PolicyState
from ledger.domain.publishing import PublishAttributeCatalogue, PublishContactPolicy, PublishPurposes, checked
from ledger.domain.registry_rules import faults_of_registry
from ledger.domain.times import MICROSECONDS
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import (
    AttributeCatalogue,
    BasisRule,
    ContactPolicy,
    LegalSource,
    LegalWindow,
    PurposeRegistry,
)
from rapport.events.v1.preference_pb2 import LocalWindow
from tests.contact_policies import STREAM, registry

CONFLICT = "POLICY_RULES_CONFLICT"
INVALID = "REQUEST_INVALID"
NOW = 1_790_000_000 * MICROSECONDS
"""2026-09-21."""
CONTRACT = c.LEGAL_BASIS_CONTRACT_PERFORMANCE
SOFT = c.LEGAL_BASIS_SOFT_OPT_IN
PURCHASE = i.INTERACTION_KIND_PURCHASE
QUESTION = i.INTERACTION_KIND_QUESTION
DAYTIME = LocalWindow(start_minute=480, end_minute=1260)


def reason_name(number: int) -> str:
    return reasons.ErrorReason.Name(number).removeprefix("ERROR_REASON_")  # type: ignore[arg-type]  # A plain number.


def decide(message: ContactPolicy | PurposeRegistry | AttributeCatalogue, state: PolicyState | None = None) -> Decision:
    state, setting = state or PolicyState(), Setting(now=NOW, others={})
    if isinstance(message, ContactPolicy):
        return PublishContactPolicy(stream_id=STREAM, policy=message, path="policy").decide(state, setting)
    if isinstance(message, PurposeRegistry):
        return PublishPurposes(stream_id=STREAM, registry=message, path="registry").decide(state, setting)
    return PublishAttributeCatalogue(stream_id=STREAM, catalogue=message, path="catalogue").decide(state, setting)


def stored(message: Any, state: PolicyState | None = None) -> Any:
    (fact,) = decide(message, state).facts
    assert (NOW, True) == (fact.occur_time, fact.defaulted)
    ((_, whole),) = fact.event.ListFields()
    return whole


def refused(message: Any, state: PolicyState | None = None) -> Rejected:
    with pytest.raises(Rejected) as refusal:
        decide(message, state)
    return refusal.value


def faults(state: PolicyState | None = None, **values: Any) -> list[tuple[str, str]]:
    """(field, reason) of everything that publishing a policy with these fields would refuse."""
    found, _ = checked(ContactPolicy(**values), state or PolicyState(), NOW)
    return [(each.violation.field, reason_name(each.violation.reason)) for each in found]


def registry_faults(*purposes: p.Purpose) -> list[str]:
    found = list(faults_of_registry(registry(*purposes)))
    assert all(each.violation.reason == reasons.ERROR_REASON_REQUEST_INVALID for each in found)
    return [each.violation.field for each in found]


def basis(legal_basis: int = SOFT, *kinds: int, **values: Any) -> BasisRule:
    return BasisRule(**{"legal_basis": legal_basis, "interaction_kinds": kinds or (PURCHASE,), **values})


def window(start: int, end: int, *weekdays: int, **values: Any) -> LegalWindow:
    return LegalWindow(window=LocalWindow(start_minute=start, end_minute=end, weekdays=weekdays), **values)  # type: ignore[arg-type]  # Plain numbers.


def source(field: str, **values: Any) -> LegalSource:
    return LegalSource(**{"field": field, "source": "a text of law", "checked_on": "2026-09-21", **values})
