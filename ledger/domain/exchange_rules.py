"""What a well-formed exchange is: who may give what, in which kinds of asset, and whether both sides are there.

The table is that of reciprocity.md 1; the order in which faults are told is that of reciprocity.md 9.2 (settled.md 37).
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from google.protobuf.descriptor import EnumDescriptor

from ledger.domain.amounts import is_asset
from ledger.domain.errors import Rejected
from ledger.domain.faults import Fault, fault_of
from ledger.domain.fields import field_path
from ledger.domain.policy import Asset
from ledger.domain.times import microseconds
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.errors.v1.error_reason_pb2 import ErrorReason
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import policy_pb2 as p
from rapport.events.v1.exchange_pb2 import Category, ExchangeRecorded, LotTerms, OneSided, Party
from rapport.events.v1.policy_pb2 import AssetKind

LEGS_MAX: Final = 64


class Rule(NamedTuple):
    """Who may give a category, and in which kinds of asset."""

    givers: frozenset[Party.ValueType]
    kinds: frozenset[AssetKind.ValueType]


_CUSTOMER: Final = frozenset({x.PARTY_CUSTOMER})
_ORGANIZATION: Final = frozenset({x.PARTY_ORGANIZATION})
_EITHER: Final = _CUSTOMER | _ORGANIZATION
_MONEY: Final = frozenset({p.ASSET_KIND_MONEY})
_SERVICE: Final = frozenset({p.ASSET_KIND_TIME, p.ASSET_KIND_SERVICE, p.ASSET_KIND_ITEM})
_ADVOCACY: Final = frozenset({p.ASSET_KIND_ADVOCACY, p.ASSET_KIND_TIME})
_POINTS: Final = frozenset({p.ASSET_KIND_POINTS})
_DATA: Final = frozenset({p.ASSET_KIND_DATA})

RULES: Final[Mapping[Category.ValueType, Rule]] = {
    x.CATEGORY_MONEY_PAYMENT: Rule(_EITHER, _MONEY),
    x.CATEGORY_MONEY_REFUND: Rule(_ORGANIZATION, _MONEY),
    x.CATEGORY_GOODS: Rule(_EITHER, frozenset({p.ASSET_KIND_MONEY, p.ASSET_KIND_ITEM})),
    x.CATEGORY_DISCOUNT: Rule(_ORGANIZATION, _MONEY),
    x.CATEGORY_SERVICE_SUPPORT: Rule(_ORGANIZATION, _SERVICE),
    x.CATEGORY_SERVICE_RECOVERY: Rule(_ORGANIZATION, _SERVICE),
    x.CATEGORY_POINTS_GRANT: Rule(_ORGANIZATION, _POINTS),
    x.CATEGORY_POINTS_REDEEM: Rule(_CUSTOMER, _POINTS),
    x.CATEGORY_ATTENTION: Rule(_CUSTOMER, frozenset({p.ASSET_KIND_TIME, p.ASSET_KIND_ATTENTION})),
    x.CATEGORY_WAITING: Rule(_CUSTOMER, frozenset({p.ASSET_KIND_TIME})),
    x.CATEGORY_DATA_DISCLOSED: Rule(_CUSTOMER, _DATA),
    x.CATEGORY_DATA_LICENSED: Rule(_CUSTOMER, _DATA),
    x.CATEGORY_CONTENT: Rule(_ORGANIZATION, frozenset({p.ASSET_KIND_CONTENT, p.ASSET_KIND_TIME})),
    x.CATEGORY_FEEDBACK: Rule(_CUSTOMER, _ADVOCACY),
    x.CATEGORY_REFERRAL: Rule(_CUSTOMER, _ADVOCACY),
    x.CATEGORY_ADVOCACY: Rule(_CUSTOMER, _ADVOCACY),
}

_TOLD_FIRST: Final[Mapping[ErrorReason.ValueType, int]] = {
    reason: order
    for order, reason in enumerate(
        (
            reasons.ERROR_REASON_AMOUNT_NOT_POSITIVE,
            reasons.ERROR_REASON_AMOUNT_OVER_LIMIT,
            reasons.ERROR_REASON_ASSET_UNKNOWN,
            reasons.ERROR_REASON_CATEGORY_MISMATCH,
            reasons.ERROR_REASON_LEGS_COUNT,
            reasons.ERROR_REASON_ONE_SIDED_NOT_DECLARED,
            reasons.ERROR_REASON_ONE_SIDED_CONTRADICTED,
            reasons.ERROR_REASON_LOT_TERMS_INVALID,
            reasons.ERROR_REASON_REDEMPTION_WITHOUT_COUNTER_LEG,
            reasons.ERROR_REASON_REDEMPTION_PENDING,
            reasons.ERROR_REASON_PENDING_UNTIL_INVALID,
            reasons.ERROR_REASON_POSTED_UNITS_INVALID,
        )
    )
}


class PlainLeg(NamedTuple):
    """A leg read out of its message: each reading costs as much as a rule, and many rules ask."""

    giver: Party.ValueType
    category: Category.ValueType
    units: int
    asset: str
    consent_position: int
    lot_terms: LotTerms | None
    """None: it says nothing about a lot."""


def plain_legs(exchange: ExchangeRecorded) -> list[PlainLeg]:
    """Return the legs of an exchange, in order."""
    found = []
    for leg in exchange.legs:
        amount = leg.amount
        terms = leg.lot_terms if leg.HasField("lot_terms") else None
        found.append(PlainLeg(leg.giver, leg.category, amount.units, amount.asset, leg.consent_position, terms))
    return found


def check_form(
    legs: Sequence[PlainLeg], event: ExchangeRecorded, at: int, assets: Mapping[str, Asset], path: str = ""
) -> None:
    """Refuse an exchange whose legs, sides or times break a rule; all faults are named, the first is the reason.

    The first by the table of reciprocity.md 9.2. `legs` are those of `event`, which occurs at `at`, in microseconds.
    `path` is where the exchange stands in the request, and comes before the names of fields.

    Raises:
        Rejected: AMOUNT_NOT_POSITIVE, AMOUNT_OVER_LIMIT, ASSET_UNKNOWN, CATEGORY_MISMATCH, LEGS_COUNT,
            ONE_SIDED_NOT_DECLARED, ONE_SIDED_CONTRADICTED, LOT_TERMS_INVALID, REDEMPTION_WITHOUT_COUNTER_LEG,
            REDEMPTION_PENDING or PENDING_UNTIL_INVALID.
    """
    faults = [*_faults_of_legs(legs, assets), *_faults_of_sides(legs, event.one_sided)]
    faults += _faults_of_points(legs, at)
    if event.HasField("pending_until"):
        faults += _faults_of_hold(legs, microseconds(event.pending_until), at)
    _refuse(faults, path)


def check_posting(
    legs: Sequence[PlainLeg] | None, units: Sequence[int], one_sided: OneSided.ValueType, path: str = ""
) -> None:
    """Refuse a posting whose units or sides break a rule, as `check_form`.

    `legs` are those of the pending exchange; None: it is unknown, so only what is wrong whatever they are is told.

    Raises:
        Rejected: ONE_SIDED_NOT_DECLARED, ONE_SIDED_CONTRADICTED or POSTED_UNITS_INVALID.
    """
    faults = list(_faults_of_posted(legs, units))
    if legs is not None and not faults:  # Else whose legs are missing cannot be told.
        faults += _faults_of_sides([leg for leg, posted in zip(legs, units, strict=True) if posted], one_sided)
    _refuse(faults, path)


def _refuse(faults: Sequence[Fault], path: str) -> None:
    if faults:
        told = min(faults, key=lambda fault: _TOLD_FIRST[fault.violation.reason])
        violations = [v._replace(field=field_path(path, v.field)) for v, _ in faults]
        message = f"{field_path(path, told.violation.field)}: {told.violation.description}"
        raise Rejected(told.violation.reason, message, violations, **told.values)


def _faults_of_legs(legs: Sequence[PlainLeg], assets: Mapping[str, Asset]) -> list[Fault]:
    faults: list[Fault] = []
    # Legs beyond the limit are counted and not looked at: a refusal stays a refusal of reasonable size.
    for index, leg in enumerate(legs[:LEGS_MAX]):
        asset, rule = assets.get(leg.asset), RULES.get(leg.category)
        if (
            asset is None
            or rule is None
            or not 1 <= leg.units <= asset.max_units_per_leg
            or leg.giver not in rule.givers
            or asset.kind not in rule.kinds
        ):
            faults += _faults_of_amount(f"legs[{index}].amount", leg, asset)
            faults += _mismatches(f"legs[{index}]", leg, asset, rule)
    if not 1 <= len(legs) <= LEGS_MAX:
        faults.append(
            fault_of("legs", f"must have 1 to {LEGS_MAX} legs", reasons.ERROR_REASON_LEGS_COUNT, legs=len(legs))
        )
    return faults


def _faults_of_amount(place: str, leg: PlainLeg, asset: Asset | None) -> Iterator[Fault]:
    if leg.units < 1:
        yield fault_of(f"{place}.units", "must be at least 1", reasons.ERROR_REASON_AMOUNT_NOT_POSITIVE)
    if asset is None:
        yield _unknown_asset(f"{place}.asset", leg.asset)
    elif leg.units > asset.max_units_per_leg:
        limit, reason = asset.max_units_per_leg, reasons.ERROR_REASON_AMOUNT_OVER_LIMIT
        yield fault_of(
            f"{place}.units", f"must be at most {limit} of {leg.asset}", reason, asset=leg.asset, limit=limit
        )


def _mismatches(place: str, leg: PlainLeg, asset: Asset | None, rule: Rule | None) -> Iterator[Fault]:
    if rule is None:
        yield _mismatch(f"{place}.category", "must say what kind of value it is", leg, asset)
        return
    if leg.giver not in rule.givers:
        party = "a party" if leg.giver == x.PARTY_UNSPECIFIED else "this party"
        allowed = _names(Party.DESCRIPTOR, rule.givers)
        yield _mismatch(f"{place}.giver", f"must be {allowed}: {party} cannot give it", leg, asset)
    if asset is not None and asset.kind not in rule.kinds:
        allowed = _names(AssetKind.DESCRIPTOR, rule.kinds)
        yield _mismatch(f"{place}.amount.asset", f"must be of kind {allowed} for this category", leg, asset)


def _faults_of_sides(legs: Sequence[PlainLeg], one_sided: OneSided.ValueType) -> Iterator[Fault]:
    givers = {leg.giver for leg in legs}
    if not givers or not givers <= _EITHER:
        return  # Whose legs are missing cannot be told; the legs' own faults are.
    declared = one_sided != x.ONE_SIDED_UNSPECIFIED
    if len(givers) == 1 and not declared:
        yield fault_of(
            "one_sided",
            "must say why only one party gives: GIFT, LATER or UNOBSERVED",
            reasons.ERROR_REASON_ONE_SIDED_NOT_DECLARED,
        )
    if len(givers) == 2 and declared:
        yield fault_of("one_sided", "must be unset when both parties give", reasons.ERROR_REASON_ONE_SIDED_CONTRADICTED)


def _faults_of_points(legs: Sequence[PlainLeg], at: int) -> Iterator[Fault]:
    reason = reasons.ERROR_REASON_LOT_TERMS_INVALID
    for index, leg in enumerate(legs[:LEGS_MAX]):
        terms, place = leg.lot_terms, f"legs[{index}].lot_terms"
        if terms is None:
            continue
        if leg.category != x.CATEGORY_POINTS_GRANT:
            yield fault_of(place, "must be unset: only points that are granted have terms", reason)
        elif terms.HasField("expires_at"):
            expires_at = microseconds(terms.expires_at)
            if expires_at <= at or (terms.HasField("activates_at") and expires_at <= microseconds(terms.activates_at)):
                yield fault_of(f"{place}.expires_at", "must be later than the grant and than activates_at", reason)
    redeems = any(leg.category == x.CATEGORY_POINTS_REDEEM for leg in legs)
    if redeems and not any(leg.giver == x.PARTY_ORGANIZATION for leg in legs):
        description = "must hold what the organization gives for the points"
        yield fault_of("legs", description, reasons.ERROR_REASON_REDEMPTION_WITHOUT_COUNTER_LEG)


def _faults_of_hold(legs: Sequence[PlainLeg], pending_until: int, at: int) -> Iterator[Fault]:
    if any(leg.category == x.CATEGORY_POINTS_REDEEM for leg in legs):
        description = "must be unset: points are redeemed at once"
        yield fault_of("pending_until", description, reasons.ERROR_REASON_REDEMPTION_PENDING)
    if pending_until <= at:
        description = "must be later than the exchange"
        yield fault_of("pending_until", description, reasons.ERROR_REASON_PENDING_UNTIL_INVALID)


def _faults_of_posted(legs: Sequence[PlainLeg] | None, units: Sequence[int]) -> Iterator[Fault]:
    reason = reasons.ERROR_REASON_POSTED_UNITS_INVALID
    if legs is not None and len(units) != len(legs):
        yield fault_of("units", f"must name units for each of {len(legs)} legs, or none", reason, legs=len(legs))
        return
    for index, posted in enumerate(units):
        most = posted if legs is None else legs[index].units
        if not 0 <= posted <= most:
            allowed = "at least 0" if legs is None else f"0 to {most}"
            yield fault_of(f"units[{index}]", f"must be {allowed}", reason, legs=len(units))
    if units and not any(posted > 0 for posted in units):
        yield fault_of("units", "must not all be 0; void the exchange instead", reason, legs=len(units))


def _unknown_asset(field: str, name: str) -> Fault:
    if not is_asset(name):
        # What is no code may be anything, personal content too: it is not repeated.
        return fault_of(field, "must be CODE/scale, for example EUR/2", reasons.ERROR_REASON_ASSET_UNKNOWN)
    return fault_of(field, f"{name} is not in the registry", reasons.ERROR_REASON_ASSET_UNKNOWN, asset=name)


def _mismatch(field: str, description: str, leg: PlainLeg, asset: Asset | None) -> Fault:
    kind = p.ASSET_KIND_UNSPECIFIED if asset is None else asset.kind
    return fault_of(
        field,
        description,
        reasons.ERROR_REASON_CATEGORY_MISMATCH,
        category=category_name(leg.category),
        giver=_names(Party.DESCRIPTOR, {leg.giver}),
        kind=_names(AssetKind.DESCRIPTOR, {kind}),
    )


def category_name(category: Category.ValueType) -> str:
    """Return a category as refusals tell it, without prefix; an unknown one as its number."""
    return _names(Category.DESCRIPTOR, {category})


def _names(enum: EnumDescriptor, numbers: AbstractSet[int]) -> str:
    """Return the names of enum values without prefix, in the order of their numbers, joined by ` or `."""
    values = enum.values_by_number
    prefix = values[0].name.removesuffix("UNSPECIFIED")
    names = (values[n].name.removeprefix(prefix) if n in values else str(n) for n in sorted(numbers))
    return " or ".join(names)
