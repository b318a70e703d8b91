"""The three axes: eight corners, what is not known, and when a level can change by the clock (relationship.md 7)."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.measure import involvement
from ledger.measure.results import Axes
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import disclosure_pb2
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.attribute_pb2 import AttributeDisclosed, AttributeWithdrawn
from rapport.events.v1.relationship_policy_pb2 import AxisRules, RelationshipPolicy
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE, UNKNOWN_REASON_TOO_FEW
from rapport.type.v1 import levels_pb2 as levels
from tests.contact_histories import DAY, HOUR, did, sent
from tests.measured_histories import START, MeasuredHistory, acted, told

POSITIVE, NEUTRAL, NEGATIVE = levels.VALENCE_POSITIVE, levels.VALENCE_NEUTRAL, levels.VALENCE_NEGATIVE
INTIMATE, DISTANT = levels.CLOSENESS_INTIMATE, levels.CLOSENESS_DISTANT
INTENSE, WEAK = levels.INTENSITY_INTENSE, levels.INTENSITY_WEAK
YEAR = 365 * DAY


def judged(value: str, provenance: str, **values: Any) -> i.InteractionRecorded:
    """Return a visit, unless said otherwise, with a tone that somebody judged."""
    tone = i.Sentiment(
        value=i.SentimentValue.Value(f"SENTIMENT_VALUE_{value}"),
        provenance=disclosure_pb2.Provenance.Value(f"PROVENANCE_{provenance}"),
    )
    return acted(values.pop("kind", "VISIT"), sentiment=tone, **values)


def at_once(*events: i.InteractionRecorded) -> MeasuredHistory:
    """Return a history of some events at one instant."""
    history = MeasuredHistory()
    for event in events:
        history.add(event, START)
    return history


def axes(history: MeasuredHistory, at: int = START, **more: Any) -> Axes:
    return history.measured(at, **more).axes


def catalogue(history: MeasuredHistory, groups: int) -> None:
    """Publish a catalogue of some groups with two keys each, and a key without a group."""
    definitions = [
        p.AttributeDefinition(key=f"{key}.{group}", group=f"g{group}") for group in range(groups) for key in "ab"
    ]
    definitions.append(p.AttributeDefinition(key="loose"))
    history.publish(p.AttributesPublished(catalogue=p.AttributeCatalogue(version=1, attributes=definitions)))


def disclose(history: MeasuredHistory, *keys: str) -> None:
    for key in keys:
        history.add(AttributeDisclosed(key=key, code="x"), START)


# Valence.


def test_three_praises_and_a_complaint_are_333333_positive() -> None:
    found = axes(at_once(*(did("PRAISE") for _ in range(3)), did("COMPLAINT")))

    assert (333_333, POSITIVE) == (found.valence_value.ppm, found.valence)
    assert (1, 2, 3, 4) == found.evidence["valence"]


@pytest.mark.parametrize(
    "good, bad, level",
    [(2, 1, POSITIVE), (3, 2, NEUTRAL), (2, 2, NEUTRAL), (2, 3, NEUTRAL), (1, 2, NEGATIVE), (0, 3, NEGATIVE)],
)
def test_a_tone_is_positive_from_a_fifth_on_and_negative_the_same_below_nothing(
    good: int, bad: int, level: levels.Valence.ValueType
) -> None:
    found = axes(at_once(*[did("PRAISE")] * good, *[did("COMPLAINT")] * bad))

    assert (level, good - bad, good + bad + 2) == (found.valence, found.valence_value.n, found.valence_value.d)


@pytest.mark.parametrize("count, reason", [(0, UNKNOWN_REASON_NO_EVIDENCE), (2, UNKNOWN_REASON_TOO_FEW)])
def test_fewer_than_three_tones_tell_nothing(count: int, reason: int) -> None:
    found = axes(at_once(*[did("PRAISE")] * count))

    assert (0, reason) == (found.valence, found.valence_value.unknown)


@pytest.mark.parametrize("provenance", ["DECLARED", "ASSESSED"])
def test_a_judgement_that_was_declared_or_assessed_is_a_tone_of_either_side(provenance: str) -> None:
    good = [judged("POSITIVE", provenance), judged("POSITIVE", provenance, direction=i.DIRECTION_OUTBOUND)]
    found = axes(at_once(*good, judged("NEGATIVE", provenance), judged("NEUTRAL", provenance)))

    assert (2 - 1, 3 + 2) == (found.valence_value.n, found.valence_value.d), "a neutral one is none"


@pytest.mark.parametrize("provenance", ["INFERRED", "OBSERVED", "THIRD_PARTY", "IMPORTED"])
def test_a_single_inferred_tone_changes_nothing(provenance: str) -> None:
    base = [did("PRAISE"), did("PRAISE"), did("COMPLAINT")]

    assert axes(at_once(*base)).valence_value == axes(at_once(*base, judged("NEGATIVE", provenance))).valence_value


def test_whose_judgement_counts_is_a_matter_of_the_policy() -> None:
    history = at_once(*[judged("NEGATIVE", "INFERRED")] * 3)
    listening = RelationshipPolicy(axes=AxisRules(sentiment_provenances=[disclosure_pb2.PROVENANCE_INFERRED]))

    assert (0, NEGATIVE) == (axes(history).valence, axes(history, under=listening).valence)


def test_what_praise_and_complaints_are_goes_before_a_judgement_of_them() -> None:
    found = axes(at_once(*[judged("NEGATIVE", "DECLARED", kind="PRAISE")] * 3))

    assert POSITIVE == found.valence


def test_praise_of_the_customer_by_us_is_no_tone() -> None:
    assert UNKNOWN_REASON_NO_EVIDENCE == axes(at_once(*[told("PRAISE")] * 3)).valence_value.unknown


def test_a_tone_leaves_after_a_year_exactly() -> None:
    history = MeasuredHistory()
    for day in range(4):
        history.add(did("PRAISE"), START + day * DAY)

    whole, three = axes(history, START + YEAR - 1), axes(history, START + YEAR)
    two = axes(history, START + YEAR + DAY)

    assert (4, 3, UNKNOWN_REASON_TOO_FEW) == (whole.valence_value.n, three.valence_value.n, two.valence_value.unknown)
    assert (2, 3, 4) == three.evidence["valence"]
    assert START + YEAR + DAY == three.changes_at


def test_a_correction_changes_a_tone_and_a_retraction_takes_it_back() -> None:
    history = at_once(*[did("PRAISE")] * 4)
    history.add(i.InteractionCorrected(original_position=1, replacement=judged("NEGATIVE", "DECLARED")), START + 1)
    corrected = axes(history, START + 1).valence_value
    history.add(i.InteractionRetracted(original_position=1), START + 2)

    assert (3 - 1, 4 + 2) == corrected[:2]
    assert (3, 3 + 2) == axes(history, START + 2).valence_value[:2]


# Closeness.


def test_half_the_groups_and_three_of_five_together_are_550000_intimate() -> None:
    history = MeasuredHistory()
    catalogue(history, 8)
    disclose(history, "a.0", "b.0", "a.1", "a.2", "a.3", "loose", "unheard-of")
    for event in (did("CALL"), did("MESSAGE", channel=i.CHANNEL_VIDEO), told("MEETING"), did("MESSAGE"), told()):
        history.add(event, START)

    found = axes(history)

    assert (550_000, INTIMATE) == (found.closeness_value.ppm, found.closeness)
    assert 3 == len(found.evidence["closeness"])


@pytest.mark.parametrize(
    "event",
    [
        did("CALL"),
        told("MEETING"),
        did("CHAT_SESSION"),
        did("MESSAGE", channel=i.CHANNEL_IN_PERSON),
        told(channel=i.CHANNEL_VIDEO),
        did("MEETING", direction=i.DIRECTION_MUTUAL),
    ],
)
def test_what_both_take_part_in_at_once_is_synchronous(event: i.InteractionRecorded) -> None:
    found = axes(at_once(event, did("MESSAGE"), told()))

    assert (1, 2 * 3, DISTANT) == (found.closeness_value.n, found.closeness_value.d, found.closeness)


@pytest.mark.parametrize(
    "event",
    [
        acted("CALL"),
        did("VISIT", channel=i.CHANNEL_IN_PERSON),
        acted("PURCHASE", channel=i.CHANNEL_IN_PERSON),
        did("EVENT_ATTENDED", channel=i.CHANNEL_VIDEO),
    ],
)
def test_what_is_addressed_to_nobody_is_not_counted(event: i.InteractionRecorded) -> None:
    found = axes(at_once(event, did("MESSAGE"), did("MESSAGE"), told()))

    assert (0, 2 * 3) == found.closeness_value[:2]


def test_a_mutual_one_counts_once() -> None:
    meetings = [did("MEETING", direction=i.DIRECTION_MUTUAL)] * 2

    assert UNKNOWN_REASON_TOO_FEW == axes(at_once(*meetings)).closeness_value.unknown
    assert (3, 2 * 3) == axes(at_once(*meetings, told("CALL"))).closeness_value[:2]


def test_what_bounced_is_not_counted() -> None:
    bounce = acted("BOUNCED", refers_to=1, initiator=i.INITIATOR_UNSPECIFIED)

    found = axes(at_once(told("CALL"), did("CALL"), did("MESSAGE"), told(), bounce))

    assert (1, 2 * 3) == found.closeness_value[:2]


def test_a_group_is_declared_as_long_as_something_of_it_is() -> None:
    history = at_once(did("MESSAGE"), did("MESSAGE"), told())
    catalogue(history, 2)
    disclose(history, "a.0", "b.0", "a.1")
    for number, key in enumerate(("a.0", "a.1", "b.0")):
        history.add(AttributeWithdrawn(key=key, provenance=disclosure_pb2.PROVENANCE_DECLARED), START + number * DAY)

    found = [history.measured(START + n * DAY, until=START + n * DAY).axes.closeness_value.ppm for n in range(3)]

    assert [500_000, 250_000, 0] == found


def test_closeness_is_known_until_too_few_are_in_the_window() -> None:
    history = MeasuredHistory()
    for day in range(3):
        history.add(did("CALL"), START + day * DAY)
    end = START + 180 * DAY

    last, gone = axes(history, end - 1), axes(history, end)

    assert (INTIMATE, end) == (last.closeness, last.changes_at)
    assert (0, UNKNOWN_REASON_TOO_FEW) == (gone.closeness, gone.closeness_value.unknown)


# Intensity.


def intense() -> MeasuredHistory:
    """Return a history of three days of two purchases."""
    history = MeasuredHistory()
    for day in range(3):
        history.add(acted("PURCHASE"), START + day * DAY)
        history.add(acted("PURCHASE"), START + day * DAY + HOUR)
    return history


def test_intensity_is_the_involvement_of_the_strength() -> None:
    measured = intense().measured(START + 3 * DAY)

    assert involvement.involvement(measured) == measured.axes.intensity_value
    assert INTENSE == measured.axes.intensity
    assert (1, 2, 3, 4, 5, 6) == measured.axes.evidence["intensity"]


def test_the_acts_of_the_example_of_strength_are_532745_intense() -> None:
    history, today = MeasuredHistory(), START + 200 * DAY
    days = {180: ["PURCHASE"] * 4, 90: ["PURCHASE", "VISIT"], 30: ["PURCHASE"], 0: ["QUESTION"]}
    for age, kinds in days.items():
        for kind in kinds:
            history.add(acted(kind), today - age * DAY)
    history.add(acted("VISIT", attention=i.ATTENTION_PARTIAL), today)

    found = axes(history, today + HOUR)

    assert (3_990_550_000_000_000_000, 532_745) == (found.intensity_value.n, found.intensity_value.ppm)
    assert INTENSE == found.intensity


@pytest.mark.parametrize("begun, known", [(2, False), (3, True)])
def test_two_acts_that_the_customer_began_tell_no_intensity(begun: int, *, known: bool) -> None:
    found = axes(at_once(*[acted("PURCHASE")] * begun, *[acted("VIEW")] * 50))

    assert (known, WEAK if known else 0) == (found.intensity_value.unknown is None, found.intensity)


def test_intensity_falls_on_the_day_that_was_foretold_and_not_before() -> None:
    history = intense()
    at = START + 3 * DAY
    told_of, days = [], 0

    while (found := axes(history, at)).intensity == INTENSE:
        assert found.changes_at is not None
        assert INTENSE == axes(history, found.changes_at - 1).intensity, "nothing crosses before"
        at, days = found.changes_at, days + 1
        told_of.append(at)

    assert WEAK == found.intensity
    assert at % DAY == 0
    assert len(told_of) <= 2, "nobody is due every midnight"
    assert INTENSE == axes(history, at - 1).intensity


def test_at_a_half_exactly_it_is_intense() -> None:
    half = RelationshipPolicy(axes=AxisRules(intense_from_ppm=461_538))
    one_day = at_once(*[acted("PURCHASE")] * 3)

    exactly = axes(one_day).intensity_value

    assert (3_000_000 * 10**12, 6_500_000 * 10**12) == exactly[:2]
    assert INTENSE == axes(one_day, under=half).intensity, "3 / 6.5 is a little more than that"
    half.axes.intense_from_ppm = 461_539
    assert WEAK == axes(one_day, under=half).intensity


# Together.

CORNERS = [
    (tone, near, much) for tone in (POSITIVE, NEGATIVE) for near in (INTIMATE, DISTANT) for much in (INTENSE, WEAK)
]


@pytest.mark.parametrize("tone, near, much", CORNERS)
def test_every_corner_is_reached(
    tone: levels.Valence.ValueType, near: levels.Closeness.ValueType, much: levels.Intensity.ValueType
) -> None:
    history = MeasuredHistory()
    for day in range(3 if much == INTENSE else 1):
        for number in range(3):
            kind = "PRAISE" if tone == POSITIVE else "COMPLAINT"
            channel = i.CHANNEL_VIDEO if near == INTIMATE else i.CHANNEL_EMAIL
            history.add(did(kind, channel=channel), START + day * DAY + number)
            if much == INTENSE:
                history.add(acted("PURCHASE"), START + day * DAY + number)

    found = axes(history, START + 2 * DAY + 2)

    assert (tone, near, much) == (found.valence, found.closeness, found.intensity)


def test_two_observations_leave_their_own_axis_unknown_and_no_other() -> None:
    calls = [did("CALL"), did("CALL"), did("CALL")]

    found = axes(at_once(*calls, did("PRAISE", direction=i.DIRECTION_OBSERVED), acted("COMPLAINT")))

    assert (0, INTIMATE, WEAK) == (found.valence, found.closeness, found.intensity)


def test_of_nobody_nothing_is_known_and_nothing_changes() -> None:
    found = axes(MeasuredHistory())

    assert (0, 0, 0, None) == (found.valence, found.closeness, found.intensity, found.changes_at)
    assert {UNKNOWN_REASON_NO_EVIDENCE} == {
        found.valence_value.unknown,
        found.closeness_value.unknown,
        found.intensity_value.unknown,
    }
    assert UNKNOWN_REASON_NO_EVIDENCE == axes(at_once(sent(kind=i.INTERACTION_KIND_DELIVERED))).closeness_value.unknown
