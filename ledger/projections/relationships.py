"""The projection `relationships`: an index to list them by, not a place to keep them.

One row for each relationship with what lists are ordered and filtered by, and one for each asset that a party gave in
it. The rows say exactly what `RelationshipState` says of the same events. Plain facts only add up, so a batch of them
is summed here and merged into the rows without reading anything. What undoes other facts, or ends a hold, is rare: the
relationship it touches is folded anew from its stream, up to the end of the batch. `balances.py` has the rows that tell
what a relationship is worth to its parties, `wanted.py` those that tell what a customer asked to hear of.
"""

from collections.abc import Iterable
from typing import Final

from ledger.domain.amounts import INT64_MAX
from ledger.domain.consent import TOPICS as CONSENT_TOPICS
from ledger.domain.consent_state import WITHDRAWAL_HONOURED
from ledger.domain.exchange_state import EXCHANGE_POSTED, EXCHANGE_RECORDED, EXCHANGE_REVERSED
from ledger.domain.identifiers import is_relationship, owner_of
from ledger.domain.interaction import CORRECTED, RECORDED, RETRACTED
from ledger.domain.legs import parts
from ledger.domain.policy import VALUATION_PUBLISHED
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME, MICROSECONDS, START_OF_TIME
from ledger.log import reading
from ledger.log.reading import pages
from ledger.log.store import EventRow, Store
from ledger.projections.balances import BALANCES, SETTLING, VALUED, BalancesFolding, Policies, legs_posted
from ledger.projections.tables import OWNER, Changes, Column, Kept, Merge, Row, Table
from ledger.projections.wanted import SPEAKS, WANTED, Topics, WantedFolding, word_of_fact
from rapport.events.v1.metadata_pb2 import EventMetadata

NEVER_FIRST: Final = END_OF_TIME
"""`first_occur_time` where no fact counts: after every time."""
NEVER_LAST: Final = START_OF_TIME - 1
"""`last_occur_time` where no fact counts: before every time."""

RELATIONSHIPS: Final = Table(
    "relationships",
    (
        *OWNER,
        Column("version", Merge.GREATEST),
        Column("last_position", Merge.GREATEST),
        Column("first_occur_time", Merge.LEAST),
        Column("last_occur_time", Merge.GREATEST),
        Column("interactions", Merge.ADD),
        Column("exchanges", Merge.ADD),
    ),
    (
        "organization_id, last_occur_time DESC, customer_id",
        "organization_id, interactions DESC, customer_id",
    ),
)
UNITS: Final = Table(
    "relationship_units",
    (
        *OWNER,
        Column("giver", Merge.KEY),
        Column("asset", Merge.KEY, text=True),
        Column("units", Merge.ADD),
    ),
    ("organization_id, giver, asset, units DESC, customer_id",),
)
"""What a party gave of an asset, over all categories: posted less reversed."""

_COUNTED_BY_TIME_ONLY: Final = frozenset(CONSENT_TOPICS) - {WITHDRAWAL_HONOURED}
_UNDOING: Final = frozenset({CORRECTED, RETRACTED, EXCHANGE_REVERSED, EXCHANGE_POSTED})
_TELLING: Final = _UNDOING | SPEAKS
_PAGE_EVENTS: Final = 2_000

_parse_metadata = EventMetadata.FromString


class Relationships:
    """The projection."""

    name: Final = "relationships"
    fold_version: Final = 3
    tables: Final = (RELATIONSHIPS, UNITS, BALANCES, VALUED, WANTED)

    def __init__(self) -> None:
        self._policies = Policies()

    def begin(self, store: Store, kept: Kept) -> "RelationshipsFolding":
        """Return what folds one batch."""
        return RelationshipsFolding(BalancesFolding(store, kept, self._policies), WantedFolding(kept))


class RelationshipsFolding:
    """Sums up what the events of one batch add to each relationship."""

    def __init__(self, balances: BalancesFolding, wanted: WantedFolding) -> None:
        self._balances = balances
        self._wanted = wanted
        self._sums: dict[str, list[int]] = {}
        """By stream: the columns of RELATIONSHIPS that are no key, in order, and the record time of the last event."""
        self._units: dict[str, dict[str, int]] = {}
        """By stream, then account."""
        self._anew: set[str] = set()
        """Streams that are folded from their beginning."""

    def fold(self, rows: Iterable[EventRow]) -> None:
        """Take in some events, in order of position.

        Raises:
            LogDamaged: an event cannot be read.
        """
        # A rebuild passes here once per event. Of most events only the time is needed, so they are not parsed.
        sums, units, parted, parse = self._sums, self._units, reading.parts, _parse_metadata
        value = self._balances.exchange
        posted: list[tuple[str, int]] | None = None
        for row in rows:
            position, stream_id, version, topic, record_time, _, _ = row
            found = sums.get(stream_id)
            if found is None:
                if not is_relationship(stream_id):
                    self._published(row)
                    continue
                found = sums[stream_id] = [0, 0, NEVER_FIRST, NEVER_LAST, 0, 0, 0]
            found[0] = version
            found[1] = position
            found[6] = record_time
            metadata, event, _ = parted(row)
            if topic == RECORDED:
                found[4] += 1
            elif topic == EXCHANGE_RECORDED:
                posted = legs_posted(event)
                if posted is None:
                    continue  # Pending: it counts when it is posted.
                found[5] += 1
                given = units.get(stream_id)
                if given is None:
                    given = units[stream_id] = {}
                for account, amount in posted:
                    given[account] = given.get(account, 0) + amount
            elif topic not in _COUNTED_BY_TIME_ONLY:
                if topic in _TELLING:
                    self._tell(stream_id, topic, metadata, event)
                continue
            occur = parse(metadata).occur_time
            time = occur.seconds * MICROSECONDS + occur.nanos // 1000
            if topic == EXCHANGE_RECORDED:
                value(stream_id, time, posted or ())
            if time < found[2]:  # noqa: PLR1730  # A call of min would cost as much as the rest.
                found[2] = time
            if time > found[3]:  # noqa: PLR1730
                found[3] = time

    def _tell(self, stream_id: str, topic: str, metadata: bytes, event: bytes) -> None:
        """Take in an event that adds to no sum."""
        if topic in SPEAKS:
            self._wanted.hear(owner_of(stream_id), topic, metadata, event)
            return
        self._anew.add(stream_id)
        if topic in SETTLING:
            self._balances.settle(stream_id)

    def _published(self, row: EventRow) -> None:
        """Take in an event of an organization's own stream, or of the log's."""
        if row.topic == VALUATION_PUBLISHED:
            self._balances.publish(row.stream_id, row.version)
        self._balances.pass_time(row.stream_id, row.record_time)

    @property
    def size(self) -> int:
        """For how many relationships changes are collected."""
        return len(self._sums)

    def changes(self, store: Store, to: int) -> Changes:
        """Return what they change."""
        anew = self._anew
        changes = self._balances.changes({name: sums[6] for name, sums in self._sums.items()}, anew, to)
        changes.cleared = [owner_of(stream_id) for stream_id in sorted(anew)]
        listed: list[Row] = [
            (*owner_of(stream_id), *sums[:6]) for stream_id, sums in self._sums.items() if stream_id not in anew
        ]
        given: dict[tuple[str, int, str], int] = {}
        for stream_id, accounts in self._units.items():
            if stream_id not in anew:
                for account, amount in accounts.items():
                    giver, _, asset = parts(account)
                    key = stream_id, int(giver), asset
                    given[key] = _sum(given.get(key, 0), amount)
        wanted = self._wanted.rows({owner_of(stream_id) for stream_id in anew})
        for stream_id in anew:
            version, position, state, topics = _folded(store, stream_id, to)
            wanted += topics.rows(owner_of(stream_id))
            listed.append((*owner_of(stream_id), version, position, *summary(state)))
            given.update(((stream_id, *account), amount) for account, amount in units_given(state).items())
        changes.rows[RELATIONSHIPS.name] = listed
        changes.rows[WANTED.name] = wanted
        changes.rows[UNITS.name] = [
            (*owner_of(stream_id), giver, asset, amount) for (stream_id, giver, asset), amount in given.items()
        ]
        return changes


def summary(state: RelationshipState) -> tuple[int, int, int, int]:
    """Return first and last occur time, interactions and exchanges, as the table has them."""
    first, last = state.first_occur_time, state.last_occur_time
    return (
        NEVER_FIRST if first is None else first,
        NEVER_LAST if last is None else last,
        state.interactions.count,
        state.exchanges.count,
    )


def units_given(state: RelationshipState) -> dict[tuple[int, str], int]:
    """Return what each party gave of each asset, posted less reversed; those ever posted, though it be 0 now."""
    given: dict[tuple[int, str], int] = {}
    for quantity in state.exchanges.quantities():
        if not quantity.posted:
            continue  # All of it was pending.
        account = int(quantity.giver), quantity.asset
        given[account] = _sum(given.get(account, 0), quantity.given)
    return given


def fold_log(store: Store, to: int) -> dict[str, RelationshipState]:
    """Return the state of every relationship, folded from the log in order of position, up to `to`.

    This is the ledger's own fold and nothing else, for those who measure it or compare with it; it holds all states.

    Raises:
        LogDamaged: an event is missing, or cannot be read.
    """
    states: dict[str, RelationshipState] = {}
    for page in pages(store, 0, to):
        for row, fact in zip(page, reading.facts(page), strict=False):
            if fact.position != row.position:
                raise AssertionError("a topic that this release does not know: fold it with the release that does")
            if is_relationship(row.stream_id):
                state = states.get(row.stream_id)
                if state is None:
                    state = states[row.stream_id] = RelationshipState(conversing=False)
                state.evolve(fact)
    return states


def _folded(store: Store, stream_id: str, to: int) -> tuple[int, int, RelationshipState, Topics]:
    """Return version, last position and state of a stream as it was at position `to`, and the topics asked for."""
    state, topics = RelationshipState(conversing=False), Topics()
    version = position = 0
    while rows := store.read_stream(stream_id, version, _PAGE_EVENTS, to):
        for fact in reading.facts(rows):
            state.evolve(fact)
            word = word_of_fact(fact)
            if word is not None:
                topics.hear(word)
        version, position = rows[-1].version, rows[-1].position
        if len(rows) < _PAGE_EVENTS:
            break
    return version, position, state, topics


def _sum(units: int, more: int) -> int:
    # Over several categories it may pass 64 bits, though each of them cannot.
    return min(units + more, INT64_MAX)
