"""A contact policy as people read it: its numbers as pairs, its rules as tables, each with where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rapport.events.v1.consent_pb2 import LegalBasis
from rapport.events.v1.contact_policy_pb2 import (
    BasisRule,
    ContactPolicy,
    FrequencyCap,
    GuardianConsentAtAge,
    KeywordScope,
    LegalWindow,
)
from rapport.events.v1.interaction_pb2 import Channel, InteractionKind, MessageClass
from rapport.events.v1.preference_pb2 import LocalWindow, Period, Weekday
from services.cli.output import Rows, enum_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.descriptor import EnumDescriptor

_NUMBERS: Final = (
    ("a permit lasts", "permit_seconds", "s"),
    ("windows are searched for", "search_days", "days"),
    ("confirmations are taken for", "confirmation_days", "days"),
    ("grants of recipients last at most", "recipient_grant_days", "days"),
    ("unanswered in a row at most", "streak_max", ""),
    ("of the last", "streak_window_days", "days"),
    ("checkouts are not disturbed for", "checkout_seconds", "s"),
    ("advised against below", "reciprocity_floor_ppm", "ppm"),
    ("with a half-life of", "reciprocity_half_life_days", "days"),
    ("answers come within", "attribution_days", "days"),
)
_SWITCHES: Final = (
    ("full periods", "cap_defers", "DENY", "DEFER"),
    ("below that", "reciprocity_denies", "ADVISE", "DENY"),
    ("below the social breakeven", "waste_denies", "ADVISE", "DENY"),
    ("age unknown", "age_unknown_denies", "ADVISE", "DENY"),
)


def pairs(policy: ContactPolicy) -> list[tuple[str, object]]:
    """Return the numbers and switches of a policy with their names."""
    words, attention = policy.keywords, policy.attention_seconds
    return [
        ("whose law, where unknown", policy.default_jurisdiction),
        ("time zones, where unknown", ", ".join(policy.default_time_zones)),
        *((name, f"{getattr(policy, field)} {unit}".rstrip()) for name, field, unit in _NUMBERS),
        *((name, yes if getattr(policy, field) else no) for name, field, no, yes in _SWITCHES),
        ("guardian's consent at age", enum_cell(GuardianConsentAtAge.DESCRIPTOR, policy.guardian_consent_at_age)),
        ("attention taken", ", ".join(f"{enum_cell(Channel.DESCRIPTOR, e.channel)} {e.seconds} s" for e in attention)),
        ("words that withdraw", ", ".join(words.words)),
        ("what they take back", enum_cell(KeywordScope.DESCRIPTOR, words.scope) if words.words else ""),
        ("by which ways", _some(Channel.DESCRIPTOR, words.channels) if words.words else ""),
        ("confirmed by one message", "yes" if words.confirm_once else ""),
    ]


def print_tables(policy: ContactPolicy) -> None:
    """Print the rules of a policy, each kind as a table; kinds without a rule are passed over."""
    _print(("COUNTRY", "TIME ZONES"), ((e.country, ", ".join(e.time_zones)) for e in policy.countries))
    _print(
        ("LAW OF", "OF AGE FROM", "CONSENT ENDS AFTER", "ASKED AGAIN AFTER"),
        (
            (e.jurisdiction, _years(e.minor_age), _months(e.consent_months), _months(e.ask_again_months))
            for e in policy.jurisdictions
        ),
    )
    _print(("BASIS", "LAW OF", "BY", "FOR", "MADE BY", "STANDS", "FIRST CONTACT"), map(_basis, policy.basis_rules))
    _print(("ALLOWED HOURS", "ON", "LAW OF", "BY", "CLASSES"), map(_window, policy.legal_windows))
    _print(("AT MOST", "A", "BY", "ABOUT", "CLASS"), map(_cap, policy.caps))
    _print(
        ("NO HOURS BY", "OF CLASS"),
        (
            (_any(Channel.DESCRIPTOR, e.channel), _any(MessageClass.DESCRIPTOR, e.message_class))
            for e in policy.hours_exemptions
        ),
    )
    _print(
        ("CONFIRMED UNDER LAW OF", "BY", "FOR"),
        ((_codes(e.jurisdictions), _channels(e.channels), _codes(e.purposes)) for e in policy.double_opt_in),
    )
    _print(
        ("ACT ON WITHDRAWALS WITHIN", "LAW OF", "BY"),
        (
            (f"{e.days} {'business ' * e.business_days}days", _codes(e.jurisdictions), _channels(e.channels))
            for e in policy.honour
        ),
    )
    _print(
        ("FIELD", "SOURCE", "CHECKED ON", "NOTE"), ((e.field, e.source, e.checked_on, e.note) for e in policy.sources)
    )


def _print(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    lines = tuple(lines)
    if not lines:
        return
    print()
    rows = Rows(*columns)
    for line in lines:
        rows.add(*line)
    rows.end()


def _basis(rule: BasisRule) -> tuple[str, ...]:
    facts = [enum_cell(InteractionKind.DESCRIPTOR, kind) for kind in rule.interaction_kinds]
    if rule.exchange:
        facts.append("an exchange with money")
    return (
        enum_cell(LegalBasis.DESCRIPTOR, rule.legal_basis),
        _codes(rule.jurisdictions),
        _channels(rule.channels),
        _codes(rule.purposes),
        ", ".join(facts) or "nothing, it stands",
        _months(rule.months) or "without end",
        f"within {_months(rule.first_contact_months)}" if rule.first_contact_months else "",
    )


def _cap(cap: FrequencyCap) -> tuple[object, ...]:
    channel, message_class = _any(Channel.DESCRIPTOR, cap.channel), _any(MessageClass.DESCRIPTOR, cap.message_class)
    return cap.count, enum_cell(Period.DESCRIPTOR, cap.period), channel, cap.topic or "anything", message_class


def _window(rule: LegalWindow) -> tuple[str, ...]:
    days = ", ".join(enum_cell(Weekday.DESCRIPTOR, day) for day in rule.window.weekdays) or "every day"
    law, classes = _codes(rule.jurisdictions), _some(MessageClass.DESCRIPTOR, rule.message_classes)
    return _hours(rule.window), days, law, _channels(rule.channels), classes


def _hours(window: LocalWindow) -> str:
    return f"{_clock(window.start_minute)} to {_clock(window.end_minute)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _years(age: int) -> str:
    return f"{age} years" if age else ""


def _months(months: int) -> str:
    return f"{months} month{'s' * (months > 1)}" if months else ""


def _codes(codes: Sequence[str]) -> str:
    return ", ".join(codes) or "all"


def _channels(channels: Sequence[int]) -> str:
    return _some(Channel.DESCRIPTOR, channels)


def _some(enum: EnumDescriptor, numbers: Sequence[int]) -> str:
    return ", ".join(enum_cell(enum, number) for number in numbers) or "all"


def _any(enum: EnumDescriptor, number: int) -> str:
    return enum_cell(enum, number) if number else "any"
