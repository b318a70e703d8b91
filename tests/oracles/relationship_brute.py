"""Measures of relationship.md 3, 4, 7, 10, 11 and 12 once more, by scanning a flat list of facts: no folds, no caches.

It shares no line with the ledger and was written from the design alone. The arithmetic of section 5 is that of
`strength_brute`, whose reading of corrections, references and bounces this takes over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

from google.protobuf.message import Message

from ledger.domain.fact import Fact
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import exchange_pb2 as x
from rapport.events.v1 import identity_pb2 as identity
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import relationship_pb2 as r
from tests.oracles.strength_brute import ADDRESSED, DAY, WEIGHTS, Brute, Said

HOUR = DAY // 24
REOPENING = {"PURCHASE", "JOIN", "QUESTION", "MESSAGE", "REPLY", "CALL", "MEETING", "CHAT_SESSION"}
SECONDS = {
    i.CHANNEL_EMAIL: 8, i.CHANNEL_SMS: 5, i.CHANNEL_PUSH_MOBILE: 3, i.CHANNEL_PUSH_WEB: 3, i.CHANNEL_POSTAL: 20,
    i.CHANNEL_VOICE_LIVE: 60, i.CHANNEL_VOICE_AUTOMATED: 60,
}  # fmt: skip
OUTCOMES = {"PURCHASE": 3, "OFFER_ACCEPTED": 3, "MARKED_SPAM": 1, "LEAVE": 1}


class Terms(NamedTuple):
    """What of a policy this reads. Times are microseconds; the defaults are those of the design."""

    window: int = 180 * DAY
    gap: int = DAY
    gaps_max: int = 10
    gaps_min: int = 3
    cadence_min: int = 7 * DAY
    cadence_max: int = 120 * DAY
    cadence_default: int = 30 * DAY
    tone_window: int = 365 * DAY
    attribution: int = 14 * DAY
    within: int = 48 * HOUR
    streak: int = 5
    out_min: int = 10


DESIGN = Terms()


class Reading(Brute):
    """One customer at an instant, none of whose facts is later."""

    def __init__(self, facts: Sequence[Fact], at: int, terms: Terms = DESIGN) -> None:
        super().__init__(facts, at, nanos_per_cent=10_000_000)
        self.terms = terms

    def recent(self, rows: Sequence[Said], window: int | None = None) -> list[Said]:
        return [row for row in rows if row.time > self.at - (self.terms.window if window is None else window)]

    def latest(self, *kinds: type[Message], name: str) -> dict[str, Fact]:
        """Return the last word on each thing, in the order (occur time, position)."""
        words = sorted(self.facts, key=lambda fact: (fact.occur_time, fact.position))
        return {getattr(fact.event, name): fact for fact in words if isinstance(fact.event, kinds)}

    def live(self, begin: type[Message], end: type[Message], name: str) -> list[Any]:
        return [fact.event for fact in self.latest(begin, end, name=name).values() if isinstance(fact.event, begin)]

    # Existence and lifecycle.

    @cached_property
    def begun(self) -> list[Said]:
        """What the customer began, of a kind that dates involvement."""
        return [
            row
            for row in self.said
            if not row.outbound
            and (row.event.initiator == i.INITIATOR_CUSTOMER or row.kind in {"JOIN", "LEAVE"})
            and WEIGHTS.get(row.kind, 0) >= 300_000
        ]

    @cached_property
    def inbound(self) -> list[Said]:
        return self.recent([row for row in self.said if row.inward and row.kind in ADDRESSED])

    @cached_property
    def reached(self) -> list[Said]:
        """What was addressed to the customer at any time, and arrived."""
        return self._reached()

    @cached_property
    def arrived(self) -> list[Said]:
        """Everything but outbounds that bounced."""
        bounced = {self.about(row, row.event.refers_to) for row in self.said if row.kind == "BOUNCED"}
        return [row for row in self.said if not (row.outbound and row.kind != "BOUNCED" and row.position in bounced)]

    @cached_property
    def members(self) -> set[str]:
        found: dict[str, str] = {}
        for row in self.said:
            if row.kind in {"JOIN", "LEAVE"} and not row.outbound:
                found[row.event.programme] = row.kind
        return {programme for programme, kind in found.items() if kind == "JOIN"}

    def traded(self) -> bool:
        """Tell whether an exchange with a leg from each side is in force."""
        pending: dict[str, x.ExchangeRecorded] = {}
        posted: dict[str, set[int]] = {}
        for fact in self.facts:
            event = fact.event
            if isinstance(event, x.ExchangeRecorded):
                if event.HasField("pending_until"):
                    pending[event.exchange_id] = event
                else:
                    posted[event.exchange_id] = {leg.giver for leg in event.legs}
            elif isinstance(event, x.ExchangePosted) and event.exchange_id in pending:
                legs = pending.pop(event.exchange_id).legs
                units = event.units or [leg.amount.units for leg in legs]
                posted[event.exchange_id] = {leg.giver for leg, some in zip(legs, units, strict=True) if some}
            elif isinstance(event, x.ExchangeVoided):
                pending.pop(event.exchange_id, None)
            elif isinstance(event, x.ExchangeReversed):
                posted.pop(event.exchange_id, None)
        return any(givers == {x.PARTY_CUSTOMER, x.PARTY_ORGANIZATION} for givers in posted.values())

    def legs(self) -> tuple[bool, bool, bool]:
        verified = self.live(identity.IdentifierVerified, identity.IdentifierRevoked, "contact_point_id")
        ground = self.live(r.CommonGroundDeclared, r.CommonGroundEnded, "item_id")
        common = any(each.provenance == 1 for each in ground) or self.traded() or bool(self.members)
        return bool(verified and self.begun), common, bool(self.inbound and self.recent(self.reached))

    def until(self) -> int | None:
        """Return when `communicate` fails by the clock."""
        if not self.legs()[2]:
            return None
        return min(self.inbound[-1].time, self.reached[-1].time) + self.terms.window

    def sessions(self) -> list[int]:
        times = [row.time for row in self.begun]
        return times[:1] + [later for earlier, later in pairwise(times) if later - earlier >= self.terms.gap]

    def cadence(self) -> tuple[int, int]:
        """Return the cadence, and how many gaps made it; 0: the policy says it."""
        t, starts = self.terms, self.sessions()
        gaps = sorted([later - earlier for earlier, later in pairwise(starts)][-t.gaps_max :])
        if len(gaps) < t.gaps_min:
            return t.cadence_default, 0
        half = len(gaps) // 2
        median = gaps[half] if len(gaps) % 2 else (gaps[half - 1] + gaps[half]) // 2
        return min(max(median, t.cadence_min), t.cadence_max), len(gaps)

    def _lifted(self, raised: Fact) -> bool:
        """Tell whether an objection was lifted, later on both axes."""
        lifts = (fact for fact in self.facts if isinstance(fact.event, c.ObjectionLifted))
        return any(
            lift.event.raised_position == raised.position  # type: ignore[attr-defined]  # Of its class.
            and lift.position > raised.position
            and lift.occur_time > raised.occur_time
            for lift in lifts
        )

    def ended(self) -> bool:
        """Tell whether it ended, and the customer did not come back."""
        ends = [(f.occur_time, f.position) for f in self.facts if isinstance(f.event, r.RelationshipEnded)]
        scopes = ("purposes", "channels", "contact_point_ids", "brands")
        everything: dict[type[Message], list[tuple[int, int]]] = {c.ConsentWithdrawn: [], c.ObjectionRaised: []}
        for fact in self.facts:
            event: Any = fact.event
            if isinstance(event, c.ConsentWithdrawn | c.ObjectionRaised) and not self._lifted(fact):
                scope = event.scope if isinstance(event, c.ObjectionRaised) else event
                if not any(getattr(scope, name) for name in scopes):
                    everything[type(event)].append((fact.occur_time, fact.position))
        withdrawn, objected = everything.values()
        if withdrawn and objected:
            ends += withdrawn + objected
        back = max(((row.time, row.position) for row in self.begun if row.kind in REOPENING), default=(0, 0))
        return bool(ends) and max(ends) > back

    def lifecycle(self) -> str:
        if self.ended():
            return "ENDED"
        if not self.begun:
            known = self.live(identity.IdentifierVerified, identity.IdentifierRevoked, "contact_point_id")
            open_ = self.live(r.PointOfContactOpened, r.PointOfContactClosed, "point_of_contact_id")
            theirs = any(each.side == x.PARTY_CUSTOMER for each in open_)
            return "ACQUAINTED" if known or theirs or any(self.legs()) else "STRANGER"
        silence, cadence = self.at - self.begun[-1].time, self.cadence()[0]
        return "ACTIVE" if silence < 2 * cadence else "AT_RISK" if silence < 4 * cadence else "LAPSED"

    # Axes.

    def valence(self) -> tuple[int, int]:
        """Return how many tones of the window are good and bad."""
        tones: Counter[int] = Counter()
        for row in self.recent(self.said, self.terms.tone_window):
            value, said = row.event.sentiment.value, row.event.sentiment.provenance
            if row.kind in {"PRAISE", "COMPLAINT"} and not row.outbound:
                tones[1 if row.kind == "PRAISE" else -1] += 1
            elif said in {1, 5} and value in {i.SENTIMENT_VALUE_POSITIVE, i.SENTIMENT_VALUE_NEGATIVE}:
                tones[1 if value == i.SENTIMENT_VALUE_POSITIVE else -1] += 1
        return tones[1], tones[-1]

    def closeness(self) -> tuple[int, int]:
        """Return how many communications were synchronous, and how many there were."""
        addressed = {row.position: row for row in (*self.inbound, *self.recent(self.reached))}.values()
        together = {"CALL", "MEETING", "CHAT_SESSION"}
        channels = {i.CHANNEL_IN_PERSON, i.CHANNEL_VIDEO}
        return sum(row.kind in together or row.event.channel in channels for row in addressed), len(addressed)

    # Conversation and solicitations.

    def requests(self) -> tuple[int, int]:
        """Return how many requests were answered in time, and how many had to be."""
        answered = needing = 0
        for asked in self.recent(self.said):
            if asked.inward and asked.event.needs_reply:
                due = asked.time + self.terms.within
                in_time = any(
                    self.about(row, row.event.in_reply_to) == asked.position and asked.time <= row.time < due
                    for row in self.reached
                )
                answered, needing = answered + in_time, needing + (in_time or due <= self.at)
        return answered, needing

    @cached_property
    def solicitations(self) -> list[Said]:
        by_position = {row.position: row for row in self.said}
        found = []
        for row in self.reached:
            answered = by_position.get(self.about(row, row.event.in_reply_to))
            plain = row.event.message_class == i.MESSAGE_CLASS_TRANSACTIONAL
            if row.outbound and not plain and (answered is None or not answered.inward):
                found.append(row)
        return found

    def streak(self) -> int:
        spoken = [
            (row.time, row.position)
            for row in self.said
            if row.kind in ADDRESSED and not row.outbound and row.event.initiator == i.INITIATOR_CUSTOMER
            and WEIGHTS.get(row.kind, 0) >= 300_000
        ]  # fmt: skip
        last = max(spoken, default=(-(1 << 62), 0))
        return sum((row.time, row.position) > last for row in self.recent(self.solicitations))

    def broadcast(self) -> bool:
        inbound, outbound = len(self.inbound), len(self.recent(self.reached))
        deaf = outbound >= self.terms.out_min and 10 * inbound < inbound + outbound
        return self.streak() >= self.terms.streak or deaf

    @cached_property
    def delivered(self) -> list[tuple[int, int, Said]]:
        """Solicitations by when they were delivered: the first report of it, else when they were sent."""
        found = []
        for row in self.solicitations:
            reports = [
                each.time
                for each in self.said
                if each.kind == "DELIVERED" and self.about(each, each.event.refers_to) == row.position
            ]
            found.append((min(reports, default=row.time), row.position, row))
        return sorted(found, key=lambda each: each[:2])

    def _before(self, time: int, position: int, campaign: str = "") -> tuple[int, int, Said] | None:
        earlier = [each for each in self.delivered if each[:2] < (time, position)]
        return next((each for each in reversed(earlier) if not campaign or each[2].event.campaign == campaign), None)

    def _credited(self, act: Said) -> tuple[int, int, Said] | None:
        spam = self.about(act, act.event.refers_to) if act.kind == "MARKED_SPAM" and act.event.refers_to else 0
        named = spam or self.about(act, act.event.in_reply_to)
        found = next((each for each in self.delivered if each[1] == named and each[2].time <= act.time), None)
        if found is None and act.event.campaign:
            found = self._before(act.time, act.position, act.event.campaign)
        found = found or self._before(act.time, act.position)
        return None if found is None or act.time - found[0] >= self.terms.attribution else found

    @cached_property
    def outcomes(self) -> dict[int, int]:
        """Outcomes of all solicitations so far, as in `OUTCOMES`; 2: replied, 0: none."""
        found: Counter[int] = Counter({position: 0 for _, position, _ in self.delivered})
        for act in self.said:
            outcome = OUTCOMES.get(act.kind, 2 if act.inward and act.kind in ADDRESSED else 0)
            credited = self._credited(act) if outcome and not act.outbound else None
            if credited is not None:
                found[credited[1]] = max(found[credited[1]], outcome)
        for fact in self.facts:
            if isinstance(fact.event, c.ConsentWithdrawn | c.ObjectionRaised):
                credited = self._before(fact.occur_time, fact.position)
                if credited is not None and fact.occur_time - credited[0] < self.terms.attribution:
                    found[credited[1]] = max(found[credited[1]], 1)
        return dict(found)

    @cached_property
    def matured(self) -> list[Said]:
        return [row for delivered, _, row in self.delivered if delivered + self.terms.attribution <= self.at]

    def responses(self) -> list[int]:
        """Return how many matured ones were bought on, replied to, opted out on, and not answered."""
        counts = Counter(self.outcomes[row.position] for row in self.matured)
        return [counts[outcome] for outcome in (3, 2, 1, 0)]

    def wasted(self) -> tuple[int, dict[str, int], int]:
        """Return the seconds and the costs that were wasted, and how many of those wasted have no cost on record."""
        rows = [row.event for row in self.matured if self.outcomes[row.position] < 2]
        costs: Counter[str] = Counter()
        for event in rows:
            if event.HasField("cost"):
                costs[event.cost.asset] += event.cost.units
        seconds = sum(event.attention_seconds or SECONDS.get(event.channel, 0) for event in rows)
        return seconds, {asset: units for asset, units in costs.items() if units}, sum(
            not event.HasField("cost") for event in rows
        )  # fmt: skip

    def relevant(self) -> tuple[int, int]:
        """Return how many were rated relevant last, and how many were delivered."""
        last: dict[int, bool] = {}
        for row in self.arrived:
            if row.kind == "RELEVANCE_RATED" and row.event.HasField("relevant"):
                last[self.about(row, row.event.refers_to)] = row.event.relevant
        return sum(last.get(position, False) for _, position, _ in self.delivered), len(self.delivered)

    def verdicts(self) -> tuple[int, int]:
        """Return how many contributions were accepted and rejected: the last word on each, where it is recent."""
        kinds = {"CONTRIBUTION_ACCEPTED": 0, "CONTRIBUTION_REJECTED": 1}
        words = (row for row in self.arrived if row.kind in kinds)
        last = {self.about(row, row.event.refers_to) or row.position: row for row in words}
        counts = Counter(kinds[row.kind] for row in self.recent([*last.values()]))
        return counts[0], counts[1]

    # Points of contact and promises.

    def edges(self) -> Counter[tuple[str, int]]:
        named = (row.event for row in self.recent(self.arrived) if row.event.our_function)
        return Counter((event.customer_person_id, int(event.our_function)) for event in named)

    def shape(self) -> str:
        edges = self.edges()
        total, most = edges.total(), max(edges.values(), default=0)
        persons, functions = ({edge[side] for edge in edges} for side in (0, 1))
        if not total:
            return "NONE"
        if 10 * most >= 8 * total or len(persons) == 1 or len(functions) == 1:
            return "BOW_TIE"
        return "DIAMOND" if len(persons) >= 3 <= len(functions) and 2 * most <= total else "TRANSITIONAL"

    def promises(self) -> tuple[int, int, int]:
        """Return how many were kept in time, were broken, and are to be kept yet."""
        made: dict[str, identity.PromiseMade] = {}
        due: dict[str, int] = {}
        ended: dict[str, tuple[int, bool]] = {}
        for fact in self.facts:
            event: Any = fact.event
            if isinstance(event, identity.PromiseMade):
                made.setdefault(event.promise_id, event)
            elif not hasattr(event, "promise_id") or event.promise_id not in made or event.promise_id in ended:
                continue
            elif isinstance(event, identity.PromiseTriggered):
                term = (made[event.promise_id].sla_seconds or 7 * 86_400) * 1_000_000
                due.setdefault(event.promise_id, fact.occur_time + term)
            else:
                ended[event.promise_id] = fact.occur_time, isinstance(event, identity.PromiseKept)
        counts: Counter[str] = Counter()
        for name in made:
            end, kept = ended.get(name, (None, False))
            late = due.get(name, self.at + 1) <= (self.at if end is None else end)
            if end is not None:
                counts["broken" if late else "kept" if kept else "cancelled"] += 1
            elif name in due:
                counts["broken" if late else "due"] += 1
        return counts["kept"], counts["broken"], counts["due"]
