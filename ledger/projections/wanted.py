"""Rows that tell which customers asked to hear of a topic, for who looks for an audience (consent.md 5).

The last word on topics holds, by occur time and then position, as `PreferenceState` has it. What was asked for once and
is not any more keeps its row, with a zero: rows are merged and never deleted one by one, and how events were parted
into batches must not show.
"""

from collections.abc import Iterator, Set
from typing import Final, NamedTuple

from ledger.domain.fact import Fact
from ledger.domain.preference import PREFERENCE_CLEARED, PREFERENCE_DECLARED
from ledger.domain.times import START_OF_TIME, microseconds
from ledger.projections.database import Query
from ledger.projections.tables import OWNER, Column, Kept, Merge, Owner, Row, Table
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.events.v1.preference_pb2 import PREFERENCE_KIND_TOPICS, PreferenceCleared, PreferenceDeclared

WANTED: Final = Table(
    "wanted_topics",
    (
        *OWNER,
        Column("topic", Merge.KEY, text=True),
        Column("value", Merge.LATEST),
    ),
    ("organization_id, topic, value, customer_id",),
)
"""For each topic ever asked for 1, or 0 where it no longer is; under `LAST_WORD`, when topics were last spoken of."""

LAST_WORD: Final = ""
"""In place of a topic. Its value is the occur time of the declaration, or clearing, that holds. Microseconds."""

SPEAKS: Final = frozenset((PREFERENCE_DECLARED, PREFERENCE_CLEARED))
"""Topics of events that may speak of what is wanted."""


class Word(NamedTuple):
    """What one event says about topics."""

    occur_time: int
    """Microseconds."""
    wanted: frozenset[str]
    """Empty for a clearing."""


class Topics:
    """What one customer asked to hear of: words are taken in by order of position."""

    __slots__ = ("ever", "last_time", "wanted")

    def __init__(self) -> None:
        self.last_time = START_OF_TIME - 1
        self.wanted: frozenset[str] = frozenset()
        self.ever: set[str] = set()

    def hear(self, word: Word) -> None:
        """Take in one event's word."""
        self.ever |= word.wanted
        if word.occur_time >= self.last_time:
            self.last_time, self.wanted = word.occur_time, word.wanted

    def rows(self, owner: Owner) -> Iterator[Row]:
        """Yield what the table has of it."""
        if self.last_time >= START_OF_TIME:
            yield (*owner, LAST_WORD, self.last_time)
        for topic in sorted(self.ever):
            yield (*owner, topic, int(topic in self.wanted))


def word_of_fact(fact: Fact) -> Word | None:
    """Return what a fact says about topics; None: it speaks of something else."""
    return _said(fact.event, fact.occur_time)


def _said(event: object, occur_time: int) -> Word | None:
    if isinstance(event, PreferenceDeclared) and event.WhichOneof("preference") == "topics":
        return Word(occur_time, frozenset(event.topics.wanted))
    if isinstance(event, PreferenceCleared) and event.kind == PREFERENCE_KIND_TOPICS:
        return Word(occur_time, frozenset())
    return None


class WantedFolding:
    """Collects what the events of one batch say about topics."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._words: dict[Owner, list[Word]] = {}

    def hear(self, owner: Owner, topic: str, metadata: bytes, event: bytes) -> None:
        """Take in a stored event of one of the topics in `SPEAKS`."""
        kind = PreferenceDeclared if topic == PREFERENCE_DECLARED else PreferenceCleared
        word = _said(kind.FromString(event), microseconds(EventMetadata.FromString(metadata).occur_time))
        if word is not None:
            self._words.setdefault(owner, []).append(word)

    def rows(self, without: Set[Owner]) -> list[Row]:
        """Return the rows of those who were heard, built on what the generation has; not of some that are made anew."""
        words = {owner: said for owner, said in self._words.items() if owner not in without}
        topics = self._topics(list(words))
        for owner, said in words.items():
            for word in said:
                topics[owner].hear(word)
        return [row for owner, found in topics.items() for row in found.rows(owner)]

    def _topics(self, owners: list[Owner]) -> dict[Owner, Topics]:
        """Return what owners asked for up to the checkpoint."""
        topics = {owner: Topics() for owner in owners}
        for organization_id, customer_id, topic, value in self._kept.rows(WANTED, owners):
            found = topics[str(organization_id), str(customer_id)]
            if topic == LAST_WORD:
                found.last_time = int(value)
            else:
                found.ever.add(str(topic))
                found.wanted |= {str(topic)} if value else set()
        return topics


def customers_wanting(query: Query, organization_id: str, topic: str, after: str, limit: int) -> list[str]:
    """Return at most `limit` customers who asked for a topic, in order of their ids, after one of them."""
    found = query.rows(
        f"SELECT customer_id FROM {query.tables[WANTED.name]} "  # noqa: S608  # A name of ours.
        "WHERE organization_id = ? AND topic = ? AND value = 1 AND customer_id > ? ORDER BY customer_id LIMIT ?",
        (organization_id, topic, after, limit),
    )
    return [customer_id for (customer_id,) in found]
