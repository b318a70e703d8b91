"""The picture of a relationship: the same bytes for the same view, well-formed, harmless, small and readable."""

from __future__ import annotations

import os
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from rapport.consent.v1.consent_acts_pb2 import ConsentHistoryEntry
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.consent_pb2 import ConsentScope
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.relationship.v1 import measures_pb2 as m
from rapport.relationship.v1.balance_pb2 import Balance, Entry
from rapport.relationship.v1.relationship_pb2 import Relationship
from rapport.relationship.v1.timeline_pb2 import TimelineEntry
from rapport.type.v1 import levels_pb2 as levels
from services.cli.report_picture import page, picture
from services.cli.report_rows import BINS, SPANS_MAX, Story, bars, marks, points, range_of, rows_of, spans
from services.client import timestamp, view
from tests.contact_histories import DAY, instant

GOLDEN = Path(__file__).parent.parent / "golden" / "relationship_report.svg"
EURO = 10**9
HOSTILE = "a\"'></text><script>alert(1)</script>&\x00\u202e]]>"
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def happened(days: float, topic: str = "interaction.recorded.v1", **event: Any) -> TimelineEntry:
    metadata = EventMetadata(occur_time=timestamp(at(days)))
    return TimelineEntry(position=1, topic=topic, metadata=metadata, **event)


def act(days: float, kind: str, direction: str = "OBSERVED", **more: Any) -> TimelineEntry:
    event = i.InteractionRecorded(
        kind=i.InteractionKind.Value(f"INTERACTION_KIND_{kind}"),
        direction=i.Direction.Value(f"DIRECTION_{direction}"),
        **more,
    )
    return happened(days, interaction_recorded=event)


def traded(days: float, *givers: x.Party.ValueType) -> TimelineEntry:
    legs = [x.Leg(giver=giver) for giver in givers]
    return happened(days, "exchange.recorded.v1", exchange_recorded=x.ExchangeRecorded(legs=legs))


def entry(ordinal: int, days: float, giver: x.Party.ValueType, euros: int) -> Entry:
    return Entry(ordinal=ordinal, effective_time=timestamp(at(days)), giver=giver, value_nanos=euros * EURO)


def given(position: int, days: float, purpose: str, *, ended_by: int = 0, until: float | None = None) -> Any:
    found = ConsentHistoryEntry(
        position=position,
        topic="consent.given.v1",
        occur_time=timestamp(at(days)),
        scope=ConsentScope(purposes=[purpose]),
        counts=not ended_by and until is None,
        ended_by_position=ended_by,
    )
    if until is not None:
        found.until.CopyFrom(timestamp(at(until)))
    return found


def line(component: str, adds: int, weight: int, **ratio: Any) -> m.Contribution:
    return m.Contribution(
        component=levels.StrengthComponent.Value(f"STRENGTH_COMPONENT_{component}"),
        contribution_ppm=adds,
        weight_ppm=weight,
        ratio=m.Measure(**ratio),
    )


def measures(customer_id: str = "c-1") -> Relationship:
    found = Relationship(organization_id="acme", customer_id=customer_id, as_of=view(occur_time=at(200), position=40))
    of = found.measures
    of.existence.exists = True
    of.existence.formed_time.CopyFrom(timestamp(at(3)))
    of.lifecycle.lifecycle = levels.LIFECYCLE_AT_RISK
    of.lifecycle.cadence_seconds = 30 * 86_400
    of.strength.score_ppm, of.strength.coverage_ppm, of.strength.band = 450_000, 900_000, levels.STRENGTH_BAND_MODERATE
    of.strength.contributions.extend(
        [
            line("INVOLVEMENT", 250_000, 300_000, ppm=833_333),
            line("RECIPROCITY", 250_000, 250_000, ppm=1_000_000),
            line("PREFERENCE", 0, 200_000, unknown=m.UNKNOWN_REASON_NO_EVIDENCE),
            line("SPAM", -30_000, 100_000, ppm=300_000),
            line("SPAM", -20_000, 100_000, ppm=200_000),
        ]
    )
    of.next_crossing_time.CopyFrom(timestamp(at(210)))
    return found


def a_story() -> Story:
    balance = Balance(unit_of_account="EUR", got_nanos=60 * EURO, gave_nanos=50 * EURO, net_nanos=10 * EURO)
    balance.index_ppm = 76_923
    timeline = [
        act(0, "VISIT"),
        act(10, "PURCHASE"),
        act(10.01, "PURCHASE"),
        traded(10, x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION),
        act(50, "OFFER", "OUTBOUND", message_class=i.MESSAGE_CLASS_MARKETING),
        act(60, "COMPLAINT", "INBOUND"),
        act(61, "ANSWER", "OUTBOUND", message_class=i.MESSAGE_CLASS_SERVICE),
        act(62, "MEETING", "MUTUAL"),
        happened(70, "consent.given.v1"),
        happened(80, "promise.made.v1"),
        happened(81, "identifier.verified.v1"),
        happened(82, "privacy.key_created.v1"),
    ]
    entries = [entry(1, 10, x.PARTY_CUSTOMER, 50), entry(2, 10, x.PARTY_ORGANIZATION, 20)]
    entries.append(entry(3, 90, x.PARTY_ORGANIZATION, 40))
    withdrawn = ConsentHistoryEntry(position=9, topic="consent.withdrawn.v1", occur_time=timestamp(at(120)))
    consents = [given(3, 70, "newsletter", ended_by=9), withdrawn, given(11, 130, "service.care")]
    return Story(measures(), timeline, balance, entries, consents)


def test_the_same_view_gives_the_same_bytes() -> None:
    drawn = picture(a_story())

    if os.environ.get("RAPPORT_TEST_WRITE_GOLDEN"):
        GOLDEN.write_text(drawn, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == drawn == picture(a_story())


def test_every_event_has_its_row_and_none_is_drawn_twice() -> None:
    story = a_story()

    found = [(mark.lane, mark.row, mark.what) for mark in marks(story, range_of(story))]

    assert {
        ("customer", "did", "1 VISIT"),
        ("customer", "bought", "2 PURCHASE"),
        ("customer", "gave", "1 exchange"),
        ("customer", "complained", "1 COMPLAINT"),
        ("customer", "spoke", "1 MEETING"),
        ("customer", "wishes and consent", "1 consent.given"),
        ("us", "gave", "1 exchange"),
        ("us", "solicited", "1 OFFER"),
        ("us", "answered", "1 ANSWER"),
        ("us", "spoke", "1 MEETING"),
        ("us", "promises", "1 promise.made"),
        ("us", "asked and noted", "1 identifier.verified"),
    } == set(found)
    assert len(found) == len(set(found))


def test_what_was_undone_is_not_drawn() -> None:
    story = a_story()
    for each in story.timeline:
        each.undone_by_position = 40

    assert [] == marks(story, range_of(story))
    assert [("customer", "nothing yet"), ("us", "nothing yet")] == rows_of([])


def test_got_and_gave_add_up_to_the_balance() -> None:
    story = a_story()

    found = points(story, range_of(story))

    assert [(20 * EURO, 50 * EURO), (60 * EURO, 50 * EURO)] == [(each.got, each.gave) for each in found]


def test_a_consent_ends_with_what_ended_it_or_its_own_term() -> None:
    story = a_story()._replace(consents=[*a_story().consents, given(12, 20, "old", until=25)])

    found = spans(story, range_of(story))

    def day(days: int) -> int:
        return instant("2026-01-01") + days * DAY

    assert [
        ("service.care", day(130), day(200), True),
        ("newsletter", day(70), day(120), False),
        ("old", day(20), day(25), False),
    ] == [tuple(span) for span in found]


def test_penalties_of_one_kind_are_one_bar_and_unknown_is_said() -> None:
    found = {bar.name: bar for bar in bars(measures().measures.strength)}

    assert (-50_000, 2) == (found["spam"].ppm, found["spam"].times)
    assert "unknown: nothing of it is recorded" == found["preference"].unknown
    assert 450_000 == sum(bar.ppm for bar in found.values())


@pytest.mark.parametrize("draw", [picture, page])
def test_it_is_well_formed_and_needs_nothing_else(draw: Any) -> None:
    drawn = draw(a_story())

    inner = drawn[drawn.index("<svg") : drawn.index("</svg>") + 6]
    root = ET.fromstring(inner)  # Our own.
    assert {"title", "desc"} <= {each.tag.rpartition("}")[2] for each in root}
    assert "img" == root.get("role")
    assert root.get("aria-labelledby") == "title desc"
    names = {each.tag.rpartition("}")[2] for each in root.iter()}
    assert {"svg", "title", "desc", "style", "rect", "text", "path", "circle"} == names
    assert not re.search(r"<script|href|url\(|@import|javascript|\son\w+=|src=", drawn)
    assert "prefers-color-scheme:dark" in drawn


def test_a_hostile_name_injects_nothing() -> None:
    story = a_story()._replace(relationship=measures(HOSTILE), consents=[given(3, 70, HOSTILE)])
    story.timeline[0].topic = HOSTILE
    assert story.balance is not None
    story.balance.unit_of_account = HOSTILE

    for drawn in (picture(story), page(story)):
        assert "<script" not in drawn
        assert "\x00" not in drawn
        assert "\u202e" not in drawn
        root = ET.fromstring(drawn[drawn.index("<svg") : drawn.index("</svg>") + 6])  # Our own.
        assert {"svg", "title", "desc", "style", "rect", "text", "path", "circle"} >= {
            each.tag.rpartition("}")[2] for each in root.iter()
        }
    assert "&lt;script&gt;" in picture(story)


def test_long_histories_stay_small(seed: int) -> None:
    chance = random.Random(seed)
    classes = [0, i.MESSAGE_CLASS_MARKETING]
    kinds = ["VISIT", "PURCHASE", "COMPLAINT", "MESSAGE", "REVIEW", "ANSWER", "OFFER"]
    directions = ["OBSERVED", "INBOUND", "OUTBOUND"]
    timeline = [
        act(
            chance.random() * 3_000,
            chance.choice(kinds),
            chance.choice(directions),
            message_class=chance.choice(classes),
        )
        for _ in range(8_000)
    ]
    topics = ["consent.given.v1", "promise.kept.v1", "identifier.verified.v1"]
    timeline += [happened(chance.random() * 3_000, chance.choice(topics)) for _ in range(2_000)]
    entries = [entry(n, n, chance.choice([x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION]), 5) for n in range(3_000)]
    consents = [given(n, n, "marketing.direct") for n in range(500)]
    story = Story(measures("c" * 128), timeline, a_story().balance, entries, consents)
    story.relationship.as_of.occur_time.CopyFrom(timestamp(at(3_000)))

    drawn = picture(story)

    assert len(drawn.encode()) < 300_000
    assert len(points(story, range_of(story))) <= BINS
    assert f"and {500 - SPANS_MAX} earlier ones" in drawn


def test_where_nothing_happened_it_says_so() -> None:
    drawn = picture(Story(measures(), [], None, [], []))

    assert "Nothing had happened between the two by then." in drawn
    assert "not known" in drawn
    assert "circle" in drawn  # The legend.


def test_a_cadence_by_default_is_not_told_as_what_they_do() -> None:
    story = a_story()
    assert "comes every 30 d" in picture(story)

    story.relationship.measures.lifecycle.cadence_source = levels.CADENCE_SOURCE_DEFAULT

    assert "comes every" not in picture(story)
    assert "30 d by default" in picture(story)


def test_where_nothing_is_valued_it_says_so() -> None:
    assert "no valuation policy is published" in picture(a_story()._replace(balance=None, entries=[]))
    assert "nothing that was exchanged has a value" in picture(a_story()._replace(entries=[]))


@pytest.mark.parametrize("days", [0, 0.5, 1, 3, 20, 40, 100, 400, 1_500, 9_000, 200_000])
def test_time_is_marked_a_few_times_and_never_on_top_of_each_other(days: float) -> None:
    story = a_story()._replace(timeline=[act(-days, "VISIT")], entries=[], consents=[])
    story.relationship.as_of.occur_time.CopyFrom(timestamp(at(0.1)))

    drawn = picture(story)

    places = [int(x) for x in re.findall(r'class="f m" x="(\d+)"', drawn)]
    each = places[: len(places) // max(drawn.count("What they") or 1, 1)] or places
    assert len(set(places)) <= 10
    assert all(two - one >= 70 for one, two in zip(sorted(set(each)), sorted(set(each))[1:], strict=False))
