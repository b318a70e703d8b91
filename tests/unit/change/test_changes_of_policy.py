import pytest

from ledger.change.finding import Finder
from ledger.change.kept import KeptInMemory
from ledger.change.levels import Levels
from ledger.change.table import Progress
from ledger.domain.times import timestamp
from rapport.events.v1.disclosure_pb2 import PROVENANCE_DECLARED
from rapport.events.v1.identity_pb2 import IdentifierVerified, PromiseTriggered
from rapport.events.v1.interaction_pb2 import DIRECTION_MUTUAL, InteractionRetracted
from rapport.events.v1.persona_pb2 import PersonaDefined
from rapport.events.v1.relationship_pb2 import CommonGroundDeclared, RelationshipTypeDeclared
from rapport.events.v1.relationship_policy_pb2 import (
    AnnouncementRules,
    CadenceRules,
    RelationshipPolicy,
    RelationshipPolicyPublished,
    StrengthRules,
)
from tests.changed_histories import LOG_ID, ChangedHistory, at, event, levels_of, name_of, times
from tests.contact_histories import DAY, did, given
from tests.measured_histories import acted, promised


def published(history: ChangedHistory, time: str, policy: RelationshipPolicy) -> int:
    return history.publish(RelationshipPolicyPublished(policy=policy), time)


def strict(version: int, since: str | None = None) -> RelationshipPolicy:
    """At risk after ten days of silence."""
    cadence = CadenceRules(days_min=5, days_default=5, days_max=5)
    policy = RelationshipPolicy(version=version, cadence=cadence)
    if since is not None:
        policy.effective_from_time.CopyFrom(timestamp(at(since)))
    return policy


def patient(hours: int, since: str | None = None) -> RelationshipPolicy:
    """Another wait for the strength."""
    rules = AnnouncementRules(strength_dwell_seconds=hours * 3_600)
    policy = RelationshipPolicy(version=1, announcements=rules)
    if since is not None:
        policy.effective_from_time.CopyFrom(timestamp(at(since)))
    return policy


def acting() -> ChangedHistory:
    history = ChangedHistory()
    for customer in ("b", "a", "c"):
        history.add(acted("MEETING"), "2026-01-01", customer=customer)
    history.mark("2026-01-12")
    return history


def test_a_new_policy_is_told_once_of_each_relationship_whose_levels_differ() -> None:
    history = acting()
    history.add(acted("MEETING"), "2026-01-12", customer="c")
    before = len(history.changes())
    position = published(history, "2026-01-13", strict(1))
    history.mark("2026-01-14")

    changes = history.changes()[before:]

    assert [(name_of(change), change.subject_id) for change in changes] == [
        ("policy_reevaluated", "a"), ("policy_reevaluated", "b"),
    ]  # fmt: skip
    assert levels_of(changes[0]) == ("lifecycle=ACTIVE", "lifecycle=AT_RISK")
    assert (changes[0].cause, changes[0].policy_version) == (event(position), "relationship/1")
    assert changes[0].measure.name == "policy"


def test_from_then_on_it_goes_on_from_the_level_that_was_set() -> None:
    history = acting()
    published(history, "2026-01-13", strict(1))
    history.mark("2026-01-25")

    lapsed = history.changes("lapsed")

    assert [change.subject_id for change in lapsed] == ["a", "b", "c"]
    assert {levels_of(change) for change in lapsed} == {("AT_RISK", "LAPSED")}
    assert times(lapsed[0])[0] == at("2026-01-21")


def test_a_policy_of_a_later_day_is_passed_on_at_its_instant() -> None:
    history = acting()
    published(history, "2026-01-12", strict(1, "2026-01-20"))
    history.mark("2026-01-19")
    assert history.names("policy_reevaluated") == []

    history.mark("2026-01-21")

    changes = history.changes("policy_reevaluated")
    assert [change.subject_id for change in changes] == ["a", "b", "c"]
    assert {change.cause for change in changes} == {"timer:2026-01-20T00:00:00.000000Z"}
    assert {times(change) for change in changes} == {(at("2026-01-20"), at("2026-01-20"))}


def test_what_the_policy_does_not_touch_goes_on_waiting() -> None:
    history = ChangedHistory()
    first = history.add(acted("MEETING"), "2026-01-01T10:00Z")
    published(history, "2026-01-01T20:00Z", strict(1))
    history.mark("2026-01-03")

    assert history.names("policy_reevaluated") == []
    assert history.one("strengthened").cause == event(first)
    assert times(history.one("strengthened"))[1] == at("2026-01-02T10:00Z")


@pytest.mark.parametrize(
    "hours, since, found",
    [
        (12, None, "2026-01-01T22:00Z"),
        (1, None, "2026-01-01T20:00Z"),
        (0, None, "2026-01-01T20:00Z"),
        (48, None, "2026-01-03T10:00Z"),
        (12, "2026-01-01T21:00Z", "2026-01-01T22:00Z"),
        (12, "2026-01-02T06:00Z", "2026-01-02T06:00Z"),
        (12, "2026-01-03T00:00Z", "2026-01-02T10:00Z"),
    ],
)
def test_what_waits_ends_by_the_policy_in_force(hours: int, since: str | None, found: str) -> None:
    """Begun at 10:00, with a day to wait; at 20:00 another wait is published."""
    history = ChangedHistory()
    first = history.add(acted("MEETING"), "2026-01-01T10:00Z")
    published(history, "2026-01-01T20:00Z", patient(hours, since))
    for day in (2, 3, 4):
        history.mark(f"2026-01-0{day}T23:00Z")

    change = history.one("strengthened")

    assert (change.cause, *times(change)) == (event(first), at("2026-01-01T10:00Z"), at(found))
    assert history.names("policy_reevaluated") == [], "no level differs"
    assert history.found() == history.found(events_max=1, timers_max=1)


def test_what_waited_and_no_longer_holds_is_not_told_under_a_shorter_wait() -> None:
    history = ChangedHistory()
    first = history.add(acted("MEETING"), "2026-01-01T10:00Z")
    history.add(InteractionRetracted(original_position=first), "2026-01-01T18:00Z")
    published(history, "2026-01-01T20:00Z", patient(1))
    history.mark("2026-01-04")

    assert history.names("strengthened") == []


def test_each_wait_follows_its_own_figure() -> None:
    """A mismatch waits for 14 days, and from the 5th on for three."""
    history = ChangedHistory()
    for day in (1, 1, 1):
        history.add(did("MESSAGE"), f"2026-01-0{day}")
    history.add(RelationshipTypeDeclared(slug="fournier:best-friendship"), "2026-01-02")
    shorter = AnnouncementRules(mismatch_dwell_seconds=3 * 86_400)
    published(history, "2026-01-04", RelationshipPolicy(version=1, announcements=shorter))
    history.mark("2026-01-30")

    assert times(history.one("expectation_mismatch")) == (at("2026-01-02"), at("2026-01-05"))


def test_the_legs_that_a_policy_lets_fail_are_those_that_a_later_change_names() -> None:
    history = ChangedHistory()
    history.add(IdentifierVerified(contact_point_id="cp", kind="email"), "2026-01-01")
    history.add(CommonGroundDeclared(item_id="g", ground="gardens", provenance=PROVENANCE_DECLARED), "2026-01-01")
    history.add(did("CALL", direction=DIRECTION_MUTUAL), "2026-01-01")
    assert history.names("formed") == ["formed"]
    published(history, "2026-01-20", RelationshipPolicy(version=1, window_days=10))
    history.mark("2026-01-21")
    assert levels_of(history.changes("policy_reevaluated")[0]) == ("existence=EXISTS", "existence=MISSING")

    history.add(did("CALL", direction=DIRECTION_MUTUAL), "2026-01-22")

    assert levels_of(history.changes("formed")[-1]) == ("MISSING:COMMUNICATE", "EXISTS")


def test_legs_that_fail_under_a_policy_are_known_though_there_was_no_relationship_before_either() -> None:
    history = ChangedHistory()
    history.add(IdentifierVerified(contact_point_id="cp", kind="email"), "2026-01-01")
    history.add(did("CALL", direction=DIRECTION_MUTUAL), "2026-01-01")
    published(history, "2026-01-20", RelationshipPolicy(version=1, window_days=10))
    kept, progress = KeptInMemory(), Progress(LOG_ID)
    finder = Finder(history.store(), kept, LOG_ID)
    while found := finder.find(progress, history.head):
        kept.store(found.watched, found.aggregates)
        progress = found.progress

    (row,) = [each for each in kept.rows.values() if each.rank]
    assert Levels.load(row.levels).missing == ["COMMON", "COMMUNICATE"]


def test_a_score_that_the_policy_moves_is_set_with_its_lines() -> None:
    history = acting()
    score = history.changes("strengthened")[0].measure.value_ppm
    rules = StrengthRules(half_mass_ppm=500_000, moderate_from_ppm=150_000)
    published(history, "2026-01-13", RelationshipPolicy(version=1, strength=rules))
    history.mark("2026-01-14")

    change = history.changes("policy_reevaluated")[0]

    assert levels_of(change) == ("band=WEAK", "band=MODERATE")
    now = history.measured("2026-01-13", customer="a").strength.score
    assert score + sum(delta.delta_ppm for delta in change.deltas) == now


def test_what_measures_do_not_read_is_passed_on_to_nobody() -> None:
    history = acting()
    published(history, "2026-01-13", strict(1))
    kept, progress = KeptInMemory(), Progress(LOG_ID)
    finder = Finder(history.store(), kept, LOG_ID)
    while found := finder.find(progress, history.head):
        kept.store(found.watched, found.aggregates)
        progress = found.progress
    looks = finder.looks
    history.publish(PersonaDefined(persona_id="p", version=1), "2026-01-14")  # Not approved: nobody belongs to it.

    later = Finder(history.store(), kept, LOG_ID)
    while found := later.find(progress, history.head):
        kept.store(found.watched, found.aggregates)
        progress = found.progress

    assert (looks > 0, later.looks) == (True, 0)


def test_looks_are_as_many_as_events_and_what_is_due() -> None:
    """Of a hundred relationships with nothing due, nobody is looked at, however much time passes."""
    history = ChangedHistory()
    for number in range(100):
        history.add(acted("VIEW"), "2026-01-01", customer=f"quiet-{number}")
    history.add(acted("PURCHASE"), "2026-01-01", customer="busy")
    kept, progress = KeptInMemory(), Progress(LOG_ID)
    finder = Finder(history.store(), kept, LOG_ID)
    while found := finder.find(progress, history.head):
        kept.store(found.watched, found.aggregates)
        progress = found.progress
    assert finder.looks == 101
    due = sum(row.due < at("2026-01-01") + 3 * DAY for row in kept.rows.values())

    history.mark("2026-01-04")
    sweep = Finder(history.store(), kept, LOG_ID)
    while found := sweep.find(progress, history.head):
        kept.store(found.watched, found.aggregates)
        progress = found.progress

    assert due <= sweep.looks <= 3 * due
    history.mark("2030-01-01")
    years = Finder(history.store(), kept, LOG_ID)
    while found := years.find(progress, history.head):
        kept.store(found.watched, found.aggregates)
        progress = found.progress
    assert years.looks <= 101 * 5, "nobody is looked at every midnight"


def test_what_the_clock_changes_at_the_same_instant_is_told_by_the_clock() -> None:
    history = ChangedHistory()
    history.add(acted("MEETING"), "2026-01-01")
    history.add(given("community", "2026-03-02"), "2026-01-01")
    history.add(promised("p", days=50), "2026-01-01")
    history.add(PromiseTriggered(promise_id="p"), "2026-01-11")
    shares = StrengthRules(half_mass_ppm=500_000, moderate_from_ppm=50_000)
    policy = RelationshipPolicy(version=1, strength=shares, effective_from_time=timestamp(at("2026-03-02")))
    published(history, "2026-02-28", policy)
    history.mark("2026-03-03")

    at_once = [change for change in history.changes() if times(change)[1] == at("2026-03-02")]

    assert [name_of(change) for change in at_once] == [
        "policy_reevaluated", "consent_expired", "at_risk", "promise_broken",
    ]  # fmt: skip
    assert {change.cause for change in at_once} == {"timer:2026-03-02T00:00:00.000000Z"}
    assert levels_of(at_once[0]) == ("band=WEAK", "band=MODERATE")


def test_a_band_that_only_the_thresholds_move_is_told_once_as_that() -> None:
    """The score is the same under both: nobody grew stronger, neither at once nor with what happens next."""
    history = acting()
    before = len(history.changes())
    thresholds = StrengthRules(moderate_from_ppm=40_000, strong_from_ppm=900_000)
    published(history, "2026-01-13", RelationshipPolicy(version=1, strength=thresholds))
    history.add(acted("VIEW"), "2026-01-14", customer="c")
    history.mark("2026-01-20")

    found = history.changes()[before:]

    assert [name_of(change) for change in found] == ["policy_reevaluated"] * 3
    assert {levels_of(change) for change in found} == {("band=WEAK", "band=MODERATE")}
