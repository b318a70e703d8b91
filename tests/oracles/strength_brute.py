"""The arithmetic of relationship.md 5 and 6 once more, by scanning a flat list of facts. No folds, no caches.

It shares no line with the ledger and was written from the design alone. Permission, and the faults that rest on
decisions and consents, are not made again here: those have oracles of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ledger.domain.fact import Fact
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from tests.oracles.exact import decay, half_even

DAY = 86_400_000_000
WEIGHTS = {
    "VIEW": 100_000, "CLICK": 200_000, "OFFER_DECLINED": 200_000, "VISIT": 300_000, "COMPLAINT": 500_000,
    "SUPPORT_CASE": 500_000, "OFFER_ACCEPTED": 500_000, "MESSAGE": 1_000_000, "REPLY": 1_000_000,
    "QUESTION": 1_000_000, "ANSWER": 1_000_000, "CHAT_SESSION": 1_000_000, "SURVEY_ANSWERED": 1_000_000,
    "PRAISE": 1_000_000, "PREFERENCE_SHARED": 1_000_000, "JOIN": 1_000_000, "FEEDBACK": 1_200_000,
    "REVIEW": 1_200_000, "CALL": 1_500_000, "PURCHASE": 1_500_000, "CONTRIBUTION_SUBMITTED": 1_500_000,
    "EVENT_ATTENDED": 1_500_000, "MEETING": 2_000_000, "REFERRAL": 2_000_000,
}  # fmt: skip
ADDRESSED = {
    "MESSAGE", "CALL", "MEETING", "CHAT_SESSION", "REPLY", "QUESTION", "ANSWER", "OFFER", "SURVEY_ASKED",
    "SURVEY_ANSWERED", "FEEDBACK", "COMPLAINT", "COMPLAINT_RESOLVED", "PRAISE", "GREETING", "SUPPORT_CASE",
    "PREFERENCE_SHARED",
}  # fmt: skip


class Said(NamedTuple):
    """An interaction as it counts: the last correction of it, under its first position."""

    time: int
    position: int
    event: i.InteractionRecorded
    told: int
    """Position of what says so: it refers to what was there before."""

    @property
    def kind(self) -> str:
        return i.InteractionKind.Name(self.event.kind).removeprefix("INTERACTION_KIND_")

    @property
    def outbound(self) -> bool:
        return self.event.direction == i.DIRECTION_OUTBOUND

    @property
    def inward(self) -> bool:
        return self.event.direction in {i.DIRECTION_INBOUND, i.DIRECTION_MUTUAL}


class Brute:
    """One customer under the built-in policy, at an instant."""

    def __init__(self, facts: Sequence[Fact], at: int, *, nanos_per_cent: int) -> None:
        self.facts, self.at, self.rate = facts, at, nanos_per_cent
        self.original = {fact.position: fact.position for fact in facts}
        self.said = sorted(self._said())

    def _said(self) -> Iterator[Said]:
        last, gone = {}, set()
        for fact in self.facts:
            match fact.event:
                case i.InteractionRecorded():
                    last[fact.position] = Said(fact.occur_time, fact.position, fact.event, fact.position)
                case i.InteractionCorrected(original_position=position) if position in last and position not in gone:
                    last[position] = Said(fact.occur_time, position, fact.event.replacement, fact.position)
                    self.original[fact.position] = position
                case i.InteractionRetracted(original_position=position) if position in last:
                    gone.add(position)
        return (said for said in last.values() if said.position not in gone)

    def about(self, said: Said, reference: int) -> int:
        return self.original.get(reference, 0) if reference < said.told else 0

    def weight(self, time: int) -> int:
        return decay(self.at // DAY - time // DAY, 90)

    def involvement(self) -> int:
        days: dict[int, int] = defaultdict(int)
        for said in self.said:
            by_customer = said.event.initiator == i.INITIATOR_CUSTOMER or said.kind in {"JOIN", "LEAVE"}
            if by_customer and not said.outbound:
                attention = 500_000 if said.event.attention == i.ATTENTION_PARTIAL else 1_000_000
                days[said.time // DAY] += WEIGHTS.get(said.kind, 0) * attention
        mass = sum(min(raw, 3 * 10**12) * self.weight(day * DAY) for day, raw in days.items())
        return half_even(300_000 * mass, mass + 3_500_000 * 10**12)

    def reciprocity(self) -> int:
        gone = {fact.event.exchange_id for fact in self.facts if isinstance(fact.event, x.ExchangeReversed)}
        got = gave = 0
        for fact in self.facts:
            if isinstance(fact.event, x.ExchangeRecorded) and fact.event.exchange_id not in gone:
                for leg in fact.event.legs:
                    worth = leg.amount.units * self.rate * self.weight(fact.occur_time)
                    gave, got = (gave + worth, got) if leg.giver == x.PARTY_CUSTOMER else (gave, got + worth)
        if not gave:
            return 250_000 if got else 0
        return half_even(250_000 * min(got, gave), gave)

    def preference(self) -> int:
        inward = [said for said in self.said if not said.outbound]
        returned = {
            self.about(said, said.event.refers_to)
            for said in inward
            if said.kind == "RETURN" and not said.event.partial
        }
        bought = [said for said in inward if said.kind == "PURCHASE" and said.position not in returned]
        elsewhere = sum(said.kind == "PURCHASE_ELSEWHERE" for said in inward)
        free = sum(not said.event.incentivised for said in bought[1:])
        occasions = max(len(bought) - 1, 0) + elsewhere
        return half_even(200_000 * free, occasions + 2) if occasions else 0

    def _window(self) -> list[Said]:
        return [said for said in self.said if self.at - 180 * DAY < said.time <= self.at]

    def _reached(self) -> list[Said]:
        """Return what was addressed to the customer and did not bounce."""
        bounced = {self.about(said, said.event.refers_to) for said in self.said if said.kind == "BOUNCED"}
        outward = (said for said in self.said if said.outbound or said.event.direction == i.DIRECTION_MUTUAL)
        return [
            said
            for said in outward
            if said.kind in ADDRESSED and not (said.outbound and said.position in bounced)
        ]  # fmt: skip

    def balance(self) -> int:
        window = self._window()
        inbound = sum(said.inward and said.kind in ADDRESSED for said in window)
        outbound = sum(said in window for said in self._reached())
        return half_even(75_000 * inbound, max(inbound, outbound)) if inbound + outbound else 0

    def answering(self) -> int:
        answered = needing = 0
        for asked in self._window():
            if asked.inward and asked.event.needs_reply:
                due = asked.time + 2 * DAY
                in_time = any(
                    self.about(said, said.event.in_reply_to) == asked.position and asked.time <= said.time < due
                    for said in self._reached()
                )
                answered += in_time
                needing += in_time or due <= self.at
        return half_even(75_000 * answered, needing) if needing else 0

    def faded(self, base: int, kind: str) -> int:
        times = [said.time for said in self.said if said.kind == kind and not said.outbound]
        return -sum(half_even(base * self.weight(time), 10**6) for time in times)

    def complaints(self) -> int:
        solved = {self.about(said, said.event.refers_to) for said in self.said if said.kind == "COMPLAINT_RESOLVED"}
        made = [said for said in self.said if said.kind == "COMPLAINT" and not said.outbound]
        return -50_000 * sum(said.position not in solved for said in made)

    def obstacles(self) -> int:
        words = [fact for fact in self.facts if isinstance(fact.event, r.ObstacleReported | r.ObstacleRemoved)]
        last: dict[str, Fact] = {}
        for fact in sorted(words, key=lambda fact: (fact.occur_time, fact.position)):
            assert isinstance(fact.event, r.ObstacleReported | r.ObstacleRemoved)
            last[fact.event.obstacle_id] = fact
        return -30_000 * sum(isinstance(fact.event, r.ObstacleReported) for fact in last.values())

    def lines(self) -> dict[str, int]:
        found = {
            "INVOLVEMENT": self.involvement(),
            "RECIPROCITY": self.reciprocity(),
            "PREFERENCE": self.preference(),
            "BALANCE": self.balance(),
            "ANSWERING": self.answering(),
            "SPAM": self.faded(100_000, "MARKED_SPAM"),
            "COMPLAINT": self.complaints(),
            "OBSTACLE": self.obstacles(),
        }
        return {name: ppm for name, ppm in found.items() if ppm}
