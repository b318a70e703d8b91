"""Got and gave at AT_OCCUR as hledger tells them: a journal of what a view knows, and `bal --value=then` on it.

There is one commodity for each perspective, side, category and asset, with a dated price from every version of the
policy, and one posting for each leg. hledger then chooses the price in force, multiplies and adds; nothing of that is
ours. Its days are whole, so policies begin at midnight and a view ends with a day.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.oracles.flat_facts import Fact, Leg, Policy, View

HLEDGER = shutil.which("hledger")
PARTIES = ("CUSTOMER", "ORGANIZATION")


def date_of(at: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).strftime("%Y-%m-%d")


def side_of(perspective: str, leg: Leg) -> str:
    return "GIVE" if leg.giver == perspective else "GET"


def commodity(perspective: str, side: str, category: str, asset: str) -> str:
    return f'"{perspective} {side} {category} {asset}"'


def price(policy: Policy, perspective: str, side: str, category: str, asset: str) -> int:
    """Return the rate in nanos by the most specific rule; 0 where there is none, which adds nothing to got and gave."""
    rates = {
        rule.scope: rule.rate
        for rule in policy.rules
        if (rule.perspective, rule.side, rule.asset) == (perspective, side, asset)
    }
    group = category.partition("_")[0] + "_"
    return rates.get(category, rates.get(group, rates.get("", 0)))


def postings(facts: Sequence[Fact], view: View) -> Iterable[tuple[Fact, tuple[int, ...], tuple[Leg, ...]]]:
    """Yield what was posted: when, how many units, of which legs. Reversed exchanges and promises are left out."""
    known = [fact for fact in facts if fact.position <= view.known]
    exchanges = {fact.exchange_id: fact for fact in known if fact.kind == "RECORDED"}
    reversed_ids = {fact.exchange_id for fact in known if fact.kind == "REVERSED" and fact.occur <= view.at}
    for fact in known:
        legs = exchanges[fact.exchange_id].legs if fact.exchange_id else ()
        if fact.exchange_id in reversed_ids:
            continue
        if fact.kind == "POSTED":
            yield fact, fact.units, legs
        if fact.kind == "RECORDED" and fact.pending_until is None:
            yield fact, tuple(leg.units for leg in legs), legs


def journal(facts: Sequence[Fact], policies: Sequence[Policy], view: View) -> str:
    """Return the journal of what `view` knows, of all times; its days are chosen by `-e`."""
    lines, used = ["commodity 1000.000000000 EUR"], set()
    for fact, units, legs in postings(facts, view):
        lines.append(f"{date_of(fact.occur)} {fact.exchange_id}")
        for leg, posted in zip(legs, units, strict=True):
            if posted == 0 or leg.category.startswith("POINTS"):
                continue
            for perspective in PARTIES:
                key = perspective, side_of(perspective, leg), leg.category, leg.asset
                used.add(key)
                lines.append(f"    ({perspective}:{key[1]})  {posted} {commodity(*key)}")
    versions = sorted((each for each in policies if each.position <= view.known), key=lambda each: each[2:4][::-1])
    for policy in versions:  # Of prices of one day the last one written counts, as the greatest version does.
        for key in sorted(used):
            value = Decimal(price(policy, *key)).scaleb(-9)
            lines.append(f"P {date_of(policy.effective_from)} {commodity(*key)} {value:.9f} EUR")
    return "\n".join(lines) + "\n"


def totals(text: str, view: View) -> dict[tuple[str, str], int]:
    """Return the nanos that hledger finds by (perspective, side), up to the end of the view's day."""
    assert HLEDGER is not None
    tomorrow = date_of(view.at + 86_400_000_000)
    options = ["--value=then,EUR", "-e", tomorrow, "-N", "-O", "csv", "--layout=bare"]
    ran = subprocess.run(
        [HLEDGER, "-f", "-", "bal", *options], input=text, capture_output=True, text=True, check=True, timeout=60
    )
    found = {(perspective, side): 0 for perspective in PARTIES for side in ("GET", "GIVE")}
    for account, symbol, amount in list(csv.reader(ran.stdout.splitlines()))[1:]:
        if symbol == "EUR":
            perspective, _, side = account.partition(":")
            found[perspective, side] += int(Decimal(amount).scaleb(9))
    return found
