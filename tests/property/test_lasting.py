"""A balance stays as it is until the time said, whatever the history and the policies; and that is no empty promise."""

from __future__ import annotations

from random import Random

from ledger.balance.lasting import lasts_until
from ledger.balance.numbers import balance
from ledger.balance.versions import versions_asked
from ledger.balance.view import BalanceView
from ledger.domain.times import END_OF_TIME
from tests.balance_histories import History, some_valuations, some_view

RELATIONSHIPS = 400
VIEWS = 10


def test_nothing_changes_before_the_time_said_and_mostly_something_does_then(seed: int) -> None:
    chance = Random(seed)
    changed = ended = 0
    for _ in range(RELATIONSHIPS):
        history, known = History(chance, chance.choice([2, 6, 15, 30])), some_valuations(chance)
        book, version = history.told.book(chance.choice(history.positions)), chance.choice([0, 0, 1])
        version = version if known.default_policy_id else 0
        for _ in range(VIEWS):
            at, perspective = some_view(chance, history).at, chance.choice([1, 2])

            def told(time: int, perspective: int = perspective) -> tuple[object, object]:
                view, opinion = BalanceView(time, perspective), known.opinion("", version, time)  # noqa: B023
                return balance(book, opinion, view), versions_asked(book, opinion, view)  # noqa: B023

            until = lasts_until(book, known.opinion("", version, at), BalanceView(at, perspective))

            assert at < until
            before = told(at)
            for time in (until - 1, chance.randrange(at, until), chance.randrange(at, until)):
                assert before == told(time)
            ended += until < END_OF_TIME
            changed += until < END_OF_TIME and before != told(until)

    assert changed > ended // 3 > 0
