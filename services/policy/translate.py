"""From requests about an organization's policies to steps, and from receipts and states to responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ledger.domain.decider import Step
from ledger.domain.errors import Violation
from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import PolicyState, RegisterAsset, noted_version
from ledger.requests import Receipt, StepReceipt
from rapport.events.v1.policy_pb2 import AssetRegistered
from rapport.policy.v1 import policy_service_pb2 as pb
from services.runtime.translating import context_of
from services.runtime.validation import check


def register_steps(request: pb.RegisterAssetsRequest) -> Sequence[Step]:
    """Return the steps of a RegisterAssets, one for each asset.

    Raises:
        Invalid: the request breaks rules; every violation is named.
    """
    check(request, *_named_twice(request))
    stream_id = policy_stream(request.organization_id)
    context = context_of(request)
    return [
        RegisterAsset(stream_id=stream_id, asset=asset, context=context, path=f"assets[{index}]")
        for index, asset in enumerate(request.assets)
    ]


def unchanged(receipt: Receipt) -> bool:
    """Tell whether any asset of a request stood registered already."""
    return not all(step.places for step in receipt.steps)


def registered(
    request: pb.RegisterAssetsRequest, receipt: Receipt, positions: Mapping[int, int]
) -> pb.RegisterAssetsResponse:
    """Return the answer to a RegisterAssets.

    `positions`: position by version of the policy stream, for the assets that stood registered already.
    """
    assets = [
        pb.RegisteredAsset(asset=asset, position=_position(step, positions))
        for asset, step in zip(request.assets, receipt.steps, strict=True)
    ]
    return pb.RegisterAssetsResponse(assets=assets, position=receipt.position, replayed=receipt.replayed)


def listed(policy: PolicyState, position: int) -> pb.ListAssetsResponse:
    """Return the registry, ordered by code."""
    assets = [
        pb.RegisteredAsset(
            asset=AssetRegistered(asset=name, kind=asset.kind, max_units_per_leg=asset.max_units_per_leg),
            position=asset.position,
        )
        for name, asset in sorted(policy.assets.items())
    ]
    return pb.ListAssetsResponse(assets=assets, position=position)


def _position(step: StepReceipt, positions: Mapping[int, int]) -> int:
    if step.places:
        return step.places[0].position
    return positions[noted_version(step.note)]


def _named_twice(request: pb.RegisterAssetsRequest) -> list[Violation]:
    """Return a violation for each asset that the request named before: its answer could show only one of them."""
    seen: set[str] = set()
    faults = []
    for index, asset in enumerate(request.assets):
        if asset.asset in seen:
            faults.append(Violation(f"assets[{index}].asset", "must be named once in a request"))
        seen.add(asset.asset)
    return faults
