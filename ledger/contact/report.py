"""What the contact report counts: contacts and their decisions, and what was left undone (relationship.md 10).

A contact is honoured if it agrees with its decision and with what the customer had declared when it was made. What
needs a decision agrees with an open permit alone. What needs none agrees unless it names a DENY, which binds every
class: a contact against one breaks trust (relationship.md 15), so it is not called honoured here. Nothing here judges
by later knowledge: a preference counts from its occur time on.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Final, NamedTuple

from ledger.contact.gates.hours import exempt, undisturbed
from ledger.contact.gates.preference import scoped, unwanted
from ledger.contact.local_time import Hours, allowed, period_of
from ledger.contact.permits import PermitStatus, voiding
from ledger.contact.standing import needs_decision, standing
from ledger.contact.zones import Zones, zones_for
from ledger.domain.amounts import half_even
from ledger.domain.contact import Decided
from ledger.domain.conversation import Contact, Conversation
from ledger.domain.preference import Declared, PreferenceState
from ledger.domain.purposes import BUILT_IN_REGISTRY
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.events.v1 import contact_pb2, interaction_pb2, preference_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion, DecisionReason
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, Purpose

DISHONOURED_MAX: Final = 1_000
"""Most contacts that are listed."""

_TRANSACTIONAL: Final = interaction_pb2.MESSAGE_CLASS_TRANSACTIONAL


class Dishonoured(NamedTuple):
    """A contact that does not agree with its decision or with what was declared."""

    position: int
    occur_time: int
    """Microseconds."""
    permit_status: PermitStatus | None
    """How it stood with its decision when it was made; None: it names none."""
    reasons: tuple[DecisionReason.ValueType, ...]
    """Declarations that it went against, ascending."""


@dataclass(slots=True)
class ContactReport:
    """The numbers, of contacts and of decisions in a span of time."""

    contacts: int = 0
    needing_decision: int = 0
    decided: int = 0
    undecided: int = 0
    against_decision: int = 0
    honoured: int = 0
    dishonoured: list[Dishonoured] = field(default_factory=list)
    """By position; the first `DISHONOURED_MAX`."""
    decisions: Counter[int] = field(default_factory=Counter)
    """How many decisions had each `DecisionOutcome`."""
    contacts_avoided: int = 0
    permits_unused: int = 0
    permits_void: int = 0

    @property
    def honoured_ppm(self) -> int | None:
        """Honoured of all contacts, in millionths; None: there were none."""
        return half_even(1_000_000 * self.honoured, self.contacts) if self.contacts else None


def contact_report(
    state: RelationshipState,
    policy: ContactPolicy,
    at: int,
    *,
    purposes: Mapping[str, Purpose] = BUILT_IN_REGISTRY.by_slug,
    linked: Sequence[RelationshipState] = (),
    after: int = START_OF_TIME - 1,
    until: int = END_OF_TIME,
) -> ContactReport:
    """Return the report of the contacts and decisions that occurred in (after, until], as of `at`. Microseconds.

    `policy`: says where a customer's clock may stand of whom nothing is known, and what hours are not asked of.
    """
    report = ContactReport()
    contacts = state.conversation.contacts(after + 1, until + 1)
    _count_contacts(report, contacts, Judge(state, policy, purposes, linked))
    decisions = [each for each in state.contacts.decisions if after < each.occur_time <= until]
    report.decisions.update(each.message.outcome for each in decisions)
    _count_avoided(report, decisions, state.conversation)
    _count_permits(report, decisions, state, at, purposes, linked)
    return report


class Judge:
    """Says how contacts stood when they were made. To be asked in the order of their occur times."""

    def __init__(
        self,
        state: RelationshipState,
        policy: ContactPolicy,
        purposes: Mapping[str, Purpose],
        linked: Sequence[RelationshipState],
    ) -> None:
        self._state, self._policy, self._purposes, self._linked = state, policy, purposes, linked
        self._preferences = PreferenceState()
        self._words = list(state.preferences.words())
        self._next = 0

    def status(self, contact: Contact) -> PermitStatus | None:
        """Return how a contact stood with its decision."""
        return standing(contact, self._state, purposes=self._purposes, linked=self._linked)

    def agrees(self, contact: Contact, status: PermitStatus | None) -> bool:
        """Tell whether a contact agrees with its decision. `status`: how it stood with it."""
        if needs_decision(contact):
            return status is PermitStatus.OPEN
        return not self.is_denied(contact, status)

    def is_denied(self, contact: Contact, status: PermitStatus | None) -> bool:
        """Tell whether a contact names a decision that denied it, whether or not it needs one."""
        if status is not PermitStatus.NOT_A_PERMIT:
            return False
        decided = self._state.contacts.find(contact.decision_id)
        return decided is not None and decided.message.outcome == contact_pb2.DECISION_OUTCOME_DENY

    def reasons(self, contact: Contact) -> tuple[DecisionReason.ValueType, ...]:
        """Return which declarations a contact went against that had been made by then."""
        while self._next < len(self._words) and self._words[self._next].occur_time <= contact.occur_time:
            self._preferences.evolve(self._words[self._next])
            self._next += 1
        if not self._next:
            return ()
        zones = zones_for(self._preferences, self._state.profile, self._policy, contact.contact_point_id)
        return tuple(self._found(contact, zones))

    def _found(self, contact: Contact, zones: Zones) -> Iterator[DecisionReason.ValueType]:
        if contact.message_class != _TRANSACTIONAL:
            reason = unwanted(self._preferences, contact.channel, contact.topic, contact.occur_time).reason
            if reason:
                yield reason
            kind = preference_pb2.PREFERENCE_KIND_FREQUENCY
            limits = scoped(self._preferences, kind, contact.channel, contact.topic)
            if any(_too_often(limit, contact, zones, self._state.conversation) for limit in limits):
                yield contact_pb2.DECISION_REASON_FREQUENCY_DECLARED
        quiet = undisturbed(self._preferences)
        if quiet is not None and not exempt(self._policy, contact.channel, contact.message_class):
            hours = Hours(quiet.message.quiet_hours.windows, inside=False)
            if not allowed([(name, hours) for name in zones.names], contact.occur_time):
                yield contact_pb2.DECISION_REASON_QUIET_HOURS


def _too_often(declared: Declared, contact: Contact, zones: Zones, conversation: Conversation) -> bool:
    """Tell whether as many contacts as are wanted came before one in its period, in any zone that may be theirs."""
    limit, time = declared.message.frequency, contact.occur_time
    at_once = conversation.latest_contacts(time, time + 1, END_OF_TIME, limit.channel, limit.topic)
    earlier = sum(position < contact.position for position in at_once)
    for name in zones.names:
        start, _ = period_of(name, limit.period, time)
        if (
            earlier + len(conversation.latest_contacts(start, time, limit.count, limit.channel, limit.topic))
            >= limit.count
        ):
            return True
    return False


def _count_contacts(report: ContactReport, contacts: Iterable[Contact], judge: Judge) -> None:
    dishonoured = []
    for contact in contacts:
        report.contacts += 1
        status = judge.status(contact)
        agrees = judge.agrees(contact, status)
        if needs_decision(contact):
            report.needing_decision += 1
            report.decided += agrees
            undecided = status in {None, PermitStatus.UNKNOWN}
            report.undecided += undecided
            report.against_decision += not agrees and not undecided
        reasons = judge.reasons(contact)
        if agrees and not reasons:
            report.honoured += 1
        else:
            dishonoured.append(Dishonoured(contact.position, contact.occur_time, status, reasons))
    report.dishonoured = sorted(dishonoured)[:DISHONOURED_MAX]


def _count_avoided(report: ContactReport, decisions: Sequence[Decided], conversation: Conversation) -> None:
    """Count the DENY and DEFER decisions after which what was asked was never done (consent.md 6, property 15)."""
    said_no = [each for each in decisions if not each.permits]
    if not said_no:
        return
    latest: dict[tuple[int, int, str, str, str, str], tuple[int, int]] = {}
    for contact in conversation.contacts(min(each.occur_time for each in said_no), END_OF_TIME):
        for key in _kinds_of(contact):
            latest[key] = contact.occur_time, contact.position  # They come in this order.
    for each in said_no:
        followed = latest.get(_kind_asked(each.message.question), (START_OF_TIME, 0)) > (each.occur_time, each.position)
        report.contacts_avoided += not followed and conversation.contact_of(each.position) is None


def _kinds_of(contact: Contact) -> Iterator[tuple[int, int, str, str, str, str]]:
    """Yield what could have been asked about a contact: its topic, point and brand, or any of them not said."""
    for topic, point, brand in product({contact.topic, ""}, {contact.contact_point_id, ""}, {contact.brand, ""}):
        yield contact.channel, contact.message_class, contact.sender_id, topic, point, brand


def _kind_asked(asked: ContactQuestion) -> tuple[int, int, str, str, str, str]:
    return asked.channel, asked.message_class, asked.sender, asked.topic, asked.contact_point_id, asked.brand


def _count_permits(
    report: ContactReport,
    decisions: Iterable[Decided],
    state: RelationshipState,
    at: int,
    purposes: Mapping[str, Purpose],
    linked: Sequence[RelationshipState],
) -> None:
    """Count the permits that came to nothing: voided before their end, or else expired or given back."""
    for each in decisions:
        if not each.permits or state.conversation.contact_of(each.position) is not None:
            continue
        aborted = state.contacts.aborted(each.position)
        gone = math.inf if aborted is None else aborted.position
        acts = voiding(each, state, purposes, linked)
        if any(act.occur_time < each.expires and act.position < gone for act in acts):
            report.permits_void += 1
        elif each.expires <= at or aborted is not None:
            report.permits_unused += 1
