"""Who speaks and who answers (relationship.md 10).

All of it is over the window, except how often the customer was asked for their definition of value. Unanswered requests
that may still be answered in time count nowhere.
"""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.measure.evidence import Evidence, latest
from ledger.measure.results import ConversationMeasure, Ratio, unknown
from rapport.relationship.v1 import measures_pb2 as why

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ledger.domain.moments import Moments
    from ledger.measure.measured import Measured
    from ledger.measure.rules import Rules

STREAK_MAX: Final = 1_000
"""Longest streak that is told."""


class _Answers(NamedTuple):
    """What became of the requests of the window."""

    needing: int
    answered: int
    open_until: int | None
    """When the first that is still open is answered too late; None: none is open."""


def conversation(m: Measured) -> ConversationMeasure:
    """Return the measure."""
    talk, questions, rules = m.record.talk, m.record.state.value_questions, m.outlook.rules
    inbound, outbound = _in_window(talk.inbound, m), _in_window(talk.outbound, m)
    listening = Ratio(len(inbound), len(inbound) + len(outbound)) if inbound or outbound else _nothing()
    answers = _answers(m)
    streak = unanswered(m)
    asked = len(questions.asked)
    accepted, rejected = _verdicts(m)
    return ConversationMeasure(
        inbound=len(inbound),
        outbound=len(outbound),
        listening=listening,
        needing=answers.needing,
        answered_count=answers.answered,
        answered=_answered(answers),
        streak=min(len(streak), STREAK_MAX),
        broadcast=broadcast(rules, len(streak), len(outbound), listening),
        asked=asked,
        value_answered=Ratio(questions.declared, asked) if asked else _nothing(),
        accepted=accepted,
        rejected=rejected,
        accepted_share=Ratio(accepted, accepted + rejected) if accepted + rejected else _nothing(),
        evidence=Evidence({
            "listening": lambda: _spoken(m, inbound, outbound),
            "answered": lambda: latest(talk.requests, *_bounds(_in_window(talk.requests, m))),
            "streak": lambda: latest(m.record.state.conversation.solicitations, *_bounds(streak)),
            "value_answered": lambda: reversed(questions.asked),
            "accepted_share": lambda: latest(talk.decided, *_bounds(_in_window(talk.decided, m))),
        }),
        changes_at=_changes_at(m, inbound, outbound, streak),
    )  # fmt: skip


def broadcast(rules: Rules, streak: int, outbound: int, listening: Ratio) -> bool:
    """Tell whether somebody speaks who does not listen, by the plain thresholds."""
    if streak >= rules.broadcast_streak:
        return True
    return outbound >= rules.broadcast_out_min and listening.unknown is None and listening.ppm < rules.broadcast_below


def moves_at(m: Measured) -> int | None:
    """Return the earliest later instant at which a count of the conversation changes by the clock, exactly; or None.

    Something leaves the window, or an open request can no longer be answered in time. Levels change then or later, but
    whoever makes a number of these counts, such as the strength, has to look.
    """
    talk = m.record.talk
    leaving = (_leaves_at(moments, m) for moments in (talk.inbound, talk.outbound, talk.requests))
    return _earliest(*leaving, _answers(m).open_until)


def unanswered(m: Measured) -> range:
    """Return the places, among the solicitations, of those of the window that no word of the customer followed.

    What the customer began, addressed to us or of a kind that is, and by kind strong enough to date involvement
    (settled.md 45).
    """
    solicitations, at = m.record.state.conversation.solicitations, m.at
    first = solicitations.until(at - m.outlook.rules.window)
    spoken = _last_spoken(m)
    if spoken is not None:
        first = max(first, solicitations.place(*spoken))
    return range(first, max(first, solicitations.until(at)))


def _last_spoken(m: Measured) -> tuple[int, int] | None:
    """Return time and position of the last communication that the customer began, or None."""
    rules, found = m.outlook.rules, None
    for kind, moments in m.record.talk.spoken.items():
        if moments and rules.kind_weights.get(kind, 0) >= rules.session_weight:
            last = moments.times[-1], moments.positions[-1]
            found = last if found is None or last > found else found
    return found


def _answers(m: Measured) -> _Answers:
    talk, within = m.record.talk, m.outlook.rules.answer_within
    requests, answers, too_late = talk.requests, talk.answers, m.at - within
    needing, answered, open_until = 0, 0, None
    for place in _in_window(requests, m):
        time, position = requests.times[place], requests.positions[place]
        if position in answers and talk.replied_within(position, time, within):
            needing, answered = needing + 1, answered + 1
        elif time <= too_late:
            needing += 1
        elif open_until is None:
            open_until = time + within
    return _Answers(needing, answered, open_until)


def _answered(answers: _Answers) -> Ratio:
    if answers.needing:
        return Ratio(answers.answered, answers.needing)
    return _nothing() if answers.open_until is None else unknown(why.UNKNOWN_REASON_NOTHING_MATURED)


def _verdicts(m: Measured) -> tuple[int, int]:
    """Return how many contributions were accepted and rejected; of several words on one the last counts."""
    talk, counts = m.record.talk, [0, 0]
    for place in _in_window(talk.decided, m):
        position = talk.decided.positions[place]
        said = talk.said(position)
        assert said is not None, "what counts was said"
        last = talk.verdicts[said.about or position][-1]
        if last.position == position:
            counts[not last.favourable] += 1
    return counts[0], counts[1]


def _changes_at(m: Measured, inbound: range, outbound: range, streak: range) -> int | None:
    """Return the earliest instant at which being in broadcast mode, or being free to leave it, may change.

    The window only closes: a streak can fall below its threshold and to 0, and outbounds below theirs. While there are
    fewer of them, listening does not matter.
    """
    rules = m.outlook.rules
    solicitations, window = m.record.state.conversation.solicitations, rules.window
    found = []
    if streak:
        found.append(solicitations.times[streak[-1]] + window)
        if len(streak) >= rules.broadcast_streak:
            found.append(solicitations.times[streak[-rules.broadcast_streak]] + window)
    if len(outbound) >= rules.broadcast_out_min:
        talk = m.record.talk
        found.append(talk.outbound.times[outbound[0]] + window)
        if inbound:
            found.append(talk.inbound.times[inbound[0]] + window)
    return min(found, default=None)


def _spoken(m: Measured, inbound: range, outbound: range) -> Iterator[int]:
    """Yield the positions of what was said, the latest first; a mutual one once."""
    talk, last = m.record.talk, 0
    of_both = merge(_backwards(talk.inbound, inbound), _backwards(talk.outbound, outbound), reverse=True)
    for _, position in of_both:
        if position != last:
            yield position
        last = position


def _backwards(moments: Moments, places: range) -> Iterator[tuple[int, int]]:
    return ((moments.times[place], moments.positions[place]) for place in reversed(places))


def _in_window(moments: Moments, m: Measured) -> range:
    """Return the places of what occurred in the window: later than its start, up to the instant."""
    return range(moments.until(m.at - m.outlook.rules.window), moments.until(m.at))


def _leaves_at(moments: Moments, m: Measured) -> int | None:
    places = _in_window(moments, m)
    return moments.times[places[0]] + m.outlook.rules.window if places else None


def _bounds(places: range) -> tuple[int, int]:
    return places.start, places.stop


def _earliest(*times: int | None) -> int | None:
    return min((time for time in times if time is not None), default=None)


def _nothing() -> Ratio:
    return unknown(why.UNKNOWN_REASON_NO_EVIDENCE)
