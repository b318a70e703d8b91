"""Facts, policies and views as plain values, for oracles that share no line with the ledger.

Parties, categories, methods and reasons are the names of the design; times are microseconds since 1970, rates nanos.
"""

from __future__ import annotations

from typing import NamedTuple

FOR_EVER = 2**62


class Leg(NamedTuple):
    giver: str
    category: str
    units: int
    asset: str
    activates_at: int = -FOR_EVER
    expires_at: int = FOR_EVER


class Fact(NamedTuple):
    """What happened: RECORDED, POSTED, VOIDED, REVERSED (its occur is the effective time) or OBSERVED."""

    kind: str
    position: int
    occur: int
    exchange_id: str = ""
    legs: tuple[Leg, ...] = ()
    pending_until: int | None = None  # None: posted at once
    one_sided: str = ""
    uses: tuple[tuple[str, int], ...] = ()  # (lot_id, units) of a redemption
    units: tuple[int, ...] = ()  # of a posting, by leg
    category: str = ""  # of an observation, with since
    since: int = 0


class Rule(NamedTuple):
    rule_id: str
    perspective: str
    side: str
    scope: str  # a category, a group, or "" for any
    asset: str
    rate: int
    low: int
    high: int
    method: str
    redemption_ppm: int = 0


class Policy(NamedTuple):
    position: int
    policy_id: str
    version: int
    effective_from: int
    rules: tuple[Rule, ...]
    kappa: int = 10 * 10**9
    labels: tuple[tuple[str, int], ...] = (("BALANCED", 100_000), ("TILTED", 333_333), ("LOPSIDED", 1_000_000))
    trend_days: int = 90


class View(NamedTuple):
    at: int
    known: int
    perspective: str = "CUSTOMER"
    after: int = -FOR_EVER  # the window is (after, until]
    until: int = FOR_EVER
    half_life: int = 0
    policy_id: str = ""  # "": the one published first
    version: int = 0  # 0: AT_OCCUR


class Seen(NamedTuple):
    """A leg as the view sees it; the reason is "" when it is selected."""

    exchange_id: str
    leg_no: int
    leg: Leg
    units: int
    effective: int
    position: int
    one_sided: str
    reason: str
    rule: Rule | None
    version: int
    weight: int
    got: bool
    held: bool

    def worth(self, which: str = "rate") -> int:
        return self.units * int(getattr(self.rule, which)) if self.rule else 0

    def line(self) -> tuple[int, ...]:
        """Return units, legs, value, low and high if it is valued; units and legs if it is not."""
        if self.reason:
            return 0, 0, 0, 0, 0, self.units, 1
        return self.units, 1, self.worth(), self.worth("low"), self.worth("high"), 0, 0

    def quantity(self) -> tuple[int, ...]:
        """Return posted, reversed, pended, hold_posted, hold_voided and hold_expired, where there is no window."""
        all_units, unsettled = self.leg.units, self.reason in {"PENDING", "EXPIRED"}
        posted = 0 if unsettled or self.reason == "VOIDED" else self.units
        voided = 0 if unsettled else self.held * (all_units - posted)
        taken, expired = posted * (self.reason == "REVERSED"), all_units * (self.reason == "EXPIRED")
        return posted, taken, self.held * all_units, self.held * posted, voided, expired
