"""Random histories of one customer, with a question and a contact policy, for the slow reading of the contact decision.

They are made to meet: few purposes, channels, points and topics, instants near those at which clocks change, and most
of them with a live consent, so that every gate gets its say.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from ledger.contact.picture import Picture
from ledger.domain.built_in_purposes import BUILT_IN_PURPOSES
from ledger.domain.contact_policy import filled
from ledger.domain.fact import Fact
from ledger.domain.relationship import RelationshipState
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import identity_pb2 as who
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as pref
from rapport.events.v1 import privacy_pb2
from rapport.events.v1.attribute_pb2 import DisclosureRecorded
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1.amount_pb2 import Amount
from tests.oracles.contact_case import Case, Event
from tests.oracles.contact_clock import DAY, MINUTE, SECOND

PURPOSES = {purpose.slug: purpose for purpose in BUILT_IN_PURPOSES.purposes}
HOUR = 60 * MINUTE
CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00Z"),
    ("America/New_York", "2026-03-08T07:00Z"),
    ("America/New_York", "2026-11-01T06:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
    ("Pacific/Auckland", "2026-04-04T14:00Z"),
    ("Pacific/Auckland", "2026-09-26T14:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00Z"),  # A day that was left out.
    ("America/Sao_Paulo", "2018-11-04T03:00Z"),  # Midnight did not happen.
]
"""Zones with an instant at which their clocks change."""
EMAIL, SMS, POST = i.CHANNEL_EMAIL, i.CHANNEL_SMS, i.CHANNEL_POSTAL
MARKETING, SERVICE, TRANSACTIONAL = i.MESSAGE_CLASS_MARKETING, i.MESSAGE_CLASS_SERVICE, i.MESSAGE_CLASS_TRANSACTIONAL
USUAL_CLASS = {
    "service.care": SERVICE,
    "order.management": TRANSACTIONAL,
    "legal.compliance": TRANSACTIONAL,
    "research.survey": i.MESSAGE_CLASS_SURVEY,
    "community": i.MESSAGE_CLASS_COMMUNITY,
}


def stamp(at: int) -> Timestamp:
    return Timestamp(seconds=at // SECOND, nanos=at % SECOND * 1000)


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


def state_of(events: list[Event]) -> RelationshipState:
    state = RelationshipState()
    recorded = max((event.occur for event in events), default=0)
    for version, event in enumerate(events, 1):
        place = (event.position, version, recorded, event.occur)
        state.evolve(Fact(*place, event.topic, event.message, EventMetadata()))
    return state


def picture_of(case: Case) -> Picture:
    linked = [state_of(list(events)) for events in case.linked]
    return Picture("acme/c-1", state_of(list(case.events)), case.policy, case.purposes, linked)


class RandomCustomer:
    """One random case. Its events are in order of position; nothing happened after `at`."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.zone, change = chance.choice(CHANGES)
        self.at = micros(change) + chance.randrange(-30 * 60, 30 * 60) * MINUTE + chance.choice([0, 0, 1, 17 * SECOND])
        self.events: list[Event] = []
        self.linked: list[list[Event]] = []
        self.position = 1
        self.question = self.a_question()
        self.policy = filled(self.a_policy())
        self.happen()

    def case(self) -> Case:
        return Case(self.events, self.policy, PURPOSES, self.question, self.linked)

    # What is asked, and by which rules.

    def a_question(self) -> d.ContactQuestion:
        chance = self.chance
        purpose = chance.choice(["marketing.direct"] * 6 + ["marketing.social", "service.care", "order.management"])
        if chance.random() < 0.06:
            purpose = chance.choice(["research.survey", "community", "nothing.known", "legal.compliance", "marketing"])
        usual = USUAL_CLASS.get(purpose, MARKETING)
        question = d.ContactQuestion(
            purpose=purpose,
            channel=chance.choice([EMAIL, EMAIL, EMAIL, EMAIL, SMS, SMS, POST]),
            contact_point_id=chance.choice(["", "", "cp-1", "cp-2"]) if chance.random() < 0.4 else "cp-1",
            brand=chance.choice(["", "", "north"]),
            message_class=usual if chance.random() < 0.96 else chance.randrange(1, 6),  # type: ignore[arg-type]
            topic=chance.choice(["", "garden", "garden", "cars"]),
            legal_basis=chance.choice([0, 0, 0, 0, 1, 2, 20]) if chance.random() < 0.25 else 0,  # type: ignore[arg-type]
        )
        if chance.random() < 0.1:
            question.sender = "partner"
        if chance.random() < 0.1:
            question.recipients.extend(chance.sample(["carrier", "printer"], chance.choice([1, 1, 2])))
        if chance.random() < 0.4:
            question.expected_cost.CopyFrom(Amount(units=chance.choice([0, 1, 20, 60]), asset="EUR/2"))
            question.expected_margin.CopyFrom(Amount(units=chance.choice([0, 100, 200]), asset="EUR/2"))
        return question

    def a_policy(self) -> p.ContactPolicy:
        chance = self.chance
        policy = p.ContactPolicy(
            default_jurisdiction=chance.choice(["", "IE", "US", "US-CA"]),
            default_time_zones=chance.choice([[], [], [self.zone], [self.zone, "UTC"]]),
            countries=[
                p.CountryZones(country="US", time_zones=["America/New_York", "America/Chicago", "America/Los_Angeles"]),
                p.CountryZones(country="NZ", time_zones=[self.zone]),
            ],
            age_unknown_denies=chance.random() < 0.03,
            cap_defers=chance.random() < 0.6,
            waste_denies=chance.random() < 0.3,
            search_days=chance.choice([0, 1, 2, 31, 31]),
            permit_seconds=chance.choice([0, 60, 7_200, 86_400]),
            streak_max=chance.choice([0, 1, 2, 3, 3]),
            streak_window_days=chance.choice([0, 1, 2, 30]),
            attribution_days=chance.choice([0, 1, 2]),
        )
        if chance.random() < 0.4:
            rules = policy.jurisdictions.add(jurisdiction=chance.choice(["IE", "US"]), minor_age=chance.choice([0, 16]))
            rules.consent_months = chance.choice([0, 0, 1, 2])
            rules.ask_again_months = chance.choice([0, 0, 1, 13])
        if chance.random() < 0.3:
            policy.basis_rules.add(
                legal_basis=c.LEGAL_BASIS_SOFT_OPT_IN,
                jurisdictions=chance.choice([[], ["IE"], ["US"]]),
                purposes=["marketing"],
                channels=chance.choice([[], [EMAIL]]),
                interaction_kinds=[i.INTERACTION_KIND_PURCHASE],
                months=chance.choice([0, 1, 2]),
            )
        policy.basis_rules.add(
            legal_basis=c.LEGAL_BASIS_CONTRACT_PERFORMANCE,
            purposes=["order", "service"],
            interaction_kinds=[i.INTERACTION_KIND_PURCHASE],
        )
        policy.basis_rules.add(legal_basis=c.LEGAL_BASIS_LEGAL_OBLIGATION, purposes=["legal"])
        if chance.random() < 0.3:
            policy.legal_windows.add(
                window=self.a_window(day=True),
                jurisdictions=chance.choice([[], [], ["US"]]),
                channels=chance.choice([[], [SMS, EMAIL]]),
                message_classes=chance.choice([[], [MARKETING]]),
            )
        for _ in range(chance.choice([0, 0, 1, 2])):
            policy.caps.add(
                count=chance.choice([1, 2, 3, 4]),
                period=chance.choice([1, 1, 2, 3]),
                channel=chance.choice([0, 0, EMAIL]),
                topic=chance.choice(["", "", "garden"]),
                message_class=chance.choice([0, 0, MARKETING]),
            )
        return policy

    def a_window(self, *, day: bool = False) -> pref.LocalWindow:
        chance = self.chance
        start, end = chance.choice(
            [(480, 1260), (540, 1020)] if day else [(1260, 480), (1320, 360), (120, 150), (0, 0)]
        )
        if chance.random() < 0.2:
            start, end = chance.randrange(1440), chance.randrange(1440)
        days = [] if chance.random() < 0.7 else sorted(chance.sample(range(1, 8), chance.choice([2, 5])))
        return pref.LocalWindow(start_minute=start, end_minute=end, weekdays=days)  # type: ignore[arg-type]

    # What happened.

    def add(self, topic: str, message: Any, occur: int | None = None, events: list[Event] | None = None) -> Event:
        self.position += self.chance.choice([1, 1, 1, 3])
        event = Event(self.position, self.some_time() if occur is None else min(occur, self.at), topic, message)
        (self.events if events is None else events).append(event)
        return event

    def some_time(self) -> int:
        """Mostly recent, often at a whole hour, so that instants tie."""
        chance = self.chance
        back = chance.choice([chance.randrange(3 * 24 * 60), chance.randrange(40 * 24 * 60), chance.randrange(60)])
        time = self.at - back * MINUTE
        return time - time % HOUR if chance.random() < 0.3 else time

    def happen(self) -> None:
        chance = self.chance
        stories = [
            (0.97, self.points), (0.5, self.profile), (0.45, self.time_zone), (0.97, self.consent), (0.4, self.consent),
            (0.12, self.denial), (0.06, self.objection), (0.08, self.suppression), (0.45, self.preferences),
            (0.4, self.talk), (0.2, self.talk), (0.3, self.permits), (0.5, self.grants), (0.2, self.link),
            (0.15, self.purchase), (0.1, self.checkout), (0.06, self.complaint),
        ]  # fmt: skip
        chance.shuffle(stories)
        for likely, tell in stories:
            if chance.random() < likely:
                tell()
        if chance.random() < 0.01:
            self.add("privacy.erasure_started.v1", privacy_pb2.ErasureStarted())

    def points(self) -> None:
        chance = self.chance
        for point in ("cp-1", "cp-2")[: chance.choice([1, 1, 2])]:
            zones = chance.choice([[], [], [self.zone], [self.zone, "UTC"]])
            country = chance.choice(["", "", "US", "NZ"])
            message = who.IdentifierVerified(contact_point_id=point, kind="email", time_zones=zones, country=country)
            self.add("identifier.verified.v1", message)
            if chance.random() < 0.05:
                self.add("identifier.revoked.v1", who.IdentifierRevoked(contact_point_id=point))

    def profile(self) -> None:
        chance = self.chance
        message = who.ProfileDeclared(
            jurisdiction=chance.choice(["", "IE", "US", "US-CA"]), country=chance.choice(["", "US", "NZ"])
        )
        for place in ("IE", "US", "US-CA"):
            if chance.random() < 0.5:
                today = datetime.fromtimestamp(self.at // SECOND, UTC).date()
                day = today + timedelta(days=chance.choice([*[-9999] * 8, -2, 0, 1, 3]))
                message.adult_from.add(jurisdiction=place, date=date.isoformat(day))
        self.add("profile.declared.v1", message)
        if chance.random() < 0.5:
            appointed = c.GuardianAppointed(guardian_id="g-1", verification_method="papers")
            if chance.random() < 0.5:
                appointed.until.CopyFrom(stamp(self.at + chance.choice([-1, 1, 2]) * DAY))
            appointed.purposes.extend(chance.choice([[], ["marketing"], ["service"]]))
            self.add("guardian.appointed.v1", appointed)
            if chance.random() < 0.2:
                self.add("guardian.released.v1", c.GuardianReleased(guardian_id="g-1"))

    def time_zone(self) -> None:
        name = self.zone if self.chance.random() < 0.9 else "UTC"
        declared = pref.PreferenceDeclared(time_zone=pref.TimeZonePreference(time_zone=name))
        self.add("preference.declared.v1", declared)

    def a_scope(self, *, narrow: float) -> dict[str, Any]:
        chance = self.chance
        return {
            "channels": [chance.choice([EMAIL, SMS])] if chance.random() < narrow else [],
            "contact_point_ids": [chance.choice(["cp-1", "cp-1", "cp-2"])] if chance.random() < narrow else [],
            "brands": ["north"] if chance.random() < narrow / 2 else [],
        }

    def a_consent(self) -> c.ConsentGiven:
        chance = self.chance
        named = self.question.purpose if chance.random() < 0.85 else chance.choice(["marketing", "service", "research"])
        consent = c.ConsentGiven(purposes=[named], **self.a_scope(narrow=0.08))
        if chance.random() < 0.4:
            consent.notice.CopyFrom(c.NoticeReference(notice_id="n", purposes=[self.question.purpose, "marketing"]))
        match chance.randrange(16):
            case 0 | 1:
                consent.validity.until_time.CopyFrom(stamp(self.at + chance.randrange(-24 * 60, 72 * 60) * MINUTE))
            case 2:
                consent.validity.duration.seconds = chance.randrange(1, 40 * 86_400)
            case 3:
                consent.validity.event = "cars"
            case 4:
                consent.validity.uses = chance.choice([1, 2])
            case 5:
                consent.valid_from_time.CopyFrom(stamp(self.at + chance.randrange(-24 * 60, 24 * 60) * MINUTE))
            case _:
                pass
        if chance.random() < 0.1:
            consent.indicated_by, consent.indicated_by_id = c.INDICATED_BY_GUARDIAN, "g-1"
        return consent

    def consent(self) -> None:
        chance = self.chance
        if chance.random() < 0.15:
            self.add("consent.renewed.v1", c.ConsentRenewed(consent=self.a_consent()))
            return
        consent = self.a_consent()
        consent.confirmation_required = chance.random() < 0.1
        given = self.add("consent.given.v1", consent)
        if consent.confirmation_required and chance.random() < 0.6:
            when = given.occur + chance.randrange(24 * 60) * MINUTE
            self.add("consent.confirmed.v1", c.ConsentConfirmed(given_position=given.position), when)

    def denial(self, events: list[Event] | None = None) -> None:
        chance = self.chance
        purposes = chance.choice([[], ["marketing"], [self.question.purpose], ["service"]])
        parts = {"purposes": purposes, **self.a_scope(narrow=0.3)}
        scope = c.ConsentScope(**parts)
        topic, message = chance.choice(
            [
                ("consent.withdrawn.v1", c.ConsentWithdrawn(**parts)),
                ("consent.refused.v1", c.ConsentRefused(**parts)),
                ("consent.revoked.v1", c.ConsentRevoked(scope=scope)),
                ("consent.invalidated.v1", c.ConsentInvalidated(scope=scope)),
            ]
        )
        self.add(topic, message, events=events)

    def objection(self, events: list[Event] | None = None) -> None:
        chance = self.chance
        purposes = chance.choice([[], ["marketing"], [self.question.purpose], ["service"]])
        scope = c.ConsentScope(purposes=purposes, **self.a_scope(narrow=0.3))
        raised = self.add("objection.raised.v1", c.ObjectionRaised(scope=scope), events=events)
        if chance.random() < 0.4:
            self.add("objection.lifted.v1", c.ObjectionLifted(raised_position=raised.position), events=events)

    def suppression(self) -> None:
        chance = self.chance
        reason = chance.choice([1, 1, 2, 5, chance.choice([3, 4])])
        point = chance.choice(["", "cp-1", "cp-2"]) if reason == c.SUPPRESSION_REASON_HARD_BOUNCE else ""
        channel = chance.choice([0, EMAIL, SMS]) if reason in {1, 2, 5} else 0
        added = c.SuppressionAdded(reason=reason, channel=channel, contact_point_id=point)  # type: ignore[arg-type]
        event = self.add("suppression.added.v1", added)
        if chance.random() < 0.4:
            # At or after it: who lifts it has seen it.
            when = event.occur + chance.randrange(60) * MINUTE
            self.add("suppression.lifted.v1", c.SuppressionLifted(added_position=event.position, reason="r"), when)

    def preferences(self) -> None:
        chance = self.chance
        for _ in range(chance.choice([1, 1, 2, 3])):
            declared = pref.PreferenceDeclared()
            match chance.randrange(12):
                case 0:
                    declared.channels.averse.append(chance.choice([SMS, POST]))
                case 1:
                    declared.topics.excluded.append(chance.choice(["cars", "boats"]))
                case 2 | 3:
                    declared.frequency.count = chance.choice([0, 1, 1, 2, 3])
                    declared.frequency.period = chance.choice([1, 2, 3])  # type: ignore[assignment]
                    declared.frequency.channel = chance.choice([0, EMAIL])  # type: ignore[assignment]
                    declared.frequency.topic = chance.choice(["", "garden"])
                case 4:
                    declared.pause.channel = chance.choice([0, EMAIL])  # type: ignore[assignment]
                    declared.pause.topic = chance.choice(["", "garden"])
                    if chance.random() < 0.9:
                        declared.pause.until.CopyFrom(stamp(self.at + chance.randrange(-9, 72) * HOUR))
                case _:
                    windows = [self.a_window() for _ in range(chance.choice([0, 1, 1, 1, 2]))]
                    declared.quiet_hours.CopyFrom(pref.QuietHours(windows=windows))
            self.add("preference.declared.v1", declared)
        if chance.random() < 0.1:
            cleared = pref.PreferenceCleared(kind=chance.choice([3, 4, 5]))  # type: ignore[arg-type]
            self.add("preference.cleared.v1", cleared)

    def an_interaction(self, kind: int, direction: int, **more: Any) -> i.InteractionRecorded:
        initiator = i.INITIATOR_ORGANIZATION if direction == i.DIRECTION_OUTBOUND else i.INITIATOR_CUSTOMER
        return i.InteractionRecorded(kind=kind, direction=direction, initiator=initiator, channel=EMAIL, **more)  # type: ignore[arg-type]

    def meet(self, kind: int, direction: int, occur: int | None = None, **more: Any) -> Event:
        return self.add("interaction.recorded.v1", self.an_interaction(kind, direction, **more), occur)

    def talk(self) -> None:
        chance = self.chance
        for _ in range(chance.randrange(1, 5)):
            sent = self.meet(
                chance.choice([i.INTERACTION_KIND_MESSAGE, i.INTERACTION_KIND_OFFER]),
                i.DIRECTION_OUTBOUND,
                message_class=chance.choice([MARKETING, MARKETING, MARKETING, SERVICE, TRANSACTIONAL]),
                topic=chance.choice(["", "garden", "boats"] if chance.random() < 0.9 else ["cars"]),
            )
            after, fate = sent.occur + chance.randrange(1, 3 * 24 * 60) * MINUTE, chance.random()
            if fate < 0.1:
                self.meet(i.INTERACTION_KIND_BOUNCED, i.DIRECTION_OBSERVED, after, refers_to=sent.position)
            elif fate < 0.3:
                named = sent.position if chance.random() < 0.5 else 0
                told = self.meet(i.INTERACTION_KIND_REPLY, i.DIRECTION_INBOUND, after, in_reply_to=named)
                if chance.random() < 0.3:
                    more = {"message_class": SERVICE, "in_reply_to": told.position}
                    self.meet(i.INTERACTION_KIND_ANSWER, i.DIRECTION_OUTBOUND, told.occur + HOUR, **more)
            elif fate < 0.35:
                retracted = i.InteractionRetracted(original_position=sent.position)
                self.add("interaction.retracted.v1", retracted, sent.occur)

    def permits(self) -> None:
        chance = self.chance
        # Decisions are recorded in the order of their instants: no clock that lags is asked for them.
        ago = [
            chance.choice([chance.randrange(180), chance.randrange(24 * 60)]) for _ in range(chance.choice([1, 2, 3]))
        ]
        for minutes in sorted(ago, reverse=True):
            decided = self.at - minutes * MINUTE
            question = d.ContactQuestion(
                purpose="marketing.direct",
                channel=chance.choice([EMAIL, SMS]),
                message_class=chance.choice([MARKETING, MARKETING, SERVICE, TRANSACTIONAL]),
                topic=chance.choice(["", "garden"]),
            )
            if chance.random() < 0.25:
                self.add(
                    "contact.decided.v1", d.ContactDecided(question=question, outcome=d.DECISION_OUTCOME_DENY), decided
                )
                continue
            permit = d.ContactDecided(
                question=question,
                outcome=d.DECISION_OUTCOME_PERMIT,
                permit_expires_time=stamp(decided + chance.choice([60, 3_600, 86_400]) * SECOND),
                basis_positions=[event.position for event in self.events if event.topic == "consent.given.v1"][:1],
                legal_basis=c.LEGAL_BASIS_CONSENT,
            )
            event = self.add("contact.decided.v1", permit, decided)
            fate, after = chance.random(), event.occur + MINUTE
            if fate < 0.3:
                more = {"message_class": question.message_class, "topic": question.topic, "decision_id": event.position}
                self.meet(i.INTERACTION_KIND_MESSAGE, i.DIRECTION_OUTBOUND, after, **more)
            elif fate < 0.5:
                self.add("contact.aborted.v1", d.ContactAborted(decision_id=event.position), after)

    def grants(self) -> None:
        chance, asked = self.chance, self.question.purpose
        for party in ("partner", "carrier", "printer"):
            if chance.random() < 0.3:
                continue
            given = c.RecipientGrantGiven(
                recipient=party,
                purposes=[chance.choice([asked, asked, asked, "marketing"])],
                fields=["contact"],
                until=stamp(self.at + chance.choice([-1, 1, 2, 300, 300]) * DAY),
                max_uses=chance.choice([1, 2, 100]),
            )
            self.add("recipient_grant.given.v1", given)
            if chance.random() < 0.2:
                passed_on = DisclosureRecorded(recipient=party, purposes=[asked], fields=["contact"])
                self.add("disclosure.recorded.v1", passed_on)
            if chance.random() < 0.1:
                self.add("recipient_grant.revoked.v1", c.RecipientGrantRevoked(recipient=party))

    def link(self) -> None:
        """Another customer id of the same person, with acts of its own."""
        events: list[Event] = []
        self.linked.append(events)
        chance = self.chance
        if chance.random() < 0.6:
            self.add("consent.given.v1", self.a_consent(), events=events)
        if chance.random() < 0.3:
            self.denial(events)
        if chance.random() < 0.2:
            self.objection(events)

    def purchase(self) -> None:
        self.meet(i.INTERACTION_KIND_PURCHASE, i.DIRECTION_OBSERVED)

    def checkout(self) -> None:
        begun = self.at - self.chance.randrange(45) * MINUTE
        self.meet(i.INTERACTION_KIND_CHECKOUT_STARTED, i.DIRECTION_OBSERVED, begun)

    def complaint(self) -> None:
        made = self.meet(i.INTERACTION_KIND_COMPLAINT, i.DIRECTION_INBOUND)
        if self.chance.random() < 0.6:
            more = {"refers_to": made.position, "in_reply_to": made.position, "message_class": SERVICE}
            self.meet(i.INTERACTION_KIND_COMPLAINT_RESOLVED, i.DIRECTION_OUTBOUND, made.occur + HOUR, **more)
