"""Publishing contact policies, purposes, attributes: what is stored, what is refused, and that every fault is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ledger.domain.built_in_contact_policy import BUILT_IN_CONTACT_POLICY
from ledger.domain.built_in_purposes import BUILT_IN_PURPOSES
from ledger.domain.contact_policy_rules import faults_of_policy, unsourced
from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision
from ledger.domain.policy import PolicyState, noted_version
from ledger.domain.publishing import PublishAttributeCatalogue, PublishContactPolicy, PublishPurposes, checked
from ledger.domain.registry_rules import faults_of_registry
from ledger.domain.times import MICROSECONDS, timestamp
from ledger.domain.valuation_policy import BYTES_MAX
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import (
    AttributeCatalogue,
    BasisRule,
    ChannelAttention,
    ContactPolicy,
    CountryZones,
    DoubleOptInRule,
    FrequencyCap,
    HonourRule,
    HoursExemption,
    JurisdictionRules,
    KeywordRules,
    LegalSource,
    LegalWindow,
    PurposeRegistry,
)
from rapport.events.v1.preference_pb2 import PERIOD_DAY, WEEKDAY_MONDAY, WEEKDAY_SATURDAY, WEEKDAY_SUNDAY, LocalWindow
from tests.contact_policies import STREAM, catalogue, contact_policy, definition, fold, purpose, registry

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


# --- Faults of a contact policy --------------------------------------------------------------------------------------


def test_the_built_in_ones_have_no_fault() -> None:
    slugs = {each.slug: each for each in BUILT_IN_PURPOSES.purposes}

    assert [] == list(faults_of_policy(BUILT_IN_CONTACT_POLICY, slugs, NOW))
    assert [] == list(faults_of_registry(BUILT_IN_PURPOSES))
    assert [] == unsourced(BUILT_IN_CONTACT_POLICY)


@pytest.mark.parametrize(
    "values, expected",
    [
        # Zones.
        ({"default_time_zones": ["Europe/Atlantis"]}, [("default_time_zones[0]", INVALID)]),
        ({"default_time_zones": ["Europe/Rome", "Europe/Rome"]}, [("default_time_zones[1]", INVALID)]),
        ({"countries": [CountryZones(country="DE")]}, [("countries[0].time_zones", INVALID)]),
        (
            {"countries": [CountryZones(country="DE", time_zones=["Europe/Berlin", "Berlin"])]},
            [("countries[0].time_zones[1]", INVALID)],
        ),
        (
            {"countries": [CountryZones(country="DE", time_zones=["Europe/Berlin"])] * 2},
            [("countries[1].country", CONFLICT)],
        ),
        # Laws.
        (
            {"jurisdictions": [JurisdictionRules(jurisdiction="DE", minor_age=age) for age in (16, 15)]},
            [("jurisdictions[1].jurisdiction", CONFLICT)],
        ),
        # Bases.
        ({"basis_rules": [basis(c.LEGAL_BASIS_CONSENT)]}, [("basis_rules[0].legal_basis", INVALID)]),
        ({"basis_rules": [basis(purposes=["marketing", "nonsense"])]}, [("basis_rules[0].purposes[1]", INVALID)]),
        ({"basis_rules": [basis(purposes=["order.management"])]}, [("basis_rules[0].purposes[0]", INVALID)]),
        ({"basis_rules": [basis(c.LEGAL_BASIS_VITAL_INTEREST)]}, [("basis_rules[0]", INVALID)]),
        (
            {"basis_rules": [BasisRule(legal_basis=SOFT, months=3, first_contact_months=2)]},
            [("basis_rules[0].months", INVALID), ("basis_rules[0].first_contact_months", INVALID)],
        ),
        (
            {"basis_rules": [basis(months=6, first_contact_months=7)]},
            [("basis_rules[0].first_contact_months", INVALID)],
        ),
        ({"basis_rules": [basis(), basis(jurisdictions=["IE"], months=12)]}, [("basis_rules[1]", CONFLICT)]),
        (
            {"basis_rules": [basis(jurisdictions=["US"]), basis(SOFT, QUESTION, PURCHASE, jurisdictions=["US-CA"])]},
            [("basis_rules[1]", CONFLICT)],
        ),
        ({"basis_rules": [basis(), BasisRule(legal_basis=SOFT)]}, [("basis_rules[1]", CONFLICT)]),
        (
            {"basis_rules": [basis(purposes=["marketing.direct"]), basis(purposes=["marketing"])]},
            [("basis_rules[1]", CONFLICT)],
        ),
        (
            {"basis_rules": [basis(SOFT, PURCHASE, exchange=True), basis(SOFT, QUESTION, exchange=True)]},
            [("basis_rules[1]", CONFLICT)],
        ),
        ({"basis_rules": [basis(channels=[i.CHANNEL_SMS] * 2)]}, [("basis_rules[0].channels[1]", INVALID)]),
        # Hours.
        ({"legal_windows": [LegalWindow(window=DAYTIME)] * 2}, [("legal_windows[1]", CONFLICT)]),
        (
            {"legal_windows": [LegalWindow(window=LocalWindow(weekdays=[WEEKDAY_MONDAY] * 2))]},
            [("legal_windows[0].window.weekdays[1]", INVALID)],
        ),
        (
            {"legal_windows": [window(480, 1260), window(1200, 1320)]},
            [("legal_windows[1]", CONFLICT)],
        ),
        (
            # From Sunday evening to Monday morning, and Monday.
            {"legal_windows": [window(1320, 120, WEEKDAY_SUNDAY), window(0, 60, WEEKDAY_MONDAY)]},
            [("legal_windows[1]", CONFLICT)],
        ),
        (
            {"legal_windows": [window(480, 720, jurisdictions=["US"]), window(720, 480, jurisdictions=["US-CA"])]},
            [("legal_windows[1]", CONFLICT)],
        ),
        ({"hours_exemptions": [HoursExemption()]}, [("hours_exemptions[0]", INVALID)]),
        (
            {"hours_exemptions": [HoursExemption(channel=i.CHANNEL_EMAIL)] * 2},
            [("hours_exemptions[1]", CONFLICT)],
        ),
        # Caps.
        (
            {"caps": [FrequencyCap(count=n, period=PERIOD_DAY, topic="tea") for n in (1, 2)]},
            [("caps[1]", CONFLICT)],
        ),
        (
            {"caps": [FrequencyCap(count=1, period=PERIOD_DAY, message_class=i.MESSAGE_CLASS_TRANSACTIONAL)]},
            [("caps[0].message_class", INVALID)],
        ),
        # Double opt-in.
        ({"double_opt_in": [DoubleOptInRule(purposes=["nonsense"])]}, [("double_opt_in[0].purposes[0]", INVALID)]),
        (
            {"double_opt_in": [DoubleOptInRule(purposes=["legal.compliance"])]},
            [("double_opt_in[0].purposes[0]", INVALID)],
        ),
        ({"double_opt_in": [DoubleOptInRule()] * 2}, [("double_opt_in[1]", CONFLICT)]),
        # Words.
        ({"keywords": KeywordRules(words=["STOP", " - "])}, [("keywords.words[1]", INVALID)]),
        ({"keywords": KeywordRules(words=["STOP", "\u26d4\ufe0f"])}, [("keywords.words[1]", INVALID)]),
        ({"keywords": KeywordRules(words=["OPT OUT", "STOP", "opt-out"])}, [("keywords.words[2]", INVALID)]),
        ({"keywords": KeywordRules(confirm_once=True)}, [("keywords.words", INVALID)]),
        # Acting in time.
        ({"honour": [HonourRule()]}, [("honour[0].days", INVALID)]),
        (
            {
                "honour": [
                    HonourRule(jurisdictions=["US", "CA"], days=1),
                    HonourRule(jurisdictions=["CA", "US"], days=2),
                ]
            },
            [("honour[1]", CONFLICT)],
        ),
        # Attention.
        (
            {"attention_seconds": [ChannelAttention(channel=i.CHANNEL_EMAIL, seconds=n) for n in (1, 2)]},
            [("attention_seconds[1].channel", CONFLICT)],
        ),
        # Sources.
        ({"sources": [source("legal_windows[0]")]}, [("sources[0].field", INVALID)]),
        ({"sources": [source("jurisdictions.minor_age")]}, [("sources[0].field", INVALID)]),
        ({"sources": [source("keywords.words")]}, [("sources[0].field", INVALID)]),
        ({"sources": [source("permit_seconds[0]")]}, [("sources[0].field", INVALID)]),
        ({"sources": [source("permit_seconds.length")]}, [("sources[0].field", INVALID)]),
        ({"sources": [source("no such thing")]}, [("sources[0].field", INVALID)]),
        ({"sources": [source("permit_seconds")] * 2}, [("sources[1]", CONFLICT)]),
        ({"sources": [source("permit_seconds", checked_on="2026-9-21")]}, [("sources[0].checked_on", INVALID)]),
        ({"sources": [source("permit_seconds", checked_on="2026-02-30")]}, [("sources[0].checked_on", INVALID)]),
        ({"sources": [source("permit_seconds", checked_on="20260921")]}, [("sources[0].checked_on", INVALID)]),
        ({"sources": [source("permit_seconds", checked_on="2026-09-23")]}, [("sources[0].checked_on", INVALID)]),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(values: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert expected == faults(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"basis_rules": [basis(jurisdictions=["DE"]), basis(jurisdictions=["IE"], months=12)]},
        {"basis_rules": [basis(jurisdictions=["US-CA"]), basis(jurisdictions=["US-NY"])]},
        {"basis_rules": [basis(), basis(SOFT, QUESTION, months=6)]},
        {"basis_rules": [basis(), basis(c.LEGAL_BASIS_IMPLIED_INQUIRY)]},
        {"basis_rules": [basis(channels=[i.CHANNEL_EMAIL]), basis(channels=[i.CHANNEL_SMS])]},
        {"basis_rules": [basis(CONTRACT, purposes=[slug]) for slug in ("order.management", "payment")]},
        {"basis_rules": [basis(months=12, first_contact_months=12)]},
        # A law of weekdays and Saturdays; and a stricter law of a state beside that of its country.
        {"legal_windows": [window(540, 1200, WEEKDAY_MONDAY), window(540, 960, WEEKDAY_SATURDAY), window(1200, 1260)]},
        {"legal_windows": [window(480, 1260, jurisdictions=["US"]), window(480, 1200, jurisdictions=["US-FL"])]},
        {"legal_windows": [window(480, 720, channels=[i.CHANNEL_SMS]), window(720, 480, channels=[i.CHANNEL_POSTAL])]},
        {"legal_windows": [window(480, 720, message_classes=[1]), window(720, 480, message_classes=[2])]},
        {"legal_windows": [window(480, 720, jurisdictions=["DE"]), window(720, 480, jurisdictions=["FR"])]},
        {"caps": [FrequencyCap(count=1, period=PERIOD_DAY), FrequencyCap(count=1, period=PERIOD_DAY, topic="tea")]},
        {"honour": [HonourRule(days=10, business_days=True), HonourRule(jurisdictions=["US"], days=3)]},
        {
            "hours_exemptions": [
                HoursExemption(channel=i.CHANNEL_WEB),
                HoursExemption(message_class=i.MESSAGE_CLASS_SERVICE),
            ]
        },
        {
            "legal_windows": [LegalWindow(window=DAYTIME, jurisdictions=["US"])],
            "sources": [source("legal_windows"), source("legal_windows[0]"), source("legal_windows[0].window")],
        },
        {"sources": [source("permit_seconds"), source("permit_seconds", source="another text")]},
        {"sources": [source("permit_seconds", checked_on="2026-09-22")]},
    ],
)
def test_a_policy_that_can_be_meant_is_not_refused(values: dict[str, Any]) -> None:
    assert [] == faults(**values)


def test_purposes_are_those_of_the_registry_in_force() -> None:
    state = fold(registry(purpose("marketing.tea")))

    assert [] == faults(state, double_opt_in=[DoubleOptInRule(purposes=["marketing.tea"])])
    assert [("double_opt_in[0].purposes[0]", INVALID)] == faults(
        state, double_opt_in=[DoubleOptInRule(purposes=["marketing"])]
    )


def test_a_purpose_whose_child_may_rest_on_a_basis_is_no_fault() -> None:
    state = fold(registry(purpose("a"), purpose("a.b", legal_bases=[SOFT])))

    assert [] == faults(state, basis_rules=[basis(purposes=["a"])])


# --- Sources ---------------------------------------------------------------------------------------------------------


def test_legal_numbers_without_a_source_are_told() -> None:
    policy = ContactPolicy(
        jurisdictions=[JurisdictionRules(jurisdiction="DE", minor_age=16, ask_again_months=13)],
        basis_rules=[basis(months=24, first_contact_months=12), basis(c.LEGAL_BASIS_IMPLIED_INQUIRY), basis(CONTRACT)],
        legal_windows=[LegalWindow(window=DAYTIME)],
        keywords=KeywordRules(words=["STOP"]),
        honour=[HonourRule(days=10)],
        permit_seconds=60,
    )

    assert [
        "jurisdictions[0].minor_age",
        "jurisdictions[0].ask_again_months",
        "basis_rules[0].months",
        "basis_rules[0].first_contact_months",
        "basis_rules[1]",
        "legal_windows[0].window",
        "keywords.words",
        "honour[0].days",
    ] == unsourced(policy)


@pytest.mark.parametrize(
    "field, covers",
    [
        ("jurisdictions[0].minor_age", True),
        ("jurisdictions[0]", True),
        ("jurisdictions", True),
        ("jurisdictions[1]", False),
        ("jurisdictions[0].consent_months", False),
    ],
)
def test_a_source_is_for_a_number_and_for_what_it_is_part_of(field: str, covers: bool) -> None:
    policy = ContactPolicy(jurisdictions=[JurisdictionRules(jurisdiction="DE", minor_age=16)], sources=[source(field)])

    assert covers == (not unsourced(policy))


def test_a_source_for_a_part_is_one_for_the_whole() -> None:
    windows = [LegalWindow(window=DAYTIME)] * 2
    policy = ContactPolicy(legal_windows=windows, sources=[source("legal_windows[1].window.end_minute")])

    assert ["legal_windows[0].window"] == unsourced(policy)


def test_a_source_for_the_tenth_is_none_for_the_first() -> None:
    laws = [JurisdictionRules(jurisdiction=f"A{letter}", minor_age=16) for letter in "ABCDEFGHIJK"]
    policy = ContactPolicy(jurisdictions=laws, sources=[source("jurisdictions[10]")])

    assert "jurisdictions[1].minor_age" in unsourced(policy)
    assert "jurisdictions[10].minor_age" not in unsourced(policy)


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
