"""Contact decisions and what became of their permits (consent.md 6).

A decision is a fact like any other: it is kept as it was recorded and never judged again. Whether a contact used a
permit is not known here but to the conversation, so who asks for open permits says how to find that out.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from ledger.domain.fact import Fact
from ledger.domain.times import END_OF_TIME, microseconds
from rapport.events.v1 import contact_pb2
from rapport.events.v1.contact_pb2 import ContactAborted, ContactDecided

CONTACT_DECIDED: Final = "contact.decided.v1"
CONTACT_ABORTED: Final = "contact.aborted.v1"

TOPICS: Final = (CONTACT_DECIDED, CONTACT_ABORTED)
"""What this subject folds."""

ContactOf = Callable[[int], int | None]
"""Tells the position of the contact that names a decision, by the decision's position; None: no contact does."""


class Decided(NamedTuple):
    """A decision and where it stands. Never changed."""

    position: int
    """Log position of its event: what a contact names as its `decision_id`."""
    version: int
    """Of its event in the stream."""
    occur_time: int
    """The instant for which it was decided, in microseconds."""
    record_time: int
    """Microseconds."""
    stored: bytes
    """The message, as bytes: read, it takes twenty times the memory, and a cache holds very many."""
    expires: int
    """First instant at which its permit cannot be used, in microseconds; 0: it gave none."""
    permits: bool
    """Whether it gave a permit."""

    @property
    def message(self) -> ContactDecided:
        """As it was recorded; read anew each time it is asked for."""
        return ContactDecided.FromString(self.stored)


class Aborted(NamedTuple):
    """A permit that was given back."""

    position: int
    """Log position of the event that says so."""
    occur_time: int
    """Microseconds."""
    reason: str
    """A code, or empty."""


def decided_of(event: ContactDecided, fact: Fact) -> Decided:
    """Return the decision that a fact of an event records."""
    return Decided(
        fact.position,
        fact.version,
        fact.occur_time,
        fact.record_time,
        event.SerializeToString(),
        microseconds(event.permit_expires_time) if event.HasField("permit_expires_time") else 0,
        event.outcome == contact_pb2.DECISION_OUTCOME_PERMIT,
    )


class ContactState:
    """Fold of the contact decisions of one relationship."""

    __slots__ = ("_aborted", "_by_consent", "_longest", "_permits", "_until", "decisions")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self.decisions: list[Decided] = []
        """By ascending position; so by instant too, as none is decided for an instant before what it rests on."""
        self._permits: list[Decided] = []
        self._aborted: dict[int, Aborted] = {}
        self._by_consent: dict[int, list[Decided]] = {}
        self._longest = 0
        """Microseconds that the longest permit lasts."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: giving back what was never permitted changes nothing."""
        if fact.occur_time > self._until:
            return
        event = fact.event
        if isinstance(event, ContactDecided):
            self._decide(event, fact)
        elif isinstance(event, ContactAborted):
            aborted = Aborted(fact.position, fact.occur_time, event.reason)
            self._aborted.setdefault(event.decision_id, aborted)

    def find(self, decision_id: int) -> Decided | None:
        """Return the decision recorded at a position, or None."""
        index = bisect_left(self.decisions, decision_id, key=_position)
        if index < len(self.decisions) and self.decisions[index].position == decision_id:
            return self.decisions[index]
        return None

    def aborted(self, decision_id: int) -> Aborted | None:
        """Return when the permit of a decision was given back, the first time, or None."""
        return self._aborted.get(decision_id)

    def permits(self, at: int, contact_of: ContactOf) -> list[Decided]:
        """Return the permits that a contact may still use at an instant, in microseconds, by ascending position.

        Neither expired, nor used, nor given back. One that is void counts: what voided it says nothing about whether
        the contact is under way.
        """
        found = [each for each in self._unexpired(at) if not self._gone(each, contact_of)]
        found.reverse()
        return found

    def uses(self, consent_position: int) -> Sequence[Decided]:
        """Return the permits that rest on a consent, by ascending position, whatever became of them."""
        return self._by_consent.get(consent_position, ())

    def used_up_by(self, consent_position: int, at: int, contact_of: ContactOf) -> list[Decided]:
        """Return which permits resting on a consent take one of its uses at an instant, in microseconds.

        Used ones, and such as may still be used: two decisions made at once must not both take the last use.
        """
        return [
            each
            for each in self.uses(consent_position)
            if contact_of(each.position) is not None or (each.expires > at and each.position not in self._aborted)
        ]

    def _decide(self, event: ContactDecided, fact: Fact) -> None:
        decided = decided_of(event, fact)
        self.decisions.append(decided)
        if decided.permits:
            self._permits.append(decided)
            self._longest = max(self._longest, decided.expires - fact.occur_time)
            for position in event.basis_positions:
                self._by_consent.setdefault(position, []).append(decided)

    def _unexpired(self, at: int) -> Iterator[Decided]:
        """Yield permits that end after an instant, the latest first; older ones than any can last are not looked at."""
        for decided in reversed(self._permits):
            if decided.occur_time + self._longest <= at:
                return
            if decided.expires > at:
                yield decided

    def _gone(self, decided: Decided, contact_of: ContactOf) -> bool:
        return decided.position in self._aborted or contact_of(decided.position) is not None


def _position(decided: Decided) -> int:
    return decided.position
