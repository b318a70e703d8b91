"""Giving and renewing a consent: what is refused, what else is recorded with it (consent.md 4, rules 2, 4 and 8).

A consent that names recipients gives each of them a grant in the same append; one that has to be confirmed does so with
its confirmation, for until then it counts for nothing; one from an import that a no came after does not at all.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from ledger.domain.consent_scope import CELLS_PER_ACT_MAX, Scope, grant_scope, lineage
from ledger.domain.consent_state import CONSENT_GIVEN, CONSENT_RENEWED, HasConsents, term_of
from ledger.domain.consent_status import Acts, Denial, Grant
from ledger.domain.decider import Occurrence, Setting, new_fact, occurrence
from ledger.domain.errors import Rejected, Violation
from ledger.domain.fact import Decision, NewFact
from ledger.domain.identifiers import organization_of, policy_stream
from ledger.domain.jurisdictions import under
from ledger.domain.notice import HasNotices, refuse_unknown_notice
from ledger.domain.policy import PolicyState
from ledger.domain.profile import HasProfile
from ledger.domain.recipient_grant import CONTACT, DAY, RECIPIENT_GRANT_GIVEN, USES_MAX
from ledger.domain.times import microseconds, timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import ConsentGiven, ConsentRenewed, RecipientGrantGiven
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from rapport.type.v1.event_context_pb2 import EventContext


class Consenting(HasConsents, HasNotices, HasProfile, Protocol):
    """State of a relationship, as far as giving a consent reads it."""


@dataclass(frozen=True, slots=True)
class GiveConsent:
    """Record that the customer allowed something."""

    needs_state: ClassVar[bool] = True

    stream_id: str
    consent: ConsentGiven
    """With at least one purpose."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None
    reads: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read what the organization has published."""
        object.__setattr__(self, "reads", (policy_stream(organization_of(self.stream_id)),))

    def decide(self, state: Consenting, setting: Setting) -> Decision:
        """Return the fact, and a grant for each recipient.

        It has to be confirmed where the contact policy in force now asks for that; not if it is a historical import.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE. CONSENT_WITHDRAWN_SINCE when any cell of it is denied at or after its
                occur_time: it is refused whole, unless it is a historical import, which never overrides a denial.
                REQUEST_INVALID when it names more than CELLS_PER_ACT_MAX cells. NOTICE_UNKNOWN.
        """
        when = occurrence(self.occur_time, setting)
        policy = policy_in_force(setting, self.reads[0])
        imported = is_import(self.context)
        refuse_consent(state, self.consent, when, imported=imported)
        consent = self.consent
        if not imported and not consent.confirmation_required and _is_to_be_confirmed(consent, policy, state):
            consent = ConsentGiven()
            consent.CopyFrom(self.consent)
            consent.confirmation_required = True
        fact = new_fact(CONSENT_GIVEN, consent, when, self.context)
        if consent.confirmation_required or (imported and _is_denied(state, consent, when)):
            return Decision((fact,))
        return Decision((fact, *grants_to_recipients(consent, when, policy, self.context)))


@dataclass(frozen=True, slots=True)
class RenewConsent:
    """Record that the customer said again what was said before; it needs no confirmation (settled.md 64)."""

    needs_state: ClassVar[bool] = True

    stream_id: str
    renewal: ConsentRenewed
    """With the consent whole."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None
    reads: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Read what the organization has published."""
        object.__setattr__(self, "reads", (policy_stream(organization_of(self.stream_id)),))

    def decide(self, state: Consenting, setting: Setting) -> Decision:
        """Return the fact, and a grant for each recipient.

        Raises:
            Rejected: as GiveConsent; CONSENT_UNKNOWN, where the position that it names is not that of a consent of this
                relationship, or of one that was never confirmed and so cannot be renewed. Where the contact policy asks
                for a confirmation of such a consent also where none is named, or one that did not allow all of it; and
                CONSENT_WITHDRAWN_SINCE where any of that was denied since.
        """
        when = occurrence(self.occur_time, setting)
        policy = policy_in_force(setting, self.reads[0])
        renewed, consent, imported = self._renewed(state), self.renewal.consent, is_import(self.context)
        refuse_consent(state, consent, when, imported=imported)
        if not imported and _is_to_be_confirmed(consent, policy, state):
            self._refuse_unfounded(state, renewed)
        fact = new_fact(CONSENT_RENEWED, self.renewal, when, self.context)
        if imported and _is_denied(state, consent, when):
            return Decision((fact,))
        return Decision((fact, *grants_to_recipients(consent, when, policy, self.context)))

    def _renewed(self, state: Consenting) -> tuple[Scope, Grant] | None:
        position = self.renewal.renews_position
        if not position:
            return None
        found = state.consents.find(position)
        if found is None or (found[1].confirmation_required and not found[1].confirmed_position):
            raise Rejected(
                reasons.ERROR_REASON_CONSENT_UNKNOWN,
                "renews_position names no consent of this customer that ever counted; name one, or give a consent anew",
                position=position,
            )
        return found

    def _refuse_unfounded(self, state: Consenting, renewed: tuple[Scope, Grant] | None) -> None:
        """Refuse what would be a new consent without its confirmation: more than was allowed, or taken back since."""
        scope = grant_scope(self.renewal.consent)
        if renewed is None or not _allowed(*renewed).holds(scope):
            raise Rejected(
                reasons.ERROR_REASON_CONSENT_UNKNOWN,
                "the contact policy asks for a confirmation, and renews_position names no consent that allowed all of "
                "this; name one that did, or give a consent anew",
                position=self.renewal.renews_position,
            )
        grant = renewed[1]
        refuse_denied(
            state.consents.acts,
            scope,
            self.renewal.consent.purposes,
            lambda denial: denial.position > grant.position or denial.occur_time >= grant.occur_time,
        )


def _allowed(scope: Scope, grant: Grant) -> Scope:
    return scope.narrowed(grant.confirmed) if grant.confirmation_required else scope


def _is_denied(state: Consenting, consent: ConsentGiven, when: Occurrence) -> bool:
    """Tell whether any of a consent is denied at or after its time: an import that never overrides, as a whole."""
    scope = grant_scope(consent)
    return _standing_denial(state.consents.acts, scope, lambda denial: denial.occur_time >= when.time) is not None


def is_import(context: EventContext | None) -> bool:
    """Tell whether an act is taken over from an older system."""
    return context is not None and context.historical_import


def policy_in_force(setting: Setting, stream_id: str) -> ContactPolicy:
    """Return the contact policy in force now, with its defaults. `stream_id`: the policy stream, among those read."""
    published: PolicyState = setting.others[stream_id]
    return published.contact.in_force(setting.now).policy


def refuse_consent(state: Consenting, consent: ConsentGiven, when: Occurrence, *, imported: bool) -> None:
    """Do nothing where a consent may be recorded.

    Raises:
        Rejected: as `GiveConsent.decide`.
    """
    scope = grant_scope(consent)
    _refuse_endless_list(scope)
    if consent.HasField("notice"):
        refuse_unknown_notice(state, consent.notice)
    if not imported:
        refuse_denied(state.consents.acts, scope, consent.purposes, lambda denial: denial.occur_time >= when.time)


def cells_fault(scope: Scope) -> str | None:
    """Return what is wrong with how many cells a consent names; None: nothing is."""
    if scope.combinations <= CELLS_PER_ACT_MAX:
        return None
    return (
        f"names {scope.combinations} combinations of purposes, channels, contact points and brands; "
        f"at most {CELLS_PER_ACT_MAX} are kept in one consent: give it in parts"
    )


def _refuse_endless_list(scope: Scope) -> None:
    fault = cells_fault(scope)
    if fault is not None:
        raise Rejected(reasons.ERROR_REASON_REQUEST_INVALID, f"consent: {fault}", [Violation("consent", fault)])


def refuse_denied(acts: Acts, scope: Scope, purposes: Collection[str], stands: Callable[[Denial], bool]) -> None:
    """Do nothing where no cell of a consent is denied by an act that stands against it.

    `purposes`: those that the consent names; one of them is told, where it is denied itself.

    Raises:
        Rejected: CONSENT_WITHDRAWN_SINCE, with the latest such denial.
    """
    standing = _standing_denial(acts, scope, stands)
    if standing is not None:
        denial, hit = standing
        named = [purpose for purpose in purposes if purpose in hit]
        raise Rejected(
            reasons.ERROR_REASON_CONSENT_WITHDRAWN_SINCE,
            "the customer refused or withdrew at or after the time of this consent; ask the customer again",
            purpose=named[0] if named else min(hit),
            position=denial.position,
        )


def _standing_denial(
    acts: Acts, scope: Scope, stands: Callable[[Denial], bool]
) -> tuple[Denial, frozenset[str]] | None:
    """Return the latest denial that stands against a consent, with the purposes of it that it denies, or None."""
    standing: tuple[Denial, frozenset[str]] | None = None
    for denied, denials in acts.denials.items():
        hit = denied.denied_purposes(scope)
        for denial in denials if hit else ():
            if stands(denial) and (standing is None or _axes(denial) > _axes(standing[0])):
                standing = denial, hit
    return standing


def _axes(denial: Denial) -> tuple[int, int]:
    return denial.occur_time, denial.position


def _is_to_be_confirmed(consent: ConsentGiven, policy: ContactPolicy, state: HasProfile) -> bool:
    """Tell whether the policy asks for double opt-in for any part of a consent: then it does for the whole."""
    if not policy.double_opt_in:
        return False
    jurisdiction = consent.jurisdiction or state.profile.jurisdiction or policy.default_jurisdiction
    return any(
        under(rule.jurisdictions, jurisdiction)
        and (not rule.channels or not consent.channels or not set(rule.channels).isdisjoint(consent.channels))
        and (not rule.purposes or any(map(set(rule.purposes).intersection, map(lineage, consent.purposes))))
        for rule in policy.double_opt_in
    )


def grants_to_recipients(
    consent: ConsentGiven,
    when: Occurrence,
    policy: ContactPolicy,
    context: EventContext | None,
    confirmed: Grant | None = None,
) -> Iterator[NewFact]:
    """Return a grant for each recipient that a consent names, as long as both it and the contact policy allow.

    confirmed: the consent as it was given, which a confirmation makes no longer; None: it is given now.
    """
    valid_from = microseconds(consent.valid_from_time) if consent.HasField("valid_from_time") else when.time
    end = term_of(consent, valid_from) if confirmed is None else confirmed.until
    until = min(end, when.time + policy.recipient_grant_days * DAY)
    for recipient in dict.fromkeys(consent.recipients):
        grant = RecipientGrantGiven(
            recipient=recipient,
            purposes=consent.purposes,
            fields=consent.data_categories or (CONTACT,),
            until=timestamp(until),
            max_uses=USES_MAX,
            consent_position=0 if confirmed is None else confirmed.position,
        )
        yield new_fact(RECIPIENT_GRANT_GIVEN, grant, when, context)
