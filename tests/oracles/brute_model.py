"""The arithmetic of reciprocity.md once more, by scanning a flat list of facts for every question. No caches, no folds.

It shares no line with the ledger and was written from the design alone, so that the two can check each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from tests.oracles.exact import decay, half_even, largest_remainder
from tests.oracles.flat_facts import FOR_EVER, Fact, Leg, Policy, Rule, Seen, View

DAY = 86_400_000_000


def policy_at(policies: Iterable[Policy], view: View, at: int) -> Policy | None:
    known = [each for each in policies if each.position <= view.known]
    name = view.policy_id or (min(known).policy_id if known else "")
    named = [each for each in known if each.policy_id == name]
    if view.version:
        return next(each for each in named if each.version == view.version)
    in_force = [each for each in named if each.effective_from <= at]
    return max(in_force, key=lambda each: (each.effective_from, each.version)) if in_force else None


def rule_for(policy: Policy | None, perspective: str, leg: Leg) -> Rule | None:
    side = "GIVE" if leg.giver == perspective else "GET"
    for scope in (leg.category, leg.category.split("_")[0] + "_", ""):
        for rule in policy.rules if policy else ():
            if (rule.perspective, rule.side, rule.scope, rule.asset) == (perspective, side, scope, leg.asset):
                return rule
    return None


def reversal_of(facts: Iterable[Fact], view: View, exchange_id: str) -> Fact | None:
    """Return the reversal that the view knows and that has happened in it."""
    happened = (fact for fact in facts if fact.position <= view.known and fact.occur <= view.at)
    return next((fact for fact in happened if (fact.kind, fact.exchange_id) == ("REVERSED", exchange_id)), None)


def seen_legs(facts: Sequence[Fact], policies: Sequence[Policy], view: View) -> list[Seen]:
    """Return every leg known at P, ordered by effective time, position and number."""
    known, seen = [fact for fact in facts if fact.position <= view.known], []
    for exchange in (fact for fact in known if fact.kind == "RECORDED"):
        about = [fact for fact in known if fact.exchange_id == exchange.exchange_id and fact.occur <= view.at]
        end = next((fact for fact in about if fact.kind in {"POSTED", "VOIDED"}), None)
        taken = any(fact.kind == "REVERSED" for fact in about)
        for i, leg in enumerate(exchange.legs):
            posted = leg.units if exchange.pending_until is None else end.units[i] if end and end.units else 0
            source = end if end and posted else exchange
            rule = rule_for(policy := policy_at(policies, view, source.occur), view.perspective, leg)
            unposted = "VOIDED" if end else "PENDING" if view.at < (exchange.pending_until or 0) else "EXPIRED"
            reasons = (
                ("AFTER_AS_OF", source.occur > view.at),
                (unposted, not posted),
                ("OUTSIDE_WINDOW", not view.after < source.occur <= view.until),
                ("REVERSED", taken),
                ("POINTS", leg.category.startswith("POINTS")),
                ("UNVALUED", rule is None),
            )
            reason = next((name for name, holds in reasons if holds), "")
            weight = decay(max(0, view.at // DAY - source.occur // DAY), view.half_life) if view.half_life else 10**6
            seen.append(Seen(
                exchange.exchange_id, i + 1, leg, posted or leg.units, source.occur, source.position, source.one_sided,
                reason, rule, policy.version if policy else 0, weight, got=leg.giver != view.perspective,
                held=exchange.pending_until is not None,
            ))  # fmt: skip
    return sorted(seen, key=lambda each: (each.effective, each.position, each.leg_no))


def totals(legs: Iterable[Seen], get: str = "rate", give: str = "rate") -> tuple[int, int]:
    """Return g and u, weighted, gets and gives each at the rate named."""
    chosen = [each for each in legs if not each.reason]
    gets = sum(each.worth(get) * each.weight for each in chosen if each.got)
    return gets, sum(each.worth(give) * each.weight for each in chosen if not each.got)


def index(g: int, u: int, kappa: int) -> Fraction:
    d = g + u + 2 * kappa * 10**6
    return Fraction(g - u, d) if d else Fraction(0)


def lots(facts: Sequence[Fact], view: View, lifetime: Sequence[Seen]) -> list[dict[str, Any]]:
    """Return the lots of `lifetime`, the legs of a view without window."""
    happened = [fact for fact in facts if fact.position <= view.known and fact.occur <= view.at]
    in_force = [fact for fact in happened if not reversal_of(facts, view, fact.exchange_id)]
    answer = []
    for each in lifetime:
        if each.leg.category != "POINTS_GRANT" or each.reason not in {"POINTS", "REVERSED"}:
            continue
        lot_id, expires = f"{each.exchange_id}/{each.leg_no}", each.leg.expires_at
        taken, ended = reversal_of(facts, view, each.exchange_id), view.at >= expires
        used = sum(units for fact in in_force for lot, units in fact.uses if lot == lot_id)
        gone = taken is not None and taken.occur < expires  # Nothing was left to lapse.
        outstanding = 0 if ended or gone else each.units - used
        rate, redeemed = (each.rule.rate, each.rule.redemption_ppm) if each.rule else (0, 0)
        answer.append({
            "lot_id": lot_id, "asset": each.leg.asset, "granted": each.units, "used": used, "outstanding": outstanding,
            "lapsed": each.units - used if ended and not gone else 0, "unrecovered": used if taken else 0,
            "activates_at": max(each.leg.activates_at, each.effective), "expires_at": expires,
            "promised": half_even(outstanding * rate * redeemed, 10**6), "is_unvalued": each.rule is None,
        })  # fmt: skip
    return answer


def trend(lifetime: Sequence[Seen], view: View, closing: Policy) -> int | None:
    """Return the index of the last days less that of all time, whatever the view's window."""
    recent = [each for each in lifetime if each.effective > view.at - closing.trend_days * DAY]
    sums = [totals(recent), totals(lifetime)]
    if not all(g + u for g, u in sums):
        return None
    change = index(*sums[0], closing.kappa) - index(*sums[1], closing.kappa)
    return half_even(10**6 * change.numerator, change.denominator)


def label(i: Fraction, closing: Policy) -> str:
    return next((name for name, up_to in closing.labels if abs(i) * 10**6 <= up_to), closing.labels[-1][0])


def judged(legs: Sequence[Seen], view: View, closing: Policy) -> dict[str, Any]:
    """Return index, raw, confidence, band, label, gains and contributions; g + u must not be 0."""
    (g, u), k = totals(legs), closing.kappa
    i, d = index(g, u, k), g + u + 2 * k * 10**6
    (low_g, low_u), (high_g, high_u) = totals(legs, "low", "high"), totals(legs, "high", "low")
    band = index(low_g, low_u, k), index(high_g, high_u, k)
    numerators = [(1 if each.got else -1) * each.worth() * each.weight for each in legs if not each.reason]
    gains = "YES" if band[0] >= 0 else "NO" if band[1] < 0 else "UNCERTAIN"
    return {
        "index": i, "numerator": g - u, "denominator": d, "index_ppm": half_even(10**6 * (g - u), d),
        "raw_ppm": half_even(10**6 * (g - u), g + u), "confidence_ppm": half_even(10**6 * (g + u), d),
        "band": band, "band_ppm": tuple(half_even(10**6 * end.numerator, end.denominator) for end in band),
        "sign_certain": low_g > low_u or high_g < high_u, "label": label(i, closing),
        "customer_gains": gains if view.perspective == "CUSTOMER" else "",
        "contributions": largest_remainder([Fraction(10**6 * n, d) for n in numerators], half_even(10**6 * (g - u), d)),
    }  # fmt: skip


def shares(legs: Iterable[Seen], key: Callable[[Seen], Any], whole: int) -> dict[Any, tuple[int, int, int, int]]:
    """Return value, legs, ppm of the whole, and the units of what has no value; by key."""
    groups: dict[Any, list[Seen]] = {}
    for each in legs:
        groups.setdefault(key(each), []).append(each)
    return {
        name: (
            value := sum(each.worth() for each in group),
            len(group),
            half_even(10**6 * value, whole) if whole else 0,
            sum(each.units for each in group if isinstance(name, tuple)),
        )
        for name, group in groups.items()
    }


def added(rows: Iterable[tuple[Leg, tuple[int, ...]]]) -> dict[tuple[str, str, str], tuple[int, ...]]:
    """Return the columns' sums by giver, category and asset."""
    answer: dict[tuple[str, str, str], tuple[int, ...]] = {}
    for leg, row in rows:
        key = leg.giver, leg.category, leg.asset
        answer[key] = tuple(map(sum, zip(answer.get(key, (0,) * len(row)), row, strict=True)))
    return answer


def balance(facts: Sequence[Fact], policies: Sequence[Policy], view: View) -> dict[str, Any]:
    """Return every number of the view; those that are absent are not in it."""
    legs, closing = seen_legs(facts, policies, view), policy_at(policies, view, view.at)
    lifetime = seen_legs(facts, policies, view._replace(after=-FOR_EVER, until=FOR_EVER))
    chosen = [each for each in legs if not each.reason]
    pending = [each for each in legs if each.reason == "PENDING" and not each.leg.category.startswith("POINTS")]
    unvalued = [each for each in legs if each.reason == "UNVALUED"]
    got, gave = (sum(each.worth() for each in chosen if each.got is side) for side in (True, False))
    in_lots, counted = lots(facts, view, lifetime), len(chosen) + len(unvalued)
    declared = sorted((fact.since, fact.category) for fact in facts
                      if fact.kind == "OBSERVED" and fact.position <= view.known and fact.occur <= view.at)  # fmt: skip
    answer: dict[str, Any] = {
        "status": "NO_POLICY" if closing is None else "NO_VALUED_EXCHANGES", "got": got, "gave": gave,
        "net": got - gave, "confidence_ppm": 0, "kappa": closing.kappa if closing else 0,
        "promised": sum(lot["promised"] for lot in in_lots), "lots": in_lots,
        "unvalued_lots": sum(lot["is_unvalued"] for lot in in_lots if lot["outstanding"]),
        "pending_got": sum(each.worth() for each in pending if each.got),
        "pending_gave": sum(each.worth() for each in pending if not each.got),
        "valued_legs": len(chosen), "unvalued_legs": len(unvalued),
        "coverage_ppm": half_even(10**6 * len(chosen), counted) if counted else None,
        "by_method": shares(chosen, lambda each: each.rule and each.rule.method, got + gave),
        "unvalued": shares(unvalued, lambda each: (each.leg.category, each.leg.asset), got + gave),
        "one_sided": shares((each for each in legs if each.one_sided and each.reason in {"", "UNVALUED"}),
                            lambda each: each.one_sided, got + gave),
        "observed": {category: since for since, category in reversed(declared)},
        "last_got": max((each.effective for each in chosen if each.got), default=None),
        "last_gave": max((each.effective for each in chosen if not each.got), default=None),
        "lines": added((each.leg, each.line()) for each in legs if each.reason in {"", "UNVALUED"}),
        "quantities": added((each.leg, each.quantity()) for each in lifetime if each.reason != "AFTER_AS_OF"),
        "legs": legs,
        "trend_ppm": trend(lifetime, view, closing) if closing else None,
    }  # fmt: skip
    if closing and sum(totals(legs)):
        answer |= {"status": "OK", **judged(legs, view, closing)}
    return answer
