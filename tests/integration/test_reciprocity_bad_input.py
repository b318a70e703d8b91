"""Bad input of reciprocity, over real gRPC: one typed error that names the field and the rule, and nothing written."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.timestamp_pb2 import Timestamp

from rapport.audit.v1.audit_service_pb2 import GetHeadRequest
from rapport.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1 import valuation_pb2 as v
from rapport.exchange.v1 import exchange_service_pb2 as writes
from rapport.exchange.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from rapport.exchange.v1.operation_pb2 import Exchange, Operation
from rapport.policy.v1 import policy_service_pb2 as policies
from rapport.policy.v1.policy_service_pb2_grpc import PolicyServiceStub
from rapport.relationship.v1 import relationship_service_pb2 as reads
from rapport.relationship.v1.balance_pb2 import PolicyVersion, ViewRef, ViewSpec
from rapport.relationship.v1.relationship_service_pb2_grpc import RelationshipServiceStub
from rapport.type.v1.amount_pb2 import Amount
from rapport.type.v1.as_of_pb2 import AsOf
from services.cli.__main__ import main
from tests.refusals import fields_of, metadata_of, reason_of, refusal
from tests.server import ROOT, Serving, serving

IDS: dict[str, Any] = {"organization_id": "shop", "customer_id": "42"}
MANY = 10**15
ASSETS = {"EUR/2": (p.ASSET_KIND_MONEY, 10_000), "CD/0": (p.ASSET_KIND_ITEM, 10**6), "BIG/0": (p.ASSET_KIND_ITEM, MANY)}
INVALID, OUT_OF_RANGE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE


def request_id() -> str:
    return str(uuid.uuid4())


def leg(units: int, asset: str, *, category: int = x.CATEGORY_GOODS, giver: int = x.PARTY_ORGANIZATION) -> x.Leg:
    return x.Leg(giver=giver, category=category, amount=Amount(units=units, asset=asset))  # type: ignore[arg-type]


def pays(units: int = 100, asset: str = "EUR/2") -> x.Leg:
    return leg(units, asset, category=x.CATEGORY_MONEY_PAYMENT, giver=x.PARTY_CUSTOMER)


def rule(rule_id: str = "cds", **values: Any) -> v.ValuationRule:
    given: dict[str, Any] = {
        "perspective": x.PARTY_CUSTOMER, "side": v.SIDE_GET, "asset": "CD/0", "rate_nanos": 9 * 10**12,
        "low_nanos": 9 * 10**12, "high_nanos": 9 * 10**12, "method": v.VALUATION_METHOD_IMPUTED, "source": "the test",
    }  # fmt: skip
    if not values.keys() & {"category", "group", "any_category"}:
        given["category"] = x.CATEGORY_GOODS
    return v.ValuationRule(rule_id=rule_id, **{**given, **values})


def policy(*rules: v.ValuationRule) -> v.ValuationPolicy:
    since = Timestamp(seconds=1_700_000_000)
    return v.ValuationPolicy(policy_id="standard", unit_of_account="EUR", effective_from_time=since, rules=rules)


def record(*legs: x.Leg, exchange_id: str = "bad") -> writes.RecordExchangeRequest:
    exchange = Exchange(exchange_id=exchange_id, legs=legs)
    if len({each.giver for each in legs}) == 1:
        exchange.one_sided = x.ONE_SIDED_GIFT
    return writes.RecordExchangeRequest(**IDS, request_id=request_id(), exchange=exchange)


def publish(*rules: v.ValuationRule) -> policies.PublishValuationPolicyRequest:
    return policies.PublishValuationPolicyRequest(
        organization_id="shop", request_id=request_id(), policy=policy(*rules)
    )


def balance(**spec: Any) -> reads.GetBalanceRequest:
    return reads.GetBalanceRequest(**IDS, view=ViewRef(spec=ViewSpec(**spec)))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    """A server with assets, a policy and one exchange."""
    async with serving(tmp_path / "data") as running:
        assets = [p.AssetRegistered(asset=n, kind=k, max_units_per_leg=most) for n, (k, most) in ASSETS.items()]
        register = policies.RegisterAssetsRequest(organization_id="shop", request_id=request_id(), assets=assets)
        await PolicyServiceStub(running.channel).RegisterAssets(register)
        await PolicyServiceStub(running.channel).PublishValuationPolicy(publish(rule()))
        await ExchangeServiceStub(running.channel).RecordExchange(record(pays(), leg(1, "CD/0"), exchange_id="good"))
        yield running


async def head(server: Serving) -> int:
    return int((await AuditServiceStub(server.channel).GetHead(GetHeadRequest())).position)


class Case(NamedTuple):
    """A request, and how it must be refused."""

    name: str
    request: Callable[[], Any]
    code: grpc.StatusCode
    reason: str
    fields: list[str]
    values: dict[str, str] = {}  # noqa: RUF012  # Never changed.


UNITS, ASSET = "exchange.legs[0].amount.units", "exchange.legs[0].amount.asset"
CASES = [
    Case("zero", lambda: record(pays(0), leg(1, "CD/0")), INVALID, "AMOUNT_NOT_POSITIVE", [UNITS]),
    Case("negative", lambda: record(pays(-1), leg(1, "CD/0")), INVALID, "AMOUNT_NOT_POSITIVE", [UNITS]),
    Case("least", lambda: record(pays(-(2**63)), leg(1, "CD/0")), INVALID, "AMOUNT_NOT_POSITIVE", [UNITS]),
    Case("over the limit", lambda: record(pays(10_001), leg(1, "CD/0")), INVALID, "AMOUNT_OVER_LIMIT", [UNITS]),
    Case("greatest", lambda: record(pays(2**63 - 1), leg(1, "CD/0")), INVALID, "AMOUNT_OVER_LIMIT", [UNITS]),
    Case("unknown asset", lambda: record(pays(1, "GBP/2"), leg(1, "CD/0")), INVALID, "ASSET_UNKNOWN", [ASSET]),
    Case("other scale", lambda: record(pays(1, "EUR/3"), leg(1, "CD/0")), INVALID, "ASSET_UNKNOWN", [ASSET]),
    Case("no asset code", lambda: record(pays(1, "1.5"), leg(1, "CD/0")), INVALID, "ASSET_UNKNOWN", [ASSET]),
    Case(
        "tied rules",
        lambda: publish(rule("one"), rule("two")),
        INVALID,
        "POLICY_RULES_CONFLICT",
        ["policy.rules[1]"],
    ),
    Case(
        "tied group rules",
        lambda: publish(rule("one", group="GOODS"), rule("two"), rule("three", group="GOODS", rate_nanos=9 * 10**12)),
        INVALID,
        "POLICY_RULES_CONFLICT",
        ["policy.rules[2]"],
    ),
    Case(
        "value of the greatest leg",
        lambda: publish(rule(high_nanos=9 * 10**12 + 1)),
        INVALID,
        "RATE_OUT_OF_RANGE",
        ["policy.rules[0].high_nanos"],
    ),
    Case("low above rate", lambda: publish(rule(low_nanos=10**13)), INVALID, "RATE_OUT_OF_RANGE",
         ["policy.rules[0].rate_nanos"]),
    Case("rate of an unknown asset", lambda: publish(rule(asset="GBP/2")), INVALID, "ASSET_UNKNOWN",
         ["policy.rules[0].asset"]),
    Case("rate at another scale", lambda: publish(rule(asset="CD/1")), INVALID, "ASSET_UNKNOWN",
         ["policy.rules[0].asset"]),
    Case("unknown policy", lambda: balance(valuation=PolicyVersion(policy_id="nobodys")), grpc.StatusCode.NOT_FOUND,
         "POLICY_UNKNOWN", [], {"policy_id": "nobodys"}),
    Case("unknown version", lambda: balance(valuation=PolicyVersion(policy_id="standard", version=9)),
         grpc.StatusCode.NOT_FOUND, "POLICY_UNKNOWN", [], {"policy_id": "standard", "version": "9"}),
    Case("unknown version of the default", lambda: balance(valuation=PolicyVersion(version=9)),
         grpc.StatusCode.NOT_FOUND, "POLICY_UNKNOWN", [], {"version": "9"}),
    Case("known_at beyond the head", lambda: balance(as_of=AsOf(position=10**6)),
         grpc.StatusCode.FAILED_PRECONDITION, "KNOWN_AT_IN_FUTURE", [], {"position": "1000000"}),
    Case("half-life below 0", lambda: balance(half_life_days=-1), INVALID, "HALF_LIFE_INVALID",
         ["view.spec.half_life_days"]),
    Case("half-life too long", lambda: balance(half_life_days=3_651), INVALID, "HALF_LIFE_INVALID",
         ["view.spec.half_life_days"]),
]  # fmt: skip


def sent(server: Serving, request: Any) -> Awaitable[Any]:
    """Send a request to the rpc that takes it."""
    match request:
        case writes.RecordExchangeRequest():
            return ExchangeServiceStub(server.channel).RecordExchange(request)
        case policies.PublishValuationPolicyRequest():
            return PolicyServiceStub(server.channel).PublishValuationPolicy(request)
        case _:
            return RelationshipServiceStub(server.channel).GetBalance(request)


async def test_one_typed_error_and_nothing_written(server: Serving) -> None:
    for case in CASES:
        before = await head(server)

        status = await refusal(sent(server, case.request()))

        assert (case.code.value[0], case.reason) == (status.code, reason_of(status)), case.name
        assert case.fields == fields_of(status), case.name
        assert case.values.items() <= metadata_of(status).items(), case.name
        assert before == await head(server), case.name


async def test_a_record_time_still_to_come_is_not_settled(server: Serving) -> None:
    tomorrow = Timestamp(seconds=int(time.time()) + 86_400)

    status = await refusal(sent(server, balance(as_of=AsOf(record_time=tomorrow))))

    assert "KNOWN_AT_NOT_SETTLED" == reason_of(status)


async def test_a_total_that_would_leave_64_bits_is_refused_where_it_would(server: Serving) -> None:
    # 144 exchanges of 64 legs are 9.216 * 10^18 units, the next one would be beyond 2^63 - 1 with its eighth leg.
    full = [leg(MANY, "BIG/0")] * 64
    operations = [
        Operation(customer_id="42", record=record(*full, exchange_id=f"x{number}").exchange) for number in range(144)
    ]
    batch = writes.ApplyExchangesRequest(organization_id="shop", request_id=request_id(), operations=operations)
    await ExchangeServiceStub(server.channel).ApplyExchanges(batch)
    before = await head(server)

    status = await refusal(sent(server, record(*full)))

    assert (OUT_OF_RANGE.value[0], "VALUE_OUT_OF_RANGE") == (status.code, reason_of(status))
    assert ["exchange.legs[7].amount.units"] == fields_of(status)
    assert {"asset": "BIG/0"} == metadata_of(status)
    assert before == await head(server)


async def test_a_value_that_would_leave_64_bits_is_refused_and_not_wrapped(server: Serving) -> None:
    await sent(server, record(leg(10**6, "CD/0"), exchange_id="nine"))
    before = await head(server)
    assert 9 * 10**18 + 9 * 10**12 == (await sent(server, balance())).balance.got_nanos

    await sent(server, record(leg(10**6, "CD/0"), exchange_id="eighteen"))
    status = await refusal(sent(server, balance()))

    assert (OUT_OF_RANGE.value[0], "VALUE_OUT_OF_RANGE") == (status.code, reason_of(status))
    earlier = (await sent(server, balance(as_of=AsOf(position=before)))).balance
    assert 9 * 10**18 + 9 * 10**12 == earlier.got_nanos


@pytest.mark.parametrize("units", ["1.5", 1.5, "1e-1", "NaN", "Infinity", "0x10", "1,000", True])
async def test_json_has_no_amounts_with_a_fraction(server: Serving, units: Any) -> None:
    before = await head(server)
    amount = {"units": units, "asset": "EUR/2"}
    exchange = {"exchange_id": "bad", "legs": [{"giver": "PARTY_CUSTOMER", "amount": amount}]}

    with pytest.raises(ParseError, match=r"legs field: .* amount field: .* units field"):
        ParseDict({**IDS, "request_id": request_id(), "exchange": exchange}, writes.RecordExchangeRequest())

    assert before == await head(server)


SHOP = """\
policy_id = "floats"
unit_of_account = "EUR"
effective_from_time = 2026-01-01T00:00:00Z
[[rules]]
rule_id = "paid"
perspective = "CUSTOMER"
side = "GIVE"
category = "MONEY_PAYMENT"
asset = "EUR/2"
rate = "1"
method = "FACE"
source = "a euro is a euro"
"""


@pytest.mark.parametrize(
    "right, wrong, place",
    [
        ('rate = "1"', "rate = 1.0", "rules[0].rate"),
        ('rate = "1"', "rate_nanos = 1e7", "rules[0].rate_nanos"),
        ('rate = "1"', 'rate = "1"\nlow = 0.5', "rules[0].low"),
        ('rate = "1"', 'rate = "0.0000000001"', "rules[0].rate"),
        ("[[rules]]", "kappa = 10.0\n[[rules]]", "kappa"),
    ],
)
async def test_a_policy_file_has_no_floats(
    server: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], right: str, wrong: str, place: str
) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP.replace(right, wrong))
    before = await head(server)

    command = ["policy", "valuation", "publish", "shop", str(file), "--target", server.target]
    code = await asyncio.to_thread(main, command)

    told = capsys.readouterr().err
    assert 0 != code
    assert place in told, told
    assert before == await head(server)


@pytest.mark.parametrize("dollars", ["11.775", "1e3", "NaN", "1,5", "99999999999999999999"])
async def test_an_imported_amount_is_exact_or_refused(
    server: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], dollars: str
) -> None:
    file = tmp_path / "purchases.txt"
    file.write_text(f"customer date cds dollars\n00001 19970101 1 {dollars}\n")
    mapping = str(ROOT / "examples" / "cdnow.toml")
    command = ["import", str(file), "--mapping", mapping, "--target", server.target]
    empty = tmp_path / "none.txt"
    empty.write_text("customer date cds dollars\n")
    await asyncio.to_thread(main, ["import", str(empty), *command[2:]])  # Registers the assets of the mapping.
    before = await head(server)

    code = await asyncio.to_thread(main, command)

    told = "".join(capsys.readouterr())
    assert 0 != code, told
    assert before == await head(server), told
