"""What became of solicitations, what they cost, and what they were worth (relationship.md 10).

Rates are over matured ones, ever; pressure is over the window. An act of the customer is credited to one solicitation
only, for outcomes as for what followed: else one purchase would speak for every message of a fortnight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.domain.conversation_shapes import BOUGHT, NO_RESPONSE, OPTED_OUT, REPLIED
from ledger.domain.times import MICROSECONDS
from ledger.measure import tally as t
from ledger.measure.act_shapes import kind_of
from ledger.measure.evidence import Evidence, latest
from ledger.measure.results import Ratio, Solicitations, unknown
from ledger.measure.tally import Tally, tally_of
from rapport.relationship.v1 import measures_pb2 as why
from rapport.type.v1 import levels_pb2 as levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ledger.measure.measured import Measured

_PERIOD: Final = 30 * 86_400 * MICROSECONDS
"""What pressure is told for."""
_NANO: Final = 10 ** (t.FINEST - 9)
"""Finest units of a nano of the unit of account."""

OUTCOMES: Final[Mapping[int, levels.SolicitationOutcome.ValueType]] = {
    BOUGHT: levels.SOLICITATION_OUTCOME_BOUGHT,
    REPLIED: levels.SOLICITATION_OUTCOME_REPLIED,
    OPTED_OUT: levels.SOLICITATION_OUTCOME_OPTED_OUT,
    NO_RESPONSE: levels.SOLICITATION_OUTCOME_NO_RESPONSE,
}
"""Outcomes as they are told, by those of a conversation."""


class SolicitationRow(NamedTuple):
    """One solicitation and what became of it. Times are microseconds."""

    position: int
    delivered_time: int
    campaign: str
    programme: str
    tactic: int
    message_class: int
    channel: int
    outcome: levels.SolicitationOutcome.ValueType
    """UNSPECIFIED: it is not matured."""
    matured_at: int
    """First instant at which it is."""
    seconds: int
    """Of attention: the event's own, else the channel's."""
    cost: tuple[str, int] | None
    """Asset and units; None: not on record."""
    decision_id: int
    """Position of the decision that it names; 0: none."""
    legal_basis: int
    """Of that decision, a `LegalBasis`; 0: not known."""
    prospect: bool
    """Nothing was bought before it was delivered."""
    followed: bool
    """An act of the customer without incentive is credited to it, matured or not."""
    rated: bool
    relevant: bool
    """So it was rated last."""


class CampaignPart(NamedTuple):
    """What one relationship adds to a campaign."""

    delivered: int
    matured: int
    wasted: int
    """Matured ones with outcome OPTED_OUT or NO_RESPONSE."""
    next_maturity: int | None
    """When the next one matures, in microseconds; None: none is waiting."""


def solicitations(m: Measured) -> Solicitations:
    """Return the measure."""
    tally = _tally(m)
    delivered, matured = len(tally.sent), tally.matured(m.at)
    bought, replied, opted_out, none = (
        tally.sum(t.OUTCOME, outcome, matured) for outcome in (BOUGHT, REPLIED, OPTED_OUT, NO_RESPONSE)
    )
    plain, social = _breakeven(m, tally)
    relevant = tally.sum(t.RELEVANT, 0, delivered)
    pressing = _pressing(m)
    return Solicitations(
        delivered=delivered,
        matured=matured,
        bought=bought,
        replied=replied,
        opted_out=opted_out,
        no_response=none,
        response=_of_matured(bought + replied, matured, delivered),
        waste=_of_matured(opted_out + none, matured, delivered),
        wasted_seconds=_seconds(m, tally, t.WASTED_SECONDS, t.WASTED_BY_CHANNEL, matured),
        wasted_costs=tuple(sorted((str(asset), units) for asset, units in tally.sums(t.WASTED_COST, matured).items())),
        uncosted=tally.sum(t.UNCOSTED, 0, matured),
        breakeven=plain,
        social_breakeven=social,
        pressure_per_30_days=Ratio(len(pressing) * _PERIOD, m.outlook.rules.window),
        prospect=not m.record.acts.buying.ever(),
        rated=tally.sum(t.RATED, 0, delivered),
        relevant=relevant,
        relevance=Ratio(relevant, delivered) if delivered else unknown(why.UNKNOWN_REASON_NO_EVIDENCE),
        evidence=Evidence({
            "response": lambda: _with_outcomes(tally, matured, wasted=False),
            "waste": lambda: _with_outcomes(tally, matured, wasted=True),
            "pressure_per_30_days": lambda: latest(
                m.record.state.conversation.solicitations, pressing.start, pressing.stop
            ),
            "relevance": lambda: _rated_relevant(m, tally),
        }),
    )  # fmt: skip


def each(m: Measured) -> Iterator[SolicitationRow]:
    """Yield every solicitation by (delivered, position), with what became of it. For reports: it walks over all."""
    tally, state, talk, rules = _tally(m), m.record.state, m.record.talk, m.outlook.rules
    matured, followed, first_purchase = tally.matured(m.at), followed_by(m), m.record.acts.buying.first_time()
    for place, (delivered, position) in enumerate(zip(tally.sent.times, tally.sent.positions, strict=True)):
        row, sent = state.conversation.row_of(position), talk.sent[position]
        assert row is not None, "a solicitation has a row"
        decided = state.contacts.find(row.decision_id) if row.decision_id else None
        ratings = talk.ratings.get(position, [])
        yield SolicitationRow(
            position=position,
            delivered_time=delivered,
            campaign=row.words[4],
            programme=sent.programme,
            tactic=sent.tactic,
            message_class=row.shape.message_class,
            channel=row.shape.channel,
            outcome=OUTCOMES[tally.outcomes[place]] if place < matured else levels.SOLICITATION_OUTCOME_UNSPECIFIED,
            matured_at=delivered + rules.attribution,
            seconds=sent.seconds or rules.channel_seconds.get(row.shape.channel, 0),
            cost=(sent.asset, sent.units) if sent.asset else None,
            decision_id=row.decision_id,
            legal_basis=0 if decided is None else decided.message.legal_basis,
            prospect=first_purchase is None or delivered <= first_purchase,
            followed=position in followed,
            rated=bool(ratings),
            relevant=any(judged.favourable for judged in ratings[-1:]),
        )


def campaigns(m: Measured) -> dict[str, CampaignPart]:
    """Return what the relationship adds to each campaign, by campaign; a solicitation without one adds nothing.

    Few look-ups a campaign, however many solicitations there were, and no tally: this is asked after every event.
    """
    conversation = m.record.state.conversation
    if not conversation.solicitations.times:
        return {}
    found = conversation.responses(m.outlook.rules.attribution).of_campaigns(m.at)
    return {
        campaign: CampaignPart(delivered, matured, matured - answered, waits)
        for campaign, (delivered, matured, answered, waits) in found
    }


def next_maturity(m: Measured) -> int | None:
    """Return when the next solicitation matures, in microseconds; None: none is waiting."""
    tally = _tally(m)
    place = tally.matured(m.at)
    return tally.sent.times[place] + m.outlook.rules.attribution if place < len(tally.sent) else None


def followed_by(m: Measured) -> set[int]:
    """Return the positions of the solicitations to which an act of the customer without incentive is credited.

    An act that the customer began, of a kind strong enough to date involvement, or one that makes an outcome BOUGHT or
    REPLIED. It walks over all acts.
    """
    responses, conversation = _tally(m).responses, m.record.state.conversation
    found = set()
    for time, position in _acts(m):
        solicitation = responses.credited(time, position, conversation.row_of(position))
        if solicitation and not incited(m, position):
            found.add(solicitation)
    return found


def incited(m: Measured, position: int) -> bool:
    """Tell whether an act had an incentive: a purchase by what was said of it or by its legs, others as was said."""
    by_legs = m.outlook.rules.incentive_by_legs
    return position in m.record.talk.incited or m.record.acts.buying.incited(position, by_legs=by_legs)


def _tally(m: Measured) -> Tally:
    return tally_of(m.record, m.outlook.rules.attribution)


def _of_matured(count: int, matured: int, delivered: int) -> Ratio:
    if matured:
        return Ratio(count, matured)
    return unknown(why.UNKNOWN_REASON_NOTHING_MATURED if delivered else why.UNKNOWN_REASON_NO_EVIDENCE)


def _seconds(m: Measured, tally: Tally, own: str, by_channel: str, first: int) -> int:
    """Return the attention of the first so many solicitations, in seconds: their own, else their channel's."""
    usual = m.outlook.rules.channel_seconds
    counts = tally.sums(by_channel, first).items()
    return tally.sum(own, 0, first) + sum(count * usual.get(int(channel), 0) for channel, count in counts)


def _breakeven(m: Measured, tally: Tally) -> tuple[Ratio, Ratio]:
    """Return the response at which a solicitation pays for its cost, and for its cost and the attention it takes.

    Mean cost and attention of a delivered one against the mean margin of an answer, in the currency in which most
    margins are. Cost is what is on record, else what the decision was told to expect; margin is what it was told. Where
    no cost is known, attention alone makes the second one: it is at least that much. Attention that nobody valued, or
    valued in another currency, counts nothing (as in `ledger/contact/gates/waste.py`).
    """
    delivered = len(tally.sent)
    margins = tally.sums(t.MARGINED, delivered)
    code = min(margins, key=lambda each: (-margins[each], each), default="")
    margin = tally.sum(t.MARGIN, code, delivered)
    if margin <= 0:
        return unknown(why.UNKNOWN_REASON_NO_MARGIN), unknown(why.UNKNOWN_REASON_NO_MARGIN)
    costed, cost = tally.sum(t.COSTED, code, delivered), tally.sum(t.COST, code, delivered)
    attention = _rate(m, str(code)) * _NANO * _seconds(m, tally, t.SECONDS, t.BY_CHANNEL, delivered)
    priced = costed or 1
    n = (cost * delivered + attention * priced) * margins[code]
    return (
        Ratio(cost * margins[code], costed * margin) if costed else unknown(why.UNKNOWN_REASON_NO_EVIDENCE),
        Ratio(n, priced * delivered * margin),
    )


def _rate(m: Measured, code: str) -> int:
    """Return what a second of attention is worth, in nanos of a currency; 0: nobody says."""
    closing = None if m.outlook.opinion is None else m.outlook.opinion.closing
    return m.outlook.attention_nanos if closing is not None and closing.unit_of_account == code else 0


def _pressing(m: Measured) -> range:
    """Return the places of the solicitations that were sent in the window."""
    sent = m.record.state.conversation.solicitations
    return range(sent.until(m.at - m.outlook.rules.window), sent.until(m.at))


def _with_outcomes(tally: Tally, matured: int, *, wasted: bool) -> Iterator[int]:
    """Yield the positions of matured ones that were wasted, or that were not, the latest first."""
    for place in range(matured - 1, -1, -1):
        if (tally.outcomes[place] <= OPTED_OUT) == wasted:
            yield tally.sent.positions[place]


def _rated_relevant(m: Measured, tally: Tally) -> Iterator[int]:
    """Yield the positions of the ratings that say that a solicitation was relevant, the latest solicitation first."""
    for position in reversed(tally.sent.positions):
        ratings = m.record.talk.ratings.get(position)
        if ratings and ratings[-1].favourable:
            yield ratings[-1].position


def _acts(m: Measured) -> Iterator[tuple[int, int]]:
    """Yield times and positions of the acts that may follow something, each once."""
    acts, rules, tally = m.record.acts, m.outlook.rules, _tally(m)
    begun = {
        (time, position)
        for time, position, code in zip(acts.times, acts.positions, acts.codes, strict=True)
        if rules.kind_weights.get(kind_of(code), 0) >= rules.session_weight
    }
    yield from begun.union(tally.responses.answering())
