"""Holds and points as answers and the command line tell them."""

import pytest

from ledger.domain.relationship import RelationshipState
from ledger.domain.times import timestamp
from ledger.views import Look, View
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.exchange_pb2 import ExchangePosted, ExchangeRecorded, ExchangeVoided, ObservationDeclared
from rapport.relationship.v1.relationship_pb2 import Quantity, Relationship
from services.cli.facts import summary
from services.cli.relationship import show_quantities
from services.relationship import translate
from tests.exchange_pairs import CUSTOMER, NOW, ORGANIZATION, Pair, goods, pays, post, record

THEN = NOW - 1000
ENDS = NOW + 10


def told(pair: Pair, occur_time: int | None, now: int = NOW) -> Relationship:
    state = RelationshipState()
    for fact in pair.facts:
        state.evolve(fact)
    answer = Relationship()
    translate.tell(answer, "shop", "42", Look(state, View(now, 200), pair.version, 100 + pair.version), 200, occur_time)
    return answer


@pytest.mark.parametrize("given, now", [(None, ENDS - 1), (ENDS - 1, ENDS)])
def test_a_pending_exchange_is_told_as_pending_at_the_time_of_the_answer(given: int | None, now: int) -> None:
    answer = told(Pair().apply(record("x1", pays(100), goods(4), until=ENDS)), given, now)

    assert (0, 1) == (answer.exchanges.count, answer.exchanges.pending)
    assert [
        Quantity(giver=CUSTOMER, category=x.CATEGORY_MONEY_PAYMENT, asset="EUR/2", pended=100),
        Quantity(giver=ORGANIZATION, category=x.CATEGORY_GOODS, asset="CD/0", pended=4),
    ] == list(answer.quantities)


def test_a_hold_that_nobody_settled_is_told_as_expired_by_the_clock_alone() -> None:
    answer = told(Pair().apply(record("x1", pays(100), goods(4), until=ENDS)), None, ENDS)

    assert 0 == answer.exchanges.pending
    assert [100, 4] == [each.hold_expired for each in answer.quantities]


def test_a_hold_posted_in_part_is_told_with_what_was_voided() -> None:
    answer = told(Pair().apply(record("x1", pays(100), goods(4), until=ENDS)).apply(post("x1", 60, 4)), None)

    assert (1, 0) == (answer.exchanges.count, answer.exchanges.pending)
    assert (60, 100, 60, 40, 0) == (
        answer.quantities[0].posted,
        answer.quantities[0].pended,
        answer.quantities[0].hold_posted,
        answer.quantities[0].hold_voided,
        answer.quantities[0].hold_expired,
    )


def test_the_facts_of_a_hold_in_a_few_words() -> None:
    at = timestamp(1_767_225_600_000_000)
    hold = ExchangeRecorded(exchange_id="h1", legs=[goods(2)], one_sided=x.ONE_SIDED_GIFT, pending_until=at)

    assert "we gave 2 CD GIFT pending until 2026-01-01T00:00:00Z h1" == summary(hold)
    assert "posts h1 60, 4" == summary(ExchangePosted(exchange_id="h1", units=[60, 4]))
    assert "voids h1 gone" == summary(ExchangeVoided(exchange_id="h1", reason="gone"))
    observed = ObservationDeclared(category=x.CATEGORY_WAITING, since=at)
    assert "WAITING recorded since 2026-01-01T00:00:00Z" == summary(observed)


def test_held_units_have_columns_only_where_there_are_any(capsys: pytest.CaptureFixture[str]) -> None:
    plain = Quantity(giver=CUSTOMER, category=x.CATEGORY_MONEY_PAYMENT, asset="EUR/2", posted=100)

    show_quantities([plain])
    without = capsys.readouterr().out
    show_quantities(
        [plain, Quantity(giver=CUSTOMER, category=x.CATEGORY_WAITING, asset="MIN/0", pended=7, hold_voided=7)]
    )
    shown = capsys.readouterr().out

    assert "PENDED" not in without
    assert ["GIVER", "CATEGORY", "POSTED", "REVERSED", "PENDED", "VOIDED", "EXPIRED"] == shown.splitlines()[0].split()
    assert 2 == shown.count("7 MIN")
