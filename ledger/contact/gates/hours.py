"""Gate 9: is it the right time of day? (consent.md 6, settled.md 62 and 68).

Outside the customer's quiet hours and inside the hours that every law allows which applies. Where it is not known in
which of several zones the customer is, it must be the right time in all of them.

Several windows of one law, such as one for weekdays and one for Saturdays, are those with the same jurisdictions,
channels and classes: they allow what any of them allows. Of different laws each must allow it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ledger.contact.finding import DEFER, NOT_ASKED, PASS, PASSED, Finding, earliest
from ledger.contact.local_time import NEVER, Constraint, Hours, allowed, first_allowed, first_broken
from ledger.contact.picture import Picture
from ledger.contact.terms import jurisdiction_of
from ledger.contact.zones import Zones, zones_of
from ledger.domain.jurisdictions import under
from ledger.domain.preference import Declared, PreferenceState
from rapport.events.v1 import contact_pb2, preference_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, LegalWindow
from rapport.events.v1.preference_pb2 import LocalWindow


class _Rule(NamedTuple):
    """Hours that have to hold."""

    hours: Hours
    policy_field: str
    """Empty: quiet hours."""
    evidence: tuple[int, ...]
    """Position of the declaration."""

    def in_zones(self, zones: Zones) -> list[Constraint]:
        return [(name, self.hours) for name in zones.names]


def gate(picture: Picture, question: ContactQuestion, at: int) -> Finding:
    """DEFER to the first instant at which it is the right time everywhere; never FAIL."""
    if exempt(picture.policy, question.channel, question.message_class):
        return NOT_ASKED
    rules = [*_quiet(picture), *_laws(picture, question)]
    if not rules:
        return PASSED
    zones = zones_of(picture, question)
    constraints = [constraint for rule in rules for constraint in rule.in_zones(zones)]
    if allowed(constraints, at):
        return Finding(PASS, changes_at=first_broken(constraints, at), time_zones=zones.names)
    until = first_allowed(constraints, at)
    if len(zones.names) == 1:
        return _deferred(rules, zones, at, until)
    evidence = tuple(sorted({*zones.evidence, *(position for rule in rules for position in rule.evidence)}))
    reason = contact_pb2.DECISION_REASON_ZONE_UNKNOWN
    return Finding(DEFER, reason, evidence, until, _or_never(until), zones.policy_field, zones.names)


def exempt(policy: ContactPolicy, channel: int, message_class: int) -> bool:
    """Tell whether hours are not asked of a channel and class."""
    return any(
        each.channel in {0, channel} and each.message_class in {0, message_class} for each in policy.hours_exemptions
    )


def undisturbed(preferences: PreferenceState) -> Declared | None:
    """Return the quiet hours that are declared, or None."""
    declared = preferences.of(preference_pb2.PREFERENCE_KIND_QUIET_HOURS)
    return declared if declared is not None and declared.message.quiet_hours.windows else None


def _deferred(rules: list[_Rule], zones: Zones, at: int, until: int) -> Finding:
    """Return the finding for the first rule that does not hold, in the one zone there is."""
    index = next(i for i, rule in enumerate(rules) if not allowed(rule.in_zones(zones), at))
    rule, before = rules[index], [constraint for each in rules[:index] for constraint in each.in_zones(zones)]
    law = contact_pb2.DECISION_REASON_LEGAL_WINDOW
    reason = law if rule.policy_field else contact_pb2.DECISION_REASON_QUIET_HOURS
    # It is told otherwise once this rule holds, or one before it no longer does.
    changes_at = earliest(_or_never(first_allowed(rule.in_zones(zones), at)), first_broken(before, at))
    return Finding(DEFER, reason, rule.evidence, until, changes_at, rule.policy_field, zones.names)


def _or_never(instant: int) -> int | None:
    return instant if instant < NEVER else None


def _quiet(picture: Picture) -> Iterator[_Rule]:
    if "preferences" in picture.state.parts:
        declared = undisturbed(picture.state.preferences)
        if declared is not None:
            yield _Rule(Hours(declared.message.quiet_hours.windows, inside=False), "", (declared.position,))


def _laws(picture: Picture, question: ContactQuestion) -> Iterator[_Rule]:
    jurisdiction = jurisdiction_of(picture)
    laws: dict[tuple[frozenset[object], ...], tuple[int, list[LocalWindow]]] = {}
    for index, each in enumerate(picture.policy.legal_windows):
        if under(each.jurisdictions, jurisdiction) and _meets(each, question):
            law = frozenset(each.jurisdictions), frozenset(each.channels), frozenset(each.message_classes)
            laws.setdefault(law, (index, []))[1].append(each.window)
    for index, windows in laws.values():
        yield _Rule(Hours(windows, inside=True), f"legal_windows[{index}]", ())


def _meets(window: LegalWindow, question: ContactQuestion) -> bool:
    return (not window.channels or question.channel in window.channels) and (
        not window.message_classes or question.message_class in window.message_classes
    )
