"""A relationship on one page: a picture in SVG, or the same in a page of HTML. Text from answers, and nothing else.

The same answers give the same bytes. There is no script in it, and nothing is fetched: fonts are those of the reader,
colours follow light and dark, and what is told by a colour is told by a place or a word as well. Everything that comes
from a server is escaped, for what an organization calls its customers is not ours to trust.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from rapport.type.v1 import levels_pb2 as levels
from services.cli.measure_tables import seconds_text
from services.cli.output import enum_cell, time_cell, view_text
from services.cli.report_rows import BINS, SPANS_MAX, Range, Story, bars, marks, points, range_of, rows_of, spans
from services.client import nanos_text, ppm_text

if TYPE_CHECKING:
    from services.cli.report_rows import Mark, Point, Span

_WIDTH: Final = 1000
_LEFT: Final = 188
_RIGHT: Final = 976
"""Time runs between the two."""
_EDGE: Final = 24
_ROW: Final = 17
_CHART: Final = 110
_BAR: Final = 17
_TITLE_CHARS: Final = 70
_NAME_CHARS: Final = 24
_PPM: Final = 1_000_000
_TICKS_MAX: Final = 9
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"
_NO_TEXT: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
"""Controls, marks that turn the order of text around, and what is no character: categories of Unicode."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STYLE: Final = """\
svg{background:#fff;font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;font-size:12px}
text{fill:#1d1d1f}.f{fill:#5f6368}.h{font-size:13px;font-weight:600}.t{font-size:20px;font-weight:600}
.v{font-size:17px;font-weight:600}.e{text-anchor:end}.m{text-anchor:middle}.bg{fill:#fff}.box{fill:#f4f5f7}
.g{stroke:#d4d7dc;stroke-width:1;fill:none}.c{fill:#0b5d8f}.u{fill:#b3401f}.w{fill:#e3e6ea}
.got{stroke:#0b5d8f;stroke-width:2;fill:none}.gave{stroke:#b3401f;stroke-width:2;stroke-dasharray:6 3;fill:none}
@media (prefers-color-scheme:dark){svg{background:#16181c}text{fill:#eceef1}.f{fill:#a4abb5}.bg{fill:#16181c}
.box{fill:#22262d}.g{stroke:#3a4049}.c{fill:#6db7e8}.u{fill:#f0936f}.w{fill:#30363f}.got{stroke:#6db7e8}
.gave{stroke:#f0936f}}
"""


def picture(story: Story) -> str:
    """Return the picture as SVG."""
    time = range_of(story)
    drawing = _Drawing()
    drawing.header(story)
    if story.timeline:
        drawing.lanes(marks(story, time), time)
        drawing.sums(story, points(story, time), time)
        drawing.consents(spans(story, time), time)
    else:
        drawing.nothing()
    drawing.strength(story)
    drawing.legend()
    name = f"{story.relationship.organization_id}/{story.relationship.customer_id}"
    return drawing.svg(f"The relationship {name}", _description(story))


def page(story: Story) -> str:
    """Return the picture in a page of HTML that stands alone."""
    name = _text(f"{story.relationship.organization_id}/{story.relationship.customer_id}")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n"
        "<style>:root{color-scheme:light dark}body{margin:0 auto;max-width:1100px}svg{width:100%;height:auto}</style>\n"
        f"</head>\n<body>\n{picture(story)}</body>\n</html>\n"
    )


def _description(story: Story) -> str:
    """Return the picture in words."""
    told = "; ".join(f"{name}: {value}, {more}" if more else f"{name}: {value}" for name, value, more in _tiles(story))
    return f"{view_text(story.relationship.as_of)}. {told}. {len(story.timeline)} events."


def _tiles(story: Story) -> Iterator[tuple[str, str, str]]:
    """Yield the headline: name, value, and what more is to be said."""
    measures = story.relationship.measures
    existence, lifecycle, strength = measures.existence, measures.lifecycle, measures.strength
    missing = ", ".join(enum_cell(levels.ExistenceLeg.DESCRIPTOR, leg).lower() for leg in existence.missing_legs)
    since = f"first on {_day(time_cell(existence.formed_time))}"
    if len(existence.missing_legs) == len(levels.ExistenceLeg.values()) - 1:
        missing = "all three"
    yield (
        "relationship",
        "exists" if existence.exists else "does not exist",
        f"missing: {missing}" if missing else since,
    )
    often = seconds_text(lifecycle.cadence_seconds)
    by_default = lifecycle.cadence_source == levels.CADENCE_SOURCE_DEFAULT
    cadence = f"{often} by default" if by_default else f"comes every {often}"
    yield "lifecycle", _word(enum_cell(levels.Lifecycle.DESCRIPTOR, lifecycle.lifecycle)), cadence
    known = f"{_decimal(strength.coverage_ppm)} of it is known"
    yield "strength", _decimal(strength.score_ppm), known
    crossing = f"next look {_day(time_cell(measures.next_crossing_time))}"
    band = _word(enum_cell(levels.StrengthBand.DESCRIPTOR, strength.band))
    yield "band", band, crossing if measures.HasField("next_crossing_time") else "no clock changes it"
    balance = story.balance
    if balance is None:
        yield "balance", "not known", "nothing is valued"
    else:
        index = _decimal(balance.index_ppm, signed=True) if balance.HasField("index_ppm") else "not known"
        yield "balance", nanos_text(balance.net_nanos, balance.unit_of_account, signed=True), f"index {index}"


class _Drawing:
    """A drawing that grows downwards."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._y = 0

    def svg(self, title: str, description: str) -> str:
        """Return everything that was drawn."""
        height = self._y + _EDGE
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}" role="img" aria-labelledby="title desc">\n'
            f'<title id="title">{_text(title)}</title>\n<desc id="desc">{_text(description)}</desc>\n'
            f'<style>{_STYLE}</style>\n<rect class="bg" width="{_WIDTH}" height="{height}"/>\n'
            f"{''.join(self._parts)}</svg>\n"
        )

    def header(self, story: Story) -> None:
        """Draw who, which view, and the headline."""
        relationship, measures = story.relationship, story.relationship.measures
        name = f"{relationship.organization_id}/{relationship.customer_id}"
        self._words(_EDGE, 44, name, "t", _TITLE_CHARS)
        told = view_text(relationship.as_of)
        if measures.what_if:
            told += ", what if: by a policy that is not in force"
        if measures.person_customer_ids:
            told += f", of {len(measures.person_customer_ids)} customer ids that are one person"
        self._words(_EDGE, 66, told, "f", 150)
        width = (_RIGHT - _EDGE - 4 * 10) // 5
        for number, (label, value, more) in enumerate(_tiles(story)):
            x = _EDGE + number * (width + 10)
            self._add(f'<rect class="box" x="{x}" y="84" width="{width}" height="68" rx="6"/>')
            self._words(x + 12, 103, label, "f", 24)
            self._words(x + 12, 125, value, "v", 18)
            self._words(x + 12, 143, more, "f", 27)
        self._y = 152

    def nothing(self) -> None:
        """Say that nothing happened."""
        self._head("What happened")
        self._words(_EDGE, self._y + 16, "Nothing had happened between the two by then.", "f")
        self._y += 26

    def lanes(self, found: list[Mark], time: Range) -> None:
        """Draw events by time: a row for each kind, those of the customer above ours."""
        self._head("What happened")
        rows, top, places = rows_of(found), self._y, dict[tuple[str, str], int]()
        lane = ""
        for row in rows:
            if row[0] != lane:
                lane = row[0]
                self._y += 6
                self._words(_EDGE, self._y + 12, "the customer" if lane == "customer" else "we", "h")
                self._y += 17
            places[row] = self._y + _ROW // 2
            self._words(_LEFT - 14, self._y + 12, row[1], "f e", _NAME_CHARS)
            self._add(f'<path class="g" d="M{_LEFT} {places[row]}H{_RIGHT}"/>')
            self._y += _ROW
        for mark in found:
            x = _x_of_bin(mark.bin)
            radius = min(2 + mark.events.bit_length(), 8)
            title = f"{_day_of_bin(mark.bin, time)}: {mark.what}"
            style = "c" if mark.lane == "customer" else "u"
            self._add(
                f'<circle class="{style}" cx="{x}" cy="{places[mark.lane, mark.row]}" r="{radius}">'
                f"<title>{_text(title)}</title></circle>"
            )
        self._axis(top, time)

    def sums(self, story: Story, found: list[Point], time: Range) -> None:
        """Draw what the customer got and gave, added up over time."""
        balance = story.balance
        self._head("What they got and gave")
        if balance is None or not found:
            why = "no valuation policy is published" if balance is None else "nothing that was exchanged has a value"
            self._words(_EDGE, self._y + 16, f"Not known: {why}.", "f")
            self._y += 26
            return
        unit = balance.unit_of_account
        top, bottom = self._y + 6, self._y + 6 + _CHART
        most = max(1, *(max(each.got, each.gave) for each in found))
        for part in range(3):
            y = bottom - _CHART * part // 2
            self._add(f'<path class="g" d="M{_LEFT} {y}H{_RIGHT}"/>')
            self._words(_LEFT - 14, y + 4, nanos_text(most * part // 2, unit), "f e", _NAME_CHARS)
        for name in ("got", "gave"):
            path = [f"M{_LEFT} {bottom}"]
            for each in found:
                value = each.got if name == "got" else each.gave
                path.append(f"H{_x_of_bin(each.bin)}V{bottom - _CHART * max(value, 0) // most}")
            total = nanos_text(getattr(balance, f"{name}_nanos"), unit)
            told = _text(f"{name} {total}")
            self._add(f'<path class="{name}" d="{"".join(path)}H{_RIGHT}"><title>{told}</title></path>')
        self._y = bottom
        self._axis(top, time)
        got, gave = nanos_text(balance.got_nanos, unit), nanos_text(balance.gave_nanos, unit)
        self._add(f'<path class="got" d="M{_LEFT} {self._y + 12}h24"/>')
        self._words(_LEFT + 30, self._y + 16, f"got {got}", "", 40)
        self._add(f'<path class="gave" d="M{_LEFT + 300} {self._y + 12}h24"/>')
        self._words(_LEFT + 330, self._y + 16, f"gave {gave}", "", 40)
        self._y += 22

    def consents(self, found: list[Span], time: Range) -> None:
        """Draw how long consents counted, the latest first."""
        self._head("What they consented to")
        if not found:
            self._words(_EDGE, self._y + 16, "No consent was given.", "f")
            self._y += 26
            return
        top = self._y
        for span in found[:SPANS_MAX]:
            begin, end = _x_of(span.begin, time), _x_of(span.end, time)
            self._words(_LEFT - 14, self._y + 12, span.name, "f e", _NAME_CHARS)
            title = f"{span.name}: {_day(_iso(span.begin))} to {'the end' if span.open else _day(_iso(span.end))}"
            style = "c" if span.open else "w"
            self._add(
                f'<rect class="{style}" x="{begin}" y="{self._y + 4}" width="{max(end - begin, 3)}" height="9" rx="2">'
                f"<title>{_text(title)}</title></rect>"
            )
            self._y += _ROW
        self._axis(top, time)
        if len(found) > SPANS_MAX:
            self._words(_LEFT, self._y + 14, f"and {len(found) - SPANS_MAX} earlier ones", "f")
            self._y += 20

    def strength(self, story: Story) -> None:
        """Draw the lines of the strength as bars: the outline is the most a line can add."""
        strength = story.relationship.measures.strength
        self._head(f"What the strength of {_decimal(strength.score_ppm)} is made of")
        lines = bars(strength)
        weights = [max(each.most, abs(each.ppm)) for each in lines if not each.is_clamp]
        most = max([1, *weights])
        lowered = max([0, *(-each.ppm for each in lines)])
        raised = max([0, *(max(each.most, each.ppm) for each in lines if not each.is_clamp)])
        room = 420 * most // max(lowered + raised, 1)  # Both sides together take as much room in every picture.
        middle = _LEFT + room * lowered // most + (8 if lowered else 0)
        top = self._y
        for each in lines:
            y, ppm = self._y + 3, each.ppm
            self._words(_LEFT - 14, self._y + 13, each.name, "f e", _NAME_CHARS)
            if not each.is_clamp:
                part = max(room * abs(ppm) // most, 1 if ppm else 0)
                self._bar("w", middle, y, room * each.most // most)
                self._bar("c", middle, y, part if ppm > 0 else 0)
                self._bar("u", middle - part, y, part if ppm < 0 else 0)
            told = each.unknown or f"{ppm:+,} ppm" + (f", of {each.times} events" if each.times > 1 else "")
            self._words(_LEFT + 442, self._y + 13, told, "f" if each.unknown else "", 40)
            self._y += _BAR
        self._add(f'<path class="g" d="M{middle} {top}V{self._y + 2}"/>')

    def _bar(self, style: str, x: int, y: int, width: int) -> None:
        if width:
            self._add(f'<rect class="{style}" x="{x}" y="{y}" width="{width}" height="11" rx="2"/>')

    def legend(self) -> None:
        """Say how to read it."""
        self._y += 34
        text = "A dot is one event, a larger one more of them. Bars: the outline is the most that a line can add."
        self._add(f'<circle class="c" cx="{_EDGE + 6}" cy="{self._y - 4}" r="5"/>')
        self._words(_EDGE + 18, self._y, "the customer", "f")
        self._add(f'<circle class="u" cx="{_EDGE + 116}" cy="{self._y - 4}" r="5"/>')
        self._words(_EDGE + 128, self._y, "we; what lowers the strength", "f")
        self._words(_EDGE + 320, self._y, text, "f")

    def _head(self, text: str) -> None:
        self._y += 32
        self._words(_EDGE, self._y, text, "h")
        self._y += 8

    def _axis(self, top: int, time: Range) -> None:
        """Draw marks of time from a height down to here, and name them."""
        last = -_WIDTH
        for at, name in _ticks(time):
            x = _x_of(at, time)
            self._add(f'<path class="g" d="M{x} {top}V{self._y + 3}"/>')
            if x - last >= 70 and x <= _RIGHT - 24:
                self._words(x, self._y + 16, name, "f m")
                last = x
        self._y += 20

    def _words(self, x: int, y: int, text: str, style: str = "", chars: int = 200) -> None:
        """Write a line; one that is too long is cut, and told in full to who points at it."""
        cut = text if len(text) <= chars else f"{text[: chars - 1]}…"
        more = "" if cut == text else f"<title>{_text(text)}</title>"
        chosen = f" class={quoteattr(style)}" if style else ""
        self._add(f'<text{chosen} x="{x}" y="{y}">{_text(cut)}{more}</text>')

    def _add(self, part: str) -> None:
        self._parts.append(f"{part}\n")


def _x_of(time: int, within: Range) -> int:
    time = min(max(time, within.begin), within.end)
    return _LEFT + (time - within.begin) * (_RIGHT - _LEFT) // (within.end - within.begin)


def _x_of_bin(number: int) -> int:
    return _LEFT + (2 * number + 1) * (_RIGHT - _LEFT) // (2 * BINS)


def _ticks(time: Range) -> list[tuple[int, str]]:
    """Return where time is marked, and how: days, months or years, so that there are few of them."""
    begin, end = _moment(time.begin), _moment(time.end)
    days = (end - begin).days
    for step in (1, 2, 7, 14):
        if days // step < _TICKS_MAX:
            first = datetime(begin.year, begin.month, begin.day, tzinfo=UTC) + timedelta(days=1)
            found = [first + timedelta(days=step * number) for number in range(days // step + 1)]
            return [(_micros(at), f"{at:%Y-%m-%d}") for at in found if at <= end]
    months = (end.year - begin.year) * 12 + end.month - begin.month
    step = next(step for step in (1, 3, 6, 12, 24, 60, 120, 1_200, 12_000) if months // step < _TICKS_MAX)
    # Months are counted from January of year 0, and those that are whole steps are marked.
    number = -(-(begin.year * 12 + begin.month - 1) // step) * step
    numbers = range(number, end.year * 12 + end.month, step)
    found = [datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC) for number in numbers]
    form = "%Y" if step >= 12 else "%Y-%m"  # Months of a year.
    return [(_micros(at), at.strftime(form)) for at in found if begin <= at <= end]


def _day_of_bin(number: int, time: Range) -> str:
    begin, end = (time.begin + (time.end - time.begin) * each // BINS for each in (number, number + 1))
    first, last = _day(_iso(begin)), _day(_iso(end))
    return first if first == last else f"{first} to {last}"


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _iso(micros: int) -> str:
    return _moment(micros).isoformat()


def _day(time: str) -> str:
    return time[:10]


def _decimal(ppm: int, *, signed: bool = False) -> str:
    return ppm_text(ppm, signed=signed).partition(" ")[0]


def _word(name: str) -> str:
    return name.replace("_", " ").lower()


def _text(text: str) -> str:
    """Return text as it may stand between tags: escaped, and without characters that no XML may have."""
    return escape("".join(_REPLACED if unicodedata.category(each) in _NO_TEXT else each for each in text))
