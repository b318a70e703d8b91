"""What reversing an exchange does, what it refuses and in which order, and what each point of view counts after it."""

from collections.abc import Callable

import pytest

from ledger.domain.exchange import ReverseExchange
from ledger.domain.exchange_deciding import ALREADY_APPLIED
from ledger.domain.exchange_state import ExchangeState, Quantity
from ledger.domain.times import END_OF_TIME, text, timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.exchange_pb2 import ExchangeReversed
from rapport.type.v1.event_context_pb2 import EventContext
from tests.exchange_pairs import (
    CUSTOMER,
    NOW,
    ORGANIZATION,
    STREAM,
    TOLERANCE,
    Pair,
    fields,
    given,
    goods,
    pays,
    record,
    refusal,
    reverse,
)

THEN = NOW - 1000
"""When `record()` says that an exchange happened."""


def test_a_reversal_at_the_original_takes_effect_when_that_happened() -> None:
    context = EventContext(actor="till-3")

    (fact,) = Pair().apply(record()).decide(reverse(reason="price_error", context=context))

    assert "exchange.reversed.v1" == fact.topic
    expected = ExchangeReversed(exchange_id="x1", reversal_id="r1", reason="price_error", at_original=True)
    assert expected == fact.event
    assert (THEN, False, context) == (fact.occur_time, fact.defaulted, fact.context)


@pytest.mark.parametrize("at", [THEN, THEN + 1, NOW])
def test_a_reversal_at_a_time_takes_effect_then(at: int) -> None:
    (fact,) = Pair().apply(record()).decide(reverse(at=at))

    assert (at, timestamp(at), False) == (fact.occur_time, fact.event.at, fact.clamped)  # type: ignore[attr-defined]


def test_a_time_slightly_ahead_is_set_back_and_the_event_holds_what_counts() -> None:
    step = reverse(at=NOW + 7)

    (fact,) = Pair().apply(record()).decide(step)

    assert (NOW, timestamp(NOW), True) == (fact.occur_time, fact.event.at, fact.clamped)  # type: ignore[attr-defined]
    assert timestamp(NOW + 7) == step.event.at


def test_a_clock_that_lags_does_not_set_a_reversal_back_before_the_exchange() -> None:
    pair = Pair().apply(record(at=None))
    pair.now -= 50  # Another process, whose clock is behind the one that recorded the exchange.

    (at_its_time,) = pair.decide(reverse(at=NOW))
    (later,) = pair.decide(reverse(at=NOW + 7))

    assert (NOW, False) == (at_its_time.occur_time, at_its_time.clamped)
    assert (NOW, True) == (later.occur_time, later.clamped)


@pytest.mark.parametrize("event", [ExchangeReversed(), ExchangeReversed(at_original=False)])
def test_a_reversal_must_say_when(event: ExchangeReversed) -> None:
    event.exchange_id, event.reversal_id = "x1", "r1"
    pair = Pair().apply(record())

    rejected = refusal(pair, ReverseExchange(stream_id=STREAM, event=event, path="reversal"))

    assert reasons.ERROR_REASON_REVERSAL_TIME_REQUIRED == rejected.reason
    assert ["reversal.at_original"] == fields(rejected)


def test_only_a_known_exchange_is_reversed() -> None:
    rejected = refusal(Pair(), reverse("x9"))

    assert reasons.ERROR_REASON_EXCHANGE_UNKNOWN == rejected.reason
    assert {"exchange_id": "x9"} == rejected.metadata


def test_there_is_no_reversal_of_a_reversal() -> None:
    pair = Pair().apply(record()).apply(reverse())

    assert reasons.ERROR_REASON_EXCHANGE_UNKNOWN == refusal(pair, reverse("r1", "r2")).reason


def test_of_two_reversals_the_second_is_told_the_first() -> None:
    pair = Pair().apply(record()).apply(reverse())

    rejected = refusal(pair, reverse(reversal_id="r2", at=NOW))

    assert reasons.ERROR_REASON_EXCHANGE_ALREADY_REVERSED == rejected.reason
    assert {"reversal_id": "r1", "position": "102"} == rejected.metadata


def test_a_reversal_before_the_exchange_is_refused() -> None:
    rejected = refusal(Pair().apply(record()), reverse(at=THEN - 1))

    assert reasons.ERROR_REASON_REVERSAL_BEFORE_ORIGINAL == rejected.reason
    assert {"occur_time": text(THEN)} == rejected.metadata
    assert ["at"] == fields(rejected)


def test_a_reversal_in_the_future_is_refused() -> None:
    rejected = refusal(Pair().apply(record()), reverse(at=NOW + TOLERANCE + 1))

    assert reasons.ERROR_REASON_OCCUR_TIME_IN_FUTURE == rejected.reason


def test_an_identical_resend_changes_nothing() -> None:
    pair = Pair().apply(record()).apply(reverse(reason="error", expected_version=1))

    assert ALREADY_APPLIED.facts == pair.decide(reverse(reason="error", expected_version=1))
    known = pair.exchanges.find_reversal("r1")
    assert known is not None
    assert (102, 2) == (known.position, known.version)


def test_a_resend_of_a_time_that_was_set_back_is_the_same() -> None:
    pair = Pair().apply(record()).apply(reverse(at=NOW + 7))
    pair.now += 60_000_000

    assert () == pair.decide(reverse(at=NOW + 7))
    assert "at" == refusal(pair, reverse(at=NOW + TOLERANCE + 1)).metadata["field"]


CHANGES: list[tuple[str, Callable[[ExchangeReversed], object]]] = [
    ("exchange_id", lambda reversal: setattr(reversal, "exchange_id", "x2")),
    ("reason", lambda reversal: setattr(reversal, "reason", "other")),
    ("at", lambda reversal: reversal.at.CopyFrom(timestamp(NOW - 1))),
    ("at_original", lambda reversal: setattr(reversal, "at_original", True)),
]


@pytest.mark.parametrize("path, change", CHANGES)
def test_any_changed_field_under_the_same_id_is_refused_and_named(
    path: str, change: Callable[[ExchangeReversed], object]
) -> None:
    pair = Pair().apply(record("x1")).apply(record("x2")).apply(reverse(at=NOW))
    again = reverse(at=NOW, path="operations[0].reverse")
    change(again.event)

    rejected = refusal(pair, again)

    assert reasons.ERROR_REASON_EXCHANGE_ID_REUSED == rejected.reason
    assert (path, "103", "r1") == tuple(rejected.metadata[name] for name in ("field", "position", "reversal_id"))
    assert [f"operations[0].reverse.{path}"] == fields(rejected)


def test_of_several_refusals_the_first_of_the_table_is_told() -> None:
    """Everything is wrong; what is told is mended, until nothing is left (settled.md 37)."""
    pair = Pair().apply(record("x1")).apply(reverse("x1", "r1")).apply(record("x2"))
    future = NOW + TOLERANCE + 1

    def told(exchange_id: str, reversal_id: str, at: int | None) -> str:
        step = reverse(exchange_id, reversal_id, at, expected_version=9)
        if at is None:
            step.event.ClearField("at_original")
        return reasons.ErrorReason.Name(refusal(pair, step).reason).removeprefix("ERROR_REASON_")

    assert "REVERSAL_TIME_REQUIRED" == told("x9", "r1", None)
    assert "EXCHANGE_ID_REUSED" == told("x9", "r1", future)
    assert "EXCHANGE_UNKNOWN" == told("x9", "r2", future)
    assert "EXCHANGE_ALREADY_REVERSED" == told("x1", "r2", THEN - 1)
    assert "REVERSAL_BEFORE_ORIGINAL" == told("x2", "r2", THEN - 1)
    assert "OCCUR_TIME_IN_FUTURE" == told("x2", "r2", future)
    assert "VERSION_CONFLICT" == told("x2", "r2", NOW)


# --- What counts -----------------------------------------------------------------------------------------------------


def test_totals_are_kept_apart_by_giver_category_and_asset() -> None:
    pair = Pair().apply(record("x1", pays(1000), pays(177), goods(2))).apply(record("x2", pays(5), goods(1)))

    assert [
        Quantity(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2", 1182, 0),
        Quantity(ORGANIZATION, x.CATEGORY_GOODS, "CD/0", 3, 0),
    ] == pair.exchanges.quantities()


def test_a_reversal_grows_the_other_counter_and_nothing_is_netted() -> None:
    pair = Pair().apply(record("x1")).apply(record("x2", goods(3), one_sided=x.ONE_SIDED_GIFT))
    assert (2, 0, 1) == counts(pair.exchanges)

    pair.apply(reverse("x2"))

    assert (1, 1, 0) == counts(pair.exchanges)
    assert [
        Quantity(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2", 1177, 0),
        Quantity(ORGANIZATION, x.CATEGORY_GOODS, "CD/0", 4, 3),
    ] == pair.exchanges.quantities()
    assert {"CD/0": 1} == given(pair.exchanges.quantities(), ORGANIZATION)


def counts(state: ExchangeState) -> tuple[int, int, int]:
    return state.count, state.reversed, state.one_sided


@pytest.mark.parametrize(
    "until, expected",
    [
        (THEN - 1, (0, 0, 0, {})),
        (THEN, (1, 0, 0, {"EUR/2": 1177})),
        (THEN + 499, (1, 0, 0, {"EUR/2": 1177})),
        (THEN + 500, (0, 1, 0, {"EUR/2": 0})),
        (END_OF_TIME, (0, 1, 0, {"EUR/2": 0})),
    ],
)
def test_before_a_reversal_takes_effect_the_original_counts_in_full(
    until: int, expected: tuple[int, int, int, dict[str, int]]
) -> None:
    state = Pair().apply(record()).apply(reverse(at=THEN + 500)).as_of(until)

    assert expected == (*counts(state), given(state.quantities(), CUSTOMER))


@pytest.mark.parametrize("until", [THEN - 1, THEN, END_OF_TIME])
def test_reversed_at_the_original_it_never_counts(until: int) -> None:
    state = Pair().apply(record()).apply(reverse()).as_of(until)

    assert 0 == state.count
    assert not any(given(state.quantities(), CUSTOMER).values())
    assert None is state.span()


def test_a_backdated_exchange_counts_in_views_of_its_time() -> None:
    pair = Pair().apply(record("x1", at=500)).apply(record("x2", at=100))

    assert (0, 1, 2) == tuple(pair.as_of(until).count for until in (99, 100, 500))


def test_a_correction_counts_once() -> None:
    pair = Pair().apply(record("x1", pays(100), goods())).apply(reverse("x1"))
    pair.apply(record("x2", pays(90), goods(), replaces="x1"))

    assert {"EUR/2": 90} == given(pair.exchanges.quantities(), CUSTOMER)
    assert (1, 1, 0) == counts(pair.exchanges)


def test_the_span_follows_what_is_in_force() -> None:
    pair = Pair()
    assert None is pair.exchanges.span()

    for exchange_id, at in (("x1", 300), ("x2", 100), ("x3", 200), ("x4", 400)):
        pair.apply(record(exchange_id, at=at))
    assert (100, 400) == pair.exchanges.span()
    assert (100, 300) == pair.as_of(399).span()

    pair.apply(reverse("x2")).apply(reverse("x4", "r2", at=450))
    assert (200, 300) == pair.exchanges.span()
    assert (200, 400) == pair.as_of(449).span()
    assert (200, 300) == pair.as_of(450).span()


def test_what_cannot_be_is_folded_all_the_same() -> None:
    """Evolve is total: a reversal of nothing, and a second one, take nothing back."""
    pair = Pair().apply(record("x1")).apply(reverse("x1"))
    of_nothing, again = Pair().apply(record("x9")).apply(reverse("x9", "r9")).facts[1], pair.facts[1]

    for fact in (of_nothing, again._replace(event=ExchangeReversed(exchange_id="x1", reversal_id="r2"))):
        pair.exchanges.evolve(fact)

    assert (0, 1, 0) == counts(pair.exchanges)
    assert {"EUR/2": 0} == given(pair.exchanges.quantities(), CUSTOMER)
