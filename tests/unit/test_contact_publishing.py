"""Publishing contact policies, purposes, attributes: what is stored, under which version; registries that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger.domain.policy import PolicyState, noted_version
from ledger.domain.publishing import checked
from ledger.domain.times import timestamp
from ledger.domain.valuation_policy import BYTES_MAX
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1.contact_policy_pb2 import DoubleOptInRule, FrequencyCap
from rapport.events.v1.preference_pb2 import PERIOD_DAY
from tests.contact_policies import catalogue, contact_policy, definition, fold, purpose, registry
from tests.contact_publishing import INVALID, NOW, decide, faults, refused, registry_faults, source, stored

# --- What is stored --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [contact_policy(0), registry(version=0), catalogue(version=0)])
def test_the_next_number_and_the_defaults_are_stored(message: Any) -> None:
    state = fold(contact_policy(4), registry(version=4), catalogue(version=4))

    assert 5 == stored(message, state).version
    assert 1 == stored(message).version


def test_a_policy_is_stored_with_its_defaults_and_without_a_time_that_nobody_asked() -> None:
    whole = stored(contact_policy())

    assert 3_600 == whole.permit_seconds
    assert not whole.HasField("effective_from_time")


def test_a_registry_is_stored_by_slug_with_its_parents() -> None:
    whole = stored(registry(purpose("m.b.c"), purpose("m.b"), purpose("x.y"), purpose("m")))

    assert [("m", ""), ("m.b", "m"), ("m.b.c", "m.b"), ("x.y", "")] == [(e.slug, e.parent) for e in whole.purposes]


def test_a_catalogue_is_stored_by_key() -> None:
    assert ["a", "b"] == [each.key for each in stored(catalogue(definition("b"), definition("a"))).attributes]


# --- Versions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message, other",
    [
        (contact_policy(), contact_policy(permit_seconds=60)),
        (contact_policy(effective_from=7), contact_policy(effective_from=8)),
        (contact_policy(), contact_policy(effective_from=100)),
        (registry(purpose("a.b"), purpose("a")), registry(purpose("a.b"))),
        (catalogue(), catalogue(definition(retention_days=1))),
    ],
)
def test_the_same_again_changes_nothing_and_other_content_is_refused(message: Any, other: Any) -> None:
    earlier = PolicyState()
    earlier.version = 1
    state = fold(stored(message), state=earlier)

    same = decide(message, state)
    refusal = refused(other, state)

    assert ((), 2) == (same.facts, noted_version(same.note))
    assert reasons.ERROR_REASON_POLICY_VERSION_TAKEN == refusal.reason


@pytest.mark.parametrize(
    "message, kind",
    [(contact_policy(3), "contact"), (registry(version=3), "purposes"), (catalogue(version=3), "attributes")],
)
def test_a_version_before_the_latest_is_refused(message: Any, kind: str) -> None:
    state = fold(contact_policy(2), contact_policy(5), registry(version=5), catalogue(version=5))

    refusal = refused(message, state)

    assert reasons.ERROR_REASON_POLICY_VERSION_TAKEN == refusal.reason
    assert {"policy_id": kind, "version": "3", "latest": "5"} == refusal.metadata


def test_what_stands_is_not_judged_again() -> None:
    """The registry may have changed since: a resend of what was published then still gets its answer."""
    asked = contact_policy(double_opt_in=[DoubleOptInRule(purposes=["marketing"])])
    state = fold(stored(asked), registry(purpose("something.else")))

    assert () == decide(asked, state).facts
    assert [] == checked(asked, state, NOW)[0]
    assert [("double_opt_in[0].purposes[0]", INVALID)] == faults(state, double_opt_in=asked.double_opt_in)


def test_every_fault_is_named_and_the_one_of_a_field_is_told_first() -> None:
    asked = contact_policy(
        1,
        default_time_zones=["Europe/Atlantis"],
        caps=[FrequencyCap(count=1, period=PERIOD_DAY), FrequencyCap(count=2, period=PERIOD_DAY)],
    )

    refusal = refused(asked, fold(contact_policy(3)))

    assert reasons.ERROR_REASON_REQUEST_INVALID == refusal.reason
    assert ["policy.default_time_zones[0]", "policy.caps[1]", "policy.version"] == [
        each.field for each in refusal.violations
    ]
    assert "contact" == refusal.metadata["policy_id"]


@pytest.mark.parametrize(
    "make, field",
    [
        (
            lambda text: contact_policy(sources=[source("search_days", source=f"{n}{text}{text}") for n in range(256)]),
            "sources",
        ),
        (lambda text: registry(*(purpose(f"p{n}", title=text) for n in range(500))), "purposes"),
        (lambda text: catalogue(*(definition(f"k{n}", title=text) for n in range(1000))), "attributes"),
    ],
)
def test_what_would_not_fit_an_entry_of_the_log_is_refused(make: Callable[[str], Any], field: str) -> None:
    refusal = refused(make("x" * 190))

    assert reasons.ERROR_REASON_EVENT_TOO_LARGE == refusal.reason
    assert str(BYTES_MAX) == refusal.metadata["limit"]
    assert [field] == [each.field.partition(".")[2] for each in refusal.violations]


# --- Faults of registries and catalogues -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "purposes, expected",
    [
        ([purpose("a"), purpose("a")], ["purposes[1].slug"]),
        ([purpose("a."), purpose("a")], ["purposes[0].slug"]),
        ([purpose("a..b")], ["purposes[0].slug"]),
        ([purpose("a.b.c", parent="a"), purpose("a")], ["purposes[0].parent"]),
        ([purpose("a.b.c", parent="a"), purpose("a"), purpose("a.b")], ["purposes[0].parent"]),
        ([purpose("a", parent="b"), purpose("b")], ["purposes[0].parent"]),
        ([purpose("a.b", parent="a")], ["purposes[0].parent"]),
        ([purpose(legal_bases=[])], ["purposes[0].legal_bases"]),
        ([purpose(message_classes=[])], ["purposes[0].message_classes"]),
        ([purpose(legal_bases=[1, 2, 1])], ["purposes[0].legal_bases[2]"]),
        ([purpose(message_classes=[1, 3])], ["purposes[0].message_classes[1]"]),
        ([purpose(objectable=p.OBJECTABLE_ON_GROUNDS)], ["purposes[0].objectable"]),
    ],
)
def test_a_registry_that_cannot_be_meant_is_refused(purposes: list[p.Purpose], expected: list[str]) -> None:
    assert expected == registry_faults(*purposes)


def test_what_is_no_marketing_may_be_transactional_and_not_objected_to() -> None:
    service = purpose(
        "service", purpose_class=p.PURPOSE_CLASS_SERVICE, objectable=p.OBJECTABLE_NONE, message_classes=[3]
    )

    assert [] == registry_faults(service, purpose("service.care", parent="service"))


@pytest.mark.parametrize(
    "attributes, expected",
    [
        ([definition("a"), definition("a")], ["catalogue.attributes[1].key"]),
        ([definition(purposes=["marketing", "nonsense"])], ["catalogue.attributes[0].purposes[1]"]),
        ([definition(codes=["x", "y", "x"])], ["catalogue.attributes[0].codes[2]"]),
    ],
)
def test_a_catalogue_that_cannot_be_meant_is_refused(
    attributes: list[p.AttributeDefinition], expected: list[str]
) -> None:
    refusal = refused(catalogue(*attributes))

    assert reasons.ERROR_REASON_REQUEST_INVALID == refusal.reason
    assert expected == [each.field for each in refusal.violations]
    assert "attributes" == refusal.metadata["policy_id"]


def test_times_of_policies_are_kept() -> None:
    assert timestamp(7) == stored(contact_policy(effective_from=7)).effective_from_time
