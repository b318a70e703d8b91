"""What recording an exchange does, what it refuses and in which order, and when it stays quiet."""

from collections.abc import Callable
from typing import Any

import pytest

from ledger.domain.amounts import INT64_MAX
from ledger.domain.exchange import RecordExchange
from ledger.domain.exchange_deciding import ALREADY_APPLIED
from ledger.domain.exchange_rules import LEGS_MAX, RULES
from ledger.domain.legs import account
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1.exchange_pb2 import ExchangeRecorded, Leg
from rapport.type.v1.event_context_pb2 import EventContext
from tests.exchange_pairs import (
    ASSETS,
    CUSTOMER,
    LIMIT,
    NOW,
    ORGANIZATION,
    POLICY,
    STREAM,
    TOLERANCE,
    Pair,
    fields,
    goods,
    grant,
    grants,
    leg,
    pays,
    record,
    redeems,
    refusal,
    reverse,
    told,
)

# --- Recording -------------------------------------------------------------------------------------------------------


def test_an_exchange_is_recorded_as_it_was_asked() -> None:
    context = EventContext(actor="till-3")

    (fact,) = Pair().decide(record("x1", context=context, cause_ref="order-9"))

    assert "exchange.recorded.v1" == fact.topic
    assert ExchangeRecorded(exchange_id="x1", cause_ref="order-9", legs=[pays(), goods()]) == fact.event
    assert (NOW - 1000, False, False, context) == (fact.occur_time, fact.defaulted, fact.clamped, fact.context)


def test_it_reads_the_organizations_registry() -> None:
    assert (POLICY,) == record().reads


def test_a_time_that_is_not_given_is_the_clocks_and_the_event_says_so() -> None:
    (fact,) = Pair().decide(record(at=None))

    assert (NOW, True) == (fact.occur_time, fact.defaulted)


def test_a_time_slightly_ahead_is_set_back() -> None:
    (fact,) = Pair().decide(record(at=NOW + TOLERANCE))

    assert (NOW, True) == (fact.occur_time, fact.clamped)


def test_a_time_further_ahead_is_refused() -> None:
    assert reasons.ERROR_REASON_OCCUR_TIME_IN_FUTURE == refusal(Pair(), record(at=NOW + TOLERANCE + 1)).reason


TABLE = {
    x.CATEGORY_MONEY_PAYMENT: ("CO", "EUR/2"),
    x.CATEGORY_MONEY_REFUND: ("O", "EUR/2"),
    x.CATEGORY_GOODS: ("CO", "EUR/2 CD/0"),
    x.CATEGORY_DISCOUNT: ("O", "EUR/2"),
    x.CATEGORY_SERVICE_SUPPORT: ("O", "MIN/0 CALL/0 CD/0"),
    x.CATEGORY_SERVICE_RECOVERY: ("O", "MIN/0 CALL/0 CD/0"),
    x.CATEGORY_POINTS_GRANT: ("O", "PT/0"),
    x.CATEGORY_POINTS_REDEEM: ("C", "PT/0"),
    x.CATEGORY_ATTENTION: ("C", "MIN/0 VIEW/0"),
    x.CATEGORY_WAITING: ("C", "MIN/0"),
    x.CATEGORY_DATA_DISCLOSED: ("C", "DATAPT/0"),
    x.CATEGORY_DATA_LICENSED: ("C", "DATAPT/0"),
    x.CATEGORY_CONTENT: ("O", "PAGE/0 MIN/0"),
    x.CATEGORY_FEEDBACK: ("C", "REVIEW/0 MIN/0"),
    x.CATEGORY_REFERRAL: ("C", "REVIEW/0 MIN/0"),
    x.CATEGORY_ADVOCACY: ("C", "REVIEW/0 MIN/0"),
}


def test_every_category_has_its_row() -> None:
    assert set(x.Category.values()) - {x.CATEGORY_UNSPECIFIED} == set(TABLE) == set(RULES)


@pytest.mark.parametrize("category", TABLE)
def test_the_table_of_categories(category: x.Category.ValueType) -> None:
    givers, assets = TABLE[category]
    for giver, letter in ((CUSTOMER, "C"), (ORGANIZATION, "O")):
        for asset in ASSETS:
            pair = Pair().apply(grant("lot", grants(1), at=NOW - 1000))
            pair.consents.spans[7] = (0, NOW)
            legs = [leg(giver, category, 1, asset, consent_position=7)]
            if category == x.CATEGORY_POINTS_REDEEM:
                legs.append(goods())
            one_sided = x.ONE_SIDED_GIFT if len({each.giver for each in legs}) == 1 else x.ONE_SIDED_UNSPECIFIED
            step = record("x1", *legs, one_sided=one_sided)
            if letter not in givers or asset not in assets.split():
                assert reasons.ERROR_REASON_CATEGORY_MISMATCH == refusal(pair, step).reason, (giver, asset)
            else:
                assert 1 == len(pair.decide(step))


def test_a_mismatch_names_the_giver_or_the_asset_and_says_what_they_are() -> None:
    wrong = leg(CUSTOMER, x.CATEGORY_DISCOUNT, 5, "MIN/0")

    rejected = refusal(Pair(), record("x1", wrong, goods()))

    assert ["legs[0].giver", "legs[0].amount.asset"] == fields(rejected)
    assert {"category": "DISCOUNT", "giver": "CUSTOMER", "kind": "TIME"} == rejected.metadata


@pytest.mark.parametrize(
    "faulty, reason, expected",
    [
        (pays(0), reasons.ERROR_REASON_AMOUNT_NOT_POSITIVE, "legs[1].amount.units"),
        (pays(-1), reasons.ERROR_REASON_AMOUNT_NOT_POSITIVE, "legs[1].amount.units"),
        (pays(-(2**63)), reasons.ERROR_REASON_AMOUNT_NOT_POSITIVE, "legs[1].amount.units"),
        (pays(LIMIT + 1), reasons.ERROR_REASON_AMOUNT_OVER_LIMIT, "legs[1].amount.units"),
        (pays(INT64_MAX), reasons.ERROR_REASON_AMOUNT_OVER_LIMIT, "legs[1].amount.units"),
        (
            leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 1, "USD/2"),
            reasons.ERROR_REASON_ASSET_UNKNOWN,
            "legs[1].amount.asset",
        ),
        (
            leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 1, "EUR/3"),
            reasons.ERROR_REASON_ASSET_UNKNOWN,
            "legs[1].amount.asset",
        ),
        (leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 1, "€"), reasons.ERROR_REASON_ASSET_UNKNOWN, "legs[1].amount.asset"),
        (leg(0, x.CATEGORY_MONEY_PAYMENT, 1, "EUR/2"), reasons.ERROR_REASON_CATEGORY_MISMATCH, "legs[1].giver"),
        (leg(CUSTOMER, 0, 1, "EUR/2"), reasons.ERROR_REASON_CATEGORY_MISMATCH, "legs[1].category"),
    ],
)
def test_a_malformed_leg_is_refused_by_its_path(faulty: Leg, reason: int, expected: str) -> None:
    rejected = refusal(Pair(), record("x1", goods(), faulty, path="operations[3].record"))

    assert reason == rejected.reason
    assert [f"operations[3].record.{expected}"] == fields(rejected)


def test_the_limit_itself_is_allowed() -> None:
    assert 1 == len(Pair().decide(record("x1", pays(LIMIT), goods(1))))


def test_what_is_no_asset_is_not_repeated_in_the_refusal() -> None:
    rejected = refusal(Pair(), record("x1", leg(CUSTOMER, x.CATEGORY_MONEY_PAYMENT, 1, "anna@example.org"), goods()))

    assert "anna" not in f"{rejected} {rejected.metadata} {rejected.violations}"


def test_all_faults_are_named_at_once_and_the_first_of_the_table_is_the_reason() -> None:
    legs = (
        leg(ORGANIZATION, x.CATEGORY_ATTENTION, 1, "MIN/0"),
        leg(ORGANIZATION, x.CATEGORY_GOODS, 1, "USD/2"),
        goods(0),
    )

    rejected = refusal(Pair(), record("x1", *legs))

    assert reasons.ERROR_REASON_AMOUNT_NOT_POSITIVE == rejected.reason
    assert [
        ("legs[0].giver", reasons.ERROR_REASON_CATEGORY_MISMATCH),
        ("legs[1].amount.asset", reasons.ERROR_REASON_ASSET_UNKNOWN),
        ("legs[2].amount.units", reasons.ERROR_REASON_AMOUNT_NOT_POSITIVE),
        ("one_sided", reasons.ERROR_REASON_ONE_SIDED_NOT_DECLARED),
    ] == [(violation.field, violation.reason) for violation in rejected.violations]


@pytest.mark.parametrize("count", [0, LEGS_MAX + 1, 5000])
def test_legs_are_counted(count: int) -> None:
    step = record()
    del step.event.legs[:]
    step.event.legs.extend([pays(1), goods(1)] * (count // 2) + [goods(1)] * (count % 2))

    rejected = refusal(Pair(), step)

    assert reasons.ERROR_REASON_LEGS_COUNT == rejected.reason
    assert ["legs"] == fields(rejected)
    assert {"legs": str(count)} == rejected.metadata


def test_of_too_many_legs_only_so_many_are_looked_at() -> None:
    step = record("x1", *[pays(0), goods(1)] * 1000)

    assert LEGS_MAX // 2 + 1 == len(refusal(Pair(), step).violations)


def test_as_many_legs_as_allowed() -> None:
    assert 1 == len(Pair().decide(record("x1", *[pays(1), goods(1)] * (LEGS_MAX // 2))))


@pytest.mark.parametrize("only", [pays(), goods()])
def test_one_side_alone_must_say_why(only: Leg) -> None:
    rejected = refusal(Pair(), record("x1", only))

    assert reasons.ERROR_REASON_ONE_SIDED_NOT_DECLARED == rejected.reason
    assert ["one_sided"] == fields(rejected)


def test_whose_legs_are_missing_is_not_guessed() -> None:
    nobodys = leg(x.PARTY_UNSPECIFIED, x.CATEGORY_GOODS, 1, "CD/0")

    assert ["legs[0].giver"] == fields(refusal(Pair(), record("x1", nobodys)))


@pytest.mark.parametrize("why", [x.ONE_SIDED_GIFT, x.ONE_SIDED_LATER, x.ONE_SIDED_UNOBSERVED])
def test_a_declared_one_sided_exchange_is_recorded_and_both_sides_contradict_it(why: x.OneSided.ValueType) -> None:
    assert 1 == len(Pair().decide(record("x1", goods(), one_sided=why)))
    rejected = refusal(Pair(), record("x1", goods(), pays(), one_sided=why))
    assert reasons.ERROR_REASON_ONE_SIDED_CONTRADICTED == rejected.reason


# --- The same id again -----------------------------------------------------------------------------------------------


def test_an_identical_resend_changes_nothing() -> None:
    pair = Pair().apply(record())

    assert ALREADY_APPLIED.facts == pair.decide(record())
    known = pair.exchanges.find("x1")
    assert known is not None
    assert (101, 1) == (known.position, known.version)


def test_a_resend_is_recognised_whatever_version_it_expects_and_whatever_happened_since() -> None:
    pair = Pair()
    pair.consents.spans[7] = (0, NOW)
    licensed = leg(CUSTOMER, x.CATEGORY_DATA_LICENSED, 1, "DATAPT/0", consent_position=7)
    pair.apply(record("x1", licensed, goods(), expected_version=0))
    pair.consents.spans.clear()
    pair.apply(reverse())

    assert () == pair.decide(record("x1", licensed, goods(), expected_version=0))


def test_a_resend_without_a_time_is_the_same_if_the_first_had_none() -> None:
    pair = Pair().apply(record(at=None))
    pair.now += 5_000_000

    assert () == pair.decide(record(at=None))


@pytest.mark.parametrize("first, again", [(None, NOW), (NOW, None), (NOW - 5, NOW - 4)])
def test_another_time_under_the_same_id_is_refused(first: int | None, again: int | None) -> None:
    rejected = refusal(Pair().apply(record(at=first)), record(at=again))

    assert reasons.ERROR_REASON_EXCHANGE_ID_REUSED == rejected.reason
    assert "occur_time" == rejected.metadata["field"]


def test_a_resend_of_a_time_that_was_set_back_is_the_same() -> None:
    pair = Pair().apply(record(at=NOW + 7))
    pair.now += 60_000_000

    assert () == pair.decide(record(at=NOW + 7))
    assert "occur_time" == refusal(pair, record(at=NOW - 1)).metadata["field"]
    assert "occur_time" == refusal(pair, record(at=NOW + TOLERANCE + 1)).metadata["field"]


def first_exchange() -> ExchangeRecorded:
    licensed = leg(CUSTOMER, x.CATEGORY_DATA_LICENSED, 3, "DATAPT/0", consent_position=7, evidence_ref=b"e" * 32)
    return ExchangeRecorded(exchange_id="x1", cause_ref="order-9", legs=[pays(), licensed, goods(), goods()])


def without_goods(exchange: ExchangeRecorded) -> None:
    del exchange.legs[2:]
    exchange.one_sided = x.ONE_SIDED_GIFT


CHANGES: list[tuple[str, Callable[[ExchangeRecorded], object]]] = [
    ("one_sided", without_goods),
    ("replaces", lambda exchange: setattr(exchange, "replaces", "x0")),
    ("cause_ref", lambda exchange: exchange.ClearField("cause_ref")),
    ("legs[0].giver", lambda exchange: setattr(exchange.legs[0], "giver", ORGANIZATION)),
    ("legs[2].category", lambda exchange: setattr(exchange.legs[2], "category", x.CATEGORY_SERVICE_SUPPORT)),
    ("legs[1].amount.units", lambda exchange: setattr(exchange.legs[1].amount, "units", 4)),
    ("legs[2].amount.asset", lambda exchange: setattr(exchange.legs[2].amount, "asset", "EUR/2")),
    ("legs[1].consent_position", lambda exchange: setattr(exchange.legs[1], "consent_position", 8)),
    ("legs[1].evidence_ref", lambda exchange: setattr(exchange.legs[1], "evidence_ref", b"f" * 32)),
    ("legs[4]", lambda exchange: exchange.legs.append(goods())),
    ("legs[3]", lambda exchange: exchange.legs.pop()),
]


@pytest.mark.parametrize("path, change", CHANGES)
def test_any_changed_field_under_the_same_id_is_refused_and_named(
    path: str, change: Callable[[ExchangeRecorded], object]
) -> None:
    pair = Pair()
    pair.consents.spans[7] = (0, NOW)
    pair.apply(RecordExchange(stream_id=STREAM, event=first_exchange(), occur_time=5))
    again = first_exchange()
    change(again)

    rejected = refusal(pair, RecordExchange(stream_id=STREAM, event=again, occur_time=5, path="exchange"))

    assert reasons.ERROR_REASON_EXCHANGE_ID_REUSED == rejected.reason
    assert {"exchange_id": "x1", "field": path, "position": "101"} == rejected.metadata
    assert [f"exchange.{path}"] == fields(rejected)


def test_of_several_changed_fields_the_first_by_number_is_named() -> None:
    rejected = refusal(Pair().apply(record()), record("x1", pays(1), goods(2), cause_ref="order-8"))

    assert "cause_ref" == rejected.metadata["field"]


# --- Rules that look at the relationship -----------------------------------------------------------------------------


def test_a_replacement_names_a_reversed_exchange() -> None:
    pair = Pair().apply(record("x1"))

    for replaced in ("x1", "nobody", "x2"):
        rejected = refusal(pair, record("x2", replaces=replaced))
        assert reasons.ERROR_REASON_REPLACED_NOT_REVERSED == rejected.reason
        assert (["replaces"], {"exchange_id": replaced}) == (fields(rejected), rejected.metadata)

    assert 1 == len(pair.apply(reverse("x1")).decide(record("x2", replaces="x1")))


def licensing(position: int) -> RecordExchange:
    return record("x1", leg(CUSTOMER, x.CATEGORY_DATA_LICENSED, 1, "DATAPT/0", consent_position=position), goods())


@pytest.mark.parametrize("position, span", [(0, (0, NOW)), (8, (0, NOW)), (7, (0, NOW - 1000)), (7, (NOW - 999, NOW))])
def test_licensed_data_needs_a_consent_in_force_when_it_happens(position: int, span: tuple[int, int]) -> None:
    pair = Pair()
    pair.consents.spans[7] = span

    rejected = refusal(pair, licensing(position))

    assert reasons.ERROR_REASON_CONSENT_NOT_IN_FORCE == rejected.reason
    assert ["legs[0].consent_position"] == fields(rejected)


def test_licensed_data_with_a_consent_in_force_is_recorded() -> None:
    pair = Pair()
    pair.consents.spans[7] = (NOW - 1000, NOW - 999)

    assert 1 == len(pair.decide(licensing(7)))


def test_the_expected_version_must_be_the_one_the_relationship_is_at() -> None:
    pair = Pair().apply(record("x1", expected_version=0))

    rejected = refusal(pair, record("x2", expected_version=0))

    assert reasons.ERROR_REASON_VERSION_CONFLICT == rejected.reason
    assert {"expected": "0", "actual": "1"} == rejected.metadata
    assert 1 == len(pair.decide(record("x2", expected_version=1)))


def test_a_total_never_leaves_64_bits() -> None:
    pair = Pair()
    asset = pair.policy.assets["CD/0"]
    pair.policy.assets["CD/0"] = asset._replace(max_units_per_leg=INT64_MAX)
    pair.apply(record("x1", goods(INT64_MAX - 5), pays()))

    rejected = refusal(pair, record("x2", goods(3), pays(), goods(3)))

    assert reasons.ERROR_REASON_VALUE_OUT_OF_RANGE == rejected.reason
    assert (["legs[2].amount.units"], {"asset": "CD/0"}) == (fields(rejected), rejected.metadata)
    pair.apply(record("x2", goods(3), pays(), goods(2)))
    assert INT64_MAX == pair.exchanges.posted(account(ORGANIZATION, x.CATEGORY_GOODS, "CD/0"))


def test_what_was_taken_back_still_counts_towards_the_bound_because_counters_only_grow() -> None:
    pair = Pair()
    pair.policy.assets["CD/0"] = pair.policy.assets["CD/0"]._replace(max_units_per_leg=INT64_MAX)
    pair.apply(record("x1", goods(INT64_MAX), pays())).apply(reverse("x1"))

    assert reasons.ERROR_REASON_VALUE_OUT_OF_RANGE == refusal(pair, record("x2")).reason


def test_of_several_refusals_the_first_of_the_table_is_told() -> None:
    """Everything is wrong; what is told is mended, until nothing is left (settled.md 37)."""
    pair = Pair().apply(record("x1"))
    data = leg(CUSTOMER, x.CATEGORY_DATA_LICENSED, 1, "DATAPT/0")
    tomorrow = NOW + TOLERANCE + 1

    def told_of(exchange_id: str, *legs: Leg, at: int = tomorrow, **values: Any) -> str:
        return told(refusal(pair, record(exchange_id, *legs, at=at, expected_version=9, **values)))

    ended = pays()
    ended.lot_terms.SetInParent()
    past: dict[str, Any] = {"until": 5, "replaces": "x1"}
    assert "AMOUNT_NOT_POSITIVE" == told_of("x1", redeems(1), ended, data, pays(0), **past)
    assert "ONE_SIDED_NOT_DECLARED" == told_of("x1", redeems(1), ended, data, **past)
    gift = {**past, "one_sided": x.ONE_SIDED_GIFT}
    assert "LOT_TERMS_INVALID" == told_of("x1", redeems(1), ended, data, **gift)
    assert "REDEMPTION_WITHOUT_COUNTER_LEG" == told_of("x1", redeems(1), data, **gift)
    assert "REDEMPTION_PENDING" == told_of("x1", redeems(1), goods(), data, **past)
    assert "PENDING_UNTIL_INVALID" == told_of("x1", goods(), data, **past)
    assert "EXCHANGE_ID_REUSED" == told_of("x1", redeems(1), goods(), data, replaces="x1")
    assert "LOT_INSUFFICIENT" == told_of("x2", redeems(1), goods(), data, replaces="x1")
    assert "CONSENT_NOT_IN_FORCE" == told_of("x2", goods(), data, replaces="x1")
    assert "REPLACED_NOT_REVERSED" == told_of("x2", goods(), pays(), replaces="x1")
    assert "OCCUR_TIME_IN_FUTURE" == told_of("x2", goods(), pays())
    assert "VERSION_CONFLICT" == told_of("x2", goods(), pays(), at=5)
