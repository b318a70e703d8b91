"""What made two views of one relationship differ (reciprocity.md 8, settled.md 32).

One starts with the entries of view a and applies causes in a fixed order until those of view b are there. Each leg that
changes has one cause, but for a leg in both views, which may have another value and another weight. Net and index after
the last step are those of b, so the steps add up exactly; how much of an index one cause takes depends on the order,
which therefore belongs to the model version.

| cause | what it changes |
|---|---|
| POLICY | values of entries in both views, kappa, and legs without a rate in one view that count in the other |
| CORRECTION | entries whose reversal a did not know, or b does not know; new entries of exchanges with `replaces` |
| LATE_EVENT | entries recorded after a's position that took effect by a's time |
| NEW_EVENT | those that took effect later |
| AS_OF_MOVED | all other entries of one view only |
| AGEING | weights of entries in both views |
| EXPIRY | no entry: points of a that lapsed, and what was pending in a and expired |

A leg is unknown in a view if the event that made it an entry, its recording or its posting, lies after the view's
position.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ledger.balance.book import POINTS
from ledger.balance.lots import LotInView
from ledger.balance.numbers import NO_POLICY, Balance, Ratio
from ledger.balance.view import BalanceView
from ledger.balance.viewed import EXPIRED, PENDING, UNVALUED, ViewedLeg
from ledger.domain.amounts import half_even
from ledger.domain.decay import FULL
from ledger.policy.valuation import Rate
from rapport.relationship.v1.balance_pb2 import DiffCause

POLICY: Final = DiffCause.DIFF_CAUSE_POLICY
CORRECTION: Final = DiffCause.DIFF_CAUSE_CORRECTION
LATE_EVENT: Final = DiffCause.DIFF_CAUSE_LATE_EVENT
NEW_EVENT: Final = DiffCause.DIFF_CAUSE_NEW_EVENT
AS_OF_MOVED: Final = DiffCause.DIFF_CAUSE_AS_OF_MOVED
AGEING: Final = DiffCause.DIFF_CAUSE_AGEING
EXPIRY: Final = DiffCause.DIFF_CAUSE_EXPIRY

CAUSES: Final = (POLICY, CORRECTION, LATE_EVENT, NEW_EVENT, AS_OF_MOVED, AGEING, EXPIRY)
"""In the order in which they are applied."""

NOTHING: Final = Ratio(0, 1)
"""What an absent index counts as."""


class Side(NamedTuple):
    """One of two views that are compared. Both are of one relationship, perspective and unit of account."""

    view: BalanceView
    position: int
    """Up to where events were known."""
    balance: Balance
    legs: Sequence[ViewedLeg]
    """Every leg known, in order."""
    lots: Sequence[LotInView]


@dataclass(slots=True)
class Step:
    """What one cause changed. Sums in nanos, or nanos times ppm where weighted."""

    cause: int
    """A `DiffCause`."""
    net: int = 0
    index: Ratio = NOTHING
    """Change of the index, exact; an absent index counts as 0."""
    promised: int = 0
    """By EXPIRY only."""
    pending: int = 0
    """Change of what is pending to get, less what is pending to give; by EXPIRY only."""
    legs: list[ViewedLeg] = field(default_factory=list)
    """The legs concerned, in order, as they are in b; those that b has not, or that only count in a, as in a."""
    got: int = 0
    """Change of the weighted sum of gets."""
    gave: int = 0
    """Change of the weighted sum of gives."""

    def add(self, leg: ViewedLeg, perspective: int, value: int, weighted: int) -> None:
        """Let a leg change the sums by a value, and by a value times weight."""
        self.legs.append(leg)
        if leg.got(perspective):
            self.net += value
            self.got += weighted
        else:
            self.net -= value
            self.gave += weighted


class DifferenceMismatch(Exception):
    """The steps do not lead from one balance to the other: a defect of the arithmetic, and nothing may be told."""


def differences(a: Side, b: Side) -> list[Step]:
    """Return what leads from view a to view b, in order; causes that change nothing are left out.

    Raises:
        DifferenceMismatch: the legs do not give the balances, so that the steps would not add up.
    """
    by_cause: dict[int, Step] = {cause: Step(cause) for cause in CAUSES}
    _sort_changes(a, b, by_cause)
    _expire(a, b, by_cause[EXPIRY])
    steps = list(by_cause.values())
    _take_steps(a, b, steps)
    for step in steps:
        step.legs.sort(key=_place)
    return [step for step in steps if step.legs or step.index.numerator]


def _sort_changes(a: Side, b: Side, steps: Mapping[int, Step]) -> None:
    """Give each leg that counts in a or b, and not alike in both, to its cause."""
    perspective = a.view.perspective
    for then, now in _pairs(a.legs, b.legs):
        counted = then is not None and not then.reason
        counts = now is not None and not now.reason
        if counted and counts:
            assert then is not None
            assert now is not None
            if now.value != then.value:
                steps[POLICY].add(now, perspective, now.value - then.value, (now.value - then.value) * then.weight)
            if now.value and now.weight != then.weight:
                steps[AGEING].add(now, perspective, 0, now.value * (now.weight - then.weight))
        elif counts:
            assert now is not None
            steps[_why_added(now, then, a, b)].add(now, perspective, now.value, now.value * now.weight)
        elif counted:
            assert then is not None
            steps[_why_dropped(now, a, b)].add(then, perspective, -then.value, -then.value * then.weight)


def _why_added(now: ViewedLeg, then: ViewedLeg | None, a: Side, b: Side) -> int:
    unknown = now.position > a.position
    if then is not None and then.reason == UNVALUED:
        return POLICY
    if (unknown and now.replaces) or (then is not None and _reversed(then, a) and not _reversal_known(then, b)):
        return CORRECTION
    if unknown:
        return LATE_EVENT if now.effective_time <= a.view.at else NEW_EVENT
    return AS_OF_MOVED


def _why_dropped(now: ViewedLeg | None, a: Side, b: Side) -> int:
    if now is None:
        return AS_OF_MOVED
    if now.reason == UNVALUED:
        return POLICY
    if _reversed(now, b) and not _reversal_known(now, a):
        return CORRECTION
    return AS_OF_MOVED


def _reversed(leg: ViewedLeg, side: Side) -> bool:
    """Tell whether a leg is reversed in the view it is of, whatever else keeps it from counting."""
    return bool(leg.reversal_position) and leg.reversal_time <= side.view.at


def _reversal_known(leg: ViewedLeg, side: Side) -> bool:
    """Tell whether the reversal of a leg is known in a view, at whatever time it takes effect."""
    return leg.reversal_position <= side.position


def _expire(a: Side, b: Side, step: Step) -> None:
    """Note what lapsed without an event: points that were outstanding in a, and what was pending in a."""
    perspective = a.view.perspective
    lots = {lot.lot_id: lot for lot in b.lots}
    lapsed = {lot.lot_id: min(lot.outstanding, lots[lot.lot_id].lapsed) for lot in a.lots if lot.lot_id in lots}
    for then, now in _pairs(a.legs, b.legs):
        if then is None or now is None:
            continue
        if then.reason == PENDING and now.reason == EXPIRED and then.category not in POINTS:
            step.legs.append(now)
            step.pending += -then.value if then.got(perspective) else then.value
        elif lapsed and (units := lapsed.get(f"{then.exchange_id}/{then.leg_no}")):
            step.legs.append(now)
            step.promised -= _promise(units, then.rate)


def _promise(units: int, rate: Rate | None) -> int:
    """Return what points promise, as the lot they are of did; 0 without a rate."""
    return 0 if rate is None else half_even(units * rate.rate * rate.redemption_ppm, FULL)


def _take_steps(a: Side, b: Side, steps: Sequence[Step]) -> None:
    """Say of each step how far it moves the index."""
    kappa = a.balance.kappa_nanos
    net, got, gave = _sums(a)
    before = _index(got, gave, kappa)
    if (net, before) != _told(a):
        raise DifferenceMismatch("the legs of the first view do not add up to its balance")
    for step in steps:
        # Without a policy there is no kappa to take over, and in the end no entry whose index could depend on it.
        if step.cause == POLICY and b.balance.status != NO_POLICY:
            kappa = b.balance.kappa_nanos
        net, got, gave = net + step.net, got + step.got, gave + step.gave
        after = _index(got, gave, kappa)
        step.index = after.less(before)
        before = after
    if (net, before) != _told(b):
        raise DifferenceMismatch("the steps do not lead to the balance of the second view")


def _sums(side: Side) -> tuple[int, int, int]:
    """Return net, and the weighted sums of gets and gives."""
    whole = Step(POLICY)
    for leg in side.legs:
        if not leg.reason:
            whole.add(leg, side.view.perspective, leg.value, leg.value * leg.weight)
    return whole.net, whole.got, whole.gave


def _told(side: Side) -> tuple[int, Ratio]:
    return side.balance.net, side.balance.index or NOTHING


def _index(got: int, gave: int, kappa: int) -> Ratio:
    return Ratio(got - gave, got + gave + 2 * kappa * FULL) if got + gave else NOTHING


def _pairs(a: Sequence[ViewedLeg], b: Sequence[ViewedLeg]) -> Iterator[tuple[ViewedLeg | None, ViewedLeg | None]]:
    """Yield every leg as it is in both views; None where it is unknown."""
    there = {(leg.exchange_id, leg.leg_no): leg for leg in b}
    for leg in a:
        yield leg, there.pop((leg.exchange_id, leg.leg_no), None)
    for leg in there.values():
        yield None, leg


def _place(leg: ViewedLeg) -> tuple[int, int, int]:
    return leg.effective_time, leg.position, leg.leg_no
