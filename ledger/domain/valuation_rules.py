"""What a well-formed valuation policy is (reciprocity.md 5): rules that can match, rates in bounds, labels that rise.

Every fault is found, not only the first: whoever writes a policy mends them all at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ledger.domain.amounts import is_asset
from ledger.domain.exchange_rules import RULES, category_name
from ledger.domain.faults import Fault, fault_of
from ledger.domain.policy import LEG_VALUE_MAX, Asset
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.exchange_pb2 import (
    CATEGORY_POINTS_GRANT,
    PARTY_CUSTOMER,
    PARTY_ORGANIZATION,
    Category,
    Party,
)
from rapport.events.v1.policy_pb2 import ASSET_KIND_POINTS, AssetKind
from rapport.events.v1.valuation_pb2 import SIDE_GET, SIDE_GIVE, Side, ValuationLabel, ValuationRule

_OTHER: Final = {PARTY_CUSTOMER: PARTY_ORGANIZATION, PARTY_ORGANIZATION: PARTY_CUSTOMER}


def group_of(category: int) -> str:
    """Return the group of a category: the first word of its name. Example: `SERVICE` of SERVICE_SUPPORT."""
    return category_name(category).partition("_")[0]  # type: ignore[arg-type]  # An unknown one is told as its number.


def scope_of(rule: ValuationRule) -> int | str:
    """Return which legs a rule is for: a category, the name of a group, or "" for any category."""
    return rule.category or rule.group


def categories_of(rule: ValuationRule) -> Sequence[Category.ValueType]:
    """Return the categories that a rule is for; none where it names a group of none."""
    if rule.category:
        return [rule.category]
    return _GROUPS.get(rule.group, ()) if rule.group else list(RULES)


def giver_of(rule: ValuationRule) -> Party.ValueType | None:
    """Return who gives the legs that a rule is for, or None where it says nothing known."""
    if rule.side == SIDE_GIVE:
        return rule.perspective if rule.perspective in _OTHER else None
    return _OTHER.get(rule.perspective) if rule.side == SIDE_GET else None


def faults_of_rules(rules: Sequence[ValuationRule], assets: Mapping[str, Asset]) -> Iterator[Fault]:
    """Yield what is wrong with the rules of a version, each by itself and with the others.

    Reasons: ASSET_UNKNOWN, POLICY_RULES_CONFLICT, RATE_OUT_OF_RANGE; REQUEST_INVALID for a rule that no leg can match.
    """
    yield from _repetitions(rules)
    for index, rule in enumerate(rules):
        place, asset = f"rules[{index}]", assets.get(rule.asset)
        yield from _faults_of_rate(place, rule, asset)
        if asset is None:
            yield _unknown_asset(f"{place}.asset", rule.asset)
        fault = _never_matches(place, rule, asset)
        if fault is not None:
            yield fault
        elif asset is not None:
            yield from _faults_of_redemption(place, rule, asset)


def faults_of_labels(labels: Sequence[ValuationLabel]) -> Iterator[Fault]:
    """Yield what is wrong with the labels of a version: each name once, and every threshold above the one before."""
    names: dict[str, int] = {}
    for index, label in enumerate(labels):
        first = names.setdefault(label.name, index)
        if first != index:
            yield _invalid(f"labels[{index}].name", f"must be named once; labels[{first}] has the same name")
        if index and label.up_to_ppm <= labels[index - 1].up_to_ppm:
            yield _invalid(f"labels[{index}].up_to_ppm", "must be above that of the label before it")


def _repetitions(rules: Sequence[ValuationRule]) -> Iterator[Fault]:
    ids: dict[str, int] = {}
    keys: dict[tuple[int, int, str, int | str], int] = {}
    reason = reasons.ERROR_REASON_POLICY_RULES_CONFLICT
    for index, rule in enumerate(rules):
        first = ids.setdefault(rule.rule_id, index)
        if first != index:
            yield fault_of(f"rules[{index}].rule_id", f"must be given once; rules[{first}] has the same", reason)
        first = keys.setdefault((rule.perspective, rule.side, rule.asset, scope_of(rule)), index)
        if first != index:
            same = f"has the perspective, side, asset and scope of rules[{first}]; keep one of them"
            yield fault_of(f"rules[{index}]", same, reason)


def _faults_of_rate(place: str, rule: ValuationRule, asset: Asset | None) -> Iterator[Fault]:
    if rule.low_nanos < 0:
        yield _out_of_range(f"{place}.low_nanos", "must be at least 0", rule)
    if rule.rate_nanos < rule.low_nanos:
        yield _out_of_range(f"{place}.rate_nanos", "must be at least low_nanos", rule)
    if rule.high_nanos < rule.rate_nanos:
        yield _out_of_range(f"{place}.high_nanos", "must be at least rate_nanos", rule)
    if asset is not None and asset.max_units_per_leg * rule.high_nanos > LEG_VALUE_MAX:
        limit = asset.max_units_per_leg
        most = f"must be at most {LEG_VALUE_MAX // limit}: a leg of {limit} units may be worth 9 * 10^18 nanos at most"
        yield _out_of_range(f"{place}.high_nanos", most, rule)


def _faults_of_redemption(place: str, rule: ValuationRule, asset: Asset) -> Iterator[Fault]:
    field = f"{place}.redemption_ppm"
    if asset.kind != ASSET_KIND_POINTS:
        if rule.redemption_ppm:
            yield _invalid(field, "must be unset: only points are redeemed")
    elif rule.rate_nanos and not rule.redemption_ppm and CATEGORY_POINTS_GRANT in categories_of(rule):
        yield _invalid(field, "must say which share of points is expected to be redeemed, in millionths from 1")


def _never_matches(place: str, rule: ValuationRule, asset: Asset | None) -> Fault | None:
    """Return why no leg can ever match a rule, or None: what is never used is most likely a slip."""
    categories = categories_of(rule)
    if not categories:
        return _invalid(f"{place}.group", f"must be one of {', '.join(_GROUPS)}: no category begins with this word")
    table = [RULES[category] for category in categories if category in RULES]
    giver = giver_of(rule)
    if not table or giver is None:
        return None  # What is not known breaks the rules of its field.
    given = [each for each in table if giver in each.givers]
    if not given:
        side = Side.Name(rule.side).removeprefix("SIDE_")
        who = _party(rule.perspective)
        return _invalid(f"{place}.side", f"no leg matches {who} {side}: {_party(giver)} cannot give it")
    if asset is not None and not any(asset.kind in each.kinds for each in given):
        kind = AssetKind.Name(asset.kind).removeprefix("ASSET_KIND_")
        return _invalid(f"{place}.asset", f"no leg matches: {_party(giver)} cannot give it in an asset of kind {kind}")
    return None


def _party(party: int) -> str:
    return Party.Name(party).removeprefix("PARTY_")  # type: ignore[arg-type]  # Known where it is asked.


def _unknown_asset(field: str, name: str) -> Fault:
    reason = reasons.ERROR_REASON_ASSET_UNKNOWN
    if not is_asset(name):
        # What is no code may be anything: it is not repeated.
        return fault_of(field, "must be CODE/scale, for example EUR/2", reason)
    return fault_of(field, f"{name} is not in the registry", reason, asset=name)


def _out_of_range(field: str, description: str, rule: ValuationRule) -> Fault:
    reason = reasons.ERROR_REASON_RATE_OUT_OF_RANGE
    return fault_of(field, description, reason, rule_id=rule.rule_id, asset=rule.asset)


def _invalid(field: str, description: str) -> Fault:
    return fault_of(field, description, reasons.ERROR_REASON_REQUEST_INVALID)


def _groups(categories: Iterable[Category.ValueType]) -> dict[str, list[Category.ValueType]]:
    groups: dict[str, list[Category.ValueType]] = {}
    for category in categories:
        groups.setdefault(group_of(category), []).append(category)
    return groups


_GROUPS: Final = _groups(RULES)
"""Categories by the first word of their names."""
