"""What the fold of a relationship's stream keeps, whichever subject a fact is of."""

from __future__ import annotations

import pytest

from ledger.domain.consent import Cell, WithdrawConsent, permits, status
from ledger.domain.interaction import RecordInteraction, RetractInteraction
from ledger.domain.log_time import LogTimeState
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from ledger.domain.streams import initial_state
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentWithdrawn
from rapport.events.v1.exchange_pb2 import ExchangeRecorded, ExchangeReversed, Leg
from rapport.events.v1.interaction_pb2 import InteractionRecorded, InteractionRetracted
from rapport.events.v1.ledger_pb2 import LedgerCreated
from rapport.events.v1.privacy_pb2 import KeyCreated
from rapport.type.v1.amount_pb2 import Amount
from tests.relationship_history import DAY, NOON, STREAM, History

VISIT = InteractionRecorded(kind=i.INTERACTION_KIND_VISIT, direction=i.DIRECTION_OBSERVED)
CALL = InteractionRecorded(kind=i.INTERACTION_KIND_CALL, direction=i.DIRECTION_INBOUND)


@pytest.fixture
def history() -> History:
    return History()


def exchange(exchange_id: str = "x1") -> ExchangeRecorded:
    leg = Leg(
        giver=x.PARTY_CUSTOMER,
        category=x.CATEGORY_MONEY_PAYMENT,
        amount=Amount(units=1250, asset="EUR/2"),
    )
    return ExchangeRecorded(exchange_id=exchange_id, one_sided=x.ONE_SIDED_LATER, legs=[leg])


def reversal(exchange_id: str = "x1") -> ExchangeReversed:
    return ExchangeReversed(exchange_id=exchange_id, reversal_id=f"r-{exchange_id}")


def span(history: History, until: int | None = None) -> tuple[int | None, int | None]:
    state = history.state() if until is None else history.state(until)
    return state.first_occur_time, state.last_occur_time


def test_a_stream_without_events_is_at_version_zero() -> None:
    state = RelationshipState()

    assert (0, 0, None) == (state.version, state.last_position, state.key_check)
    assert (None, None) == (state.first_occur_time, state.last_occur_time)


def test_each_fact_goes_to_its_subject(history: History) -> None:
    history.add("privacy.key_created.v1", KeyCreated(key_check=b"check"), NOON)
    history.add("interaction.recorded.v1", VISIT, NOON - 3 * DAY)
    history.add("consent.given.v1", ConsentGiven(purposes=["service.care"]), NOON - 2 * DAY)
    last = history.add("exchange.recorded.v1", exchange(), NOON - DAY)

    state = history.state()

    assert 1 == state.interactions.count
    assert permits(status(state.consents, Cell("service.care"), NOON).status)
    assert 1 == state.exchanges.count
    assert b"check" == state.key_check
    assert (4, last.position) == (state.version, state.last_position)


def test_every_fact_moves_the_version_also_one_that_nobody_knows_or_that_comes_later(history: History) -> None:
    history.add("interaction.recorded.v1", VISIT, NOON)
    history.add("unheard.of.v1", LedgerCreated(), NOON)

    assert 2 == history.state().version
    assert 2 == history.state(until=NOON - DAY).version
    assert (1, 3) == (history.state(position=3).version, history.state(position=3).last_position)


def test_the_first_and_last_fact_are_those_that_count_over_all_subjects(history: History) -> None:
    history.add("privacy.key_created.v1", KeyCreated(key_check=b"check"), NOON + DAY)
    history.add("consent.withdrawn.v1", ConsentWithdrawn(), NOON - 2 * DAY)
    history.add("interaction.recorded.v1", VISIT, NOON - DAY)
    history.add("exchange.recorded.v1", exchange(), NOON - 3 * DAY)

    assert (NOON - 3 * DAY, NOON - DAY) == span(history)
    assert (NOON - 3 * DAY, NOON - 2 * DAY) == span(history, NOON - 2 * DAY)
    assert (None, None) == span(history, NOON - 4 * DAY)


def test_what_was_taken_back_is_not_the_first_or_last_fact(history: History) -> None:
    visit = history.record(RecordInteraction(STREAM, VISIT, NOON - 5 * DAY))
    history.record(RecordInteraction(STREAM, CALL, NOON - 3 * DAY))
    history.add("exchange.recorded.v1", exchange(), NOON - DAY)
    assert (NOON - 5 * DAY, NOON - DAY) == span(history)

    history.record(RetractInteraction(STREAM, InteractionRetracted(original_position=visit.position)))
    history.add("exchange.reversed.v1", reversal(), NOON - DAY)

    # Neither the retraction nor the reversal is a fact of the relationship: both are bookkeeping.
    assert (NOON - 3 * DAY, NOON - 3 * DAY) == span(history)


def test_a_fact_that_counts_is_undone_by_nothing(history: History) -> None:
    facts = [
        history.record(RecordInteraction(STREAM, VISIT)),
        history.record(WithdrawConsent(STREAM, ConsentWithdrawn())),
        history.add("exchange.recorded.v1", exchange(), NOON),
    ]

    assert [0, 0, 0] == [history.state().undone_by(fact) for fact in facts]


def test_what_was_retracted_is_undone_in_every_view_that_knows_it(history: History) -> None:
    visit = history.record(RecordInteraction(STREAM, VISIT, NOON - 2 * DAY))
    fact = history.record(RetractInteraction(STREAM, InteractionRetracted(original_position=visit.position)))

    assert fact.position == history.state().undone_by(visit)
    assert fact.position == history.state(NOON - DAY).undone_by(visit)
    assert 0 == history.state(position=visit.position).undone_by(visit)


def test_an_exchange_is_undone_from_the_time_of_its_reversal_on(history: History) -> None:
    sale = history.add("exchange.recorded.v1", exchange(), NOON - 2 * DAY)
    fact = history.add("exchange.reversed.v1", reversal(), NOON)

    assert fact.position == history.state().undone_by(sale)
    assert 0 == history.state(NOON - 1).undone_by(sale)
    assert 0 == history.state(position=sale.position).undone_by(sale)


def test_each_stream_folds_into_its_kind_of_state() -> None:
    relationship = initial_state("shop/42", until=NOON)
    assert isinstance(relationship, RelationshipState)
    assert isinstance(initial_state("shop/@policy"), PolicyState)
    assert isinstance(initial_state("@ledger/@log"), LogTimeState)
    with pytest.raises(ValueError, match="shop/@other"):
        initial_state("shop/@other")

    history = History()
    relationship.evolve(history.add("interaction.recorded.v1", VISIT, NOON))
    relationship.evolve(history.add("interaction.recorded.v1", VISIT, NOON + 1))
    assert 1 == relationship.interactions.count
