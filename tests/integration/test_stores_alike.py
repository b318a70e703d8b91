"""SQLite and PostgreSQL answer alike (I39): the same random history on both, every answer compared."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.log.postgres_store import PostgresStore
from ledger.log.sqlite_store import SqliteStore
from ledger.log.store import Append, EventRow, NewEvent, RequestKey, Store

pytestmark = pytest.mark.postgres

ORGANIZATIONS = ["a", "shop", "shop-2"]
STREAMS = [
    f"{organization}/{customer}" for organization in ORGANIZATIONS for customer in ("A", "a", "~", "é", "@policy")
]
GROUPS = 150


@pytest.fixture
def stores(tmp_path: Path, postgres_url: str) -> Iterator[tuple[Store, Store]]:
    sqlite, postgres = SqliteStore(str(tmp_path / "ledger.db")), PostgresStore(postgres_url)
    yield sqlite, postgres
    sqlite.close()
    postgres.close()


def test_a_random_history_has_the_same_answers_on_both(stores: tuple[Store, Store], seed: int) -> None:
    chance = random.Random(seed)
    sqlite, postgres = stores
    keys: list[RequestKey] = []
    now = 1_000_000
    for _ in range(GROUPS):
        group = random_group(chance, sqlite.versions(STREAMS), keys)
        known_head = sqlite.head().position - chance.choice([0, 0, 0, 1, 5])
        now += chance.randrange(-500, 1_000)

        expected = sqlite.append(group, known_head, now, now - 100)

        assert expected == postgres.append(group, known_head, now, now - 100)
        assert_same_answers(chance, sqlite, postgres, keys)

    assert without_salts(sqlite.read_log(0, 100_000)) == without_salts(postgres.read_log(0, 100_000))
    assert sqlite.head().position > GROUPS


def random_group(chance: random.Random, versions: dict[str, int], keys: list[RequestKey]) -> list[Append]:
    group = []
    for _ in range(chance.randrange(6)):
        events = []
        for stream_id in chance.choices(STREAMS, k=chance.randrange(4)):
            versions[stream_id] += chance.choices([1, 0, 2], [40, 1, 0])[0]  # Now and then one that is too low.
            topic = chance.choice(["one.v1", "two.v1"])
            events.append(
                NewEvent(stream_id, max(1, versions[stream_id]), topic, chance.randbytes(chance.randrange(99)))
            )
        if not keys or chance.random() < 0.9:
            keys.append(RequestKey(chance.choice(ORGANIZATIONS), chance.randbytes(16)))
        request = chance.choice([keys[-1], keys[-1], keys[-1], chance.choice(keys), None])
        read = [(stream_id, versions[stream_id]) for stream_id in chance.choices(STREAMS, k=chance.randrange(2))]
        answer = chance.choice([None, b"", b"answer"])
        group.append(Append(tuple(events), request, chance.randbytes(32), answer, tuple(read)))
    return group


def assert_same_answers(chance: random.Random, one: Store, other: Store, keys: list[RequestKey]) -> None:
    head = one.head()
    assert head == other.head()
    stream_id, position = chance.choice(STREAMS), chance.randrange(head.position + 2)
    some = chance.choices(STREAMS, k=3)
    after = {name: chance.randrange(5) for name in some}
    filters = {"stream_from": "shop/", "stream_before": "shop0", "topics": ["two.v1"], "to": position + 20}
    chosen = {name: value for name, value in filters.items() if chance.random() < 0.5}
    time = head.record_time - chance.randrange(-100, 5_000)
    assert without_salts(one.read_stream(stream_id, 1, 5, position)) == without_salts(
        other.read_stream(stream_id, 1, 5, position)
    )
    assert without_salts(one.read_log(position, 7, **chosen)) == without_salts(  # type: ignore[arg-type]  # by name
        other.read_log(position, 7, **chosen)  # type: ignore[arg-type]  # by name
    )
    assert one.versions(some) == other.versions(some)
    assert {name: without_salts(rows) for name, rows in one.tails(after).items()} == {
        name: without_salts(rows) for name, rows in other.tails(after).items()
    }
    assert {name: without_salts(rows) for name, rows in one.read_streams(some).items()} == {
        name: without_salts(rows) for name, rows in other.read_streams(some).items()
    }
    assert one.find_requests(keys[-20:]) == other.find_requests(keys[-20:])
    assert one.position_at(time) == other.position_at(time)
    assert one.list_streams("a/", "shop0", 5) == other.list_streams("a/", "shop0", 5)
    assert (one.get(position) is None) == (other.get(position) is None)


def without_salts(rows: list[EventRow]) -> list[EventRow]:
    """Every event has a random salt of its own; all else is the same."""
    return [row._replace(salt=b"") for row in rows]
