"""How a pending exchange ends: what posting and voiding record, what they refuse, and what counts when (section 3)."""

from collections.abc import Callable
from typing import Any

import pytest

from ledger.domain.amounts import INT64_MAX
from ledger.domain.exchange_deciding import ALREADY_APPLIED
from ledger.domain.exchange_state import ExchangeState, Quantity
from ledger.domain.legs import account
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import text
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.exchange_pb2 import ExchangePosted, ExchangeVoided
from rapport.type.v1.event_context_pb2 import EventContext
from tests.exchange_pairs import (
    CUSTOMER,
    NOW,
    TOLERANCE,
    Pair,
    Step,
    fields,
    given,
    goods,
    leg,
    pays,
    post,
    record,
    refusal,
    reverse,
    told,
    void,
)

THEN = NOW - 1000
"""When `record()` says that an exchange happened."""
ENDS = THEN + 800
MONEY = account(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2")
CONTEXT = EventContext(actor="till-3")


def held(**values: Any) -> Pair:
    return Pair().apply(record("x1", pays(100), goods(4), until=ENDS, **values))


# --- Becoming pending ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("until", [THEN, THEN - 1])
def test_a_hold_must_end_after_it_begins(until: int) -> None:
    rejected = refusal(Pair(), record(until=until, path="exchange"))

    assert ("PENDING_UNTIL_INVALID", ["exchange.pending_until"]) == (told(rejected), fields(rejected))


def test_a_hold_may_have_ended_before_it_is_recorded() -> None:
    assert 1 == len(Pair().decide(record(until=THEN + 1)))


def test_the_end_is_compared_with_now_when_no_time_is_given_and_a_resend_stays_the_same() -> None:
    assert "PENDING_UNTIL_INVALID" == told(refusal(Pair(), record(at=None, until=NOW)))
    pair = Pair().apply(record(at=None, until=NOW + 1))
    pair.now += 60_000_000

    assert () == pair.decide(record(at=None, until=NOW + 1))
    rejected = refusal(pair, record(at=None, until=NOW + 60_000_001))
    assert ("EXCHANGE_ID_REUSED", "pending_until") == (told(rejected), rejected.metadata["field"])


@pytest.mark.parametrize(
    "first, again", [({"until": ENDS}, {}), ({}, {"until": ENDS}), ({"until": ENDS}, {"until": NOW})]
)
def test_another_end_under_the_same_id_is_refused(first: dict[str, Any], again: dict[str, Any]) -> None:
    rejected = refusal(Pair().apply(record(**first)), record(**again))

    assert ("EXCHANGE_ID_REUSED", "pending_until") == (told(rejected), rejected.metadata["field"])


def test_what_is_pending_is_counted_apart_and_never_beyond_64_bits() -> None:
    pair = Pair()
    pair.policy.assets["EUR/2"] = pair.policy.assets["EUR/2"]._replace(max_units_per_leg=INT64_MAX)
    pair.apply(record("x1", pays(INT64_MAX), goods())).apply(record("x2", pays(INT64_MAX), goods(), until=ENDS))

    assert (INT64_MAX, INT64_MAX) == (pair.exchanges.posted(MONEY), pair.exchanges.pended(MONEY))
    assert "VALUE_OUT_OF_RANGE" == told(refusal(pair, record("x3", pays(1), goods(), until=ENDS)))
    rejected = refusal(pair, post("x2", 1, 1))
    assert ("VALUE_OUT_OF_RANGE", ["units[0]"]) == (told(rejected), fields(rejected))


# --- Posting ---------------------------------------------------------------------------------------------------------


def test_a_posting_without_units_posts_all_and_the_event_names_them() -> None:
    (fact,) = held().decide(post("x1", context=CONTEXT))

    assert "exchange.posted.v1" == fact.topic
    assert ExchangePosted(exchange_id="x1", units=[100, 4]) == fact.event
    assert (NOW - 500, False, False, CONTEXT) == (fact.occur_time, fact.defaulted, fact.clamped, fact.context)


def test_a_posting_in_part() -> None:
    (fact,) = held().decide(post("x1", 60, 4))

    assert ExchangePosted(exchange_id="x1", units=[60, 4]) == fact.event


@pytest.mark.parametrize(
    "units, at_fault",
    [
        ([100], ["units"]),
        ([100, 4, 0], ["units"]),
        ([0, 0], ["units"]),
        ([101, 4], ["units[0]"]),
        ([-1, 5], ["units[0]", "units[1]"]),
    ],
)
def test_posted_units_are_one_for_each_leg_up_to_what_is_pending(units: list[int], at_fault: list[str]) -> None:
    rejected = refusal(held(), post("x1", *units))

    assert ("POSTED_UNITS_INVALID", at_fault) == (told(rejected), fields(rejected))


@pytest.mark.parametrize("units", [[-1, 5], [0, 0]])
def test_units_that_are_wrong_for_any_exchange_are_told_before_that_it_is_unknown(units: list[int]) -> None:
    assert "POSTED_UNITS_INVALID" == told(refusal(Pair(), post("x9", *units)))
    assert "EXCHANGE_UNKNOWN" == told(refusal(Pair(), post("x9", 5, 6)))


def test_what_is_posted_has_both_sides_or_says_why() -> None:
    pair = held()

    rejected = refusal(pair, post("x1", 0, 4))
    assert ("ONE_SIDED_NOT_DECLARED", ["one_sided"]) == (told(rejected), fields(rejected))
    assert "ONE_SIDED_CONTRADICTED" == told(refusal(pair, post("x1", one_sided=x.ONE_SIDED_GIFT)))
    pair.apply(post("x1", 0, 4, one_sided=x.ONE_SIDED_GIFT))
    assert (1, 1) == (pair.exchanges.count, pair.exchanges.one_sided)


@pytest.mark.parametrize("at", [THEN - 1, ENDS, ENDS + 1, NOW + TOLERANCE + 1, None])
@pytest.mark.parametrize("resolve", [post, void])
def test_a_hold_ends_while_it_is_pending(resolve: Callable[..., Step], at: int | None) -> None:
    rejected = refusal(held(), resolve("x1", at=at, path="p"))

    assert ("HOLD_ENDED", ["p.occur_time"]) == (told(rejected), fields(rejected))
    assert {"occur_time": text(NOW if at is None else at), "pending_until": text(ENDS)} == rejected.metadata


@pytest.mark.parametrize("at", [THEN, ENDS - 1])
@pytest.mark.parametrize("resolve", [post, void])
def test_a_resolution_in_time_is_accepted_however_late_it_arrives(resolve: Callable[..., Step], at: int) -> None:
    pair = held()
    pair.now += 10**12

    (fact,) = pair.decide(resolve("x1", at=at))

    assert at == fact.occur_time


@pytest.mark.parametrize("resolve", [post, void])
def test_a_resolution_ahead_of_the_clock(resolve: Callable[..., Step]) -> None:
    pair = Pair().apply(record(until=NOW + 2 * TOLERANCE))

    (defaulted,) = pair.decide(resolve(at=None))
    (clamped,) = pair.decide(resolve(at=NOW + TOLERANCE))

    assert (NOW, True) == (defaulted.occur_time, defaulted.defaulted)
    assert (NOW, True) == (clamped.occur_time, clamped.clamped)
    assert "OCCUR_TIME_IN_FUTURE" == told(refusal(pair, resolve(at=NOW + TOLERANCE + 1)))


@pytest.mark.parametrize("resolve", [post, void])
def test_a_clock_that_lags_does_not_set_a_resolution_before_its_exchange(resolve: Callable[..., Step]) -> None:
    pair = Pair().apply(record(at=None, until=NOW + 1))
    pair.now -= 50  # Another process, whose clock is behind the one that recorded the exchange.

    assert [NOW, NOW] == [pair.decide(resolve(at=at))[0].occur_time for at in (None, NOW)]
    assert "HOLD_ENDED" == told(refusal(pair, resolve(at=NOW - 1)))  # Ahead of this clock, and before the exchange.


def test_licensed_data_needs_its_consent_when_it_is_posted_not_before() -> None:
    pair = Pair()
    data = leg(CUSTOMER, x.CATEGORY_DATA_LICENSED, 2, "DATAPT/0", consent_position=7)
    pair.apply(record("x1", data, goods(), pays(1), until=ENDS))

    for units, field in (((1, 1, 1), "p.units[0]"), ((), "p.exchange_id")):
        rejected = refusal(pair, post("x1", *units, at=THEN + 5, path="p"))
        assert ("CONSENT_NOT_IN_FORCE", [field]) == (told(rejected), fields(rejected))
    assert 1 == len(pair.decide(post("x1", 0, 1, 1, at=THEN + 5)))
    pair.consents.spans[7] = (THEN + 5, THEN + 6)
    assert 1 == len(pair.decide(post("x1", at=THEN + 5)))


# --- At most once ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolve", [post, void])
def test_an_identical_resend_changes_nothing(resolve: Callable[..., Step]) -> None:
    pair = held().apply(resolve("x1", expected_version=1))

    assert ALREADY_APPLIED.facts == pair.decide(resolve("x1", expected_version=1))
    known = pair.exchanges.resolution_of("x1")
    assert known is not None
    assert (102, 2) == (known.position, known.version)


def test_a_posting_in_full_is_the_same_with_and_without_its_units_and_after_a_reversal() -> None:
    pair = held().apply(post("x1")).apply(reverse("x1"))

    assert () == pair.decide(post("x1", 100, 4)) == pair.decide(post("x1"))


@pytest.mark.parametrize("resolve", [post, void])
def test_a_resend_without_a_time_and_one_that_was_set_back(resolve: Callable[..., Step]) -> None:
    defaulted = Pair().apply(record(until=NOW + TOLERANCE)).apply(resolve(at=None))
    set_back = Pair().apply(record(until=NOW + TOLERANCE)).apply(resolve(at=NOW + 7))
    for pair in (defaulted, set_back):
        pair.now += 60_000_000

    assert () == defaulted.decide(resolve(at=None)) == set_back.decide(resolve(at=NOW + 7))
    assert "EXCHANGE_ALREADY_RESOLVED" == told(refusal(defaulted, resolve(at=NOW)))
    assert "EXCHANGE_ALREADY_RESOLVED" == told(refusal(set_back, resolve(at=NOW - 1)))


@pytest.mark.parametrize(
    "first, again, resolution",
    [
        (post("x1"), post("x1", at=NOW - 499), "POSTED"),
        (post("x1"), post("x1", 99, 4), "POSTED"),
        (post("x1", 60, 4), post("x1"), "POSTED"),
        (post("x1"), void("x1"), "POSTED"),
        (void("x1"), post("x1"), "VOIDED"),
        (void("x1"), void("x1", reason="late"), "VOIDED"),
        (void("x1"), void("x1", at=NOW - 499), "VOIDED"),
        (post("x1", 4, 0, one_sided=x.ONE_SIDED_GIFT), post("x1", 4, 0, one_sided=x.ONE_SIDED_LATER), "POSTED"),
    ],
)
def test_any_other_resolution_is_told_the_first(first: Step, again: Step, resolution: str) -> None:
    rejected = refusal(held().apply(first), again)

    assert "EXCHANGE_ALREADY_RESOLVED" == told(rejected)
    assert {"resolution": resolution, "position": "102"} == rejected.metadata


@pytest.mark.parametrize("resolve", [post, void])
def test_what_was_never_pending_is_posted_already(resolve: Callable[..., Step]) -> None:
    rejected = refusal(Pair().apply(record("x1")), resolve("x1"))

    assert "EXCHANGE_ALREADY_RESOLVED" == told(rejected)
    assert {"resolution": "POSTED", "position": "101"} == rejected.metadata


def test_of_several_refusals_the_first_of_the_table_is_told() -> None:
    """Everything is wrong; what is told is mended, until nothing is left (settled.md 37)."""
    data = leg(CUSTOMER, x.CATEGORY_DATA_LICENSED, 2, "DATAPT/0", consent_position=7)
    pair = Pair().apply(record("x1", data, goods(), until=NOW + 2 * TOLERANCE)).apply(record("x2", pays(2), goods(1)))
    tomorrow, beyond = NOW + TOLERANCE + 1, NOW + 2 * TOLERANCE

    def posting(exchange_id: str, *units: int, at: int = beyond, **values: Any) -> str:
        return told(refusal(pair, post(exchange_id, *units, at=at, expected_version=9, **values)))

    assert "ONE_SIDED_NOT_DECLARED" == posting("x2", 2, 0)
    assert "POSTED_UNITS_INVALID" == posting("x2", 3, 1)
    assert "EXCHANGE_UNKNOWN" == posting("x9", 2, 1)
    assert "EXCHANGE_ALREADY_RESOLVED" == posting("x2", 2, 1)
    assert "HOLD_ENDED" == posting("x1", 2, 1)
    assert "CONSENT_NOT_IN_FORCE" == posting("x1", 2, 1, at=tomorrow)
    pair.consents.spans[7] = (0, beyond)
    assert "OCCUR_TIME_IN_FUTURE" == posting("x1", 2, 1, at=tomorrow)
    assert "VERSION_CONFLICT" == posting("x1", 2, 1, at=NOW)
    assert "VERSION_CONFLICT" == told(refusal(pair, void("x1", at=NOW, expected_version=9)))
    assert "EXCHANGE_UNKNOWN" == told(refusal(pair, void("x9", at=beyond, expected_version=9)))


# --- Reversals -------------------------------------------------------------------------------------------------------


def test_what_is_pending_is_voided_not_reversed() -> None:
    pair = Pair().apply(record("x1", until=NOW + 1))

    rejected = refusal(pair, reverse("x1"))

    assert ("EXCHANGE_STILL_PENDING", ["exchange_id"]) == (told(rejected), fields(rejected))


def test_of_what_was_voided_or_expired_there_is_nothing_to_reverse() -> None:
    expired, voided = Pair().apply(record("x1", until=NOW)), held().apply(void("x1"))

    assert ["NOTHING_TO_REVERSE"] * 2 == [told(refusal(pair, reverse("x1"))) for pair in (expired, voided)]


def test_a_posted_hold_is_reversed_at_its_posting_or_later() -> None:
    pair = held().apply(post("x1", 60, 4))

    rejected = refusal(pair, reverse("x1", at=NOW - 501))
    assert ("REVERSAL_BEFORE_ORIGINAL", {"occur_time": text(NOW - 500)}) == (told(rejected), rejected.metadata)
    assert [NOW - 500, NOW - 500] == [pair.decide(reverse("x1", at=at))[0].occur_time for at in (None, NOW - 500)]
    pair.apply(reverse("x1"))
    assert {"EUR/2": 0} == given(pair.exchanges.quantities(), CUSTOMER)
    assert (0, 1) == (pair.exchanges.count, pair.exchanges.reversed)


def test_reversing_refuses_pending_before_times() -> None:
    pair = Pair().apply(record("x1", until=NOW + 1)).apply(record("x2", until=THEN + 1))

    for exchange_id, reason in (("x1", "EXCHANGE_STILL_PENDING"), ("x2", "NOTHING_TO_REVERSE")):
        assert reason == told(refusal(pair, reverse(exchange_id, at=THEN - 1, expected_version=9)))


# --- What counts when ------------------------------------------------------------------------------------------------


def line(state: ExchangeState, at: int) -> tuple[int, ...]:
    (customer, _) = state.quantities(at)
    assert MONEY == account(customer.giver, customer.category, customer.asset)
    return (*customer[3:], state.count, state.pending(at))


@pytest.mark.parametrize(
    "at, expected",
    [
        (THEN, (0, 0, 100, 0, 0, 0, 0, 1)),
        (NOW - 501, (0, 0, 100, 0, 0, 0, 0, 1)),
        (NOW - 500, (60, 0, 100, 60, 40, 0, 1, 0)),
        (ENDS, (60, 0, 100, 60, 40, 0, 1, 0)),
        (NOW - 1, (60, 0, 100, 60, 40, 0, 1, 0)),
        (NOW, (60, 60, 100, 60, 40, 0, 0, 0)),
    ],
)
def test_a_hold_counts_from_its_posting_as_far_as_it_was_posted(at: int, expected: tuple[int, ...]) -> None:
    pair = held().apply(post("x1", 60, 4)).apply(reverse("x1", at=NOW))

    assert expected == line(pair.as_of(at), at)


def test_before_it_occurred_a_hold_is_not_there() -> None:
    state = held().apply(post("x1")).apply(reverse("x1")).as_of(THEN - 1)

    assert ([], 0, 0) == (state.quantities(THEN - 1), state.count, state.pending(THEN - 1))


@pytest.mark.parametrize("at, expected", [(ENDS - 1, (0, 1)), (ENDS, (100, 0)), (NOW, (100, 0))])
@pytest.mark.parametrize("shared", [True, False])
def test_expired_is_told_by_the_time_of_the_view(at: int, expected: tuple[int, int], shared: bool) -> None:
    pair = held()
    state = pair.exchanges if shared else pair.as_of(at)  # The state of now is folded without a bound.

    assert expected == (state.quantities(at)[0].hold_expired, state.pending(at))


def test_a_resolution_that_arrives_late_ends_what_had_expired() -> None:
    pair = held()
    assert 100 == pair.exchanges.quantities(NOW)[0].hold_expired

    pair.apply(post("x1", 60, 4, at=ENDS - 1))

    assert (
        Quantity(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2", 60, 0, 100, 60, 40, 0)
        == (pair.exchanges.quantities(NOW)[0])
    )


def test_a_voided_hold_never_counts() -> None:
    state = held().apply(void("x1")).exchanges

    assert [(0, 0, 100, 0, 100, 0), (0, 0, 4, 0, 4, 0)] == [each[3:] for each in state.quantities(NOW)]
    assert (0, 0, None) == (state.count, state.pending(NOW - 600), state.span())


def test_a_posted_hold_occurred_when_it_was_posted() -> None:
    pair = held().apply(record("x2", at=THEN + 100)).apply(post("x1", at=THEN + 300))

    assert (THEN + 100, THEN + 300) == pair.exchanges.span()
    assert (THEN + 100, THEN + 100) == pair.as_of(THEN + 299).span()
    pair.apply(reverse("x2"))
    assert (THEN + 300, THEN + 300) == pair.exchanges.span()


def test_holds_add_to_what_was_posted_at_once() -> None:
    pair = held().apply(record("x2", pays(7), goods(1))).apply(post("x1"))

    assert [(107, 0, 100, 100, 0, 0), (5, 0, 4, 4, 0, 0)] == [each[3:] for each in pair.exchanges.quantities(NOW)]


def test_the_worked_example_of_holds() -> None:
    """reciprocity.md 11.6: h2's posting of 7 May arrives after it had expired on 8 May."""
    day, may = 86_400_000_000, 1_777_593_600_000_000
    pair = Pair(now=may + 20 * day)
    for hold in ("h1", "h2"):
        pair.apply(record(hold, pays(10_000), goods(1), at=may, until=may + 7 * day))
    before = pair.apply(post("h1", 6_000, 1, at=may + 4 * day)).as_of(may + 7 * day)
    assert (10_000, 0) == (before.quantities(may + 7 * day)[0].hold_expired, before.pending(may + 7 * day))
    assert "HOLD_ENDED" == told(refusal(pair, post("h2", at=may + 7 * day)))

    pair.apply(post("h2", at=may + 6 * day))

    states = {at: pair.as_of(may + at * day) for at in (5, 6, 7)}
    assert [1, 0, 0] == [state.pending(may + at * day) for at, state in states.items()]
    assert [6_000, 16_000, 16_000] == [state.quantities()[0].posted for state in states.values()]
    assert 4_000 == states[7].quantities(may + 7 * day)[0].hold_voided


def test_a_reversal_undoes_the_exchange_and_its_posting() -> None:
    pair = held().apply(post("x1")).apply(reverse("x1", at=NOW))
    state, earlier = RelationshipState(), RelationshipState(NOW - 1)
    for fact in pair.facts:
        state.evolve(fact)
        earlier.evolve(fact)

    assert [103, 103, 0] == [state.undone_by(fact) for fact in pair.facts]
    assert [0, 0, 0] == [earlier.undone_by(fact) for fact in pair.facts]


def test_what_cannot_be_is_folded_all_the_same() -> None:
    """Evolve is total: a second resolution, and one of what is no hold, change nothing."""
    pair = held().apply(post("x1", 60, 4)).apply(record("x2"))
    posting = pair.facts[1]
    before = pair.exchanges.quantities(NOW), pair.exchanges.count

    for event, topic in (
        (ExchangePosted(exchange_id="x1", units=[40, 0]), "exchange.posted.v1"),
        (ExchangeVoided(exchange_id="x1"), "exchange.voided.v1"),
        (ExchangePosted(exchange_id="x2", units=[1177, 1]), "exchange.posted.v1"),
        (ExchangeVoided(exchange_id="nobody"), "exchange.voided.v1"),
    ):
        pair.exchanges.evolve(posting._replace(event=event, topic=topic))
        ExchangeState().evolve(posting._replace(event=event, topic=topic))

    assert before == (pair.exchanges.quantities(NOW), pair.exchanges.count)
