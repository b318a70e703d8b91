"""Random valid histories of one relationship, and random valuation policies: what tests of balances are fed with.

A history holds what decisions would have recorded: exchanges at once and pending, posted in full and in part, voided
and expired, late ones, reversals at the original's time and later, corrections, lots granted, used, restored and taken
back, one-sided books and observations. Any prefix of its facts is valid too: what was known at that position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from ledger.balance.view import DAY, BalanceView
from ledger.domain.fact import Fact
from ledger.policy.valuation import Opinion, Valuations
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import valuation_pb2 as v
from rapport.events.v1.valuation_pb2 import ValuationPolicy
from tests.balance_facts import CUSTOMER, ORGANIZATION, Facts, grant, leg, policy, rule, use, valuations

START = 1_767_225_600 * 1_000_000
"""2026-01-01, 00:00 UTC."""
HOUR = DAY // 24
ENDLESS = 1 << 60

KINDS = (
    (CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "EUR/2"),
    (CUSTOMER, x.CATEGORY_MONEY_PAYMENT, "USD/2"),
    (CUSTOMER, x.CATEGORY_GOODS, "CD/0"),
    (CUSTOMER, x.CATEGORY_ATTENTION, "MIN/0"),
    (CUSTOMER, x.CATEGORY_WAITING, "MIN/0"),
    (CUSTOMER, x.CATEGORY_DATA_DISCLOSED, "DATAPT/0"),
    (CUSTOMER, x.CATEGORY_ADVOCACY, "REVIEW/0"),
    (ORGANIZATION, x.CATEGORY_MONEY_PAYMENT, "EUR/2"),
    (ORGANIZATION, x.CATEGORY_MONEY_REFUND, "EUR/2"),
    (ORGANIZATION, x.CATEGORY_GOODS, "EUR/2"),
    (ORGANIZATION, x.CATEGORY_GOODS, "CD/0"),
    (ORGANIZATION, x.CATEGORY_SERVICE_SUPPORT, "MIN/0"),
    (ORGANIZATION, x.CATEGORY_SERVICE_RECOVERY, "MIN/0"),
    (ORGANIZATION, x.CATEGORY_CONTENT, "PAGE/0"),
)
"""Who gives what; no points."""
POINTS = ("PT/0", "MILE/0")
GROUPS = ("MONEY", "SERVICE", "GOODS", "DATA", "POINTS")


@dataclass
class Hold:
    """A pending exchange that is not resolved."""

    time: int
    until: int
    legs: Sequence[x.Leg]


@dataclass
class Lot:
    """What a redemption must know of a lot, kept apart from what is tested."""

    exchange_id: str
    leg_no: int
    asset: str
    granted: int
    start: int
    end: int
    place: int
    moves: list[tuple[int, int]] = field(default_factory=list)
    last_use: int = -ENDLESS
    taken: bool = False

    def free(self, at: int) -> int:
        """Return what can be used from a time on without any later instant running short."""
        if self.taken or not self.start <= at < self.end:
            return 0
        times = [at, *(time for time, _ in self.moves if time > at)]
        return min(self.granted - self._used(time) for time in times)

    def is_used_from(self, at: int) -> bool:
        return any(self._used(time) > 0 for time in [at, *(time for time, _ in self.moves if time > at)])

    def _used(self, at: int) -> int:
        return sum(units for time, units in self.moves if time <= at)


class History:
    """A random history; grows by a step at a time. The same seed makes the same one."""

    def __init__(self, chance: Random, steps: int = 40, *, lots: bool = True) -> None:
        self.chance = chance
        self.told = Facts()
        self.now = START
        self._with_lots = lots
        self._ids = 0
        self._holds: dict[str, Hold] = {}
        self._posted: dict[str, int] = {}
        """When each exchange took effect that is posted and not reversed."""
        self._reversed: list[str] = []
        self._lots: dict[str, Lot] = {}
        self._uses: dict[str, list[tuple[str, int]]] = {}
        for _ in range(steps):
            self.step()

    @property
    def facts(self) -> list[Fact]:
        """All facts, in the order of their positions."""
        return self.told.facts

    @property
    def positions(self) -> list[int]:
        """Where a view may stand: 0, and after each fact."""
        return [0, *(fact.position for fact in self.facts)]

    def step(self) -> None:
        """Record one more thing, if what was drawn is possible."""
        self.now += self.chance.choice([0, 1, HOUR, 6 * HOUR, DAY, DAY, 5 * DAY, 20 * DAY])
        steps: list[Callable[[], object]] = [
            self._exchange, self._pending, self._post, self._void, self._reverse, self._correct, self._observe,
            self._pass_by, self._grant, self._redeem,
        ]  # fmt: skip
        often = [8, 3, 3, 1, 2, 1, 1, 1, *([2, 3] if self._with_lots else [0, 0])]
        self.chance.choices(steps, often)[0]()

    def _place(self) -> dict[str, int]:
        """Return where the next fact stands; positions leave gaps, as other relationships' events would."""
        last = self.facts[-1].position if self.facts else 0
        return {"position": last + self.chance.choice([1, 1, 1, 2, 7]), "recorded": self.now}

    def _new_id(self) -> str:
        self._ids += 1
        return f"x{self._ids}"

    def _some_time(self) -> int:
        """Return when something happened that is recorded now: mostly lately, sometimes long ago, never after."""
        back = self.chance.choice([0, 0, 0, 1, HOUR, DAY, 3 * DAY, 40 * DAY, 200 * DAY])
        return self.now - self.chance.choice([back, self.chance.randint(0, back)])

    def _some_legs(self) -> list[x.Leg]:
        units = self.chance.choice([1, 5, 100, 4_750, 10**7])
        return [
            leg(giver, category, self.chance.randint(1, units), asset)
            for giver, category, asset in self.chance.choices(KINDS, k=self.chance.choice([1, 2, 2, 2, 3, 5]))
        ]

    def _why_one_sided(self, legs: Sequence[x.Leg]) -> x.OneSided.ValueType:
        if len({each.giver for each in legs}) == 2:
            return x.ONE_SIDED_UNSPECIFIED
        return self.chance.choice([x.ONE_SIDED_GIFT, x.ONE_SIDED_LATER, x.ONE_SIDED_UNOBSERVED])

    def _exchange(self, replaces: str = "") -> None:
        legs, at, exchange_id = self._some_legs(), self._some_time(), self._new_id()
        one_sided = self._why_one_sided(legs)
        self.told.record(exchange_id, *legs, at=at, one_sided=one_sided, replaces=replaces, **self._place())
        self._posted[exchange_id] = at

    def _pending(self) -> None:
        legs, at, exchange_id = self._some_legs(), self._some_time(), self._new_id()
        if self._with_lots and self.chance.random() < 0.3:
            legs.append(self._some_grant(at))
        until = at + self.chance.choice([1, HOUR, DAY, 7 * DAY, 60 * DAY])
        one_sided = self._why_one_sided(legs)
        self.told.record(exchange_id, *legs, at=at, pending_until=until, one_sided=one_sided, **self._place())
        self._holds[exchange_id] = Hold(at, until, legs)

    def _post(self) -> None:
        exchange_id, hold, at = self._resolvable()
        if hold is None:
            return
        pending = [each.amount.units for each in hold.legs]
        units = [self.chance.choice([n, n, self.chance.randint(0, n), 0]) for n in pending]
        if not any(units):
            units = pending
        posted = [each for each, n in zip(hold.legs, units, strict=True) if n]
        fact = self.told.post(exchange_id, units, at, self._why_one_sided(posted), **self._place())
        self._posted[exchange_id] = at
        self._keep_lots(exchange_id, hold.legs, units, fact)

    def _void(self) -> None:
        exchange_id, hold, at = self._resolvable()
        if hold is not None:
            self.told.void(exchange_id, at, **self._place())

    def _resolvable(self) -> tuple[str, Hold | None, int]:
        """Take a pending exchange, with a time at which it may be resolved; none where that is not possible."""
        if not self._holds:
            return "", None, 0
        exchange_id = self.chance.choice(list(self._holds))
        hold = self._holds[exchange_id]
        latest = min(hold.until - 1, self.now)
        at = self.chance.choice([hold.time, latest, self.chance.randint(hold.time, latest)])
        return exchange_id, self._holds.pop(exchange_id), at

    def _reverse(self) -> str:
        """Reverse some exchange and return its id; empty where the one drawn cannot be reversed."""
        if not self._posted:
            return ""
        exchange_id = self.chance.choice(list(self._posted))
        original = self._posted[exchange_id]
        at = self.chance.choice([original, original, self.now, self.chance.randint(original, self.now)])
        lots = [lot for lot in self._lots.values() if lot.exchange_id == exchange_id]
        take = False
        if any(lot.is_used_from(at) for lot in lots):
            take, at = True, max([at, *(lot.last_use for lot in lots)])
        exact = at == original and self.chance.random() < 0.5
        self.told.reverse(exchange_id, None if exact else at, take_remaining_points=take, **self._place())
        del self._posted[exchange_id]
        self._reversed.append(exchange_id)
        for lot in lots:
            lot.taken = True
        for lot_id, units in self._uses.get(exchange_id, ()):
            self._lots[lot_id].moves.append((at, -units))
        return exchange_id

    def _correct(self) -> None:
        exchange_id = self._reverse()
        if exchange_id:
            self._exchange(replaces=exchange_id)

    def _some_grant(self, at: int) -> x.Leg:
        activates_at = self.chance.choice([None, None, at, at + 3 * DAY])
        expires_at = self.chance.choice([None, at + 4 * DAY, at + 30 * DAY, at + 90 * DAY])
        return grant(self.chance.randint(1, 500), self.chance.choice(POINTS), activates_at, expires_at)

    def _grant(self) -> None:
        at, exchange_id = self._some_time(), self._new_id()
        legs = [*self._some_legs(), self._some_grant(at)]
        one_sided = self._why_one_sided(legs)
        fact = self.told.record(exchange_id, *legs, at=at, one_sided=one_sided, **self._place())
        self._posted[exchange_id] = at
        self._keep_lots(exchange_id, legs, [each.amount.units for each in legs], fact)

    def _keep_lots(self, exchange_id: str, legs: Sequence[x.Leg], units: Sequence[int], fact: Fact) -> None:
        for index, (each, granted) in enumerate(zip(legs, units, strict=True), start=1):
            if each.category == x.CATEGORY_POINTS_GRANT and granted:
                terms = each.lot_terms
                start = terms.activates_at.ToMicroseconds() if terms.HasField("activates_at") else fact.occur_time
                end = terms.expires_at.ToMicroseconds() if terms.HasField("expires_at") else ENDLESS
                self._lots[f"{exchange_id}/{index}"] = Lot(
                    exchange_id, index, each.amount.asset, granted, max(start, fact.occur_time), end, fact.position
                )

    def _redeem(self) -> None:
        asset, at, exchange_id = self.chance.choice(POINTS), self._some_time(), self._new_id()
        lots = {lot_id: lot for lot_id, lot in self._lots.items() if lot.asset == asset and lot.free(at)}
        free = sum(lot.free(at) for lot in lots.values())
        if not free:
            return
        units = self.chance.choice([free, self.chance.randint(1, free)])
        goods = leg(ORGANIZATION, x.CATEGORY_GOODS, self.chance.randint(1, 9), "CD/0")
        missing, uses = units, []
        for lot_id, lot in sorted(
            lots.items(), key=lambda each: (each[1].end, each[1].start, each[1].place, each[1].leg_no)
        ):
            n = min(missing, lot.free(at))
            if n:
                uses.append((lot_id, n))
                missing -= n
        redeemed = leg(CUSTOMER, x.CATEGORY_POINTS_REDEEM, units, asset)
        lot_uses = [use(lot_id, n) for lot_id, n in uses]
        self.told.record(exchange_id, redeemed, goods, at=at, lot_uses=lot_uses, **self._place())
        self._posted[exchange_id] = at
        self._uses[exchange_id] = uses
        for lot_id, n in uses:
            lot = self._lots[lot_id]
            lot.moves.append((at, n))
            lot.last_use = max(lot.last_use, at)

    def _observe(self) -> None:
        _, category, _ = self.chance.choice(KINDS)
        at = self._some_time()
        self.told.observe(category, at - self.chance.choice([0, DAY, 100 * DAY]), at, **self._place())

    def _pass_by(self) -> None:
        event = x.ObservationDeclared(category=x.CATEGORY_WAITING)
        self.told.add("subject.of_another_kind.v1", event, self._some_time(), **self._place())


def reordered(facts: Sequence[Fact], chance: Random) -> list[Fact]:
    """Return the same facts recorded in another order, each exchange still before what becomes of it."""
    keys: dict[str, float] = {}
    order = []
    for fact in facts:
        exchange_id = getattr(fact.event, "exchange_id", str(fact.position))
        keys[exchange_id] = chance.uniform(keys.get(exchange_id, 0.0), 1.0)
        order.append((keys[exchange_id], fact))
    order.sort(key=lambda each: each[0])
    places = sorted(fact.position for fact in facts)
    return [
        fact._replace(position=place, version=version)
        for version, (place, (_, fact)) in enumerate(zip(places, order, strict=True), start=1)
    ]


def some_policy(
    chance: Random, number: int, policy_id: str = "standard", effective_from: int | None = None
) -> ValuationPolicy:
    """Return a version with random rules: some legs have no rate, some a rate of 0, some a band, some a group's."""
    rules = {}
    for perspective in (CUSTOMER, ORGANIZATION):
        for giver, category, asset in (*KINDS, *((ORGANIZATION, x.CATEGORY_POINTS_GRANT, name) for name in POINTS)):
            name = x.Category.Name(category).removeprefix("CATEGORY_").partition("_")[0]
            for scope in (category, name, ""):
                if chance.random() < 0.4:
                    rate = chance.choice([0, 1, 3, 10**6, 10**7, 5 * 10**8])
                    low, high = chance.choice([(rate, rate), (rate // 3, 2 * rate), (0, rate)])
                    method = chance.choice(list(v.ValuationMethod.values())[1:])
                    points = category == x.CATEGORY_POINTS_GRANT
                    redemption = chance.choice([0, 333_333, 800_000, 10**6]) if points else 0
                    made = rule(perspective, giver, scope, asset, rate, low, high, method, redemption)
                    rules[perspective, made.side, scope, asset] = made
    if effective_from is None:
        effective_from = START + chance.choice([-400, 0, 0, 30, 30, 60, 100, 200]) * DAY
    kappa = chance.choice([0, 1, 10 * 10**9, 10**15])
    return policy(
        number, *rules.values(), effective_from=effective_from, kappa=kappa, trend_days=chance.choice([1, 30, 90, 400]),
        policy_id=policy_id,
    )  # fmt: skip


def some_valuations(chance: Random) -> Valuations:
    """Return published policies: seldom none, mostly several versions, corrected and dated ones among them."""
    number = chance.choice([0, 1, 1, 2, 2, 3, 5])
    return valuations(*(some_policy(chance, i) for i in range(1, number + 1)))


def some_opinion(chance: Random, known: Valuations, at: int) -> Opinion:
    """Return what values the legs of a view: mostly the versions of their times, sometimes one of them for all."""
    history = known.history(known.default_policy_id)
    versions = [0, 0, *(each.version for each in history.versions)] if history is not None else [0]
    return known.opinion("", chance.choice(versions), at)


def some_view(chance: Random, history: History) -> BalanceView:
    """Return a view whose time is likely to fall on, just before or just after something."""
    times = [fact.occur_time for fact in history.facts] or [START]
    at = chance.choice([*times, history.now, history.now + 100 * DAY]) + chance.choice([0, 0, -1, 1, DAY, 9 * DAY])
    start, end = None, None
    if chance.random() < 0.5:
        start = min(chance.choice(times), at) - chance.choice([0, 1, DAY])
    if chance.random() < 0.5:
        end = min(chance.choice(times), at) - chance.choice([0, 0, DAY])
        if start is not None and end <= start:
            start, end = min(end, start) - 1, start
    return BalanceView(
        at, chance.choice([CUSTOMER, ORGANIZATION]), start, end, chance.choice([0, 0, 0, 1, 7, 90, 3650])
    )
