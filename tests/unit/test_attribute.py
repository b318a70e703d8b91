"""Attributes: each value in the slot of its provenance, and none in another's place (relationship.md 13)."""

from typing import Any

import pytest

from ledger.domain.attribute import (
    DiscloseAttribute,
    InferAttribute,
    ObserveAttribute,
    ObtainAttribute,
    RequestAttribute,
    Usable,
    WithdrawAttribute,
    usable,
)
from ledger.domain.attribute_catalogue import NO_CATALOGUE, Catalogue
from ledger.domain.interaction import RecordInteraction, RetractInteraction
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import attribute_pb2 as ev
from rapport.events.v1.consent_pb2 import INDICATED_BY_SUBJECT, LEGAL_BASIS_CONTRACT_PERFORMANCE
from rapport.events.v1.contact_policy_pb2 import AttributeCatalogue, AttributeDefinition, AttributesPublished
from rapport.events.v1.disclosure_pb2 import (
    PROVENANCE_ASSESSED,
    PROVENANCE_DECLARED,
    PROVENANCE_IMPORTED,
    PROVENANCE_INFERRED,
    PROVENANCE_OBSERVED,
    PROVENANCE_THIRD_PARTY,
)
from rapport.events.v1.interaction_pb2 import InteractionRecorded, InteractionRetracted
from tests.stepping import Steps

DAY = 86_400 * MICROSECONDS
NOW = 1_800_000_000 * MICROSECONDS
STREAM = "acme/c-1"
POLICY = "acme/@policy"
KEY = "purchase.plans"
BASIS = LEGAL_BASIS_CONTRACT_PERFORMANCE


@pytest.fixture
def steps() -> Steps:
    """A relationship with an interaction at position 1, in which things can be told."""
    steps = Steps(NOW)
    steps.do(RecordInteraction(STREAM, InteractionRecorded(), NOW - 100))
    return steps


def disclose(code: str = "soon", at: int | None = None, position: int = 1, **more: Any) -> DiscloseAttribute:
    fields: dict[str, Any] = {"key": KEY, "indicated_by": INDICATED_BY_SUBJECT, **more}
    return DiscloseAttribute(STREAM, ev.AttributeDisclosed(code=code, interaction_position=position, **fields), at)


def observe(code: str = "soon", at: int | None = None, basis: Any = BASIS, key: str = KEY) -> ObserveAttribute:
    return ObserveAttribute(STREAM, ev.AttributeObserved(key=key, code=code, legal_basis=basis), at)


def infer(code: str = "soon", at: int | None = None, basis: Any = BASIS) -> InferAttribute:
    return InferAttribute(STREAM, ev.AttributeInferred(key=KEY, code=code, legal_basis=basis, rule="last.purchase"), at)


def obtain(provenance: Any, code: str = "soon", basis: Any = BASIS) -> ObtainAttribute:
    event = ev.AttributeObtained(key=KEY, code=code, legal_basis=basis, provenance=provenance, source="register")
    return ObtainAttribute(STREAM, event)


def withdraw(provenance: Any, at: int | None = None, key: str = KEY) -> WithdrawAttribute:
    return WithdrawAttribute(STREAM, ev.AttributeWithdrawn(key=key, provenance=provenance), at)


def ask(key: str = KEY) -> RequestAttribute:
    return RequestAttribute(STREAM, ev.AttributeRequested(key=key, purposes=["service.care"], reason="to.advise"))


def publication(*definitions: AttributeDefinition) -> AttributesPublished:
    return AttributesPublished(catalogue=AttributeCatalogue(version=1, attributes=definitions))


def published(*definitions: AttributeDefinition) -> Catalogue:
    steps = Steps(NOW)
    steps.put(POLICY, "policy.attributes_published.v1", publication(*definitions))
    current: Catalogue = steps.state(POLICY).attributes.current
    return current


def code_in(steps: Steps, provenance: int, at: int | None = None, key: str = KEY) -> str | None:
    state = steps.state(STREAM) if at is None else steps.as_of(STREAM, at)
    slot = state.attributes.slot(key, provenance)
    return None if slot is None or slot.value is None else slot.value.code


def reading(steps: Steps, provenance: int, known: Catalogue = NO_CATALOGUE, at: int = NOW) -> Usable:
    return usable(steps.state(STREAM).attributes.slot(KEY, provenance), known, at)


def test_what_was_inferred_never_passes_for_what_was_declared(steps: Steps) -> None:
    steps.do(infer("within.a.month"))

    assert code_in(steps, PROVENANCE_DECLARED) is None
    assert Usable("not_known", ()) == reading(steps, PROVENANCE_DECLARED)
    assert "within.a.month" == code_in(steps, PROVENANCE_INFERRED)


def test_two_slots_that_disagree_are_both_shown(steps: Steps) -> None:
    steps.do(disclose("never"), infer("soon"))

    assert ("never", "soon") == (code_in(steps, PROVENANCE_DECLARED), code_in(steps, PROVENANCE_INFERRED))


def test_each_write_fills_its_own_slot_and_no_other(steps: Steps) -> None:
    writes = {
        PROVENANCE_DECLARED: disclose("d"),
        PROVENANCE_OBSERVED: observe("o"),
        PROVENANCE_INFERRED: infer("i"),
        PROVENANCE_THIRD_PARTY: obtain(PROVENANCE_THIRD_PARTY, "t"),
        PROVENANCE_ASSESSED: obtain(PROVENANCE_ASSESSED, "a"),
        PROVENANCE_IMPORTED: obtain(PROVENANCE_IMPORTED, "m"),
    }
    filled: dict[int, str] = {}
    for provenance, step in writes.items():
        steps.do(step)
        filled[provenance] = step.event.code
        assert filled == {each: code for each in writes if (code := code_in(steps, each)) is not None}
    assert [(provenance, 1) for provenance in sorted(writes)] == steps.state(STREAM).attributes.inventory()


@pytest.mark.parametrize("claimed", [PROVENANCE_DECLARED, PROVENANCE_OBSERVED, PROVENANCE_INFERRED, 99])
def test_something_obtained_that_claims_a_slot_not_its_own_fills_none(steps: Steps, claimed: Any) -> None:
    steps.do(disclose("never"))

    steps.do(obtain(claimed, "soon"))

    assert [(PROVENANCE_DECLARED, 1)] == steps.state(STREAM).attributes.inventory()
    assert "never" == code_in(steps, PROVENANCE_DECLARED)


def test_the_inventory_has_no_key_without_an_event(steps: Steps) -> None:
    attributes = steps.state(STREAM).attributes
    assert ([], []) == (attributes.inventory(), attributes.keys())

    steps.do(observe(), observe("x", key="likes"), disclose("never"))
    steps.do(withdraw(PROVENANCE_OBSERVED, key="likes"), withdraw(PROVENANCE_IMPORTED, key="other"), ask("age"))

    assert [(PROVENANCE_DECLARED, 1), (PROVENANCE_OBSERVED, 1)] == attributes.inventory()
    assert ["age", "likes", "other", KEY] == attributes.keys()
    assert [PROVENANCE_DECLARED] == attributes.slots("age")
    assert [] == attributes.slots("nothing")


def test_the_later_value_of_a_slot_replaces_the_earlier_and_a_late_one_does_not(steps: Steps) -> None:
    steps.do(disclose("soon", NOW - 9))
    steps.do(disclose("never", NOW - 5))
    steps.do(disclose("tomorrow", NOW - 7))

    assert "never" == code_in(steps, PROVENANCE_DECLARED)
    assert "tomorrow" == code_in(steps, PROVENANCE_DECLARED, NOW - 6)


def test_a_withdrawn_slot_is_empty_from_the_time_of_the_withdrawal_on_and_others_are_not(steps: Steps) -> None:
    steps.do(disclose("soon", NOW - 9), observe("late", NOW - 9))

    steps.do(withdraw(PROVENANCE_DECLARED, NOW - 5))

    assert (None, "soon") == (code_in(steps, PROVENANCE_DECLARED), code_in(steps, PROVENANCE_DECLARED, NOW - 6))
    assert code_in(steps, PROVENANCE_DECLARED, NOW - 5) is None
    assert Usable("withdrawn", ()) == reading(steps, PROVENANCE_DECLARED)
    assert "late" == code_in(steps, PROVENANCE_OBSERVED)
    steps.do(disclose("again", NOW - 4))
    assert "again" == code_in(steps, PROVENANCE_DECLARED)


def test_withdrawing_nothing_is_harmless_and_never_asks_a_catalogue(steps: Steps) -> None:
    steps.put(POLICY, "policy.attributes_published.v1", publication(AttributeDefinition(key="other")))

    steps.do(withdraw(PROVENANCE_DECLARED))

    assert [] == steps.state(STREAM).attributes.inventory()


def test_what_is_declared_was_told_in_an_interaction_of_this_relationship(steps: Steps) -> None:
    assert ("INTERACTION_UNKNOWN", {"original_position": "7"}) == steps.refused(disclose(position=7))
    steps.do(RecordInteraction("acme/c-2", InteractionRecorded()))
    assert "INTERACTION_UNKNOWN" == steps.refused(disclose(position=2))[0]
    steps.do(RetractInteraction(STREAM, InteractionRetracted(original_position=1, reason="mistaken")))
    assert "INTERACTION_RETRACTED" == steps.refused(disclose())[0]


def test_words_alone_fill_a_slot_without_showing_them_to_the_fold(steps: Steps) -> None:
    steps.do(disclose("", text="when the paperback is out"))

    slot = steps.state(STREAM).attributes.slot(KEY, PROVENANCE_DECLARED)
    assert ("", "") == (slot.value.code, slot.value.text)
    assert Usable("", ()) == reading(steps, PROVENANCE_DECLARED)


@pytest.mark.parametrize("step", [observe(basis=0), infer(basis=0), obtain(PROVENANCE_THIRD_PARTY, basis=0)])
def test_without_a_legal_basis_a_value_is_kept_and_no_decision_may_read_it(steps: Steps, step: Any) -> None:
    steps.do(step)

    ((provenance, _),) = steps.state(STREAM).attributes.inventory()
    assert "soon" == code_in(steps, provenance)
    assert "no_legal_basis" == reading(steps, provenance).reason


@pytest.mark.parametrize("step", [observe(), infer(), obtain(PROVENANCE_ASSESSED), disclose()])
def test_with_a_legal_basis_or_declared_a_decision_may_read_it(steps: Steps, step: Any) -> None:
    steps.do(step)

    ((provenance, _),) = steps.state(STREAM).attributes.inventory()
    assert Usable("", ()) == reading(steps, provenance)


def test_a_published_catalogue_knows_its_keys_and_their_codes(steps: Steps) -> None:
    steps.do(observe("anything"))
    plans = AttributeDefinition(key=KEY, codes=["soon", "never"])
    steps.put(POLICY, "policy.attributes_published.v1", publication(plans, AttributeDefinition(key="likes")))

    steps.do(observe("soon"), disclose(""), observe("whatever", key="likes"))
    for step in (observe("anything"), observe("soon", key="other"), disclose("later"), infer("x"), ask("other")):
        assert "ATTRIBUTE_UNKNOWN" == steps.refused(step)[0]
    assert {"key": "other"} == steps.refused(observe(key="other"))[1]


def test_a_value_is_used_for_what_the_catalogue_allows_as_far_as_it_was_told_for_that(steps: Steps) -> None:
    known = published(AttributeDefinition(key=KEY, purposes=["service.care", "marketing"]))
    told = ["service.care", "marketing.direct", "research.survey"]

    steps.do(disclose(purposes=told), observe())

    assert Usable("", ("marketing.direct", "service.care")) == reading(steps, PROVENANCE_DECLARED, known)
    assert Usable("", ("marketing", "service.care")) == reading(steps, PROVENANCE_OBSERVED, known)
    assert Usable("", tuple(sorted(told))) == reading(steps, PROVENANCE_DECLARED)


def test_a_value_told_for_more_than_the_catalogue_allows_serves_none_of_it(steps: Steps) -> None:
    steps.do(disclose(purposes=["marketing"]))

    narrower = published(AttributeDefinition(key=KEY, purposes=["marketing.direct"]))
    assert Usable("no_purpose", ()) == reading(steps, PROVENANCE_DECLARED, narrower)
    shown_only = published(AttributeDefinition(key=KEY))
    assert Usable("no_purpose", ()) == reading(steps, PROVENANCE_DECLARED, shown_only)
    without_it = published(AttributeDefinition(key="other", purposes=["marketing"]))
    assert Usable("not_in_catalogue", ()) == reading(steps, PROVENANCE_DECLARED, without_it)


def test_a_value_is_used_no_longer_than_it_is_retained(steps: Steps) -> None:
    steps.do(disclose(at=NOW - 50))
    known = published(AttributeDefinition(key=KEY, purposes=["service.care"], retention_days=30))
    end = NOW - 50 + 30 * DAY

    assert Usable("", ("service.care",)) == reading(steps, PROVENANCE_DECLARED, known, end - 1)
    assert Usable("retention_ended", ("service.care",)) == reading(steps, PROVENANCE_DECLARED, known, end)
