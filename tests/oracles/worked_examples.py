"""The examples of reciprocity.md 11 as flat facts and policies; rates are nanos of a euro."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.oracles.flat_facts import Fact, Leg, Policy, Rule

LATEST = 10**6
C, O = "CUSTOMER", "ORGANIZATION"  # noqa: E741  # The design's own letters.


def day(month: int, number: int) -> int:
    """Return the start of a day of 2026, in microseconds."""
    return int(datetime(2026, month, number, tzinfo=UTC).timestamp()) * 10**6


def rule(category: str, asset: str, giver: str, rate: int, low: int = -1, high: int = -1, method: str = "FACE") -> Rule:
    """Return a rule of the customer's perspective; its range is the rate alone where none is given."""
    low, high = (rate if low < 0 else low), (rate if high < 0 else high)
    name = f"{category}-{asset}".lower().replace("_", "-").replace("/", "-")
    return Rule(name, C, "GIVE" if giver == C else "GET", category, asset, rate, low, high, method)


MONEY, GOODS = (
    rule("MONEY_PAYMENT", "EUR/2", C, 10**7),
    rule("GOODS", "EUR/2", O, 10**7, 8 * 10**6, 10**7, "LIST_PRICE"),
)


def bought(cents: int, goods: int) -> tuple[Leg, Leg]:
    return Leg(C, "MONEY_PAYMENT", cents, "EUR/2"), Leg(O, "GOODS", goods, "EUR/2")


FULL_EXAMPLE = (
    [
        Fact(
            "RECORDED",
            10,
            day(1, 5),
            "x1",
            (
                *bought(4_750, 5_000),
                Leg(C, "ATTENTION", 25, "MIN/0"),
                Leg(C, "DATA_DISCLOSED", 6, "DATAPT/0"),
                Leg(O, "SERVICE_SUPPORT", 12, "MIN/0"),
                Leg(C, "ADVOCACY", 1, "REVIEW/0"),
            ),
        )
    ],
    [
        Policy(
            5,
            "sample",
            1,
            day(1, 1),
            (
                MONEY,
                GOODS,
                rule("ATTENTION", "MIN/0", C, 12 * 10**7, 6 * 10**7, 24 * 10**7, "SURVEY_WTA"),
                rule("DATA_DISCLOSED", "DATAPT/0", C, 5 * 10**8, 10**8, 2 * 10**9, "SURVEY_WTA"),
                rule("SERVICE_SUPPORT", "MIN/0", O, 9 * 10**8, 6 * 10**8, 12 * 10**8, "MARGINAL_COST"),
                rule("ADVOCACY", "REVIEW/0", C, 4 * 10**9, 10**9, 5 * 10**9, "IMPUTED"),
            ),
        )
    ],
)


def attention(position: int, at: int, name: str, minutes: int) -> Fact:
    return Fact("RECORDED", position, at, name, (Leg(C, "ATTENTION", minutes, "MIN/0"),), one_sided="LATER")


DATED_RATES = (
    [attention(10, day(2, 10), "a1", 30), attention(11, day(3, 10), "a2", 30)],
    [
        Policy(5, "sample", 1, day(1, 1), (rule("ATTENTION", "MIN/0", C, 10**8),)),
        Policy(6, "sample", 2, day(3, 1), (rule("ATTENTION", "MIN/0", C, 2 * 10**8),)),
    ],
)

SUPPORT = rule("SERVICE_SUPPORT", "MIN/0", O, 9 * 10**8)
AT_LIST = MONEY, rule("GOODS", "EUR/2", O, 10**7)
TWO_AXES = (
    [
        Fact("RECORDED", 10, day(3, 1), "x1", bought(4_000, 5_000)),
        attention(12, day(3, 10), "x2", 30),
        Fact("RECORDED", 15, day(3, 5), "x3", (Leg(O, "SERVICE_SUPPORT", 10, "MIN/0"),), one_sided="GIFT"),
        Fact("REVERSED", 18, day(3, 10), "x2"),
        attention(19, day(3, 10), "x5", 20),
        Fact("REVERSED", 21, day(3, 28), "x1"),
    ],
    [
        Policy(5, "sample", 1, day(1, 1), (*AT_LIST, SUPPORT, rule("ATTENTION", "MIN/0", C, 10**8))),
        Policy(20, "sample", 2, day(3, 8), (*AT_LIST, SUPPORT, rule("ATTENTION", "MIN/0", C, 2 * 10**8))),
    ],
)


def grant(position: int, name: str, units: int, active: int, end: int) -> Fact:
    return Fact(
        "RECORDED", position, active, name, (Leg(O, "POINTS_GRANT", units, "PT/0", active, end),), one_sided="GIFT"
    )


def redemption(position: int, at: int, name: str, units: int, *uses: tuple[str, int]) -> Fact:
    legs = Leg(C, "POINTS_REDEEM", units, "PT/0"), Leg(O, "GOODS", units, "EUR/2")
    return Fact("RECORDED", position, at, name, legs, uses=uses)


LOTS = (
    [
        grant(30, "L1", 300, day(1, 10), day(4, 1)),
        grant(31, "L2", 500, day(2, 1), day(7, 1)),
        redemption(32, day(3, 15), "r1", 250, ("L1/1", 250)),
        redemption(33, day(3, 20), "r2", 120, ("L1/1", 50), ("L2/1", 70)),
        Fact("REVERSED", 34, day(4, 10), "r1"),
    ],
    [
        Policy(
            5,
            "sample",
            1,
            day(1, 1),
            (rule("POINTS_GRANT", "PT/0", O, 10**7, method="IMPUTED")._replace(redemption_ppm=800_000),),
        )
    ],
)

HOLDS = (
    [
        Fact("RECORDED", 39, day(5, 1), "h1", bought(10_000, 10_000), day(5, 8)),
        Fact("RECORDED", 40, day(5, 1), "h2", bought(10_000, 10_000), day(5, 8)),
        Fact("POSTED", 41, day(5, 5), "h1", units=(6_000, 6_000)),
        Fact("POSTED", 43, day(5, 7), "h2", units=(10_000, 10_000)),
    ],
    [Policy(5, "sample", 1, day(1, 1), AT_LIST)],
)

SUPPORT_CALL = (
    [Fact("RECORDED", 10, day(1, 5), "call", (Leg(O, "SERVICE_SUPPORT", 1, "CALL/0"), Leg(C, "WAITING", 10, "MIN/0")))],
    [
        Policy(
            5,
            "sample",
            1,
            day(1, 1),
            (
                rule("SERVICE_SUPPORT", "CALL/0", O, 20 * 10**9),
                rule("WAITING", "MIN/0", C, 3 * 10**8),
                Rule("call", O, "GIVE", "SERVICE_SUPPORT", "CALL/0", 8 * 10**9, 8 * 10**9, 8 * 10**9, "MARGINAL_COST"),
                Rule("wait", O, "GET", "WAITING", "MIN/0", 0, 0, 0, "IMPUTED"),
            ),
        )
    ],
)
