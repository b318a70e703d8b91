"""What a well-formed contact policy is: rules that can hold, that do not contradict each other, and that say whence.

Every fault is found, not only the first: whoever writes a policy mends them all at once. Whether a number is what the
law says nobody can tell here; that it has a source can be told (consent.md 8).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import date, timedelta
from typing import Any, Final, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from ledger.domain.consent_scope import lineage
from ledger.domain.contact_policy_conflicts import faults_of_bases, faults_of_windows
from ledger.domain.faults import Fault
from ledger.domain.plain_words import bare
from ledger.domain.policy_faults import basis_name, conflict, invalid, unknown_purpose
from ledger.domain.time_zones import zone_fault
from ledger.domain.times import MICROSECONDS
from rapport.events.v1.consent_pb2 import LEGAL_BASIS_CONSENT, LEGAL_BASIS_SOFT_OPT_IN
from rapport.events.v1.contact_policy_pb2 import (
    BasisRule,
    ContactPolicy,
    KeywordRules,
    LegalSource,
    Purpose,
)
from rapport.events.v1.interaction_pb2 import MESSAGE_CLASS_TRANSACTIONAL

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STEP: Final = re.compile(r"([a-z_]+)(?:\[([0-9]{1,4})\])?")
_PATH_MAX: Final = 128
"""Characters of a source's field: nothing longer is a path."""
_EPOCH: Final = date(1970, 1, 1)
_FARTHEST_EAST: Final = 14 * 3_600 * MICROSECONDS
"""No local date is further ahead of UTC."""


def faults_of_policy(policy: ContactPolicy, purposes: Mapping[str, Purpose], now: int) -> Iterator[Fault]:
    """Yield what is wrong with a policy. Total: where fields break their own rules it looks as far as it makes sense.

    `purposes`: the registry that it will be used with. `now`: microseconds. Reasons: POLICY_RULES_CONFLICT for rules
    that contradict or repeat each other, else REQUEST_INVALID.
    """
    yield from faults_of_lists(policy)
    yield from _faults_of_zones(policy)
    yield from _taken_twice("jurisdictions", "jurisdiction", policy.jurisdictions)
    allowed = _allowed(purposes)
    for index, rule in enumerate(policy.basis_rules):
        yield from _faults_of_basis(f"basis_rules[{index}]", rule, allowed)
    yield from faults_of_bases(policy.basis_rules)
    yield from faults_of_windows(policy.legal_windows)
    yield from _faults_of_caps(policy)
    yield from _faults_of_exemptions(policy)
    for index, each in enumerate(policy.double_opt_in):
        yield from _faults_of_purposes(f"double_opt_in[{index}]", each.purposes, LEGAL_BASIS_CONSENT, allowed)
    yield from _same("double_opt_in", policy.double_opt_in)
    yield from _faults_of_words(policy.keywords)
    yield from _faults_of_honour(policy)
    yield from _taken_twice("attention_seconds", "channel", policy.attention_seconds)
    yield from _faults_of_sources(policy, now)


def unsourced(policy: ContactPolicy) -> list[str]:
    """Return the paths of legal numbers for which no source is named, neither for them nor for what they are part of.

    Numbers of a law are ages, months, windows, words and days to act within. What an organization chose is none.
    """
    named = {source.field for source in policy.sources if len(source.field) <= _PATH_MAX}
    parts = {above for field in named for above in _with_what_holds_it(field)}
    return [
        path for path in _legal_numbers(policy) if path not in parts and named.isdisjoint(_with_what_holds_it(path))
    ]


def faults_of_lists(message: Message, path: str = "") -> Iterator[Fault]:
    """Yield each code, name or number that a list of a message, in any depth, names a second time."""
    for descriptor, value in message.ListFields():
        field = f"{path}{descriptor.name}"
        if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
            several = value if descriptor.is_repeated else (value,)
            for index, each in enumerate(several):
                yield from faults_of_lists(each, f"{field}[{index}]." if descriptor.is_repeated else f"{field}.")
        elif descriptor.is_repeated and descriptor.name != "words":
            yield from _named_twice(field, value)


def _faults_of_zones(policy: ContactPolicy) -> Iterator[Fault]:
    yield from _unknown_zones("default_time_zones", policy.default_time_zones)
    yield from _taken_twice("countries", "country", policy.countries)
    for index, each in enumerate(policy.countries):
        field = f"countries[{index}].time_zones"
        if not each.time_zones:
            yield invalid(field, "must name at least one zone")
        yield from _unknown_zones(field, each.time_zones)


def _unknown_zones(field: str, names: Sequence[str]) -> Iterator[Fault]:
    for index, name in enumerate(names):
        fault = zone_fault(name)
        if fault is not None:
            yield invalid(f"{field}[{index}]", fault)


def _faults_of_basis(place: str, rule: BasisRule, allowed: Mapping[str, Set[int]]) -> Iterator[Fault]:
    if rule.legal_basis == LEGAL_BASIS_CONSENT:
        yield invalid(f"{place}.legal_basis", "must not be CONSENT: only the customer makes one")
        return
    if not (rule.interaction_kinds or rule.exchange):
        for field in ("months", "first_contact_months"):
            if getattr(rule, field):
                yield invalid(f"{place}.{field}", "must be unset: no fact is named from which on they would count")
    if rule.months and rule.first_contact_months > rule.months:
        yield invalid(f"{place}.first_contact_months", "must be at most `months`, or it limits nothing")
    yield from _faults_of_purposes(place, rule.purposes, rule.legal_basis, allowed)


def _allowed(purposes: Mapping[str, Purpose]) -> dict[str, set[int]]:
    """Return the bases that each purpose of a registry, or a purpose below it, may rest on."""
    found: dict[str, set[int]] = {slug: set() for slug in purposes}
    for slug, purpose in purposes.items():
        for up in lineage(slug):
            if up in found:
                found[up].update(purpose.legal_bases)
    return found


def _faults_of_purposes(
    place: str, named: Sequence[str], basis: int, allowed: Mapping[str, Set[int]]
) -> Iterator[Fault]:
    """Yield purposes that are unknown, or of which neither they nor a child may rest on a basis."""
    never = f"may rest on {basis_name(basis)}, so the rule would never hold"
    for index, slug in enumerate(named):
        field = f"{place}.purposes[{index}]"
        if slug not in allowed:
            yield unknown_purpose(field, slug)
        elif basis not in allowed[slug]:
            yield invalid(field, f"neither {slug} nor a purpose below it {never} for it")
    if not named and not any(basis in bases for bases in allowed.values()):
        yield invalid(place, f"no purpose of the registry {never}")


def _faults_of_caps(policy: ContactPolicy) -> Iterator[Fault]:
    for index, cap in enumerate(policy.caps):
        if cap.message_class == MESSAGE_CLASS_TRANSACTIONAL:
            yield invalid(f"caps[{index}].message_class", "must be another: TRANSACTIONAL messages are not counted")
    keys = [(cap.period, cap.channel, cap.topic, cap.message_class) for cap in policy.caps]
    yield from _repeated("caps", keys, "is for the period, channel, topic and class of")


def _faults_of_exemptions(policy: ContactPolicy) -> Iterator[Fault]:
    for index, each in enumerate(policy.hours_exemptions):
        if not (each.channel or each.message_class):
            yield invalid(f"hours_exemptions[{index}]", "must name a channel or a class, or no hours would hold at all")
    yield from _same("hours_exemptions", policy.hours_exemptions)


def _faults_of_words(rules: KeywordRules) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for index, word in enumerate(map(bare, rules.words)):
        first = seen.setdefault(word, index)
        if not word:
            yield invalid(f"keywords.words[{index}]", "must hold a letter or a digit: nothing else is compared")
        elif first != index:
            yield invalid(f"keywords.words[{index}]", f"must be named once; keywords.words[{first}] reads the same")
    if not rules.words and rules.ListFields():
        yield invalid("keywords.words", "must name a word, or `keywords` be left out")


def _faults_of_honour(policy: ContactPolicy) -> Iterator[Fault]:
    for index, rule in enumerate(policy.honour):
        if not rule.days:
            yield invalid(f"honour[{index}].days", "must be at least 1")
    keys = [(frozenset(each.jurisdictions), frozenset(each.channels)) for each in policy.honour]
    yield from _repeated("honour", keys, "is for the jurisdictions and channels of")


def _faults_of_sources(policy: ContactPolicy, now: int) -> Iterator[Fault]:
    latest = _EPOCH + timedelta(microseconds=now + _FARTHEST_EAST)
    for index, source in enumerate(policy.sources):
        place = f"sources[{index}]"
        if not _is_there(policy, source.field):
            yield invalid(f"{place}.field", "must be the path of a field that this policy has: legal_windows[0]")
        fault = _fault_of_day(source, latest)
        if fault:
            yield invalid(f"{place}.checked_on", fault)
    yield from _repeated("sources", [(each.field, each.source) for each in policy.sources], "says the same as")


def _fault_of_day(source: LegalSource, latest: date) -> str | None:
    wanted = "must be a day, YYYY-MM-DD"
    if not _DAY.fullmatch(source.checked_on):
        return wanted
    try:
        day = date.fromisoformat(source.checked_on)
    except ValueError:
        return wanted
    return "must not lie in the future: it is when somebody looked" if day > latest else None


def _is_there(policy: ContactPolicy, path: str) -> bool:
    """Tell whether a path leads to a field: lists have to have the item named, and messages to be set."""
    message: Any = policy
    for step in path.split("."):
        match = _STEP.fullmatch(step)
        if match is None or not isinstance(message, Message):
            return False
        field = cast(Descriptor, message.DESCRIPTOR).fields_by_name.get(match[1])
        if field is None or field.is_repeated < (match[2] is not None):
            return False
        if field.type == FieldDescriptor.TYPE_MESSAGE and not field.is_repeated and not message.HasField(field.name):
            return False
        message = getattr(message, field.name)
        if match[2] is not None:
            if int(match[2]) >= len(message):
                return False
            message = message[int(match[2])]
    return True


def _legal_numbers(policy: ContactPolicy) -> Iterator[str]:
    for index, law in enumerate(policy.jurisdictions):
        fields = ("minor_age", "consent_months", "ask_again_months")
        yield from (f"jurisdictions[{index}].{field}" for field in fields if getattr(law, field))
    for index, rule in enumerate(policy.basis_rules):
        limits = ("months", "first_contact_months")
        numbers = [f"basis_rules[{index}].{field}" for field in limits if getattr(rule, field)]
        yield from numbers
        # A basis that is an exception of one law has its conditions there, with or without a number.
        if not numbers and rule.legal_basis >= LEGAL_BASIS_SOFT_OPT_IN:
            yield f"basis_rules[{index}]"
    yield from (f"legal_windows[{index}].window" for index in range(len(policy.legal_windows)))
    if policy.keywords.words:
        yield "keywords.words"
    yield from (f"honour[{index}].days" for index in range(len(policy.honour)))


def _with_what_holds_it(path: str) -> Iterator[str]:
    """Yield a path and those of what it is in. Example: `a[2].b`, `a[2]`, `a`."""
    yield path
    for index in range(len(path) - 1, 0, -1):
        if path[index] in ".[":
            yield path[:index]


def _same(name: str, rules: Sequence[Message]) -> Iterator[Fault]:
    yield from _repeated(name, [each.SerializeToString(deterministic=True) for each in rules], "says the same as")


def _repeated(name: str, keys: Iterable[object], how: str) -> Iterator[Fault]:
    seen: dict[object, int] = {}
    for index, key in enumerate(keys):
        first = seen.setdefault(key, index)
        if first != index:
            yield conflict(f"{name}[{index}]", f"{how} {name}[{first}]; keep one of them")


def _taken_twice(name: str, field: str, entries: Iterable[Message]) -> Iterator[Fault]:
    seen: dict[object, int] = {}
    for index, each in enumerate(entries):
        first = seen.setdefault(getattr(each, field), index)
        if first != index:
            yield conflict(f"{name}[{index}].{field}", f"must be named once; {name}[{first}] is for it too")


def _named_twice(field: str, values: Sequence[object]) -> Iterator[Fault]:
    seen: set[object] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield invalid(f"{field}[{index}]", "must be named once in its list")
        seen.add(value)
