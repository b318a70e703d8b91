from ledger.change.marks import AHEAD_MAX, Marks, believed
from ledger.domain.times import MICROSECONDS

DUE = 1_000 * MICROSECONDS
LATER = DUE + 60 * MICROSECONDS


def marks(interval_s: float = 10.0) -> Marks:
    found = Marks(interval_s)
    found.see(DUE - 1, 0.0)
    return found


def test_the_first_is_made_at_once() -> None:
    assert marks().wanted(DUE, LATER, 0.0)


def test_none_is_made_before_its_time_nor_where_nothing_is_due() -> None:
    assert not marks().wanted(DUE, DUE, 0.0)
    assert not marks().wanted(None, LATER, 0.0)


def test_none_is_made_where_the_log_is_past_it() -> None:
    found = Marks(10.0)
    found.see(DUE + 1, 0.0)

    assert not found.wanted(DUE, LATER, 0.0)


def test_a_second_one_waits_for_the_interval() -> None:
    found = marks()
    found.tried(5.0)

    assert not found.wanted(DUE, LATER, 14.9)
    assert found.wanted(DUE, LATER, 15.0)


def test_a_clock_that_runs_ahead_cannot_flood_the_log() -> None:
    """However far ahead it is: what is due a minute after the log's time has its mark a minute later."""
    found = marks(1.0)
    found.tried(5.0)
    found.see(DUE, 5.0)

    assert not found.wanted(LATER, LATER + 10**12, 64.9)
    assert found.wanted(LATER, LATER + 10**12, 65.0)


def test_a_clock_is_believed_up_to_five_seconds_ahead_of_that_of_the_database() -> None:
    assert believed(AHEAD_MAX, 0)
    assert not believed(AHEAD_MAX + 1, 0)
    assert believed(10**18, None)
    assert believed(0, 10**18)
