"""What went wrong between the two, found fact by fact: what penalties and changes are made of (relationship.md 5, 15).

Three things are kept. Withdrawals that ended a live cell, judged by what was known before them. Disclosures that no
grant covered. And contacts that went against their decision or against what was declared: those are judged when
somebody asks, each once, in the order of their occur times; what makes a judgement uncertain, such as a preference that
comes late, has only the contacts from its own time on judged again. An answer never depends on when it was asked for.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple, cast

from ledger.contact.report import Judge
from ledger.domain import consent_state, guardian, preference, profile
from ledger.domain.consent_scope import Scope, denial_scope
from ledger.domain.consent_status import Acts, cell_verdict, permits
from ledger.domain.conversation import Contact
from ledger.domain.fact import Fact
from ledger.domain.made_late import MadeLate
from ledger.domain.recipient_grant import DISCLOSURE_RECORDED
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.events.v1.consent_pb2 import ConsentWithdrawn
from rapport.events.v1.contact_policy_pb2 import ContactPolicy, Purpose


class Fault(NamedTuple):
    """Something that went wrong, in the order in which it happened."""

    occur_time: int
    """Microseconds."""
    position: int


class Judged(NamedTuple):
    """A contact without the decision that it needs, after its permit had ended, or against what was said."""

    occur_time: int
    """Microseconds."""
    position: int
    denied: bool
    """It names a decision that denied it: that fractures trust beside."""


class Faults(MadeLate):
    """Fold of one relationship, beside its state."""

    __slots__ = (
        "_judged", "_policy_version", "_purposes", "_until", "disclosures", "disturbed", "mark", "terms_position",
        "used_up", "withdrawals",
    )  # fmt: skip

    LATE: ClassVar = {"_judged": list, "_purposes": dict, "disclosures": list, "withdrawals": list}

    withdrawals: list[Fault]
    """Those that ended at least one live cell, in order."""
    disclosures: list[Fault]
    """Those that no live grant covered, in order."""
    _judged: list[Judged]
    _purposes: Mapping[str, Purpose]

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self.terms_position = 0
        """Position of the last fact on which it depends what is consented to; 0: there is none."""
        self.used_up = False
        """Whether a consent was ever given that ends by its uses or by an event: then any fact may end it."""
        self.disturbed = 0
        """How often what is said here changed other than at its end."""
        self.mark = START_OF_TIME
        """Contacts that occurred before this are judged."""
        self._policy_version = -1

    def foresee(self, fact: Fact, state: RelationshipState) -> None:
        """Look at a fact of `FORESEEN` before the state folds it: it matters what was known before."""
        if fact.occur_time <= self._until and "consents" in state.parts:
            consents, event = state.consents, cast(ConsentWithdrawn, fact.event)
            at = max(fact.occur_time, consents.last_time or fact.occur_time)
            if _ends_some(consents.acts, denial_scope(event), at):
                _put(self.withdrawals, fact)

    def evolve(self, fact: Fact, state: RelationshipState) -> None:
        """Fold one fact of `TOPICS` that the state has folded, in position order."""
        if fact.occur_time <= self._until:
            _FOLDS[fact.topic](self, fact, state)

    def doubt(self, time: int) -> None:
        """Have the contacts from a time on judged again, where they were: something says so that came late."""
        if time < self.mark:
            self.mark = time
            if self._judged:
                self.disturbed += 1
                del self._judged[bisect_left(self._judged, (time,)) :]

    def contacts(
        self, state: RelationshipState, policy: ContactPolicy, version: int, purposes: Mapping[str, Purpose]
    ) -> Sequence[Judged]:
        """Return the contacts that went against something, by (occur_time, position). Not to be changed.

        `policy`, `version`: the contact policy, by whose zones and hours they are judged. `purposes`: the registry.
        """
        if version != self._policy_version or (purposes is not self._purposes and purposes != self._purposes):
            self.doubt(START_OF_TIME)
            self._policy_version, self._purposes = version, purposes
        new = list(state.conversation.contacts(self.mark, END_OF_TIME))
        if new:
            judge = Judge(state, policy, purposes, ())
            self._judged += [judged for each in new if (judged := _judged(each, judge)) is not None]
            self.mark = new[-1].occur_time + 1
        return self._judged

    def _prefer(self, fact: Fact, state: RelationshipState) -> None:  # noqa: ARG002  # As the others.
        self.doubt(fact.occur_time)

    def _set_terms(self, fact: Fact, state: RelationshipState) -> None:  # noqa: ARG002  # As the others.
        self.terms_position = fact.position

    def _give(self, fact: Fact, state: RelationshipState) -> None:  # noqa: ARG002  # As the others.
        self.terms_position = fact.position
        event: Any = fact.event
        validity = (event.consent if fact.topic == consent_state.CONSENT_RENEWED else event).validity
        if validity.uses or validity.event:
            self.used_up = True

    def _know(self, fact: Fact, state: RelationshipState) -> None:
        self.terms_position = fact.position
        if "preferences" in state.parts:  # Where the customer's clock stands matters to declared hours only.
            self.doubt(START_OF_TIME)

    def _disclose(self, fact: Fact, state: RelationshipState) -> None:
        if not state.recipient_grants.used_by(fact.position):
            self.disturbed += not _put(self.disclosures, fact)


def _judged(contact: Contact, judge: Judge) -> Judged | None:
    """Return what is wrong with a contact (settled.md 40, consent.md 6), or None."""
    status = judge.status(contact)
    if judge.agrees(contact, status) and not judge.reasons(contact):
        return None
    return Judged(contact.occur_time, contact.position, judge.is_denied(contact, status))


def _ends_some(acts: Acts, withdrawal: Scope, at: int) -> bool:
    """Tell whether a withdrawal covers a cell that is live before it: one that it names, or one that a grant names."""
    cells = set(withdrawal.named_cells())
    for scope in acts.grants:
        if withdrawal.denied_purposes(scope):
            cells.update(filter(withdrawal.denies, scope.named_cells()))
    return any(permits(cell_verdict(acts, cell, at).status) for cell in cells)


def _put(faults: list[Fault], fact: Fact) -> bool:
    """Put a fault in its place; return whether that is the end."""
    fault = Fault(fact.occur_time, fact.position)
    place = bisect_left(faults, fault)
    faults.insert(place, fault)
    return place == len(faults) - 1


FORESEEN: Final = (consent_state.CONSENT_WITHDRAWN,)
"""Topics that are looked at before the state folds them."""
_FOLDS: Final[dict[str, Callable[[Faults, Fact, RelationshipState], None]]] = {
    DISCLOSURE_RECORDED: Faults._disclose,  # noqa: SLF001  # The table of the class's own folds.
    **dict.fromkeys(preference.TOPICS, Faults._prefer),  # noqa: SLF001
    **dict.fromkeys((*consent_state.TOPICS, *guardian.TOPICS), Faults._set_terms),  # noqa: SLF001
    **dict.fromkeys((consent_state.CONSENT_GIVEN, consent_state.CONSENT_RENEWED), Faults._give),  # noqa: SLF001
    **dict.fromkeys(profile.TOPICS, Faults._know),  # noqa: SLF001
}
TOPICS: Final = tuple(_FOLDS)
"""What is folded here beside interactions."""
