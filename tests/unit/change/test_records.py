"""Records in memory are bounded by what they weigh, with what measures remember of them."""

from __future__ import annotations

from ledger.change.records import Records
from ledger.domain.identifiers import relationship_stream
from ledger.measure.measured import Measured
from tests.changed_histories import ChangedHistory, at
from tests.measured_histories import acted


def met(*customers: str) -> ChangedHistory:
    """Return a history in which each customer bought something."""
    history = ChangedHistory()
    for customer in customers:
        history.add(acted("PURCHASE"), "2026-01-01", customer=customer)
    return history


def test_what_measures_remember_counts_like_events() -> None:
    history = met("a")
    record = history.record(customer="a")
    before = record.pieces

    assert Measured(record, history.measured(at("2026-01-02"), customer="a").outlook, at("2026-01-02")).strength

    assert record.memo
    assert record.pieces >= before + len(record.memo)


def test_a_record_used_again_is_counted_with_what_it_remembers_since_and_others_make_room() -> None:
    history = met("a", "b")
    streams = [relationship_stream("acme", customer) for customer in ("a", "b")]
    measured = history.measured(at("2026-01-02"), customer="a")
    records = Records(history.store(), 2 * measured.record.pieces)
    small = Records(history.store(), 1)
    for stream in streams:
        record = records.at(stream, history.head)
        assert Measured(record, measured.outlook, measured.at).strength
        small.at(stream, history.head)

    again = records.at(streams[1], history.head)

    assert records.pieces == again.pieces
    assert records.at(streams[1], history.head) is again
    assert small.pieces == history.record(customer="b").pieces, "the last one stays, however large it is"
