from rapport.events.v1 import identity_pb2 as who
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.disclosure_pb2 import PROVENANCE_DECLARED
from rapport.events.v1.privacy_pb2 import ErasureStarted
from tests.changed_histories import ChangedHistory, at, event, levels_of, times
from tests.contact_histories import did
from tests.measured_histories import acted, told

ASKED = "2026-01-10T12:00Z"
ENDS = "2026-07-09T12:00:00.000000Z"


def related() -> ChangedHistory:
    """The example of section 3."""
    history = ChangedHistory()
    history.add(who.IdentifierVerified(contact_point_id="p"), "2026-01-05")
    asked = history.add(did("QUESTION"), ASKED)
    history.add(told("ANSWER", in_reply_to=asked), "2026-01-10T15:00Z")
    ground = r.CommonGroundDeclared(item_id="g", ground="sailing", provenance=PROVENANCE_DECLARED)
    history.add(ground, "2026-01-20")
    return history


def test_it_is_formed_by_the_event_that_makes_the_last_leg_hold() -> None:
    history = related()

    formed = history.one("formed")

    assert levels_of(formed) == ("MISSING:COMMON", "EXISTS")
    assert times(formed) == (at("2026-01-20"), at("2026-01-20"))
    assert (formed.cause, list(formed.cause_positions)) == (event(4), [4])
    assert formed.measure.name == "existence"
    assert formed.policy_version == "relationship/0"


def test_it_is_dissolved_by_the_clock_at_the_instant_at_which_a_leg_fails() -> None:
    history = related()
    history.mark("2026-07-09T12:00Z")
    assert history.names("dissolved") == []  # What is due at the log's own time is due after it.

    history.mark("2026-07-10")

    dissolved = history.one("dissolved")
    assert levels_of(dissolved) == ("EXISTS", "MISSING:COMMUNICATE")
    assert times(dissolved) == (at("2026-07-09T12:00Z"), at("2026-07-09T12:00Z"))
    assert (dissolved.cause, list(dissolved.cause_positions)) == (f"timer:{ENDS}", [])


def test_what_is_due_at_the_instant_of_an_event_runs_after_it_if_it_is_still_due() -> None:
    history = related()
    history.add(did("QUESTION"), "2026-07-09T12:00Z")
    history.add(told("MESSAGE"), "2026-07-09T12:00Z")

    history.mark("2026-07-20")

    assert history.names("dissolved") == []


def test_a_fact_that_comes_late_is_answered_by_the_opposite_which_corrects() -> None:
    history = related()
    history.add(told("MESSAGE"), "2026-07-01")
    history.mark("2026-07-20")
    dissolved = history.one("dissolved")

    late = history.add(did("QUESTION"), "2026-07-05", recorded="2026-07-21")

    again = history.changes("formed")[1]
    assert again.corrects_id == dissolved.change_id
    assert times(again) == (at("2026-07-05"), at("2026-07-21"))
    assert again.cause == event(late)


def test_who_comes_back_later_corrects_nothing() -> None:
    history = related()
    history.mark("2026-07-20")
    history.add(did("QUESTION"), "2026-07-21")
    history.add(told("MESSAGE"), "2026-07-21")

    assert [change.corrects_id for change in history.changes("formed")] == ["", ""]


def silent() -> ChangedHistory:
    """The example of section 4: a cadence of 14 days, the last act on 2026-02-14."""
    history = ChangedHistory()
    for time in ("2026-01-01T10:00Z", "2026-01-01T15:00Z", "2026-01-15T10:00Z", "2026-02-04T10:00Z"):
        history.add(acted("PURCHASE"), time)
    history.add(acted("PURCHASE"), "2026-02-14T10:00Z")
    return history


LIFE = ("at_risk", "lapsed", "ended", "reactivated")


def test_silence_is_announced_when_it_is_long_and_when_it_is_very_long() -> None:
    history = silent()
    history.mark("2026-06-01")

    risk, lapsed = history.changes(*LIFE)

    assert (*levels_of(risk), *times(risk)) == ("ACTIVE", "AT_RISK", *[at("2026-03-14T10:00Z")] * 2)
    assert (*levels_of(lapsed), *times(lapsed)) == ("AT_RISK", "LAPSED", *[at("2026-04-11T10:00Z")] * 2)
    assert lapsed.cause == "timer:2026-04-11T10:00:00.000000Z"


def test_an_act_brings_them_back() -> None:
    history = silent()
    history.mark("2026-04-20")
    back = history.add(acted("PURCHASE"), "2026-04-21")

    change = history.changes(*LIFE)[-1]

    assert (change.cause, *levels_of(change)) == (event(back), "LAPSED", "ACTIVE")
    assert change.corrects_id == ""


def test_who_begins_to_act_is_not_back_from_anywhere() -> None:
    assert silent().names(*LIFE) == []


def test_an_act_heard_of_late_undoes_the_silence_and_corrects_it() -> None:
    history = silent()
    history.mark("2026-03-20")
    history.add(acted("PURCHASE"), "2026-03-10", recorded="2026-03-21")

    risk, back = history.changes(*LIFE)

    assert levels_of(back) == ("AT_RISK", "ACTIVE")
    assert back.corrects_id == risk.change_id


def test_back_from_lapsed_to_at_risk_says_at_risk_and_corrects() -> None:
    history = silent()
    history.mark("2026-04-20")
    history.add(acted("PURCHASE"), "2026-03-01", recorded="2026-04-21")

    *_, lapsed, risk = history.changes(*LIFE)

    assert levels_of(risk) == ("LAPSED", "AT_RISK")
    assert risk.corrects_id == lapsed.change_id


def test_an_end_is_announced_and_an_act_that_reopens() -> None:
    history = silent()
    history.add(r.RelationshipEnded(by=i.INITIATOR_CUSTOMER), "2026-02-20")  # type: ignore[arg-type]
    history.add(acted("PURCHASE"), "2026-02-25")

    ended, back = history.changes(*LIFE)

    assert levels_of(ended) == ("ACTIVE", "ENDED")
    assert levels_of(back) == ("ENDED", "ACTIVE")


def test_erasure_is_silent() -> None:
    history = silent()
    before = len(history.changes(*LIFE))
    history.add(ErasureStarted(), "2026-02-20")
    history.mark("2027-01-01")

    assert history.changes(*LIFE)[before:] == []
