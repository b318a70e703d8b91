"""Valuation policies as TOML files. `docs/concepts/valuation-policy.md` shows one.

    policy_id, version, unit_of_account, effective_from_time, kappa, trend_days
    [[labels]]    name, up_to_ppm
    [[rules]]     rule_id, perspective, side, one of category, group, any_category, asset, rate, low, high, method,
                  source, redemption_ppm

Keys are the names of the message's fields. Amounts never pass through floats. `rate_nanos = 100000000` is billionths of
the unit of account per minor unit, as it is stored; `rate = "0.10"` is units of account per whole unit of the asset,
and must come out as whole nanos per minor unit. Every fault of a file is found, not only the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rapport.events.v1.exchange_pb2 import Category, Party
from rapport.events.v1.valuation_pb2 import (
    VALUATION_METHOD_FACE,
    VALUATION_METHOD_UNSPECIFIED,
    Side,
    ValuationMethod,
    ValuationPolicy,
    ValuationRule,
)
from services.cli.toml_file import Fault, Float, line_of, read_document
from services.client import timestamp, to_units
from services.client.values import scale_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from google.protobuf.descriptor import EnumDescriptor
    from google.protobuf.message import Message

NANO_DECIMALS: Final = 9
"""A unit of account has 10^9 nanos."""
_AMOUNTS: Final = ("rate", "low", "high")
_SCOPES: Final = ("category", "group", "any_category")
_POLICY_KEYS: Final = (
    *("policy_id", "version", "unit_of_account", "effective_from_time", "kappa", "kappa_nanos"),
    *("trend_days", "digest", "labels", "rules"),
)
_RULE_KEYS: Final = (
    *("rule_id", "perspective", "side", *_SCOPES, "asset"),
    *(key for name in _AMOUNTS for key in (name, f"{name}_nanos")),
    *("method", "source", "redemption_ppm"),
)


@dataclass(slots=True)
class PolicyFile:
    """A file that was read: the policy, as far as it could be made, and what is wrong with the rest."""

    name: str
    policy: ValuationPolicy = field(default_factory=ValuationPolicy)
    faults: list[Fault] = field(default_factory=list)
    lines: Mapping[str, int] = field(default_factory=dict)
    """Lines by place, from 1, as far as they are plain to see."""

    def told(self, fault: Fault) -> str:
        """Return a fault with file, line, table and key. Example: `shop.toml:14: rules[2].rate (cds): must ...`."""
        place = fault.place
        line = line_of(self.lines, place)
        where = f"{self.name}:{line}" if line else self.name
        match = re.match(r"rules\[(\d+)\]", place)
        known = match is not None and int(match[1]) < len(self.policy.rules)
        rule_id = self.policy.rules[int(match[1])].rule_id if match is not None and known else ""
        return f"{where}: {place}{f' ({rule_id})' if rule_id else ''}: {fault.description}"

    def fault_of(self, path: str, description: str) -> Fault:
        """Return what a server found at a path of the request, at the place where the file says it."""
        place = path.removeprefix("policy.")
        short = place.removesuffix("_nanos")
        return Fault(short if place not in self.lines and short in self.lines else place, description)


def read_policy(path: Path) -> PolicyFile:
    """Return the policy in a TOML file, with every fault of the file.

    Raises:
        UsageFault: It cannot be read, or is no TOML.
    """
    document = read_document(path)
    file = PolicyFile(path.name, lines=document.lines)
    _fill_policy(file.policy, _Table(document.values, "", file.faults, _POLICY_KEYS))
    return file


class _Table:
    """One table of the file; what is wrong in it goes to the list of faults."""

    def __init__(self, values: Mapping[str, Any], place: str, faults: list[Fault], known: tuple[str, ...]) -> None:
        self._values = values
        self._place = place
        self._faults = faults
        for key in values:
            if key not in known:
                self.fault(key, f"there is no such key; there are {', '.join(known)}")

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def fault(self, key: str, description: str) -> None:
        """Note that a key cannot be used."""
        self._faults.append(Fault(f"{self._place}.{key}" if self._place else key, description))

    def text(self, key: str, *, needed: bool = True) -> str:
        """Return a text; empty where there is none."""
        return str(self._typed(key, str, "a text in quotes", "", needed=needed))

    def whole(self, key: str, *, needed: bool = False) -> int:
        """Return a whole number; 0 where there is none."""
        return int(self._typed(key, int, "a whole number", 0, needed=needed))

    def name(self, key: str, enum: EnumDescriptor) -> int:
        """Return the value of an enum by its name without prefix; 0 where there is none."""
        prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
        names = {value.name.removeprefix(prefix): value.number for value in enum.values if value.number}
        text = self.text(key)
        if text and text not in names:
            self.fault(key, f"must be one of {', '.join(names)}")
        return names.get(text, 0)

    def time(self, key: str) -> datetime | None:
        """Return a time with its zone."""
        wanted = "a time with its zone, without quotes: 2026-01-01T00:00:00Z"
        found = self._typed(key, datetime, wanted, None, needed=True)
        if isinstance(found, datetime) and found.tzinfo is None:
            self.fault(key, f"must be {wanted}")
            return None
        return found if isinstance(found, datetime) else None

    def tables(self, key: str, known: tuple[str, ...], *, needed: bool = False) -> list[_Table]:
        """Return the tables of a list."""
        found = self._typed(key, list, f"a list of tables, [[{key}]]", [], needed=needed)
        if not all(isinstance(each, dict) for each in found):
            self.fault(key, f"must be a list of tables, [[{key}]]")
            return []
        return [_Table(each, f"{key}[{index}]", self._faults, known) for index, each in enumerate(found)]

    def nanos(self, key: str, per_unit: Callable[[str | int], int]) -> int | None:
        """Return an amount from `key_nanos`, as it is, or from `key`, by `per_unit`; None where there is neither.

        `per_unit` takes a number in units of account and raises ValueError where it does not come out whole.
        """
        exact = f"{key}_nanos"
        if key in self and exact in self:
            self.fault(key, f"is given twice; keep it or {exact}")
        if exact in self:
            return self._in_range(exact, self.whole(exact))
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, Float | bool) or not isinstance(value, str | int):
            written = value if isinstance(value, Float) else "0.10"
            floats = "floats are not exact; " if isinstance(value, Float) else ""
            self.fault(key, f'{floats}write units of account as a text, {key} = "{written}", or give {exact}')
            return 0
        try:
            return self._in_range(key, per_unit(value))
        except ValueError as error:
            self.fault(key, str(error))
            return 0

    def _in_range(self, key: str, nanos: int) -> int:
        if abs(nanos) < 2**63:
            return nanos
        self.fault(key, "is out of range: more than 9 * 10^18 nanos")
        return 0

    def put(self, message: Message, key: str, value: object) -> None:
        """Set a field of a message; note a value that it cannot hold."""
        try:
            setattr(message, key, value)
        except ValueError:
            self.fault(key, "is out of range")

    def _typed(self, key: str, kind: type, wanted: str, default: Any, *, needed: bool) -> Any:
        value = self._values.get(key)
        if value is None:
            if needed:
                self.fault(key, f"is needed: {wanted}")
            return default
        # A boolean is an int to Python, and a float was kept as text.
        if not isinstance(value, kind) or isinstance(value, Float | bool):
            self.fault(key, f"must be {wanted}")
            return default
        return value

    def yes(self, key: str) -> bool:
        """Return true where the key says so; nothing else is said there."""
        if self._values.get(key) is not True:
            self.fault(key, "must be true, or left out")
            return False
        return True


def _fill_policy(policy: ValuationPolicy, table: _Table) -> None:
    for key in ("policy_id", "unit_of_account"):
        table.put(policy, key, table.text(key))
    for key in ("version", "trend_days"):
        table.put(policy, key, table.whole(key))
    effective_from = table.time("effective_from_time")
    if effective_from is not None:
        policy.effective_from_time.CopyFrom(timestamp(effective_from))
    kappa = table.nanos("kappa", lambda number: to_units(number, NANO_DECIMALS))
    if kappa is not None:
        table.put(policy, "kappa_nanos", kappa)
    _put_digest(policy, table)
    for each in table.tables("labels", ("name", "up_to_ppm")):
        label = policy.labels.add(name=each.text("name"))
        each.put(label, "up_to_ppm", each.whole("up_to_ppm", needed=True))
    for each in table.tables("rules", _RULE_KEYS, needed=True):
        _fill_rule(policy.rules.add(), each)


def _put_digest(policy: ValuationPolicy, table: _Table) -> None:
    digest = table.text("digest", needed=False)
    try:
        policy.digest = bytes.fromhex(digest)
    except ValueError:
        table.fault("digest", "must be 64 hexadecimal digits, as `rapport policy valuation show` prints it")


def _fill_rule(rule: ValuationRule, table: _Table) -> None:
    for key in ("rule_id", "asset", "source"):
        table.put(rule, key, table.text(key))
    for key, enum in (("perspective", Party), ("side", Side), ("method", ValuationMethod)):
        table.put(rule, key, table.name(key, enum.DESCRIPTOR))
    _put_scope(rule, table)
    _put_rates(rule, table)
    table.put(rule, "redemption_ppm", table.whole("redemption_ppm"))


def _put_scope(rule: ValuationRule, table: _Table) -> None:
    given = [key for key in _SCOPES if key in table]
    if len(given) != 1:
        table.fault(given[1] if given else "category", "exactly one of category, group and any_category is needed")
    elif given == ["category"]:
        table.put(rule, "category", table.name("category", Category.DESCRIPTOR))
    elif given == ["group"]:
        rule.group = table.text("group")
    elif table.yes("any_category"):
        rule.any_category = True


def _put_rates(rule: ValuationRule, table: _Table) -> None:
    rate, low, high = (table.nanos(key, lambda number: nanos_per_minor_unit(number, rule.asset)) for key in _AMOUNTS)
    if rate is None:
        table.fault("rate", "is needed: units of account per whole unit as a text, or rate_nanos per minor unit")
        rate = 0
    sure = rule.method in {VALUATION_METHOD_FACE, VALUATION_METHOD_UNSPECIFIED}  # The latter is told already.
    for key, nanos in (("low", low), ("high", high)):
        if nanos is None and not sure:
            table.fault(key, "is needed, for only FACE is surely exact; where there is no doubt, write the rate again")
        table.put(rule, f"{key}_nanos", rate if nanos is None else nanos)
    table.put(rule, "rate_nanos", rate)


def nanos_per_minor_unit(number: str | int, asset: str) -> int:
    """Return a rate in units of account per whole unit as nanos per minor unit. Example: "0.10" of `EUR/2`: 1000000.

    Raises:
        ValueError: It does not come out whole, or the asset is none.
    """
    scale = scale_of(asset)
    try:
        nanos = to_units(number, max(NANO_DECIMALS - scale, 0))
    except ValueError as error:
        raise ValueError(
            f"{error}: a minor unit of {asset} is worth whole nanos; round, and say so in source"
        ) from None
    minor_units_per_nano: int = 10 ** max(scale - NANO_DECIMALS, 0)
    nanos, rest = divmod(nanos, minor_units_per_nano)
    if rest:
        raise ValueError(f"{number!r} is no whole number of nanos per minor unit of {asset}")
    return nanos


def per_whole_unit(nanos: int, asset: str) -> str:
    """Return nanos per minor unit as units of account per whole unit, exactly. Example: 1000000 of `EUR/2`: `0.1`."""
    power: int = 10 ** scale_of(asset)
    return units_of_account(nanos * power)


def units_of_account(nanos: int) -> str:
    """Return nanos as units of account, exactly. Example: 2500000000 is `2.5`."""
    units, rest = divmod(nanos, 10**NANO_DECIMALS)
    decimals = f"{rest:0{NANO_DECIMALS}d}".rstrip("0")
    return f"{units}.{decimals}" if decimals else str(units)
