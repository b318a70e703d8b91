"""The asset registry: what may be registered, raised, and never changed."""

import pytest

from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact
from ledger.domain.policy import ASSET_REGISTERED, Asset, PolicyState, RegisterAsset, noted_version
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.policy_pb2 import AssetRegistered

STREAM = "shop/@policy"
EUR = AssetRegistered(asset="EUR/2", kind=p.ASSET_KIND_MONEY, max_units_per_leg=1000)


def fold(*assets: AssetRegistered, until: int | None = None) -> PolicyState:
    """Assets at positions 10, 20, ... and occur times 100, 200, ..."""
    state = PolicyState() if until is None else PolicyState(until)
    for n, asset in enumerate(assets, start=1):
        state.evolve(Fact(10 * n, n, 100 * n, 100 * n, ASSET_REGISTERED, asset, EventMetadata()))
    return state


def register(state: PolicyState, asset: AssetRegistered) -> Decision:
    return RegisterAsset(stream_id=STREAM, asset=asset, path="assets[0]").decide(state, Setting(now=900, others={}))


def changed(**values: object) -> AssetRegistered:
    asset = AssetRegistered()
    asset.CopyFrom(EUR)
    for name, value in values.items():
        setattr(asset, name, value)
    return asset


def test_a_new_asset_is_recorded_at_the_clock() -> None:
    decision = register(fold(), EUR)

    (fact,) = decision.facts
    assert (ASSET_REGISTERED, EUR, 900, True) == (fact.topic, fact.event, fact.occur_time, fact.defaulted)


def test_the_same_again_changes_nothing_and_names_where_it_stands() -> None:
    decision = register(fold(changed(asset="MIN/0"), EUR), EUR)

    assert () == decision.facts
    assert 2 == noted_version(decision.note)


def test_a_limit_rises() -> None:
    (fact,) = register(fold(EUR), changed(max_units_per_leg=1001)).facts

    assert changed(max_units_per_leg=1001) == fact.event


@pytest.mark.parametrize(
    "field, asset",
    [
        ("max_units_per_leg", changed(max_units_per_leg=999)),
        ("kind", changed(kind=p.ASSET_KIND_POINTS)),
        ("asset", changed(asset="EUR/3")),
        ("kind", changed(kind=p.ASSET_KIND_ITEM, max_units_per_leg=1)),
    ],
)
def test_code_scale_and_kind_are_final_and_a_limit_never_falls(field: str, asset: AssetRegistered) -> None:
    with pytest.raises(Rejected) as refusal:
        register(fold(EUR), asset)

    assert reasons.ERROR_REASON_ASSET_CODE_TAKEN == refusal.value.reason
    assert [f"assets[0].{field}"] == [violation.field for violation in refusal.value.violations]
    assert {"asset": "EUR/2", "kind": "MONEY", "max_units_per_leg": "1000"} == refusal.value.metadata


def test_another_code_is_another_asset() -> None:
    assert 1 == len(register(fold(EUR), changed(asset="EURO/2")).facts)


def test_the_fold_keeps_the_last_limit_and_where_it_was_set() -> None:
    state = fold(EUR, changed(max_units_per_leg=2000))

    assert {"EUR/2": Asset(p.ASSET_KIND_MONEY, 2000, 20, 2)} == state.assets


@pytest.mark.parametrize("until, expected", [(99, None), (100, 1000), (199, 1000), (200, 2000)])
def test_as_of_counts_what_was_registered_by_then(until: int, expected: int | None) -> None:
    state = fold(EUR, changed(max_units_per_leg=2000), until=until)

    asset = state.assets.get("EUR/2")
    assert expected == (asset.max_units_per_leg if asset else None)


def test_other_publications_pass_by() -> None:
    state = fold(EUR)
    state.evolve(Fact(99, 2, 900, 900, "policy.something_else.v1", EventMetadata(), EventMetadata()))

    assert ["EUR/2"] == list(state.assets)
