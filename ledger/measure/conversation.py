"""Who speaks and who answers (relationship.md 10).

All of it is over the window, except how often the customer was asked for their definition of value. Unanswered requests
that may still be answered in time count nowhere.
"""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.measure.evidence import Evidence, latest
from ledger.measure.results import ConversationMeasure, Ratio, unknown
from ledger.measure.window import Stretch, in_window
from rapport.relationship.v1 import measures_pb2 as why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ledger.measure.measured import Measured
    from ledger.measure.rules import Rules

STREAK_MAX: Final = 1_000
"""Longest streak that is told."""


class Answers(NamedTuple):
    """What became of the requests of the window."""

    needing: int
    answered: int
    open_until: int | None
    """When the first that is still open is answered too late; None: none is open."""

    @property
    def ratio(self) -> Ratio:
        """How many of those that needed an answer in time got it."""
        if self.needing:
            return Ratio(self.answered, self.needing)
        return _NOTHING if self.open_until is None else _NOT_YET


_NOTHING: Final = unknown(why.UNKNOWN_REASON_NO_EVIDENCE)
_NOT_YET: Final = unknown(why.UNKNOWN_REASON_NOTHING_MATURED)
_NONE: Final = Answers(0, 0, None)
"""Where nothing was asked."""


def conversation(m: Measured) -> ConversationMeasure:
    """Return the measure."""
    rules, answers, said = m.outlook.rules, m.answers, m.spoken
    inbound, outbound = said.inbound.within, said.outbound.within
    listening = Ratio(inbound, inbound + outbound) if inbound or outbound else _NOTHING
    streak = unanswered(m)
    asked, declared = _questions(m)
    accepted, rejected = _verdicts(m)
    return ConversationMeasure(
        inbound=inbound,
        outbound=outbound,
        listening=listening,
        needing=answers.needing,
        answered_count=answers.answered,
        answered=answers.ratio,
        streak=min(len(streak), STREAK_MAX),
        broadcast=broadcast(rules, len(streak), outbound, listening),
        asked=asked,
        value_answered=Ratio(declared, asked) if asked else _NOTHING,
        accepted=accepted,
        rejected=rejected,
        accepted_share=Ratio(accepted, accepted + rejected) if accepted + rejected else _NOTHING,
        evidence=Evidence(_EVIDENCE, m),
        changes_at=_changes_at(m, streak),
    )


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
    window = m.outlook.rules.window
    moves = [stretch.leaves_at(window) for stretch in m.spoken]
    moves.append(m.answers.open_until)
    return min((time for time in moves if time is not None), default=None)


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


def answers(m: Measured) -> Answers:
    """Return what became of the requests of the window."""
    requests, first, last = m.spoken.requests
    if first == last:
        return _NONE
    talk, within = m.record.talk, m.outlook.rules.answer_within
    answers, too_late = talk.answers, m.at - within
    needing, answered, open_until = 0, 0, None
    for place in range(first, last):
        time, position = requests.times[place], requests.positions[place]
        if position in answers and talk.replied_within(position, time, within):
            needing, answered = needing + 1, answered + 1
        elif time <= too_late:
            needing += 1
        elif open_until is None:
            open_until = time + within
    return Answers(needing, answered, open_until)


def _questions(m: Measured) -> tuple[int, int]:
    """Return how often the customer was asked for their definition of value, and how often they answered."""
    state = m.record.state
    if "value_questions" not in state.parts:
        return 0, 0
    return len(state.value_questions.asked), state.value_questions.declared


def _verdicts(m: Measured) -> tuple[int, int]:
    """Return how many contributions were accepted and rejected; of several words on one the last counts."""
    talk, counts = m.record.talk, [0, 0]
    decided, first, last = in_window(talk.decided, m)
    for place in range(first, last):
        position = decided.positions[place]
        said = talk.said(position)
        assert said is not None, "what counts was said"
        final = talk.verdicts[said.about or position][-1]
        if final.position == position:
            counts[not final.favourable] += 1
    return counts[0], counts[1]


def _changes_at(m: Measured, streak: range) -> int | None:
    """Return the earliest instant at which being in broadcast mode, or being free to leave it, may change.

    The window only closes: a streak can fall below its threshold and to 0, and outbounds below theirs. While there are
    fewer of them, listening does not matter.
    """
    rules, (inbound, outbound, _) = m.outlook.rules, m.spoken
    solicitations, window = m.record.state.conversation.solicitations, rules.window
    found = []
    if streak:
        found.append(solicitations.times[streak[-1]] + window)
        if len(streak) >= rules.broadcast_streak:
            found.append(solicitations.times[streak[-rules.broadcast_streak]] + window)
    if outbound.within >= rules.broadcast_out_min:
        found += (each for each in (outbound.leaves_at(window), inbound.leaves_at(window)) if each is not None)
    return min(found, default=None)


def _heard(m: Measured) -> Iterator[int]:
    """Yield the positions of what was said, the latest first; a mutual one once."""
    last, said = 0, m.spoken
    for _, position in merge(_backwards(said.inbound), _backwards(said.outbound), reverse=True):
        if position != last:
            yield position
        last = position


def _backwards(stretch: Stretch) -> Iterator[tuple[int, int]]:
    moments, first, last = stretch
    return ((moments.times[place], moments.positions[place]) for place in range(last - 1, first - 1, -1))


def _streak(m: Measured) -> Iterator[int]:
    places = unanswered(m)
    return latest(m.record.state.conversation.solicitations, places.start, places.stop)


def _asked_back(m: Measured) -> Sequence[int]:
    return m.record.state.value_questions.asked[::-1]


def _requests(m: Measured) -> Iterator[int]:
    return latest(*m.spoken.requests)


def _decided(m: Measured) -> Iterator[int]:
    return latest(*in_window(m.record.talk.decided, m))


_EVIDENCE: Final[Mapping[str, Callable[[Measured], Iterable[int]]]] = {
    "listening": _heard,
    "answered": _requests,
    "streak": _streak,
    "value_answered": _asked_back,
    "accepted_share": _decided,
}
