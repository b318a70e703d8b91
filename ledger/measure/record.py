"""A record: everything that measures need of one relationship, folded fact by fact.

It knows nothing of policies and instants, so one record answers for every policy. A record that admits what occurred by
`until` answers for that instant and later ones. Facts of several streams, in the order of their positions, make the
record of a person (relationship.md 14).
"""

from typing import Any, Final

from ledger.balance.book import Book
from ledger.domain.fact import Fact
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME
from ledger.measure.acts import Acts
from ledger.measure.faults import Faults
from ledger.measure.talk import Talk

_RECORD_PIECES: Final = 20
"""Events that take as much memory as a record takes before its first event."""


class Record:
    """Fold of one relationship, or of one person."""

    __slots__ = ("acts", "book", "faults", "first_position", "memo", "state", "talk")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self.state = RelationshipState(until)
        """Facts by subject."""
        self.book = Book()
        """Exchanges that occurred by `until`, with what became of them by then: nothing tells of what came later."""
        self.acts = Acts(until, self.book)
        """What the customer did."""
        self.talk = Talk(until)
        """What was said between the two."""
        self.faults = Faults(until)
        """What went wrong between the two."""
        self.memo: dict[str, Any] = {}
        """What measures found out and may use again, each with what it holds for."""
        self.first_position = 0
        """Position of the first event; 0: there is none."""

    @property
    def version(self) -> int:
        """Version of the stream of the last event folded; of a person: of that event's stream."""
        return self.state.version

    @property
    def pieces(self) -> int:
        """For how many events of memory it counts."""
        return _RECORD_PIECES + self.state.version + self.book.legs

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order."""
        if not self.first_position:
            self.first_position = fact.position
        self.faults.foresee(fact, self.state)
        self.state.evolve(fact)
        self.faults.evolve(fact, self.state)
        if fact.occur_time <= self.state.until:  # A book bounds nothing itself.
            self.book.evolve(fact)
        self.acts.evolve(fact)
        self.talk.evolve(fact)
