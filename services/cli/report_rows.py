"""What the picture of a relationship is made of: events in rows and bins, got and gave as points, consents as spans.

Everything is counted and placed here, in whole numbers; `report_picture` only draws it. However long a history is, no
row has more marks than there are bins, no line more points, and no more spans are drawn than `SPANS_MAX`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.type.v1 import levels_pb2 as levels
from services.cli.measure_tables import ratio_text
from services.cli.output import enum_cell
from services.cli.scopes import scope_text

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from rapport.consent.v1.consent_acts_pb2 import ConsentHistoryEntry
    from rapport.relationship.v1.balance_pb2 import Balance, Entry
    from rapport.relationship.v1.measures_pb2 import Strength
    from rapport.relationship.v1.relationship_pb2 import Relationship
    from rapport.relationship.v1.timeline_pb2 import TimelineEntry

BINS: Final = 110
"""Into how many bins time is cut."""
SPANS_MAX: Final = 10
_MICROSECONDS: Final = 1_000_000
_CUSTOMER, _US = "customer", "us"
ROWS: Final = {
    _CUSTOMER: ("bought", "gave", "spoke", "did", "complained", "wishes and consent"),
    _US: ("gave", "solicited", "answered", "spoke", "promises", "asked and noted"),
}
"""Kinds of events by whose lane they are in, from above."""
_COMPLAINTS: Final = frozenset({i.INTERACTION_KIND_COMPLAINT, i.INTERACTION_KIND_MARKED_SPAM})
_ANSWERS: Final = frozenset({i.INTERACTION_KIND_ANSWER, i.INTERACTION_KIND_COMPLAINT_RESOLVED})
_OF_CUSTOMER: Final = (
    "consent.", "objection.", "guardian.", "recipient_grant.", "preference.", "profile.", "common_ground.",
    "relationship_type.declared", "value_definition.declared", "attribute.disclosed", "attribute.withdrawn",
    "vector.", "obstacle.",
)  # fmt: skip
_ASKED_BY_US: Final = ("consent.requested", "notice.")
_SILENT: Final = ("privacy.key_created.", "interaction.", "exchange.")
_GIVING: Final = ("consent.given.", "consent.renewed.")


class Story(NamedTuple):
    """Everything that is drawn, all of one view."""

    relationship: Relationship
    """With its measures."""
    timeline: Sequence[TimelineEntry]
    balance: Balance | None
    """None: no valuation policy is published."""
    entries: Sequence[Entry]
    """What makes the balance up, in order of time."""
    consents: Sequence[ConsentHistoryEntry]


class Mark(NamedTuple):
    """Events of one row and bin."""

    lane: str
    row: str
    bin: int
    events: int
    what: str
    """In words. Example: `2 PURCHASE, 1 RETURN`."""


class Point(NamedTuple):
    """What had been got and given by the end of a bin, in nanos."""

    bin: int
    got: int
    gave: int


class Span(NamedTuple):
    """How long a consent counted. Microseconds."""

    name: str
    begin: int
    end: int
    open: bool
    """It still counts at the end of the picture."""


class Bar(NamedTuple):
    """A line of the strength; penalties of one kind together. In ppm."""

    name: str
    ppm: int
    most: int
    """The most that it can add; 0 of penalties."""
    unknown: str
    """Why it is not known; empty: it is."""
    is_clamp: bool
    times: int
    """How many lines they are."""


class Range(NamedTuple):
    """Of which time the picture is. Microseconds; the end belongs to it."""

    begin: int
    end: int

    def bin_of(self, time: int) -> int:
        """Return the bin of a time, from 0; what lies outside is in the first or last one."""
        return min(max((time - self.begin) * BINS // (self.end - self.begin), 0), BINS - 1)


def micros(time: Timestamp) -> int:
    """Return a time in microseconds."""
    return time.seconds * _MICROSECONDS + time.nanos // 1000


def range_of(story: Story) -> Range:
    """Return the time from the first event to the instant of the view; at least a day."""
    end = micros(story.relationship.as_of.occur_time)
    times = [micros(entry.metadata.occur_time) for entry in story.timeline]
    begin = min([*times, end - 86_400 * _MICROSECONDS])
    return Range(begin, max([*times, end]))


def marks(story: Story, time: Range) -> list[Mark]:
    """Return what happened, by lane, row and bin."""
    counts: dict[tuple[str, str, int], Counter[str]] = {}
    for entry in story.timeline:
        for lane, row, what in _placed(entry):
            found = counts.setdefault((lane, row, time.bin_of(micros(entry.metadata.occur_time))), Counter())
            found[what] += 1
    return [
        Mark(lane, row, at, found.total(), ", ".join(f"{count} {what}" for what, count in sorted(found.items())))
        for (lane, row, at), found in sorted(counts.items())
    ]


def points(story: Story, time: Range) -> list[Point]:
    """Return what the customer had got and given by the end of each bin in which that changed."""
    found: dict[int, Point] = {}
    got = gave = 0
    for entry in sorted(story.entries, key=lambda each: (micros(each.effective_time), each.ordinal)):
        if entry.giver == x.PARTY_CUSTOMER:
            gave += entry.value_nanos
        else:
            got += entry.value_nanos
        at = time.bin_of(micros(entry.effective_time))
        found[at] = Point(at, got, gave)
    return list(found.values())


def bars(strength: Strength) -> list[Bar]:
    """Return the lines of the strength: components in order, penalties by kind, then a clamp if one was needed."""
    found: dict[int, Bar] = {}
    count: Counter[int] = Counter()
    for each in strength.contributions:
        count[each.component] += 1
        name = enum_cell(levels.StrengthComponent.DESCRIPTOR, each.component).replace("_", " ").lower()
        known = found.get(each.component)
        ppm = each.contribution_ppm + (0 if known is None else known.ppm)
        unknown = ratio_text(each.ratio).lower() if each.ratio.WhichOneof("value") == "unknown" else ""
        is_clamp = each.component == levels.STRENGTH_COMPONENT_CLAMP
        most = 0 if each.component > levels.STRENGTH_COMPONENT_PERMISSION else each.weight_ppm
        name = "kept within 0 and 1" if is_clamp else name
        found[each.component] = Bar(name, ppm, most, unknown, is_clamp, count[each.component])
    return list(found.values())


def spans(story: Story, time: Range) -> list[Span]:
    """Return how long each consent counted, the latest first."""
    times = {each.position: micros(each.occur_time) for each in story.consents}
    found = []
    for each in story.consents:
        if not each.topic.startswith(_GIVING):
            continue
        ends = [time.end]
        if each.ended_by_position in times:
            ends.append(times[each.ended_by_position])
        if each.HasField("until"):
            ends.append(micros(each.until))
        begin = micros(each.occur_time)
        found.append(Span(scope_text(each.scope), begin, max(begin, min(ends)), each.counts))
    return sorted(found, key=lambda span: (-span.begin, span.name, span.end))


def _placed(entry: TimelineEntry) -> Iterator[tuple[str, str, str]]:
    """Yield lane, row and word of an event; nothing for what was undone."""
    if entry.undone_by_position:
        return
    match entry.WhichOneof("event"):
        case "interaction_recorded":
            yield from _interaction(entry.interaction_recorded)
        case "interaction_corrected":
            yield from _interaction(entry.interaction_corrected.replacement)
        case "exchange_recorded":
            for giver in sorted({leg.giver for leg in entry.exchange_recorded.legs}):
                yield (_CUSTOMER if giver == x.PARTY_CUSTOMER else _US), "gave", "exchange"
        case _:
            yield from _other(entry.topic)


def _interaction(event: i.InteractionRecorded) -> Iterator[tuple[str, str, str]]:
    what = enum_cell(i.InteractionKind.DESCRIPTOR, event.kind)
    if event.direction != i.DIRECTION_OUTBOUND:
        if event.kind in _COMPLAINTS:
            yield _CUSTOMER, "complained", what
        elif event.kind == i.INTERACTION_KIND_PURCHASE:
            yield _CUSTOMER, "bought", what
        else:
            yield _CUSTOMER, "did" if event.direction == i.DIRECTION_OBSERVED else "spoke", what
    if event.direction in {i.DIRECTION_OUTBOUND, i.DIRECTION_MUTUAL}:
        if event.message_class == i.MESSAGE_CLASS_MARKETING:
            yield _US, "solicited", what
        else:
            yield _US, "answered" if event.kind in _ANSWERS or event.in_reply_to else "spoke", what


def _other(topic: str) -> Iterator[tuple[str, str, str]]:
    what = topic.rpartition(".")[0]
    if topic.startswith(_SILENT):
        return
    if topic.startswith("promise."):
        yield _US, "promises", what
    elif topic.startswith(_OF_CUSTOMER) and not topic.startswith(_ASKED_BY_US):
        yield _CUSTOMER, "wishes and consent", what
    else:
        yield _US, "asked and noted", what


def rows_of(found: Iterable[Mark]) -> list[tuple[str, str]]:
    """Return the rows that are drawn, in order: those with a mark, and of each lane at least one."""
    there = {(mark.lane, mark.row) for mark in found}
    drawn = []
    for lane, names in ROWS.items():
        of_lane = [(lane, name) for name in names if (lane, name) in there]
        drawn += of_lane or [(lane, "nothing yet")]
    return drawn
