"""Purchases and what they are counted by: returns, incentives, purchases elsewhere, exchanges (relationship.md 3, 6).

A purchase is the interaction; what it was worth is an exchange, joined to it by the order: `order_id` of the one is
`cause_ref` of the other. Counts are kept as facts come, so that they cost nothing to read however many there are.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from ledger.balance.book import EXCHANGE_POSTED, EXCHANGE_RECORDED, EXCHANGE_REVERSED, Book, BookLeg, Exchange
from ledger.domain.fact import Fact
from ledger.domain.made_late import MadeLate
from ledger.domain.moments import Moments
from ledger.domain.times import END_OF_TIME
from ledger.measure.ties import Interval
from rapport.events.v1.exchange_pb2 import (
    CATEGORY_DISCOUNT,
    CATEGORY_POINTS_REDEEM,
    PARTY_CUSTOMER,
    PARTY_ORGANIZATION,
    ExchangePosted,
    ExchangeRecorded,
    ExchangeReversed,
)
from rapport.events.v1.interaction_pb2 import InteractionRecorded

EXCHANGES: Final = (EXCHANGE_RECORDED, EXCHANGE_POSTED, EXCHANGE_REVERSED)
"""Topics that are folded here."""

_INCENTIVES: Final = frozenset({CATEGORY_DISCOUNT, CATEGORY_POINTS_REDEEM})


_Purchase = tuple[int, bool | None, str]
"""Occur time, in microseconds; whether the caller said that it had an incentive, None: nothing was said; the order."""


class Buying(MadeLate):
    """Fold of the purchases of one customer."""

    __slots__ = (
        "_book", "_by_order", "_discounts", "_elsewhere", "_given_back", "_orders", "_purchases", "_returned",
        "_returns", "_until", "both", "by_legs", "counting", "elsewhere", "said",
    )  # fmt: skip

    LATE: ClassVar = {
        "_given_back": Moments, "both": Moments, "by_legs": set, "counting": Moments, "elsewhere": Moments, "said": set,
    }  # fmt: skip

    counting: Moments
    """Purchases without a full return."""
    said: set[int]
    """Positions of those that the caller said had an incentive."""
    by_legs: set[int]
    """Positions of those of which the caller said nothing, and an exchange of the order had an incentive."""
    elsewhere: Moments
    """What the customer says they bought elsewhere."""
    both: Moments
    """Exchanges in force with a leg from each side, by when they took effect."""
    _given_back: Moments
    """Purchases with a full return."""

    def __init__(self, until: int, book: Book) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds.

        `book`: has folded each fact before it comes here.
        """
        self._until = until
        self._book = book
        self._purchases: dict[int, _Purchase] = {}
        """By position, returned or not."""
        self._elsewhere: dict[int, int] = {}
        """Occur times by position."""
        self._returns: dict[int, int] = {}
        """Which purchase a full return names, by the position of the return."""
        self._returned: dict[int, int] = {}
        """How many full returns name a purchase."""
        self._by_order: dict[str, list[int]] = {}
        """Positions of purchases of which the caller said nothing, by their order."""
        self._orders: dict[str, str] = {}
        """Orders of the exchanges that have an incentive among their legs, by exchange."""
        self._discounts: dict[str, int] = {}
        """How many exchanges with an incentive are in force, by order."""

    def incentivised(self, *, by_legs: bool) -> int:
        """Return how many of the counting purchases had an incentive. `by_legs`: their exchanges tell, too."""
        return len(self.said) + (len(self.by_legs) if by_legs else 0)

    def had_incentive(self, position: int, *, by_legs: bool) -> bool:
        """Tell whether a counting purchase had an incentive."""
        return position in self.said or (by_legs and position in self.by_legs)

    def ever(self) -> bool:
        """Tell whether anything was bought, returned or not."""
        return bool(self._purchases)

    def anywhere(self) -> bool:
        """Tell whether anything was bought, here or elsewhere, returned or not."""
        return bool(self._purchases or self._elsewhere)

    def first_time(self) -> int | None:
        """Return when something was bought first, returned or not, in microseconds; None: nothing was."""
        return min((each.times[0] for each in (self.counting, self._given_back) if each), default=None)

    def incited(self, position: int, *, by_legs: bool) -> bool:
        """Tell whether a purchase, returned or not, had an incentive. `by_legs`: its exchanges tell, too."""
        _, said, order_id = self._purchases.get(position, (0, None, ""))
        return bool(said or (by_legs and order_id in self._discounts))

    # Interactions.

    def buy(self, time: int, position: int, event: InteractionRecorded) -> None:
        """Fold a purchase."""
        said = event.incentivised if event.HasField("incentivised") else None
        order_id = event.order_id if said is None else ""
        purchase = self._purchases[position] = time, said, order_id
        if order_id:
            self._by_order.setdefault(order_id, []).append(position)
        if position in self._returned:
            self._given_back.add(time, position)
        else:
            self._count(position, purchase)

    def buy_elsewhere(self, time: int, position: int) -> None:
        """Fold a purchase at another shop."""
        self._elsewhere[position] = time
        self.elsewhere.add(time, position)

    def give_back(self, position: int, purchase: int) -> None:
        """Fold a full return of the purchase at some position, where it is one."""
        self._returns[position] = purchase
        times = self._returned[purchase] = self._returned.get(purchase, 0) + 1
        if times == 1 and purchase in self._purchases:
            self._uncount(purchase)
            self._given_back.add(self._purchases[purchase][0], purchase)

    def take_back(self, position: int) -> None:
        """Let an interaction count no more, whichever of these it was."""
        purchase = self._purchases.get(position)
        if purchase is not None:
            if position in self._returned:
                self._given_back.remove(purchase[0], position)
            else:
                self._uncount(position)
            self._forget(position, purchase[2])
        elif position in self._elsewhere:
            self.elsewhere.remove(self._elsewhere.pop(position), position)
        elif position in self._returns:
            returned = self._returns.pop(position)
            self._returned[returned] -= 1
            if not self._returned[returned]:
                del self._returned[returned]
                if returned in self._purchases:
                    self._given_back.remove(self._purchases[returned][0], returned)
                    self._count(returned, self._purchases[returned])

    def _count(self, position: int, purchase: _Purchase) -> None:
        time, said, order_id = purchase
        self.counting.add(time, position)
        if said:
            self.said.add(position)
        elif order_id in self._discounts:
            self.by_legs.add(position)

    def _uncount(self, position: int) -> None:
        self.counting.remove(self._purchases[position][0], position)
        self.said.discard(position)
        self.by_legs.discard(position)

    def _forget(self, position: int, order_id: str) -> None:
        del self._purchases[position]
        if order_id:
            self._by_order[order_id].remove(position)
            if not self._by_order[order_id]:
                del self._by_order[order_id]

    # Exchanges.

    def evolve(self, fact: Fact) -> None:
        """Fold one fact of `EXCHANGES`."""
        book = self._book
        if fact.occur_time > self._until:
            return
        event: ExchangeRecorded | ExchangePosted | ExchangeReversed = fact.event  # type: ignore[assignment]  # By topic.
        exchange = book.exchanges.get(event.exchange_id)
        if exchange is None:
            return
        # What the book let pass, such as a second posting, has no place in the exchange.
        if exchange.position == fact.position:
            self._record(exchange, event)  # type: ignore[arg-type]  # The event at this position recorded it.
        elif exchange.resolution is not None and exchange.resolution.position == fact.position:
            self._settle(exchange, comes=True)
        elif exchange.reversal_position == fact.position and exchange.reversal_time <= self._until:
            self._settle(exchange, comes=False)

    def spans(self) -> Iterator[Interval]:
        """Yield when the exchanges with a leg from each side were in force, also of those taken back since."""
        for exchange in self._book.exchanges.values():
            since = exchange.posted_time
            if since is not None and since <= self._until and _has_both(_posted_legs(exchange)):
                taken = exchange.reversal_position and exchange.reversal_time <= self._until
                yield since, exchange.reversal_time if taken else END_OF_TIME

    def _record(self, exchange: Exchange, event: ExchangeRecorded) -> None:
        for leg in exchange.legs:
            if leg.category in _INCENTIVES:
                if event.cause_ref:
                    self._orders[exchange.exchange_id] = event.cause_ref
                break
        if exchange.pending_until is None:
            self._settle(exchange, comes=True)

    def _settle(self, exchange: Exchange, *, comes: bool) -> None:
        """Let an exchange be in force from now on, or no more."""
        legs = _posted_legs(exchange)
        if _has_both(legs):
            place = self.both.add if comes else self.both.remove
            place(*taken_effect(exchange))
        order = self._orders.get(exchange.exchange_id)
        if order is not None and any(leg.category in _INCENTIVES for leg in legs):
            self._change_discounts(order, 1 if comes else -1)

    def _change_discounts(self, order: str, change: int) -> None:
        before = self._discounts.pop(order, 0)
        if before + change:
            self._discounts[order] = before + change
            if before:
                return
        purchases = [position for position in self._by_order.get(order, ()) if position not in self._returned]
        if before:
            self.by_legs.difference_update(purchases)
        else:
            self.by_legs.update(purchases)


def _posted_legs(exchange: Exchange) -> list[BookLeg]:
    """Return the legs of which something was posted; a hold that was voided has none."""
    return [leg for leg, units in zip(exchange.legs, exchange.posted_units(), strict=False) if units]


def _has_both(legs: Iterable[BookLeg]) -> bool:
    """Tell whether each side gave something."""
    givers = {leg.giver for leg in legs}
    return PARTY_CUSTOMER in givers and PARTY_ORGANIZATION in givers


def taken_effect(exchange: Exchange) -> tuple[int, int]:
    """Return when a posted exchange took effect, in microseconds, and the position of the event that says so."""
    resolution = exchange.resolution
    return (exchange.time, exchange.position) if resolution is None else (resolution.time, resolution.position)
