import pytest

from rapport.events.v1 import attribute_pb2, identity_pb2
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as pref
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION
from tests.changed_histories import ChangedHistory, at, event, levels_of, times
from tests.contact_histories import DAY, did, sent
from tests.measured_histories import acted, promised, told

PROMISES = ("promise_kept", "promise_broken", "trust_fractured")


def promise(*triggers: str, topic: str = "news") -> ChangedHistory:
    history = ChangedHistory()
    for number, time in enumerate(triggers):
        history.add(promised(str(number), topic), "2026-01-01")
        history.add(identity_pb2.PromiseTriggered(promise_id=str(number)), time)
    return history


def kept(number: int = 0) -> identity_pb2.PromiseKept:
    return identity_pb2.PromiseKept(promise_id=str(number))


def test_a_promise_is_broken_by_the_clock_at_the_instant_at_which_it_is_due() -> None:
    history = promise("2026-05-01")
    history.mark("2026-06-01")

    broken = history.one("promise_broken")

    assert times(broken) == (at("2026-05-08"), at("2026-05-08"))
    assert (broken.measure.name, *levels_of(broken)) == ("promise:0", "TRIGGERED", "BROKEN")
    assert broken.cause == "timer:2026-05-08T00:00:00.000000Z"


def test_kept_in_time_it_is_kept() -> None:
    history = promise("2026-05-01")
    history.add(kept(), "2026-05-07")
    history.mark("2026-06-01")

    assert history.names(*PROMISES) == ["promise_kept"]


def test_kept_at_the_instant_at_which_it_is_due_is_too_late_and_announces_nothing_more() -> None:
    history = promise("2026-05-01")
    history.add(kept(), "2026-05-08")
    history.mark("2026-06-01")

    assert history.names(*PROMISES) == ["promise_broken"]


def test_heard_of_late_that_it_was_kept_corrects_the_breach() -> None:
    history = promise("2026-05-01")
    history.mark("2026-05-20")
    history.add(kept(), "2026-05-07", recorded="2026-05-21")

    broken, told_ = history.changes(*PROMISES)

    assert levels_of(told_) == ("BROKEN", "KEPT")
    assert told_.corrects_id == broken.change_id


def test_the_second_breach_of_one_topic_fractures_trust() -> None:
    history = promise("2026-05-01", "2026-05-03")
    history.mark("2026-06-01")

    assert history.names(*PROMISES) == ["promise_broken", "promise_broken", "trust_fractured"]
    assert times(history.one("trust_fractured"))[0] == at("2026-05-10")


def test_trust_in_a_topic_is_not_broken_anew_by_hearing_that_a_promise_was_kept() -> None:
    history = promise("2026-05-01", "2026-05-01", "2026-05-01")
    history.mark("2026-05-20")
    history.add(kept(), "2026-05-07", recorded="2026-05-21")
    history.mark("2026-06-01")

    assert history.names(*PROMISES) == [*["promise_broken"] * 3, "trust_fractured", "promise_kept"]


def test_trust_in_a_topic_is_broken_anew_once_fewer_breaches_were_left() -> None:
    history = promise("2026-05-01", "2026-05-02")
    history.mark("2026-05-20")
    history.add(kept(1), "2026-05-07", recorded="2026-05-21")
    history.add(promised("late", "news"), "2026-05-22")
    history.add(identity_pb2.PromiseTriggered(promise_id="late"), "2026-06-01")
    history.mark("2026-07-01")

    first, second = history.changes("trust_fractured")

    assert [times(first)[0], times(second)[0]] == [at("2026-05-09"), at("2026-06-08")]


def test_a_disclosure_that_no_grant_covers_fractures_trust() -> None:
    history = ChangedHistory()
    disclosed = attribute_pb2.DisclosureRecorded(recipient="ads", purposes=["marketing"], fields=["contact"])
    position = history.add(disclosed, "2026-01-01")

    change = history.one("trust_fractured")

    assert (change.measure.name, change.cause) == (f"trust:{position}", event(position))


def test_a_contact_against_a_no_fractures_trust() -> None:
    history = ChangedHistory()
    history.add(did("VISIT"), "2026-01-01")
    decision_id, decided = history.decide_and_record("2026-01-02")
    assert decided.outcome == d.DECISION_OUTCOME_DENY
    position = history.add(sent(decision_id=decision_id), "2026-01-03")

    assert history.one("trust_fractured").measure.name == f"trust:{position}"


def test_a_contact_without_the_decision_that_it_needs_is_told_once() -> None:
    history = ChangedHistory()
    position = history.add(sent(), "2026-01-01")
    history.add(acted("VISIT"), "2026-01-02")
    history.mark("2026-03-01")

    change = history.one("preference_dishonoured")

    assert (change.measure.name, change.cause) == (f"contact:{position}", event(position))


def test_a_contact_against_a_declared_preference_is_told() -> None:
    history = ChangedHistory()
    averse = pref.ChannelPreference(averse=[i.CHANNEL_EMAIL])
    history.add(pref.PreferenceDeclared(channels=averse), "2026-01-01")
    history.add(told("MESSAGE", channel=i.CHANNEL_EMAIL), "2026-01-02")

    assert history.names("preference_dishonoured") == ["preference_dishonoured"]


def test_a_declaration_that_comes_late_tells_contacts_before_those_that_were_told() -> None:
    history = ChangedHistory()
    fine = [history.add(told("MESSAGE", channel=i.CHANNEL_EMAIL), f"2026-01-{day:02}") for day in (2, 3)]
    undecided = history.add(sent(), "2026-01-04")
    assert [f"contact:{undecided}"] == [each.measure.name for each in history.changes("preference_dishonoured")]

    averse = pref.ChannelPreference(averse=[i.CHANNEL_EMAIL])
    history.add(pref.PreferenceDeclared(channels=averse), "2026-01-01", recorded="2026-01-05")
    history.add(told("MESSAGE", channel=i.CHANNEL_EMAIL), "2026-01-06")

    dishonoured = [each.measure.name for each in history.changes("preference_dishonoured")]
    assert [f"contact:{position}" for position in (undecided, *fine)] == dishonoured[:3]
    assert 4 == len(dishonoured)


def test_the_last_vector_fulfilled_is_told_and_no_other() -> None:
    history = ChangedHistory()
    for name in ("v", "w"):
        history.add(r.VectorOpened(vector_id=name, goal="learn"), "2026-01-01")
    history.add(r.VectorFulfilled(vector_id="v"), "2026-01-02")
    assert history.names("vector_exhausted") == []

    last = history.add(r.VectorFulfilled(vector_id="w"), "2026-01-03")

    exhausted = history.one("vector_exhausted")
    assert (exhausted.cause, *levels_of(exhausted)) == (event(last), "OPEN", "EXHAUSTED")


def test_opened_again_and_fulfilled_it_is_told_again() -> None:
    history = ChangedHistory()
    for name in ("v", "w"):
        history.add(r.VectorOpened(vector_id=name, goal="learn"), "2026-01-01")
        history.add(r.VectorFulfilled(vector_id=name), "2026-01-01")

    assert history.names("vector_exhausted") == ["vector_exhausted"] * 2


TYPES = ("type_changed",)


def test_another_wish_is_told_at_once() -> None:
    history = ChangedHistory()
    position = history.add(r.RelationshipTypeDeclared(slug="hbr:fling"), "2026-01-01")

    change = history.one("type_changed")

    assert (change.measure.name, *levels_of(change)) == ("type:desired/DECLARED", "", "hbr:fling")
    assert (change.cause, *times(change)) == (event(position), at("2026-01-01"), at("2026-01-01"))


def test_an_inferred_type_is_told_after_a_day_and_a_judged_one_at_once() -> None:
    history = ChangedHistory()
    first = history.add(acted("PURCHASE"), "2026-01-01")
    history.mark("2026-01-03")
    history.add(r.RelationshipTypeAssessed(slug="hbr:buddies", assessor_id="anna"), "2026-01-04")

    inferred, judged = history.changes(*TYPES)

    assert (inferred.measure.name, *levels_of(inferred)) == (
        "type:actual/INFERRED", "rapport:stranger", "hbr:basic-exchange",
    )  # fmt: skip
    assert (inferred.cause, *times(inferred)) == (event(first), at("2026-01-01"), at("2026-01-02"))
    assert (judged.measure.name, *levels_of(judged)) == ("type:actual/ASSESSED", "hbr:basic-exchange", "hbr:buddies")
    assert times(judged) == (at("2026-01-04"), at("2026-01-04"))


def mismatched() -> ChangedHistory:
    """Wished is a distant exchange; three calls are anything but that."""
    history = ChangedHistory()
    history.add(r.RelationshipTypeDeclared(slug="hbr:best-friends"), "2026-01-01")
    for day in ("02", "03", "04"):
        history.add(did("MESSAGE"), f"2026-01-{day}")
    return history


MISMATCH = ("expectation_mismatch", "expectation_mismatch_resolved")


def test_a_mismatch_is_told_when_it_has_held_for_two_weeks() -> None:
    history = mismatched()
    began = history.measured("2026-01-04")
    assert began.types.mismatches
    history.mark("2026-02-01")

    change = history.one("expectation_mismatch")

    before, after = levels_of(change)
    assert before == "NONE"
    assert "closeness:MORE_DISTANT_THAN_WISHED" in after
    assert times(change)[1] - times(change)[0] == 14 * DAY


def test_it_is_resolved_at_once_by_another_wish() -> None:
    history = mismatched()
    history.mark("2026-02-01")
    position = history.add(r.RelationshipTypeDeclared(slug="hbr:basic-exchange"), "2026-02-02")
    assert not history.measured("2026-02-02").types.mismatches

    change = history.one("expectation_mismatch_resolved")

    assert (change.cause, change.to) == (event(position), "NONE")
    assert times(change) == (at("2026-02-02"), at("2026-02-02"))


def touched(person: str, function: i.OurFunction.ValueType, ours: str = "") -> i.InteractionRecorded:
    return did("MESSAGE", customer_person_id=person, our_function=function, point_of_contact_id=ours)


def test_another_shape_is_told_when_it_has_held_for_a_day() -> None:
    history = ChangedHistory()
    first = history.add(touched("anna", i.OUR_FUNCTION_SALES), "2026-01-01")
    history.mark("2026-01-03")

    change = history.one("contact_shape_changed")

    assert (change.measure.name, *levels_of(change)) == ("contact_shape", "NONE", "BOW_TIE")
    assert (change.cause, *times(change)) == (event(first), at("2026-01-01"), at("2026-01-02"))


@pytest.mark.parametrize("others, risk", [(1, True), (2, False)])
def test_who_leaves_with_half_of_it_is_a_risk(others: int, *, risk: bool) -> None:
    history = ChangedHistory()
    opened = r.PointOfContactOpened(point_of_contact_id="anna", side=PARTY_CUSTOMER)
    history.add(opened, "2026-01-01")
    history.add(touched("anna", i.OUR_FUNCTION_SALES), "2026-01-01")
    for number in range(others):
        history.add(touched(f"other-{number}", i.OUR_FUNCTION_SALES), "2026-01-02")
    history.add(r.PointOfContactClosed(point_of_contact_id="anna"), "2026-01-03")

    changes = history.changes("continuity_risk")

    assert len(changes) == risk
    for change in changes:
        assert change.measure.name == "person_share:anna"
        assert (change.measure.value_ppm, change.measure.threshold_ppm) == (500_000, 500_000)


def test_one_id_on_both_sides_is_a_risk_by_the_share_of_who_left() -> None:
    history = ChangedHistory()
    ours = r.PointOfContactOpened(point_of_contact_id="anna", side=PARTY_ORGANIZATION)
    history.add(ours, "2026-01-01")
    for colleague in ("anna", "ben", "eve"):  # Their anna is in all of it, ours in a third.
        history.add(touched("anna", i.OUR_FUNCTION_SALES, colleague), "2026-01-02")

    history.add(r.PointOfContactClosed(point_of_contact_id="anna"), "2026-01-03")

    assert history.names("continuity_risk") == []
