"""How a customer answered solicitations: the outcome of each, and how many of each outcome (relationship.md 10).

Each act of the customer is credited to one solicitation: the one it names by `in_reply_to` (a spam mark by `refers_to`)
or by its campaign, else the latest one delivered within the attribution before it. An act that names no solicitation
names none. At delivery + attribution it is too late, whatever was named, and the outcome is final (settled.md 43, 44).

Nothing is weighed until somebody asks, and then only what is new. What arrives late, or is taken back, makes the
outcomes of its own time uncertain: those are weighed again when next asked for.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from ledger.domain.conversation_rows import Row
from ledger.domain.conversation_shapes import BOUGHT, NO_RESPONSE, OPTED_OUT, REPLIED
from ledger.domain.moments import Moments
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.events.v1.interaction_pb2 import INTERACTION_KIND_MARKED_SPAM

_LAST: Final = 2**63 - 1
"""After every position."""


class OptOut(NamedTuple):
    """A withdrawal or an objection."""

    occur_time: int
    """Microseconds."""
    position: int


class Response(NamedTuple):
    """What became of the matured solicitations. The four outcomes add up to `matured`."""

    matured: int
    bought: int
    replied: int
    opted_out: int
    none: int
    next_maturity: int | None
    """When the next one matures, in microseconds; None: none is waiting."""

    @property
    def answered(self) -> int:
        """How many were answered by a purchase or in words."""
        return self.bought + self.replied


class OfCampaign(NamedTuple):
    """What became of the solicitations of one campaign."""

    delivered: int
    matured: int
    answered: int
    """Matured ones that were answered by a purchase or in words."""
    next_maturity: int | None
    """When the next one matures, in microseconds; None: none is waiting."""


class Responses:
    """Outcomes of one relationship's solicitations under one attribution."""

    __slots__ = (
        "_acts",
        "_answered",
        "_answered_of",
        "_attribution",
        "_by_outcome",
        "_campaigns",
        "_credited",
        "_deliveries",
        "_outcomes",
        "_redo",
        "_row",
        "_sent",
        "_touched",
    )

    def __init__(self, attribution: int, row: Callable[[int], Row | None]) -> None:
        """Start empty. `attribution`: microseconds, at least 1. `row`: returns the row of a reference, or None."""
        self._attribution = attribution
        self._row = row
        self._sent = Moments()
        """Solicitations by the times of their delivery."""
        self._deliveries: dict[int, Moments] = {}
        """Reports of delivery by the position of what was delivered."""
        self._acts = Moments()
        """Acts of the customer that make an outcome."""
        self._outcomes: dict[int, int] = {}
        """Outcomes but NO_RESPONSE, by the position of the solicitation."""
        self._by_outcome = {outcome: Moments() for outcome in (OPTED_OUT, REPLIED, BOUGHT)}
        """The same by outcome and time of delivery."""
        self._campaigns: dict[str, Moments] = {}
        """Solicitations of a campaign."""
        self._answered: dict[str, Moments] = {}
        """Those of them that were answered by a purchase or in words, by the times of their delivery."""
        self._answered_of: dict[int, Moments] = {}
        """Under which of these a solicitation is, by its position."""
        self._credited = START_OF_TIME - 1, 0
        """(occur_time, position) of the last act that is credited."""
        self._redo = END_OF_TIME
        """Acts later than this are to be credited again."""
        self._touched = START_OF_TIME
        """The earliest delivery of which something changed since `changed` was last asked."""

    @property
    def sent(self) -> Moments:
        """Solicitations by the times of their delivery. Not to be changed."""
        return self._sent

    def changed(self) -> int:
        """Return the earliest delivery of which anything changed since this was last asked; END_OF_TIME: nothing did.

        At first everything did. For one reader, who keeps what follows from outcomes and mends it from there on.
        """
        self._credit()
        touched, self._touched = self._touched, END_OF_TIME
        return touched

    def outcome(self, position: int) -> int:
        """Return what is known so far of the outcome of a solicitation, without opt-outs that are no interactions."""
        self._credit()
        return self._outcomes.get(position, NO_RESPONSE)

    def delivered(self, position: int) -> int | None:
        """Return when a solicitation was delivered, in microseconds; None: there is no such solicitation."""
        row = self._row(position)
        delivered = self._delivery(row)
        return delivered if row is not None and self._sent.has(delivered, row.position) else None

    def answering(self) -> Iterator[tuple[int, int]]:
        """Yield times, in microseconds, and positions of the acts whose outcome is BOUGHT or REPLIED, in order."""
        for time, position in zip(self._acts.times, self._acts.positions, strict=True):
            act = self._row(position)
            if act is not None and act.shape.outcome >= REPLIED:
                yield time, position

    def credited(self, time: int, position: int, act: Row | None) -> int:
        """Return the position of the solicitation that an act of a time and position is credited to; 0: none.

        `act`: its row, which tells what it names; None: it names nothing.
        """
        found = self._credited_to(time, position, act)
        return 0 if found is None else found[1]

    def at(self, at: int, opt_outs: Iterable[OptOut] = ()) -> Response:
        """Return how many outcomes are final at an instant, in microseconds."""
        self._credit()
        until = at - self._attribution
        matured = self._sent.until(until)
        opted_out, replied, bought = (
            self._by_outcome[outcome].until(until) for outcome in (OPTED_OUT, REPLIED, BOUGHT)
        )
        opted_out += len({found for each in opt_outs for found in self._opted_out(each, until)})
        none = matured - bought - replied - opted_out
        next_maturity = self._sent.times[matured] + self._attribution if matured < len(self._sent) else None
        return Response(matured, bought, replied, opted_out, none, next_maturity)

    def of_campaigns(self, at: int) -> Iterator[tuple[str, OfCampaign]]:
        """Yield what became of the solicitations of each campaign, as far as it is final at an instant."""
        self._credit()
        until = at - self._attribution
        for campaign, sent in self._campaigns.items():
            if sent.times:
                matured, answered = sent.until(until), self._answered.get(campaign)
                waits = sent.times[matured] + self._attribution if matured < len(sent.times) else None
                yield campaign, OfCampaign(len(sent.times), matured, answered.until(until) if answered else 0, waits)

    def solicit(self, position: int, time: int, campaign: str) -> None:
        """Take note of a solicitation sent at a time, in microseconds. `campaign`: empty: none."""
        reports = self._deliveries.get(position)
        self._put(position, time, reports.times[0] if reports else time, campaign)

    def drop(self, row: Row) -> None:
        """Take note that one is a solicitation no more."""
        self._take(row, self._delivery(row))

    def deliver(self, position: int, report: tuple[int, int], row: Row | None) -> None:
        """Take note that something was delivered. `report`: time and position. `row`: a solicitation's."""
        before = self._delivery(row)
        self._deliveries.setdefault(position, Moments()).add(*report)
        self._move(row, before)

    def undeliver(self, position: int, report: tuple[int, int], row: Row | None) -> None:
        """Take note that a report of delivery counts no more."""
        before = self._delivery(row)
        self._deliveries[position].remove(*report)
        self._move(row, before)

    def act(self, time: int, position: int) -> None:
        """Take note of an act of the customer that makes an outcome."""
        self._acts.add(time, position)
        self._disturb(time, position)

    def undo(self, time: int, position: int) -> None:
        """Take note that an act counts no more."""
        self._acts.remove(time, position)
        self._disturb(time, position)

    def _delivery(self, row: Row | None) -> int:
        """Return when something was delivered, as far as it is known; else when it was sent."""
        if row is None:
            return 0
        reports = self._deliveries.get(row.position)
        return reports.times[0] if reports else row.time

    def _put(self, position: int, time: int, delivered: int, campaign: str) -> None:
        self._sent.add(delivered, position)
        self._touched = min(self._touched, delivered)
        if campaign:
            moments = self._campaigns.get(campaign)
            if moments is None:
                moments = self._campaigns[campaign] = Moments()
            moments.add(delivered, position)
        self._disturb(min(delivered, time), position)

    def _take(self, row: Row, delivered: int) -> None:
        self._sent.remove(delivered, row.position)
        self._touched = min(self._touched, delivered)
        if row.words[4]:
            self._campaigns[row.words[4]].remove(delivered, row.position)
        self._forget(delivered, row.position)
        self._disturb(min(delivered, row.time), row.position)

    def _move(self, row: Row | None, before: int) -> None:
        if row is not None and self._delivery(row) != before:
            self._take(row, before)
            self._put(row.position, row.time, self._delivery(row), row.words[4])

    def _disturb(self, time: int, position: int) -> None:
        """Remember that something changed which acts from a time and position on may be credited to."""
        if (time, position) <= self._credited:
            self._redo = min(self._redo, time - self._attribution)

    def _credit(self) -> None:
        """Credit the acts that are not."""
        if self._redo < END_OF_TIME:
            self._forget_later()
        acts, (time, position) = self._acts, self._credited
        place = acts.place(time, position + 1)
        while place < len(acts):
            self._credited = acts.times[place], acts.positions[place]
            self._credit_one(*self._credited)
            place += 1

    def _forget_later(self) -> None:
        """Forget the outcomes that a change may have touched, and which acts made them."""
        start, sent = self._redo, self._sent
        first = len(sent)
        while sent.until(start) < first:
            # An act that names what it answers may come before a late report of its delivery, never before its sending.
            before, first = first, sent.until(start)
            for place in range(first, before):
                self._forget(sent.times[place], sent.positions[place])
                row = self._row(sent.positions[place])
                assert row is not None, "a solicitation has a row"
                start = min(start, row.time - 1)
        self._credited = start, _LAST - 1
        self._redo = END_OF_TIME

    def _forget(self, delivered: int, position: int) -> None:
        outcome = self._outcomes.pop(position, NO_RESPONSE)
        if outcome:
            self._by_outcome[outcome].remove(delivered, position)
            answered = self._answered_of.pop(position, None)
            if answered is not None:
                answered.remove(delivered, position)
            self._touched = min(self._touched, delivered)

    def _credit_one(self, time: int, position: int) -> None:
        act = self._row(position)
        assert act is not None, "an act has a row"
        found = self._credited_to(time, position, act)
        if found is None:
            return
        outcome, delivered, solicitation = act.shape.outcome, *found
        if outcome > self._outcomes.get(solicitation, NO_RESPONSE):
            self._forget(delivered, solicitation)
            self._outcomes[solicitation] = outcome
            self._by_outcome[outcome].add(delivered, solicitation)
            if outcome >= REPLIED:
                self._answer(delivered, solicitation)
            self._touched = min(self._touched, delivered)

    def _answer(self, delivered: int, position: int) -> None:
        """Let a solicitation be an answered one of its campaign, if it has any."""
        row = self._row(position)
        campaign = row.words[4] if row is not None else ""
        if campaign:
            answered = self._answered.get(campaign)
            if answered is None:
                answered = self._answered[campaign] = Moments()
            answered.add(delivered, position)
            self._answered_of[position] = answered

    def _credited_to(self, time: int, position: int, act: Row | None) -> tuple[int, int] | None:
        """Return delivery and position of what an act is credited to, or None."""
        found = (act and self._named(act)) or self._latest(self._sent, time, position)
        return None if found is None or time - found[0] >= self._attribution else found

    def _named(self, act: Row) -> tuple[int, int] | None:
        """Return delivery and position of the solicitation that an act names, or None."""
        spam = act.shape.kind == INTERACTION_KIND_MARKED_SPAM
        reference = (spam and act.refers_to) or act.in_reply_to
        row = self._row(reference) if reference else None
        if row is not None and row.time <= act.time:
            delivered = self._delivery(row)
            if self._sent.has(delivered, row.position):
                return delivered, row.position
        campaign = self._campaigns.get(act.words[4])
        return None if campaign is None else self._latest(campaign, act.time, act.position)

    @staticmethod
    def _latest(sent: Moments, time: int, position: int) -> tuple[int, int] | None:
        place = sent.place(time, position) - 1
        return (sent.times[place], sent.positions[place]) if place >= 0 else None

    def _opted_out(self, opt_out: OptOut, until: int) -> Iterable[int]:
        """Yield the position of the matured solicitation that an opt-out alone answers."""
        found = self._latest(self._sent, *opt_out)
        if found is None or found[1] in self._outcomes:
            return
        if found[0] <= until and opt_out.occur_time - found[0] < self._attribution:
            yield found[1]
