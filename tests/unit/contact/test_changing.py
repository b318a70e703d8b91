"""Which later events make the difference: a set of which none can be left out."""

import random
from collections.abc import Callable, Sequence

import pytest

from ledger.contact.changing import TRIALS_MAX, needed


def counting(differs: Callable[[frozenset[int]], bool]) -> tuple[Callable[[Sequence[int]], bool], list[int]]:
    """Return a question that counts how often it is asked."""
    asked: list[int] = []

    def ask(some: Sequence[int]) -> bool:
        asked.append(len(some))
        return differs(frozenset(some))

    return ask, asked


def test_where_nothing_changes_nothing_is_needed() -> None:
    assert [] == needed([3, 5], lambda _: False)
    assert [] == needed([], lambda _: False)


def test_one_among_many_is_found_with_few_questions() -> None:
    ask, asked = counting(lambda some: 712 in some)

    assert [712] == needed(range(1, 10_001), ask)
    assert len(asked) < 60


def test_all_that_are_needed_together_are_found() -> None:
    assert [2, 900, 901] == needed(range(1_000), lambda some: {2, 900, 901} <= set(some))


def test_of_several_that_each_suffice_one_is_told() -> None:
    found = needed(range(100), lambda some: not {10, 20, 30}.isdisjoint(some))

    assert 1 == len(found)
    assert found[0] in {10, 20, 30}


@pytest.mark.parametrize("seed", range(40))
def test_without_any_one_of_them_the_answer_is_the_old_one_whatever_the_rule(seed: int) -> None:
    """Also where an event undoes what another changed, as a later grant does."""
    chance = random.Random(seed)
    sizes = [(3, 2)] * chance.choice((1, 3))
    rules = [tuple(frozenset(chance.sample(range(30), size)) for size in each) for each in sizes]

    def differs(some: Sequence[int]) -> bool:
        kept = set(some)
        return any(makes <= kept and not undoes <= kept for makes, undoes in rules)

    found = needed(range(30), differs)

    assert bool(found) == differs(range(30))
    if found:
        assert differs(found)
        assert not any(differs([other for other in found if other != each]) for each in found)


def test_it_ends_also_where_everything_is_needed() -> None:
    ask, asked = counting(lambda some: len(some) == 3_000)

    assert list(range(3_000)) == needed(range(3_000), ask)
    assert len(asked) <= TRIALS_MAX
