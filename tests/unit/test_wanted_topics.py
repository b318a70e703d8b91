"""Which customers asked for a topic, as the projection tells it: in order of their ids, a page at a time."""

from pathlib import Path

import pytest

from ledger.log.recorders import open_store, sqlite_url
from ledger.projections.advancing import advance
from ledger.projections.relationships import Relationships
from ledger.projections.sqlite_database import SqliteDatabase
from ledger.projections.wanted import customers_wanting
from rapport.events.v1.preference_pb2 import (
    PREFERENCE_KIND_TOPICS,
    PreferenceCleared,
    PreferenceDeclared,
    TopicPreference,
)
from tests.projection_log import START, Log

PROJECTION = Relationships()


class Place:
    """A log and its projection."""

    def __init__(self, folder: Path) -> None:
        store = open_store(sqlite_url(folder / "events.db"))
        self.log, self._store = Log(store), store
        self.database = SqliteDatabase(folder / "projections.db")
        self.generation = self.database.create(PROJECTION, "log", built_time=START, ready_position=0, live=True)

    def want(self, customer: str, *topics: str, at: int = 0, organization: str = "org-0") -> None:
        """Record what a customer wants to hear of; nothing: a clearing."""
        stream = f"{organization}/{customer}"
        event = PreferenceDeclared(topics=TopicPreference(wanted=topics))
        if topics:
            self.log.append([self.log.event(stream, "preference.declared.v1", event, START + at)])
        else:
            clearing = PreferenceCleared(kind=PREFERENCE_KIND_TOPICS)
            self.log.append([self.log.event(stream, "preference.cleared.v1", clearing, START + at)])

    def found(self, topic: str, after: str = "", limit: int = 10, organization: str = "org-0") -> list[str]:
        """Bring the projection up to the log, and return who wants a topic."""
        head = self.log.head
        self.generation = advance(PROJECTION, self.database, self._store, self.generation, head, 10_000)
        found = self.database.read(
            PROJECTION, lambda query: customers_wanting(query, organization, topic, after, limit)
        )
        assert found is not None
        return found


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_customers_come_in_the_order_of_the_bytes_of_their_ids_a_page_at_a_time(place: Place) -> None:
    for customer in ("b", "a", "~", "B", "c"):
        place.want(customer, "wine", "boats")
    place.want("d", "boats")

    assert ["B", "a", "b", "c", "~"] == place.found("wine")
    assert ["a", "b"] == place.found("wine", after="B", limit=2)
    assert [] == place.found("wine", after="~")


def test_each_organization_has_its_own(place: Place) -> None:
    place.want("a", "wine")
    place.want("b", "wine", organization="org-1")

    assert ["a"] == place.found("wine")
    assert ["b"] == place.found("wine", organization="org-1")
    assert [] == place.found("win")


def test_the_last_word_by_occur_time_and_then_position_holds_whatever_came_before(place: Place) -> None:
    place.want("a", "wine", at=5)
    assert ["a"] == place.found("wine")

    place.want("a", "boats", at=4)  # Told later, said earlier.
    assert ["a"] == place.found("wine")
    assert [] == place.found("boats")

    place.want("a", "boats", at=5)
    assert [] == place.found("wine")
    assert ["a"] == place.found("boats")

    place.want("a", at=6)
    assert [] == place.found("boats")
    place.want("a", "wine", at=6)
    assert ["a"] == place.found("wine")
