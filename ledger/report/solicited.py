"""Rows of solicitations: all of a relationship, and those that its newest facts alone can have changed.

What became of a solicitation hangs on acts that came after it. As long as facts come in the order of their occur times
an act is credited once and for good (settled.md 43), so a new one changes one row at most.

These are the rules of `ledger/measure/solicitations.py` (`followed_by`, `each`), without the sums that measures keep.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence

from ledger.domain.conversation_shapes import NO_RESPONSE, REPLIED
from ledger.domain.responses import Responses
from ledger.measure.act_shapes import kind_of
from ledger.measure.measured import Measured
from ledger.measure.solicitations import OUTCOMES, incited
from ledger.measure.tally import tally_of
from ledger.report.shapes import Solicitation

_Moment = tuple[int, int]
"""Occur time, in microseconds, and position."""


def all_solicitations(m: Measured) -> Iterator[Solicitation]:
    """Yield a row for every solicitation."""
    solicitations = m.record.state.conversation.solicitations
    if not len(solicitations):
        return
    responses, followed = _responses(m), set[int]()
    # What came before the first one was sent follows none.
    for time, position in {*_begun(m, solicitations.times[0]), *responses.answering()}:
        credited = _credited(m, responses, time, position)
        if credited and credited not in followed and not incited(m, position):
            followed.add(credited)
    outcome = _outcomes(m, responses)
    for place, position in enumerate(responses.sent.positions):
        yield _row(m, responses.sent.times[place], position, outcome(place, position), followed=position in followed)


def new_solicitations(m: Measured, outbound: Sequence[_Moment], others: Sequence[_Moment]) -> Iterator[Solicitation]:
    """Yield the rows that some new facts made or changed.

    None of the facts occurred before any that was folded earlier, and none refers to another but by what it answers.
    A row is `followed` if one of these facts follows it; it also is if an earlier one did. `outbound`: those among the
    facts that are OUTBOUND, and so no acts of the customer; `others`: those that are not, and so solicit nothing.
    """
    solicitations = m.record.state.conversation.solicitations
    if not len(solicitations):
        return
    if not others:
        # Nothing came after these, so nothing has answered them, and nobody has said when they were delivered.
        for time, position in outbound:
            if solicitations.has(time, position):
                yield _row(m, time, position, NO_RESPONSE, followed=False)
        return
    responses = _responses(m)
    # Nobody has said yet that one of these was delivered at another time.
    followed = {position: False for time, position in outbound if responses.sent.has(time, position)}
    for time, position in others:
        row = m.record.state.conversation.row_of(position)
        outcome = NO_RESPONSE if row is None else row.shape.outcome
        follows = outcome >= REPLIED or _is_begun(m, time, position)
        # What neither answers nor begins anything makes nothing of what it would be credited to.
        credited = responses.credited(time, position, row) if follows or outcome else 0
        if credited:
            followed[credited] = followed.get(credited, False) or (follows and not incited(m, position))
    if not followed:
        return
    outcome_of = _outcomes(m, responses)
    for position, by_new in followed.items():
        delivered = responses.delivered(position)
        assert delivered is not None, "it is a solicitation"
        place = responses.sent.place(delivered, position)
        yield _row(m, delivered, position, outcome_of(place, position), followed=by_new)


def _responses(m: Measured) -> Responses:
    return m.record.state.conversation.responses(m.outlook.rules.attribution)


def _outcomes(m: Measured, responses: Responses) -> Callable[[int, int], int]:
    """Return what tells the outcome of a solicitation, by its place and its position."""
    if not len(m.record.talk.opt_outs):
        return lambda _, position: responses.outcome(position)
    tally = tally_of(m.record, m.outlook.rules.attribution)
    return lambda place, _: tally.outcomes[place]


def _credited(m: Measured, responses: Responses, time: int, position: int) -> int:
    """Return the position of the solicitation that a fact is credited to, if it is an act; 0: none."""
    return responses.credited(time, position, m.record.state.conversation.row_of(position))


def _begun(m: Measured, since: int) -> Iterator[_Moment]:
    """Yield the acts of the customer, from a time on, that are of kinds strong enough to date involvement."""
    acts, rules = m.record.acts, m.outlook.rules
    for place in range(bisect_left(acts.times, since), len(acts.times)):
        if rules.kind_weights.get(kind_of(acts.codes[place]), 0) >= rules.session_weight:
            yield acts.times[place], acts.positions[place]


def _is_begun(m: Measured, time: int, position: int) -> bool:
    """Tell whether a fact is such an act."""
    acts, rules = m.record.acts, m.outlook.rules
    return any(
        acts.positions[place] == position
        and rules.kind_weights.get(kind_of(acts.codes[place]), 0) >= rules.session_weight
        for place in range(bisect_left(acts.times, time), bisect_right(acts.times, time))
    )


def _row(m: Measured, delivered: int, position: int, outcome: int, *, followed: bool) -> Solicitation:
    state, talk, rules = m.record.state, m.record.talk, m.outlook.rules
    row, sent = state.conversation.row_of(position), talk.sent[position]
    assert row is not None, "a solicitation has a row"
    decided = state.contacts.find(row.decision_id) if row.decision_id else None
    ratings = talk.ratings.get(position, ())
    return Solicitation(
        position,
        row.words[4],
        sent.programme,
        sent.asset,
        delivered,
        OUTCOMES[outcome],
        sent.tactic,
        sent.seconds or rules.channel_seconds.get(row.shape.channel, 0),
        sent.units if sent.asset else 0,
        0 if decided is None else decided.message.legal_basis,
        int(followed),
        int(bool(ratings)),
        int(any(judged.favourable for judged in ratings[-1:])),
    )
