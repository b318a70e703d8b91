"""What is kept in memory by weight: the least used go first, and the last used stays."""

import random
from collections import OrderedDict

import pytest

from ledger.weighed import Weighed


def test_the_least_used_go_first() -> None:
    kept = Weighed[str](10)
    for name in "abc":
        kept.keep(name, name, 3)
    kept.touch("a")

    kept.keep("d", "d", 3)

    assert [kept.get(name) for name in "abcd"] == ["a", None, "c", "d"]
    assert (3, 9) == (len(kept), kept.weight)


def test_to_look_at_a_value_is_not_to_use_it() -> None:
    kept = Weighed[str](2)
    kept.keep("a", "a", 1)
    kept.keep("b", "b", 1)
    kept.get("a")

    kept.keep("c", "c", 1)

    assert kept.get("a") is None


def test_a_value_is_weighed_anew_each_time_it_is_kept() -> None:
    kept = Weighed[str](10)
    kept.keep("a", "a", 4)
    kept.keep("b", "b", 4)

    kept.keep("b", "b", 7)

    assert kept.get("a") is None
    assert 7 == kept.weight


def test_the_last_used_stays_however_much_it_weighs() -> None:
    kept = Weighed[str](10)
    kept.keep("a", "a", 1)

    kept.keep("b", "b", 99)

    assert (1, 99) == (len(kept), kept.weight)
    kept.keep("c", "c", 1)
    assert (1, 1) == (len(kept), kept.weight)


def test_what_is_dropped_weighs_nothing() -> None:
    kept = Weighed[str](10)
    kept.keep("a", "first", 4)
    kept.keep("b", "second", 4)

    assert ["first", None] == [kept.drop("a"), kept.drop("a")]
    assert (1, 4) == (len(kept), kept.weight)
    kept.clear()
    assert (0, 0) == (len(kept), kept.weight)


@pytest.mark.parametrize("seed", range(20))
def test_it_keeps_what_a_list_in_the_order_of_use_keeps(seed: int) -> None:
    chance, kept, listed = random.Random(seed), Weighed[int](30), OrderedDict[str, int]()
    for step in range(300):
        name = chance.choice("abcdefgh")
        if name in listed and chance.random() < 0.3:
            kept.touch(name)
            listed.move_to_end(name)
        elif chance.random() < 0.1:
            assert kept.drop(name) == listed.pop(name, None)
        else:
            listed.pop(name, None)
            listed[name] = weight = chance.randrange(12)
            kept.keep(name, weight, weight)
            while sum(listed.values()) > 30 and len(listed) > 1:
                listed.popitem(last=False)

        assert {each: kept.get(each) for each in "abcdefgh"} == {each: listed.get(each) for each in "abcdefgh"}, step
        assert sum(listed.values()) == kept.weight
