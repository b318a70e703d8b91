"""What holds of changes whatever was recorded (relationship.md 15): histories drawn at random, of several customers.

They are heard of late now and then, corrected and retracted; policies come between, and marks with long silences.
"""

from __future__ import annotations

import gc
import random
from collections import Counter
from functools import lru_cache
from itertools import pairwise

import pytest

from ledger.change.finding import Finder
from ledger.change.kept import KeptInMemory
from ledger.change.table import Progress, StoredChange
from ledger.change.verifying import anew
from rapport.change.v1 import change_pb2 as pb
from rapport.events.v1.relationship_policy_pb2 import (
    AnnouncementRules,
    RelationshipPolicy,
    RelationshipPolicyPublished,
    StrengthRules,
)
from tests.changed_histories import LOG_ID, ChangedHistory, find, levels_of, name_of
from tests.contact_histories import DAY
from tests.measured_histories import START, MeasuredDraw

SEEDS = range(4)
PAIRS = (
    ("formed", "dissolved"),
    ("broadcast_mode_entered", "broadcast_mode_left"),
    ("reciprocity_imbalance_entered", "reciprocity_imbalance_cleared"),
    ("expectation_mismatch", "expectation_mismatch_resolved"),
)


class Draw(MeasuredDraw):
    """Draws the histories of three customers of an organization."""

    def __init__(self, seed: int, days: int = 200) -> None:
        super().__init__(seed, days)
        valued = self.history.facts
        self.history: ChangedHistory = ChangedHistory()  # More than those of one customer have.
        self.history.facts = valued
        self.customer = "a"
        self.linked = False

    def add(self, recorded: int) -> None:
        self.customer = self.random.choice("aaabbc")
        draw = self.random.random()
        if draw < 0.01 and not self.linked:
            self.linked = True
            self.history.link("a", "b", recorded)
        elif draw < 0.04:
            self.history.mark(recorded)
        else:
            self._record(recorded)

    def _record(self, recorded: int) -> None:
        draw = self.random
        at = max(START, recorded - (0 if draw.random() < 0.8 else draw.randrange(30 * 24) * 3_600_000_000))
        event = draw.choice(self._kinds())(at)
        position = self.history.add(event, at, customer=self.customer, recorded=recorded)
        if type(event).__name__ == "InteractionRecorded":
            self.interactions.append(position)

    def policy(self, version: int, at: int, half_mass: int, dwell_s: int = 86_400) -> None:
        """Publish a relationship policy."""
        rules = StrengthRules(half_mass_ppm=half_mass, moderate_from_ppm=200_000 + 50_000 * version)
        waits = AnnouncementRules(strength_dwell_seconds=dwell_s)
        policy = RelationshipPolicy(version=version, strength=rules, announcements=waits)
        self.history.publish(RelationshipPolicyPublished(policy=policy), at)


@lru_cache
def drawn(seed: int, events: int = 60) -> ChangedHistory:
    """Return a history with a long silence at its end."""
    draw = Draw(seed)
    end = draw.fill(events)
    draw.history.mark(end + 400 * DAY)
    return draw.history


@lru_cache
def whole_of(seed: int) -> list[StoredChange]:
    """Return the changes of a drawn history, found in one batch as far as that goes."""
    return drawn(seed).found(events_max=10_000, timers_max=10_000)


def messages_of(seed: int) -> list[pb.RelationshipChange]:
    """Return the same, read."""
    return [pb.RelationshipChange.FromString(change.body) for change in whole_of(seed)]


@pytest.mark.parametrize("seed", SEEDS)
def test_batches_of_any_size_find_the_same_bytes_in_the_same_order(seed: int) -> None:
    history, draw = drawn(seed), random.Random(seed)

    whole = whole_of(seed)

    assert whole
    for _ in range(2):
        sizes = {"events_max": draw.choice((1, 2, 7, 30)), "timers_max": draw.choice((1, 2, 5, 50))}
        assert whole == history.found(**sizes), sizes
    assert whole == [change for batch, _ in anew(history.store(), LOG_ID, history.head) for change in batch]


@pytest.mark.parametrize("seed", SEEDS)
def test_ids_are_unique_and_numbers_dense(seed: int) -> None:
    changes = whole_of(seed)

    assert len(changes) == len({change.change_id for change in changes})
    assert list(range(1, len(changes) + 1)) == [change.number for change in changes]
    numbers: Counter[tuple[int, str]] = Counter()
    for change in changes:
        message = pb.RelationshipChange.FromString(change.body)
        numbers[message.subject_kind, change.subject_id] += 1
        assert numbers[message.subject_kind, change.subject_id] == message.subject_number


@pytest.mark.parametrize("seed", SEEDS)
def test_of_a_pair_neither_name_comes_twice_without_the_other_between(seed: int) -> None:
    changes = messages_of(seed)

    for customer in "abc":
        names = [name_of(change) for change in changes if change.subject_id == customer]
        for pair in PAIRS:
            told = [name for name in names if name in pair]
            assert all(one != other for one, other in pairwise(told)), told
            assert not told or told[0] == pair[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_band_and_lifecycle_starts_where_the_last_one_ended(seed: int) -> None:
    changes = messages_of(seed)

    for customer in "abc":
        for measure in ("lifecycle", "strength", "contact_shape"):
            told = [levels_of(each) for each in changes if (each.subject_id, each.measure.name) == (customer, measure)]
            assert all(one[1] == other[0] for one, other in pairwise(told)), told


@pytest.mark.parametrize("seed", SEEDS)
def test_deltas_sum_to_the_difference_of_the_scores(seed: int) -> None:
    changes = [each for each in messages_of(seed) if each.measure.name == "strength"]

    assert changes
    for customer in "abc":
        score = 0
        for change in (each for each in changes if each.subject_id == customer):
            assert change.measure.value_ppm - score == sum(delta.delta_ppm for delta in change.deltas)
            score = change.measure.value_ppm


@pytest.mark.parametrize("seed", SEEDS)
def test_changes_of_a_prefix_are_a_prefix_of_the_changes(seed: int) -> None:
    history, draw = drawn(seed), random.Random(seed)
    whole = whole_of(seed)

    for _ in range(2):
        some = history.found(to=draw.randrange(history.head))

        assert whole[: len(some)] == some


@pytest.mark.parametrize("seed", SEEDS)
def test_restarting_anywhere_loses_and_repeats_nothing(seed: int) -> None:
    history, draw = drawn(seed), random.Random(seed)
    whole, again = whole_of(seed), _restarting(history, draw)

    assert whole == again


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_found_a_month_late_is_the_same(seed: int) -> None:
    history = drawn(seed)
    late = ChangedHistory()
    # The same facts, the last of which is only there a month later: nobody looked meanwhile.
    late.facts = history.facts[:-1]
    before = late.found()
    late.facts = history.facts

    assert before == whole_of(seed)[: len(before)]
    assert whole_of(seed) == late.found()


@pytest.mark.parametrize("seed", SEEDS)
def test_more_marks_move_no_change(seed: int) -> None:
    """Marks are no events of a relationship: only positions of what comes after them are others."""
    history = drawn(seed)
    marked = ChangedHistory()
    for name, fact in history.facts[:-1]:
        marked.facts.append((name, fact))
    end = history.facts[-1][1].record_time
    last = history.facts[-2][1].record_time
    for part in range(1, 6):
        marked.mark(last + (end - last) * part // 5)

    assert [_without_place(each) for each in messages_of(seed)] == [_without_place(each) for each in marked.changes()]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_policy_alone_announces_nothing_but_that(seed: int) -> None:
    draw = Draw(seed)
    draw.fill(50)
    history = draw.history
    before = len(history.found())
    last = history.facts[-1][1].record_time
    draw.policy(1, last + 1, 1_000_000 + 500_000 * seed)

    after = history.changes()[before:]

    assert {name_of(change) for change in after} <= {"policy_reevaluated"}
    subjects = Counter(change.subject_id for change in after)
    assert all(count == 1 for count in subjects.values())
    assert sorted(subjects) == [change.subject_id for change in after]


@pytest.mark.parametrize("seed", SEEDS)
def test_policies_between_events_leave_batches_alike(seed: int) -> None:
    draw = Draw(seed)
    draw.fill(30)
    history = draw.history
    last = history.facts[-1][1].record_time
    for version in (1, 2, 3):
        draw.policy(version, last + version * 3 * DAY, 1_000_000 * version, version * 86_400)
        draw.customer = "a"
        draw._record(last + version * 3 * DAY + DAY)
    draw.policy(4, last + 10 * DAY + DAY // 2, 3_000_000, 3_600)
    history.mark(last + 300 * DAY)

    whole = history.found(events_max=10_000, timers_max=10_000)

    assert whole == history.found(events_max=1, timers_max=1)
    assert whole == history.found(events_max=3, timers_max=2)
    assert whole == _restarting(history, random.Random(seed))


def _restarting(history: ChangedHistory, draw: random.Random) -> list[StoredChange]:
    """Return the changes as they are found by detectors that end after a few batches each."""
    kept, progress, changes = KeptInMemory(), Progress(LOG_ID), list[StoredChange]()
    while True:
        finder = Finder(history.store(), kept, LOG_ID)
        for _ in range(draw.randrange(1, 4)):
            found = finder.find(progress, history.head, draw.choice((1, 4, 20)), draw.choice((1, 3, 20)))
            if found is None:
                return changes
            if draw.random() < 0.2:
                break  # It ended before what it found was stored.
            kept.store(found.watched, found.aggregates)
            progress, changes = found.progress, changes + found.changes


def _without_place(change: pb.RelationshipChange) -> pb.RelationshipChange:
    other = pb.RelationshipChange()
    other.CopyFrom(change)
    other.position = 0
    return other


def test_rows_are_the_same_too() -> None:
    """How relationships stand, and sums, do not depend on batches either."""
    history = drawn(99)
    one, other = KeptInMemory(), KeptInMemory()

    find(history.store(), history.head, one, events_max=10_000, timers_max=10_000)
    find(history.store(), history.head, other, events_max=2, timers_max=1)

    assert (one.rows, one.sums) == (other.rows, other.sums)


def test_looks_leave_nothing_for_the_garbage_collector() -> None:
    """Measures that refer to each other are let go of: else the process stands still for them, every second."""
    history, kept, progress = drawn(99), KeptInMemory(), Progress(LOG_ID)
    finder = Finder(history.store(), kept, LOG_ID)
    gc.collect()
    gc.disable()
    try:
        while found := finder.find(progress, history.head):
            kept.store(found.watched, found.aggregates)
            progress = found.progress

        assert finder.looks > 60
        assert gc.collect() < finder.looks / 10  # Now and then an error or a library leaves something.
    finally:
        gc.enable()
