"""A record: everything that measures need of one relationship, folded fact by fact.

It knows nothing of policies and instants, so one record answers for every policy. A record that admits what occurred by
`until` answers for that instant and later ones. Facts of several streams, in the order of their positions, make the
record of a person (relationship.md 14).
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from ledger.balance import book
from ledger.balance.book import Book
from ledger.domain.conversation_shapes import NOTHING, Shape, fields_of, shape_of
from ledger.domain.fact import Fact
from ledger.domain.interaction import CORRECTED, RECORDED, RETRACTED
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME
from ledger.measure import acts, faults, talk
from ledger.measure.acts import Acts
from ledger.measure.faults import Faults
from ledger.measure.talk import Talk
from rapport.events.v1 import interaction_pb2
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted

_RECORD_PIECES: Final = 20
"""Events that take as much memory as a record takes before its first event."""
_ANSWER_PIECES: Final = 4
"""Events that take as much memory as what one measure remembers; what grows with events is in those."""
_REWRITING: Final = frozenset({CORRECTED, RETRACTED})
_BOUNCED: Final = interaction_pb2.INTERACTION_KIND_BOUNCED


class Record:
    """Fold of one relationship, or of one person.

    The state folds every fact first; each other part is told only of what it has a use for.
    """

    __slots__ = ("acts", "book", "faults", "first_position", "memo", "state", "talk")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self.state = RelationshipState(until)
        """Facts by subject."""
        self.book = Book()
        """Exchanges, of which alone it is told; of what occurred later it does not know either."""
        self.acts = Acts(self.state, self.book)
        """What the customer did."""
        self.talk = Talk(self.state)
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
        return _RECORD_PIECES + _ANSWER_PIECES * len(self.memo) + self.state.version + self.book.legs

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order."""
        position, _, _, time, topic, message, _ = fact
        if not self.first_position:
            self.first_position = position
        if topic == RECORDED:
            shape = self.state.record(fact)
            if shape is not NOTHING:
                event: InteractionRecorded = message  # type: ignore[assignment]  # The topic says so.
                self._record(position, time, shape, event, position)
        elif topic in _REWRITING:
            self._rewrite(fact)
        else:
            if topic in faults.FORESEEN:
                self.faults.foresee(fact, self.state)
            self.state.evolve(fact)
            for fold in _FOLDS.get(topic, ()):
                fold(self, fact)

    def _record(self, position: int, time: int, shape: Shape, event: InteractionRecorded, told: int) -> None:
        """Let an interaction count, as an event of the position `told` says."""
        self.acts.record(position, time, shape, event, told)
        self.talk.record(position, time, shape, event, told)
        if shape.kind == _BOUNCED:
            self.faults.doubt(self.state.conversation.judged_by(event.refers_to))
        elif time < self.faults.mark and shape.contact:
            self.faults.doubt(time)

    def _rewrite(self, fact: Fact) -> None:
        """Let a replacement count instead of an original, or nothing; after a retraction nothing does."""
        event: InteractionCorrected | InteractionRetracted = fact.event  # type: ignore[assignment]  # The topic says so.
        state, original = self.state, event.original_position
        if not state.interactions.stands(original):
            state.evolve(fact)
            return
        self.faults.doubt(state.conversation.judged_by(original))
        self.acts.leave(original)
        self.talk.leave(original)
        state.evolve(fact)
        if isinstance(event, InteractionCorrected) and fact.occur_time <= state.until:
            new = event.replacement  # Whether the original was imported makes no difference to acts and talk.
            self._record(original, fact.occur_time, shape_of(fields_of(new, imported=False)), new, fact.position)
        self.faults.doubt(state.conversation.judged_by(original))


def _fold_exchange(record: Record, fact: Fact) -> None:
    if fact.occur_time <= record.state.until:
        record.book.evolve(fact)


def _folds() -> dict[str, list[Callable[[Record, Fact], None]]]:
    """Return what folds the facts of each topic beside the state, in order."""
    folds: dict[str, list[Callable[[Record, Fact], None]]] = defaultdict(list)
    for topics, fold in (
        (faults.TOPICS, lambda record, fact: record.faults.evolve(fact, record.state)),
        (book.TOPICS, _fold_exchange),
        (acts.TOPICS, lambda record, fact: record.acts.evolve(fact)),
        (talk.TOPICS, lambda record, fact: record.talk.evolve(fact)),
    ):
        for topic in topics:
            folds[topic].append(fold)
    return dict(folds)


_FOLDS: Final = _folds()
