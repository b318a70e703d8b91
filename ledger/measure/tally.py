"""What solicitations came to, added up in the order of their deliveries (relationship.md 10).

Outcomes are final at maturity (settled.md 44), so sums over the solicitations matured by any instant are two look-ups,
however many there were. A tally is brought up to date when asked: new ones are added; where something arrived late or
was taken back, what follows is added up again. It rests on the attribution alone; what a policy says of channels is
counted by channel and weighed by whoever asks.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from ledger.domain.amounts import code_of, is_asset
from ledger.domain.conversation_shapes import OPTED_OUT
from ledger.domain.times import END_OF_TIME

if TYPE_CHECKING:
    from ledger.domain.conversation_rows import Row
    from ledger.domain.moments import Moments
    from ledger.domain.relationship import RelationshipState
    from ledger.domain.responses import Responses
    from ledger.measure.record import Record
    from ledger.measure.talk import Sent, Talk

FINEST: Final = 12
"""Greatest scale of an asset: money of several scales is added up in its units."""
_TALLIES_MAX: Final = 2
"""One policy asks at a time; a what-if may bring a second."""

OUTCOME: Final = "outcome"
"""Counts by outcome."""
WASTED_SECONDS: Final = "wasted seconds"
"""Seconds of attention that the events of OPTED_OUT and NO_RESPONSE say, under 0."""
WASTED_BY_CHANNEL: Final = "wasted by channel"
"""How many of the same say none, by channel."""
WASTED_COST: Final = "wasted cost"
"""Units by asset."""
UNCOSTED: Final = "uncosted"
"""How many of the same have no cost on record, under 0."""
SECONDS: Final = "seconds"
"""As WASTED_SECONDS, of all."""
BY_CHANNEL: Final = "by channel"
"""As WASTED_BY_CHANNEL, of all."""
COST: Final = "cost"
"""By code of the asset, in the finest units."""
COSTED: Final = "costed"
"""How many have a cost, by the same."""
MARGIN: Final = "margin"
"""What an answer is worth, as decisions were asked, by code, in the finest units."""
MARGINED: Final = "margined"
"""How many have such a margin, by the same."""
RATED: Final = "rated"
"""How many were rated, under 0."""
RELEVANT: Final = "relevant"
"""How many were rated relevant last, under 0."""

Key = int | str


class Tally:
    """Sums over the solicitations of one relationship under one attribution."""

    __slots__ = ("_attribution", "_disturbed", "_keys", "_rated", "_sums", "outcomes", "responses")

    def __init__(self, responses: Responses, attribution: int) -> None:
        """Start empty. `attribution`: microseconds."""
        self.responses = responses
        self._attribution = attribution
        self.outcomes: list[int] = []
        """As `conversation_shapes` numbers them, opt-outs included, by the place in `sent`."""
        self._sums: dict[str, dict[Key, tuple[list[int], list[int]]]] = {}
        """Places at which something was added, and the sums up to and with them."""
        self._keys: list[list[tuple[str, Key]]] = []
        """What was added to at each place."""
        self._disturbed: list[tuple[int, int]] = []
        """Times and positions of new opt-outs."""
        self._rated: list[int] = []
        """Positions of messages whose ratings changed."""

    @property
    def sent(self) -> Moments:
        """Solicitations by the times of their delivery. Not to be changed."""
        return self.responses.sent

    def matured(self, at: int) -> int:
        """Return how many are matured at an instant, in microseconds: the first so many of `sent`."""
        return self.sent.until(at - self._attribution)

    def sum(self, name: str, key: Key, first: int) -> int:
        """Return the sum under a name and key over the first so many of `sent`."""
        row = self._sums.get(name, {}).get(key)
        place = 0 if row is None else bisect_left(row[0], first)
        return row[1][place - 1] if row is not None and place else 0

    def sums(self, name: str, first: int) -> dict[Key, int]:
        """Return the sums under a name by key that are not 0, over the first so many of `sent`."""
        found = ((key, self.sum(name, key, first)) for key in self._sums.get(name, ()))
        return {key: total for key, total in found if total}

    def opted_out(self, time: int, position: int) -> None:
        """Take note of a withdrawal or an objection."""
        self._disturbed.append((time, position))

    def rated(self, position: int) -> None:
        """Take note that ratings of a message changed."""
        self._rated.append(position)

    def catch_up(self, record: Record) -> None:
        """Add up what is new, and again what follows something that changed."""
        first, sent = self._first_changed(), self.sent
        self._cut(first)
        for place in range(first, len(sent)):
            self._add(place, record.state, record.talk)

    def _first_changed(self) -> int:
        """Return the place from which on sums do not hold."""
        first, sent, changed = len(self.outcomes), self.sent, self.responses.changed()
        # The one before a change too: an opt-out is credited to the latest delivered, which may be another now.
        if changed < END_OF_TIME:
            first = min(first, sent.before(changed) - 1)
        for time, position in self._disturbed:
            first = min(first, sent.place(time, position) - 1)
        for position in self._rated:
            delivered = self.responses.delivered(position)
            if delivered is not None:
                first = min(first, sent.place(delivered, position))
        self._disturbed.clear()
        self._rated.clear()
        return max(first, 0)

    def _cut(self, first: int) -> None:
        while len(self._keys) > first:
            for name, key in self._keys.pop():
                places, totals = self._sums[name][key]
                places.pop()
                totals.pop()
        del self.outcomes[first:]

    def _add(self, place: int, state: RelationshipState, talk: Talk) -> None:
        position = self.sent.positions[place]
        row, sent = state.conversation.row_of(position), talk.sent.get(position)
        assert row is not None, "a solicitation has a row"
        assert sent is not None, "a solicitation says what it is"
        outcome = self._outcome(place, position, talk)
        self.outcomes.append(outcome)
        self._keys.append([])
        self._put(OUTCOME, outcome, 1)
        self._add_attention(row, sent, wasted=outcome <= OPTED_OUT)
        self._add_worth(row, sent, state)
        ratings = talk.ratings.get(position)
        if ratings:
            self._put(RATED, 0, 1)
            self._put(RELEVANT, 0, int(ratings[-1].favourable))

    def _outcome(self, place: int, position: int, talk: Talk) -> int:
        outcome = self.responses.outcome(position)
        if outcome or not talk.opt_outs:
            return outcome
        sent, opt_outs = self.sent, talk.opt_outs
        first = opt_outs.place(sent.times[place], position)
        end = (
            opt_outs.place(sent.times[place + 1], sent.positions[place + 1])
            if place + 1 < len(sent)
            else len(opt_outs)
        )  # fmt: skip
        too_late = sent.times[place] + self._attribution
        return OPTED_OUT if first < end and opt_outs.times[first] < too_late else outcome

    def _add_attention(self, row: Row, sent: Sent, *, wasted: bool) -> None:
        channel, seconds = row.shape.channel, sent.seconds
        self._put(*((SECONDS, 0, seconds) if seconds else (BY_CHANNEL, channel, 1)))
        if wasted:
            self._put(*((WASTED_SECONDS, 0, seconds) if seconds else (WASTED_BY_CHANNEL, channel, 1)))
            if sent.asset:
                self._put(WASTED_COST, sent.asset, sent.units)
            else:
                self._put(UNCOSTED, 0, 1)

    def _add_worth(self, row: Row, sent: Sent, state: RelationshipState) -> None:
        """Add what the solicitation cost, else was expected to cost, and what an answer was expected to be worth."""
        if sent.asset:
            self._add_money(COST, COSTED, sent.asset, sent.units)
        decided = state.contacts.find(row.decision_id) if row.decision_id else None
        if decided is None:
            return
        asked = decided.message.question
        if not sent.asset and asked.HasField("expected_cost"):
            self._add_money(COST, COSTED, asked.expected_cost.asset, asked.expected_cost.units)
        if asked.HasField("expected_margin"):
            self._add_money(MARGIN, MARGINED, asked.expected_margin.asset, asked.expected_margin.units)

    def _add_money(self, name: str, count: str, asset: str, units: int) -> None:
        if is_asset(asset):
            self._put(name, code_of(asset), units * finest(asset))
            self._put(count, code_of(asset), 1)

    def _put(self, name: str, key: Key, amount: int) -> None:
        rows = self._sums.setdefault(name, {})
        places, totals = rows.setdefault(key, ([], []))
        places.append(len(self._keys) - 1)
        totals.append((totals[-1] if totals else 0) + amount)
        self._keys[-1].append((name, key))


def finest(asset: str) -> int:
    """Return how many of the finest units a unit of an asset is."""
    return int(10 ** (FINEST - int(asset.partition("/")[2])))


def tally_of(record: Record, attribution: int) -> Tally:
    """Return the tally of a record under an attribution, in microseconds, up to date."""
    responses, watchers = record.state.conversation.responses(attribution), record.talk.watchers
    tally = next((each for each in watchers if isinstance(each, Tally) and each.responses is responses), None)
    if tally is None:
        del watchers[: len(watchers) + 1 - _TALLIES_MAX]
        tally = Tally(responses, attribution)
        watchers.append(tally)
    tally.catch_up(record)
    return tally
