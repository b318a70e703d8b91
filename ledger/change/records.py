"""Records of relationships in memory, each folded up to the place that the log was looked through to.

A record that is not there is folded from its stream. They are bounded by what they weigh, and the least used go first.
"""

from typing import Final

from ledger.domain.fact import Fact
from ledger.domain.identifiers import relationship_stream
from ledger.domain.relationship import RelationshipState
from ledger.log import reading
from ledger.log.store import Store
from ledger.measure.record import Record
from ledger.weighed import Weighed

PIECES_MAX: Final = 200_000
"""Events folded into the records kept, and what counts like them: seen to take 300 to 800 bytes each."""
_PAGE_EVENTS: Final = 2_000


class Records:
    """Records by stream."""

    def __init__(self, store: Store, pieces_max: int = PIECES_MAX) -> None:
        self._store = store
        self._kept = Weighed[Record](pieces_max)

    @property
    def pieces(self) -> int:
        """For how many events the records count."""
        return self._kept.weight

    def at(self, stream_id: str, position: int) -> Record:
        """Return the record of a stream with every event up to a position, which was looked through to."""
        record = self._kept.get(stream_id)
        if record is None:
            record = self._folded(stream_id, position)
        # Counted anew: it may have grown, and so may what measures remember.
        self._kept.keep(stream_id, record, record.pieces)
        return record

    def after(self, stream_id: str, fact: Fact) -> Record:
        """Return the record of a stream with a fact that is its next one."""
        record = self._kept.get(stream_id)
        if record is None:
            record = Record() if fact.version == 1 else self._folded(stream_id, fact.position - 1)
        record.evolve(fact)
        self._kept.keep(stream_id, record, record.pieces)
        return record

    def clear(self) -> None:
        """Forget everything: some of it may be ahead of what was stored."""
        self._kept.clear()

    def _folded(self, stream_id: str, position: int) -> Record:
        record, version = Record(), 0
        while rows := self._store.read_stream(stream_id, version, _PAGE_EVENTS, position):
            for fact in reading.facts(rows):
                record.evolve(fact)
            version = rows[-1].version
            if len(rows) < _PAGE_EVENTS:
                break
        return record


class Linked:
    """States of other relationships of an organization, at one position."""

    __slots__ = ("_organization_id", "_position", "_records")

    def __init__(self, records: Records, organization_id: str, position: int) -> None:
        self._records = records
        self._organization_id = organization_id
        self._position = position

    def __call__(self, customer_id: str) -> RelationshipState:
        """Return the state of a customer."""
        return self._records.at(relationship_stream(self._organization_id, customer_id), self._position).state
