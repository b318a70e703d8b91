"""Faults of a contact policy: each is named by its field, and so is a number of the law without its source."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.built_in_contact_policy import BUILT_IN_CONTACT_POLICY
from ledger.domain.built_in_purposes import BUILT_IN_PURPOSES
from ledger.domain.contact_policy_rules import faults_of_policy, unsourced
from ledger.domain.registry_rules import faults_of_registry
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_policy_pb2 import (
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
    LegalWindow,
)
from rapport.events.v1.preference_pb2 import PERIOD_DAY, WEEKDAY_MONDAY, WEEKDAY_SATURDAY, WEEKDAY_SUNDAY, LocalWindow
from tests.contact_policies import fold, purpose, registry
from tests.contact_publishing import (
    CONFLICT,
    CONTRACT,
    DAYTIME,
    INVALID,
    NOW,
    PURCHASE,
    QUESTION,
    SOFT,
    basis,
    faults,
    source,
    window,
)

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
