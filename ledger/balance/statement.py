"""What could be shown to a customer: their own balance line by line (reciprocity.md 8).

Opening plus lines is closing, in one view: what took effect before the window opens the statement, what took effect in
it makes the lines, and nothing after it counts. A leg that no rule gives a value is a line too, and in no sum.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from ledger.balance.view import BalanceView
from ledger.balance.viewed import SELECTED, UNVALUED, ViewedLeg

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Total(NamedTuple):
    """Sums up to a moment, in nanos of the unit of account."""

    got: int = 0
    gave: int = 0

    @property
    def net(self) -> int:
        """Got - gave."""
        return self.got - self.gave

    def plus(self, leg: ViewedLeg, perspective: int) -> "Total":
        """Return the sums with a leg."""
        if leg.got(perspective):
            return Total(self.got + leg.value, self.gave)
        return Total(self.got, self.gave + leg.value)


class Line(NamedTuple):
    """One thing given or got."""

    leg: ViewedLeg
    value: int | None
    """Nanos; None: no rule says."""
    running_net: int
    """got - gave after this line, opening included."""


class Statement(NamedTuple):
    """A statement, without a word: how it is told is not decided here."""

    opening: Total
    lines: Sequence[Line]
    """By effective time, position and leg."""
    closing: Total


def whole(view: BalanceView) -> BalanceView:
    """Return the view whose legs `statement` needs: the same up to the end of the window, from the beginning."""
    return view._replace(window_from=None)


def statement(legs: Sequence[ViewedLeg], view: BalanceView) -> Statement:
    """Return the statement of a view from the legs of `whole(view)`."""
    counted = [leg for leg in legs if leg.reason in {SELECTED, UNVALUED}]
    opening = total = Total()
    lines = []
    for leg in counted:
        total = total.plus(leg, view.perspective)  # Without a rate its value is 0.
        if leg.effective_time <= view.after:
            opening = total
        else:
            lines.append(Line(leg, leg.value if leg.reason == SELECTED else None, total.net))
    return Statement(opening, lines, total)


def day_of(time: int, zone: tzinfo) -> date:
    """Return the day of a time in microseconds as a zone has it.

    Where a zone would leave the years 0001 to 9999 the day is that of UTC.
    """
    moment = _EPOCH + timedelta(microseconds=time)
    try:
        return moment.astimezone(zone).date()
    except OverflowError:
        return moment.date()
