"""What holds for balances whatever happens: against a scan of every leg, and by what must not change a number.

Histories and policies are drawn by tests/balance_histories.py from the session's seed.
"""

from __future__ import annotations

from random import Random

from ledger.balance.numbers import balance, balance_by_scan
from tests.balance_histories import History, some_opinion, some_valuations, some_view

RELATIONSHIPS = 150
VIEWS = 12


def test_sums_kept_say_what_every_leg_says(seed: int) -> None:
    chance = Random(seed)
    for _ in range(RELATIONSHIPS):
        history, known = History(chance, chance.choice([0, 3, 20, 60])), some_valuations(chance)
        for _ in range(VIEWS):
            book, view = history.told.book(chance.choice(history.positions)), some_view(chance, history)
            opinion = some_opinion(chance, known, view.at)

            assert balance_by_scan(book, opinion, view) == balance(book, opinion, view)
