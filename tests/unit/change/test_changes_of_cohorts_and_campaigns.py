from rapport.change.v1 import change_pb2 as pb
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.relationship_policy_pb2 import (
    RelationshipPolicy,
    RelationshipPolicyPublished,
    ReturnRules,
    SolicitationRules,
)
from tests.changed_histories import ChangedHistory, at, levels_of, name_of, times
from tests.contact_histories import DAY, did
from tests.measured_histories import acted, told

COHORT = ("vector_short_lived", "vector_short_lived_cleared")
WASTE = ("waste_crossed", "waste_cleared")


def joined(members: int, returned: int, *, day: str = "2026-05-01") -> ChangedHistory:
    """Members of a programme, some of whom came back after a week."""
    history = ChangedHistory()
    for number in range(members):
        history.add(acted("JOIN", programme="club"), day, customer=f"m-{number:02d}")
    for number in range(returned):
        history.add(acted("VISIT"), at(day) + 7 * DAY, customer=f"m-{number:02d}")
    return history


def test_a_cohort_of_which_too_few_came_back_is_told_when_enough_members_count() -> None:
    history = joined(30, 2)
    history.mark("2026-07-01")

    change = history.one("vector_short_lived")

    assert (change.subject_kind, change.subject_id) == (pb.SUBJECT_KIND_COHORT, "club/2026-05")
    assert times(change) == (at("2026-06-05"), at("2026-06-05"))
    assert levels_of(change) == ("LASTING", "SHORT_LIVED")
    assert (change.measure.name, change.measure.value_ppm) == ("return_rate", 66_667)
    assert (change.measure.threshold_ppm, change.measure.hysteresis_ppm) == (100_000, 20_000)
    assert change.subject_number == 1


def test_members_who_joined_less_than_five_weeks_ago_do_not_count() -> None:
    history = joined(30, 2)
    history.mark("2026-06-05")

    assert history.names(*COHORT) == []


def test_a_tenth_is_enough_and_29_members_are_too_few() -> None:
    for members, returned in ((30, 3), (29, 0)):
        history = joined(members, returned)
        history.mark("2026-07-01")

        assert history.names(*COHORT) == []


def test_it_is_cleared_beyond_the_gap_by_members_heard_of_late() -> None:
    history = joined(30, 2)
    history.mark("2026-07-01")
    history.add(acted("VISIT"), "2026-05-20", recorded="2026-07-02", customer="m-10")
    assert history.names(*COHORT) == ["vector_short_lived"]  # 100,000: between the two bounds.

    history.add(acted("VISIT"), "2026-05-20", recorded="2026-07-03", customer="m-11")

    short, cleared = history.changes(*COHORT)
    assert levels_of(cleared) == ("SHORT_LIVED", "LASTING")
    assert cleared.measure.threshold_ppm == 120_000
    assert cleared.corrects_id == short.change_id
    assert cleared.subject_number == 2


def test_a_second_join_in_the_same_month_makes_no_second_member() -> None:
    history = joined(29, 0)
    history.add(acted("JOIN", programme="club"), "2026-05-03", customer="m-00")
    history.mark("2026-08-01")

    assert history.names(*COHORT) == []


def wasteful(answered: int, *, matured_min: int = 20) -> ChangedHistory:
    """Twenty solicitations of a campaign to as many customers, of which some answer."""
    history = ChangedHistory()
    rules = SolicitationRules(waste_above_ppm=900_000, waste_clear_ppm=850_000, waste_matured_min=matured_min)
    history.publish(RelationshipPolicyPublished(policy=RelationshipPolicy(version=1, solicitations=rules)))
    sent = {}
    for number in range(20):
        message = told("MESSAGE", message_class=i.MESSAGE_CLASS_MARKETING, campaign="spring")
        sent[number] = history.add(message, "2026-05-01", customer=f"m-{number:02d}")
    for number in range(answered):
        history.add(did("REPLY", in_reply_to=sent[number]), "2026-05-02", customer=f"m-{number:02d}")
    history.mark("2026-06-01")
    return history


def test_a_wasteful_campaign_is_told_when_its_solicitations_are_mature() -> None:
    change = wasteful(1).one("waste_crossed")

    assert (change.subject_kind, change.subject_id) == (pb.SUBJECT_KIND_CAMPAIGN, "spring")
    assert times(change) == (at("2026-05-15"), at("2026-05-15"))
    assert (change.measure.name, change.measure.value_ppm, change.measure.threshold_ppm) == ("waste", 950_000, 900_000)
    assert levels_of(change) == ("CLEAR", "WASTEFUL")
    assert change.policy_version == "relationship/1"


def test_one_that_wastes_no_more_than_the_bound_or_is_too_small_is_not() -> None:
    assert wasteful(2).names(*WASTE) == []
    assert wasteful(0, matured_min=21).names(*WASTE) == []


def test_it_is_cleared_when_enough_answers_are_heard_of() -> None:
    history = wasteful(1)
    for number, day in ((5, "02"), (6, "03")):
        reply, customer = did("REPLY", in_reply_to=2 + number), f"m-{number:02d}"
        history.add(reply, "2026-05-03", recorded=f"2026-06-{day}", customer=customer)

    assert history.names(*WASTE) == ["waste_crossed", "waste_cleared"]
    assert history.changes(*WASTE)[-1].measure.value_ppm == 850_000


def test_a_policy_that_raises_the_alarm_is_told_as_that() -> None:
    history = joined(30, 3)
    history.mark("2026-07-01")
    rules = RelationshipPolicy(version=1, returns=ReturnRules(alarm_below_ppm=200_000, clear_from_ppm=300_000))
    history.publish(RelationshipPolicyPublished(policy=rules), "2026-07-02")
    history.mark("2026-07-03")

    told_ = [name_of(each) for each in history.changes() if each.subject_id == "club/2026-05"]

    assert told_ == ["policy_reevaluated"]
