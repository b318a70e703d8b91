"""What giving a consent does, what every cell then says, and when it says so (consent.md 1, 4)."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from ledger.domain.consent import Cell, CellVerdict, GiveConsent, RefuseConsent, WithdrawConsent, cells, permits, status
from ledger.domain.consent_status import CELLS_PER_ACT_MAX
from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.times import END_OF_TIME, timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentWithdrawn, Validity
from tests.consent_verdicts import DIRECT, EMAIL, IMPORT, SMS, SOCIAL, give, history, is_live, refuse, verdict, withdraw
from tests.relationship_history import DAY, NOON, STREAM, History

__all__ = ["history"]
"""The fixture of all tests of consents; a test has it by its name."""


# Giving.


def test_a_consent_makes_its_cell_live_since_it_was_given(history: History) -> None:
    given = history.record(give(DIRECT, at=NOON - DAY, channels=(EMAIL,)))

    expected = CellVerdict(c.CONSENT_STATUS_GIVEN, NOON - DAY, None, c.LEGAL_BASIS_CONSENT, evidence=(given.position,))
    assert expected[:5] == verdict(history, Cell(DIRECT, EMAIL))[:5]


def test_a_consent_tells_the_basis_it_was_given_on(history: History) -> None:
    history.add("consent.given.v1", ConsentGiven(purposes=[DIRECT], legal_basis=c.LEGAL_BASIS_SOFT_OPT_IN), NOON)

    assert c.LEGAL_BASIS_SOFT_OPT_IN == verdict(history, Cell(DIRECT)).legal_basis


def test_nothing_said_is_unknown(history: History) -> None:
    assert CellVerdict(c.CONSENT_STATUS_UNKNOWN) == verdict(history, Cell(DIRECT, EMAIL))


def test_what_is_said_is_recorded_as_it_is_told() -> None:
    step = give(DIRECT, at=NOON, context=IMPORT)

    (fact,) = History().decide(step).facts

    assert ("consent.given.v1", step.consent, IMPORT) == (fact.topic, fact.event, fact.context)
    assert (NOON, False, False) == (fact.occur_time, fact.defaulted, fact.clamped)


@pytest.mark.parametrize("make", [give, refuse])
def test_a_yes_and_a_refusal_of_the_future_are_refused(
    make: Callable[..., GiveConsent | RefuseConsent],
) -> None:
    with pytest.raises(Rejected) as refusal:
        History().decide(make(DIRECT, at=NOON + DAY))

    assert reasons.ERROR_REASON_OCCUR_TIME_IN_FUTURE == refusal.value.reason


def test_a_narrowed_yes_covers_only_what_it_names(history: History) -> None:
    history.record(give(DIRECT, channels=(EMAIL,), points=("cp-1",), brands=("north",)))

    assert is_live(history, DIRECT, EMAIL, "cp-1", "north")
    for cell in (
        (DIRECT, SMS, "cp-1", "north"),
        (DIRECT, EMAIL, "cp-2", "north"),
        (DIRECT, EMAIL, "cp-1", "south"),
        (DIRECT, i.CHANNEL_UNSPECIFIED, "cp-1", "north"),  # An open part asks for all of them.
        (DIRECT, EMAIL, "", "north"),
        (DIRECT, EMAIL, "cp-1", ""),
        (SOCIAL, EMAIL, "cp-1", "north"),
    ):
        assert not is_live(history, *cell)


def test_a_yes_that_narrows_nothing_covers_every_channel_point_and_brand(history: History) -> None:
    history.record(give(DIRECT))

    assert is_live(history, DIRECT)
    assert is_live(history, DIRECT, SMS, "cp-9", "south")
    assert not is_live(history, "")


def test_a_yes_covers_a_child_only_where_the_notice_lists_it(history: History) -> None:
    history.record(give("marketing", listed=(SOCIAL, "research.survey")))

    assert is_live(history, "marketing")
    assert is_live(history, SOCIAL)
    assert not is_live(history, DIRECT)
    assert not is_live(history, "research.survey")  # Listed, but no child of what was given.


def test_a_yes_for_the_exact_purpose_needs_no_notice(history: History) -> None:
    history.record(give(SOCIAL))

    assert is_live(history, SOCIAL)
    assert not is_live(history, "marketing")


def test_a_prefix_without_a_dot_is_no_parent(history: History) -> None:
    history.record(give("marketingplus", at=NOON - DAY))
    history.record(withdraw("marketing"))

    assert is_live(history, "marketingplus")


# Terms.


@pytest.mark.parametrize(
    "validity",
    [Validity(until_time=timestamp(NOON + DAY)), Validity(duration=Duration(seconds=2 * 86_400))],
    ids=["until", "duration"],
)
def test_a_consent_ends_at_its_term_without_an_event(history: History, validity: Validity) -> None:
    given = history.record(give(DIRECT, at=NOON - DAY, validity=validity))

    last = verdict(history, Cell(DIRECT), NOON + DAY - 1)
    assert (c.CONSENT_STATUS_GIVEN, NOON + DAY) == (last.status, last.until)
    expired = verdict(history, Cell(DIRECT), NOON + DAY)
    assert (c.CONSENT_STATUS_EXPIRED, NOON - DAY, NOON + DAY) == (expired.status, expired.since, expired.until)
    assert (given.position,) == expired.evidence


def test_a_duration_counts_from_the_first_instant(history: History) -> None:
    history.record(give(DIRECT, valid_from=NOON + DAY, validity=Validity(duration=Duration(seconds=86_400))))

    assert not is_live(history, DIRECT, at=NOON + DAY - 1)
    assert is_live(history, DIRECT, at=NOON + DAY)
    assert not is_live(history, DIRECT, at=NOON + 2 * DAY)


def test_a_consent_that_does_not_hold_yet_says_nothing(history: History) -> None:
    history.record(give(DIRECT, valid_from=NOON + DAY))

    assert c.CONSENT_STATUS_UNKNOWN == verdict(history, Cell(DIRECT)).status


@pytest.mark.parametrize(
    "validity",
    [
        Validity(endless=True),
        Validity(event="contract-ends"),
        Validity(uses=3),
        Validity(),
        Validity(duration=Duration(seconds=315_576_000_000)),  # Ten thousand years: the calendar ends before.
    ],
    ids=["endless", "event", "uses", "none", "long"],
)
def test_a_term_that_no_clock_tells_has_no_end(history: History, validity: Validity) -> None:
    history.record(give(DIRECT, validity=validity))

    last = verdict(history, Cell(DIRECT), END_OF_TIME - 1)
    assert (c.CONSENT_STATUS_GIVEN, None) == (last.status, last.until)


def test_of_several_consents_the_one_that_holds_longest_is_told(history: History) -> None:
    history.record(give(DIRECT, at=NOON - 2 * DAY, validity=Validity(until_time=timestamp(NOON + 3 * DAY))))
    history.record(give(DIRECT, at=NOON - DAY, validity=Validity(until_time=timestamp(NOON + DAY))))

    assert NOON + 3 * DAY == verdict(history, Cell(DIRECT)).until


def test_an_expired_yes_does_not_lift_the_no_before_it(history: History) -> None:
    history.record(refuse(DIRECT, at=NOON - 3 * DAY))
    history.record(give(DIRECT, at=NOON - 2 * DAY, validity=Validity(until_time=timestamp(NOON))))

    assert is_live(history, DIRECT, at=NOON - 1)
    assert c.CONSENT_STATUS_REFUSED == verdict(history, Cell(DIRECT), NOON).status


# Cells.


def test_the_cells_are_what_acts_named_in_order(history: History) -> None:
    history.record(give(SOCIAL, DIRECT, at=NOON - DAY, channels=(SMS, EMAIL), points=("cp-1",)))
    history.record(withdraw(DIRECT, channels=(EMAIL,), points=("cp-1",)))
    history.record(refuse())

    expected = [
        Cell(),
        Cell(DIRECT, EMAIL, "cp-1"),
        Cell(DIRECT, SMS, "cp-1"),
        Cell(SOCIAL, EMAIL, "cp-1"),
        Cell(SOCIAL, SMS, "cp-1"),
    ]
    assert expected == cells(history.state().consents)


def many(letter: str, count: int) -> list[str]:
    return [f"{letter}{number}" for number in range(count)]


def test_a_yes_to_more_cells_than_can_be_listed_is_refused(history: History) -> None:
    event = ConsentGiven(purposes=many("p", 64), contact_point_ids=many("c", 32), brands=many("b", 3))

    with pytest.raises(Rejected) as refusal:
        history.decide(GiveConsent(STREAM, event, NOON))

    assert reasons.ERROR_REASON_REQUEST_INVALID == refusal.value.reason
    assert ["consent"] == [violation.field for violation in refusal.value.violations]
    del event.brands[2:]
    assert CELLS_PER_ACT_MAX == 64 * 32 * 2
    history.record(GiveConsent(STREAM, event, NOON))


def test_a_withdrawal_of_more_cells_than_can_be_listed_is_listed_more_broadly(history: History) -> None:
    event = ConsentWithdrawn(purposes=many("p", 64), contact_point_ids=many("c", 32), brands=many("b", 32))

    history.record(WithdrawConsent(STREAM, event))

    named = cells(history.state().consents)
    assert 64 * 32 == len(named)
    assert {c.CONSENT_STATUS_WITHDRAWN} == {verdict(history, cell).status for cell in named[:50]}


# Views and evidence.


def test_a_view_as_of_a_past_time_does_not_know_what_happened_after(history: History) -> None:
    history.record(give(DIRECT, at=NOON - 2 * DAY))
    history.record(withdraw(at=NOON - DAY))

    before = NOON - DAY - 1
    assert c.CONSENT_STATUS_GIVEN == status(history.state(before).consents, Cell(DIRECT), before).status
    assert c.CONSENT_STATUS_WITHDRAWN == verdict(history, Cell(DIRECT)).status


def test_a_clock_that_lags_does_not_bring_back_what_was_withdrawn(history: History) -> None:
    history.record(give(DIRECT, at=NOON - DAY))
    history.record(withdraw(at=NOON))

    assert c.CONSENT_STATUS_WITHDRAWN == verdict(history, Cell(DIRECT), NOON - 1).status


def test_a_clock_that_lags_sees_what_was_just_given(history: History) -> None:
    history.record(give(DIRECT, at=NOON))

    assert is_live(history, DIRECT, at=NOON - 1)


def test_the_span_of_acts_is_kept(history: History) -> None:
    assert (None, None) == (history.state().consents.first_time, history.state().consents.last_time)
    history.record(give(DIRECT, at=NOON - DAY))
    history.record(refuse(SOCIAL, at=NOON - 2 * DAY))

    assert (NOON - 2 * DAY, NOON - DAY) == (
        history.state().consents.first_time,
        history.state().consents.last_time,
    )


def test_a_grant_is_in_force_within_its_term(history: History) -> None:
    given = history.record(give("sharing.insights", at=NOON - DAY, validity=Validity(until_time=timestamp(NOON))))

    consents = history.state().consents
    assert [False, True, True, False] == [
        consents.grant_in_force(given.position, at) for at in (NOON - DAY - 1, NOON - DAY, NOON - 1, NOON)
    ]


def test_a_grant_is_in_force_until_a_no_touches_it(history: History) -> None:
    given = history.record(give("sharing.insights", DIRECT, at=NOON - 2 * DAY))
    denial = history.record(withdraw(DIRECT, channels=(EMAIL,), at=NOON - DAY))

    consents = history.state().consents
    assert consents.grant_in_force(given.position, NOON - DAY - 1)
    assert not consents.grant_in_force(given.position, NOON - DAY)
    assert not consents.grant_in_force(denial.position, NOON)
    assert not consents.grant_in_force(0, NOON)


def test_a_grant_after_a_no_is_in_force_and_one_before_it_never_again(history: History) -> None:
    history.record(withdraw(at=NOON - 2 * DAY))
    imported = history.record(give(DIRECT, at=NOON - 3 * DAY, context=IMPORT))
    tied = history.record(give(DIRECT, at=NOON - 2 * DAY, context=IMPORT))
    given = history.record(give(DIRECT, at=NOON - DAY))

    consents = history.state().consents
    assert not consents.grant_in_force(imported.position, NOON)
    assert not consents.grant_in_force(tied.position, NOON)
    assert consents.grant_in_force(given.position, NOON)
    history.record(withdraw(at=NOON - 30 * DAY))  # Arrives late.
    assert not history.state().consents.grant_in_force(given.position, NOON)


# The vocabulary.


def test_only_given_and_renewed_permit_as_the_data_privacy_vocabulary_says(shared_data: Path) -> None:
    table = shared_data / "dpv" / "consent_status.csv"
    if not table.is_file():
        pytest.skip("the table of consent statuses is not among the data sets")
    with table.open(newline="", encoding="utf-8") as lines:
        rows = [
            row for row in csv.DictReader(lines) if row["hasbroader"].startswith("https://w3id.org/dpv#ConsentStatus")
        ]
    kinds = {"ConsentStatusValidForProcessing", "ConsentStatusInvalidForProcessing"}

    published = {
        number_of(row["term"]): row["hasbroader"].endswith("#ConsentStatusValidForProcessing")
        for row in rows
        if row["term"] not in kinds
    }

    assert set(c.ConsentStatus.values()) - {c.CONSENT_STATUS_UNSPECIFIED} == set(published)
    assert published == {number: permits(number) for number in published}
    assert not permits(c.CONSENT_STATUS_UNSPECIFIED)


def number_of(term: str) -> int:
    """Return the status of a term. Example: `RenewedConsentGiven` is CONSENT_STATUS_RENEWED."""
    name = "Renewed" if term == "RenewedConsentGiven" else term.removeprefix("Consent")
    words = "".join("_" + letter if letter.isupper() else letter for letter in name)
    return c.ConsentStatus.Value("CONSENT_STATUS" + words.upper())


# What stays quiet.


def test_facts_of_other_subjects_pass_by(history: History) -> None:
    history.add("interaction.recorded.v1", i.InteractionRecorded(), NOON)
    history.add("consent.renewed.v9", ConsentGiven(purposes=[DIRECT]), NOON)  # Not a topic of this release.

    assert [] == cells(history.state().consents)


def test_a_refusal_needs_no_state_and_a_withdrawal_no_other_stream() -> None:
    assert (False, ()) == (refuse().needs_state, refuse().reads)
    assert () == withdraw().reads
    (fact,) = refuse(DIRECT).decide(None, Setting(NOON, {})).facts
    assert ("consent.refused.v1", NOON) == (fact.topic, fact.occur_time)


def test_facts_are_kept_in_order_of_position(history: History) -> None:
    facts: list[Fact] = [history.record(give(DIRECT, at=NOON - days * DAY)) for days in range(3)]

    assert all(history.state().consents.grant_in_force(fact.position, NOON) for fact in facts)
