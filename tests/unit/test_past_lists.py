"""Lists of the past keep what follows a page, and say the same as if nothing were kept."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ledger.projections.listing import Key, Listing, Order
from ledger.views import View
from services.relationship import past
from services.relationship.past import Basis, PastLists, Placed

VIEW = View(1_000, 50)
BY_EXCHANGES = Listing(organization_id="acme", order=Order.INTERACTIONS_DESCENDING)


class Folding:
    """In place of the fold: a drawn list, and a count of how often it was asked for."""

    def __init__(self, chance: random.Random, size: int) -> None:
        self.keys = [Key(chance.randrange(10), f"c-{number:03}") for number in range(size)]
        self.asked = 0

    async def __call__(
        self, _store: Any, listing: Listing, _view: View, _basis: Any, after: Key | None, limit: int
    ) -> list[Placed]:
        self.asked += 1
        ranked = sorted((key for key in self.keys), key=listing.rank)
        return [Placed(key, None) for key in ranked if after is None or listing.rank(key) > listing.rank(after)][:limit]


async def pages(lists: PastLists, listing: Listing, size: int, after: Key | None = None) -> list[list[Key]]:
    found: list[list[Key]] = []
    while page := await lists.page(listing, VIEW, Basis(), after, size):
        found.append([each.key for each in page])
        after = page[-1].key
    return found


@pytest.fixture
def folding(seed: int, monkeypatch: pytest.MonkeyPatch) -> Folding:
    found = Folding(random.Random(seed), 100)
    monkeypatch.setattr(past, "list_past", found)
    return found


async def test_pages_together_are_the_list_and_it_is_folded_once(folding: Folding) -> None:
    found = await pages(PastLists(None), BY_EXCHANGES, 7)  # type: ignore[arg-type]  # Nothing asks the store.

    assert sorted(folding.keys, key=BY_EXCHANGES.rank) == [key for page in found for key in page]
    assert {7, 100 % 7} == {len(page) for page in found}
    assert 1 == folding.asked


async def test_what_is_not_kept_is_folded_again(folding: Folding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "PLACES_AHEAD", 30)
    found = await pages(PastLists(None), BY_EXCHANGES, 7)  # type: ignore[arg-type]

    assert sorted(folding.keys, key=BY_EXCHANGES.rank) == [key for page in found for key in page]
    assert 4 == folding.asked  # Of 30 places kept 28 make whole pages.


async def test_a_page_from_before_what_is_kept_is_folded(folding: Folding) -> None:
    lists = PastLists(None)  # type: ignore[arg-type]
    ranked = sorted(folding.keys, key=BY_EXCHANGES.rank)
    await lists.page(BY_EXCHANGES, VIEW, Basis(), ranked[50], 5)

    page = await lists.page(BY_EXCHANGES, VIEW, Basis(), ranked[20], 5)

    assert ranked[21:26] == [each.key for each in page]
    assert ranked[:5] == [each.key for each in await lists.page(BY_EXCHANGES, VIEW, Basis(), None, 5)]


async def test_another_view_is_another_list(folding: Folding) -> None:
    lists = PastLists(None)  # type: ignore[arg-type]
    for position in range(past.LISTS_KEPT + 1):
        await lists.page(BY_EXCHANGES, View(1_000, position), Basis(), None, 5)
    await lists.page(BY_EXCHANGES, View(1_000, past.LISTS_KEPT), Basis(), None, 5)
    assert past.LISTS_KEPT + 1 == folding.asked

    await lists.page(BY_EXCHANGES, View(1_000, 0), Basis(), None, 5)  # The least used was dropped.

    assert past.LISTS_KEPT + 2 == folding.asked
