"""The engine and the brute model give the same numbers for 20,000 random ledgers, each in a random view.

The two share no code: the model was written from reciprocity.md alone and scans a flat list. A seed is printed with any
difference; the ledger of that number is made again from it.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

import pytest

from ledger.balance.coverage import Share
from ledger.balance.explaining import Explanation
from ledger.balance.lots import lots_in_view
from ledger.balance.numbers import Balance, Ratio, balance
from ledger.balance.view import BalanceView
from ledger.balance.viewed import ViewedLeg, legs_in_view
from ledger.domain.fact import Fact
from ledger.policy.valuation import Opinion
from rapport.events.v1 import valuation_pb2 as v
from rapport.events.v1.valuation_pb2 import ValuationPolicy
from rapport.relationship.v1 import balance_pb2 as b
from tests.balance_facts import book_of, valuations
from tests.balance_histories import History, some_policy, some_view
from tests.oracles import brute_model, flat_facts, from_messages
from tests.oracles.flat_facts import FOR_EVER, Policy, Seen, View

LEDGERS = 20_000
PARTS = 4
HISTORIES = 80
"""Policies are drawn from this many sets of versions: making one takes longer than asking it."""


class Case(NamedTuple):
    """One random ledger with a view of it, for both."""

    facts: list[Fact]
    """What is known at P."""
    opinion: Opinion
    view: BalanceView
    flat: list[flat_facts.Fact]
    """All facts: which are known, the model finds itself."""
    policies: list[Policy]
    plain: View


class Cases:
    """Random cases, the same again from the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self._sets = [self._versions() for _ in range(HISTORIES)]

    def _versions(self) -> list[tuple[ValuationPolicy, Policy]]:
        ids = [self.chance.choice(["standard"] * 4 + ["other"]) for _ in range(self.chance.choice([0, 1, 2, 2, 3, 5]))]
        made = [some_policy(self.chance, ids[: i + 1].count(name), name) for i, name in enumerate(ids)]
        return [(message, from_messages.policy(0, message)) for message in made]

    def next(self) -> Case:
        """Make one more ledger: mostly a few events, sometimes many."""
        history = History(self.chance, self.chance.choice([1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 20]))
        known = self.chance.choice([*history.positions, *history.positions[-2:] * 3])
        versions = self.chance.choice(self._sets)
        places = sorted(self.chance.sample(range(history.positions[-1] + 6), len(versions)))
        policies = [plain._replace(position=place) for place, (_, plain) in zip(places, versions, strict=True)]
        published = [message for place, (message, _) in zip(places, versions, strict=True) if place <= known]
        policy_id, version = self._valuation(published)
        view = some_view(self.chance, history)
        if view.half_life_days > 365 and self.chance.random() < 0.9:  # The model takes long over the longest one.
            view = view._replace(half_life_days=365)
        told = [from_messages.fact(each.position, each.occur_time, each.topic, each.event) for each in history.facts]
        flat = [fact for fact in told if fact is not None]
        ends = [end for fact in flat for end in instants(fact)]
        if ends and self.chance.random() < 0.4:
            view = view._replace(at=self.chance.choice(ends) - self.chance.choice([0, 0, 1]))
        return Case(
            [fact for fact in history.facts if fact.position <= known],
            valuations(*published, positions=places[: len(published)]).opinion(policy_id, version, view.at),
            view,
            flat,
            policies,
            plain_view(view, known, policy_id, version),
        )

    def _valuation(self, published: list[ValuationPolicy]) -> tuple[str, int]:
        """Return what a view may ask for: mostly the default and AT_OCCUR."""
        if not published or self.chance.random() < 0.5:
            return "", 0
        chosen = self.chance.choice(published)
        return chosen.policy_id, self.chance.choice([0, chosen.version])


def instants(fact: flat_facts.Fact) -> list[int]:
    """Return when something of a fact begins or ends by itself: where a view is most likely to be wrong."""
    until = [] if fact.pending_until is None else [fact.pending_until]
    lots = [time for leg in fact.legs for time in (leg.activates_at, leg.expires_at) if abs(time) != FOR_EVER]
    return [*until, *lots]


def plain_view(view: BalanceView, known: int, policy_id: str, version: int) -> View:
    return View(
        view.at,
        known,
        from_messages.party(view.perspective),
        -FOR_EVER if view.window_from is None else view.window_from,
        FOR_EVER if view.window_to is None else view.window_to,
        view.half_life_days,
        policy_id,
        version,
    )


def exact(ratio: Ratio) -> Fraction:
    return Fraction(ratio.numerator, ratio.denominator)


def shares(found: tuple[Share, ...]) -> dict[Any, tuple[int, int, int, int]]:
    keys = [tuple(share.key.split()) if " " in share.key else share.key for share in found]
    return {key: (each.value, each.legs, each.share_ppm, each.units) for key, each in zip(keys, found, strict=True)}


def told(found: Balance) -> dict[str, Any]:
    """Return a balance of the engine in the model's words, but for lots and reasons."""
    answer: dict[str, Any] = {
        "status": b.BalanceStatus.Name(found.status).removeprefix("BALANCE_STATUS_"),
        "got": found.got, "gave": found.gave, "net": found.net, "confidence_ppm": found.confidence_ppm,
        "kappa": found.kappa_nanos, "promised": found.promised, "unvalued_lots": found.unvalued_lots,
        "pending_got": found.pending_got, "pending_gave": found.pending_gave,
        "valued_legs": found.coverage.valued_legs, "unvalued_legs": found.coverage.unvalued_legs,
        "coverage_ppm": found.coverage.ppm, "by_method": shares(found.coverage.by_method),
        "unvalued": shares(found.coverage.unvalued), "one_sided": shares(found.coverage.one_sided),
        "observed": {from_messages.category(number): since for number, since in found.coverage.observed},
        "last_got": found.last_got, "last_gave": found.last_gave, "trend_ppm": found.trend_ppm,
        "lines": {(from_messages.party(line.giver), from_messages.category(line.category), line.asset): tuple(line[3:])
                  for line in found.lines},
        "quantities": {(from_messages.party(each.giver), from_messages.category(each.category), each.asset):
                       tuple(each[3:]) for each in found.quantities},
    }  # fmt: skip
    if found.index is not None and found.raw is not None and found.band is not None:
        gains = b.CustomerGains.Name(found.customer_gains).removeprefix("CUSTOMER_GAINS_")
        answer |= {
            "index": exact(found.index), "numerator": found.index.numerator, "denominator": found.index.denominator,
            "index_ppm": found.index_ppm, "raw_ppm": found.raw_ppm,
            "band": (exact(found.band.low), exact(found.band.high)),
            "band_ppm": (found.band.low.ppm, found.band.high.ppm), "sign_certain": found.band.sign_certain,
            "label": found.label, "customer_gains": "" if gains == "UNSPECIFIED" else gains,
        }  # fmt: skip
    return answer


def leg_told(leg: ViewedLeg, perspective: int) -> tuple[Any, ...]:
    reason = b.ExclusionReason.Name(leg.reason).removeprefix("EXCLUSION_REASON_")  # type: ignore[arg-type]
    return (
        leg.exchange_id, leg.leg_no, leg.units, leg.effective_time, leg.position,
        from_messages.one_sided(leg.one_sided), "" if reason == "UNSPECIFIED" else reason,
        leg.rate and (leg.rate.rule_id, v.ValuationMethod.Name(leg.rate.method).removeprefix("VALUATION_METHOD_")),  # type: ignore[arg-type]
        leg.valuation.version if leg.valuation else 0, leg.weight, leg.value, leg.low, leg.high, leg.got(perspective),
    )  # fmt: skip


def leg_expected(leg: Seen) -> tuple[Any, ...]:
    return (
        leg.exchange_id, leg.leg_no, leg.units, leg.effective, leg.position, leg.one_sided, leg.reason,
        leg.rule and (leg.rule.rule_id, leg.rule.method), leg.version, leg.weight,
        leg.worth(), leg.worth("low"), leg.worth("high"), leg.got,
    )  # fmt: skip


def drivers_expected(seen: list[Seen], kappa: int, count: int) -> list[tuple[int, Fraction | None]]:
    """Return the entries whose removal moves the index most, by leaving out each in turn."""
    entries = [leg for leg in seen if not leg.reason]
    now, moves = brute_model.index(*brute_model.totals(entries), kappa), []
    for i in range(len(entries)):
        rest = brute_model.totals(entries[:i] + entries[i + 1 :])
        without = brute_model.index(*rest, kappa) if sum(rest) else None
        moves.append((-abs(now - (without or 0)), i + 1, without))
    return [(ordinal, without) for _, ordinal, without in sorted(moves, key=lambda move: move[:2])[:count]]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_engine_agrees_with_the_brute_model(part: int, seed: int) -> None:
    cases = Cases(seed)
    for number in range(LEDGERS // PARTS):
        case = cases.next()
        where = f"seed {seed}, ledger {number} of part {part}: {case.plain}"
        book, expected = book_of(case.facts), brute_model.balance(case.flat, case.policies, case.plain)
        lots, seen, contributions = expected.pop("lots"), expected.pop("legs"), expected.pop("contributions", None)
        made, legs = balance(book, case.opinion, case.view), legs_in_view(book, case.opinion, case.view)

        assert expected == told(made), where
        assert list(map(leg_expected, seen)) == [leg_told(leg, case.view.perspective) for leg in legs], where
        found = [each._asdict() for each in lots_in_view(book, case.opinion, case.view)]
        assert lots == [lot | {"expires_at": lot["expires_at"] or FOR_EVER} for lot in found], where
        if contributions is not None:
            explanation = Explanation(made, legs, case.view.perspective)
            assert contributions == [entry.ppm for entry in explanation.entries()], where
            drivers = [(each.ordinal, each.without and exact(each.without)) for each in explanation.drivers(3)]
            assert drivers_expected(seen, expected["kappa"], 3) == drivers, where
