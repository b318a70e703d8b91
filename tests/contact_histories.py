"""Histories of customers, short to write or drawn at random, and decisions about them; nothing checks what is recorded.

A `History` holds the facts of an organization's streams and decides on folds of them alone. `random_history` draws one:
small numbers of purposes, channels, points, brands and instants, so that acts meet each other often.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.message import Message

from ledger.balance.book import Book
from ledger.contact.decision import decide
from ledger.contact.drawing import draw, latest_record_time, read_set
from ledger.contact.picture import Picture
from ledger.domain.fact import Fact
from ledger.domain.streams import initial_state
from ledger.domain.times import END_OF_TIME, MICROSECONDS, from_datetime, timestamp
from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.events.v1 import attribute_pb2, identity_pb2, preference_pb2, privacy_pb2
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.metadata_pb2 import EventMetadata

SECOND: Final = MICROSECONDS
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
ORGANIZATION: Final = "acme"
POLICIES: Final = f"{ORGANIZATION}/@policy"
TOPIC_OF: Final = {message: topic for topic, message in MESSAGE_BY_TOPIC.items()}


def moment(text: str) -> int:
    """Return a time such as `2026-11-21T03:30Z`, or a day in UTC, as microseconds."""
    time = datetime.fromisoformat(text)
    return from_datetime(time if time.tzinfo is not None else time.replace(tzinfo=UTC))


def stream(customer: str) -> str:
    """Return the stream of a customer."""
    return f"{ORGANIZATION}/{customer}"


def question(**values: Any) -> d.ContactQuestion:
    """Return a question: marketing by e-mail, unless said otherwise."""
    given: dict[str, Any] = {
        "purpose": "marketing.direct",
        "channel": i.CHANNEL_EMAIL,
        "message_class": i.MESSAGE_CLASS_MARKETING,
    }
    return d.ContactQuestion(**{**given, **values})


class History:
    """Facts of an organization and its customers, in the order in which they were recorded."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, Fact]] = []
        """(stream, fact)."""

    @property
    def head(self) -> int:
        """Position of the last fact."""
        return self.facts[-1][1].position if self.facts else 0

    def add(self, event: Message, at: int | str, *, customer: str = "c", recorded: int | str | None = None) -> int:
        """Record an event of a customer that happened at a time; return its position.

        `recorded`: by default when it happened, or with the last fact where that is later.
        """
        return self._add(stream(customer), event, at, recorded)

    def publish(self, event: Message, at: int | str = 0) -> int:
        """Publish a contact policy, a registry of purposes or another event of the organization."""
        if isinstance(event, p.ContactPolicy):
            event = p.ContactPolicyPublished(policy=event)
        elif isinstance(event, p.PurposeRegistry):
            event = p.PurposesPublished(registry=event)
        return self._add(POLICIES, event, at, None)

    def link(self, one: str, other: str, at: int | str, link_id: str = "link") -> int:
        """Link two customers, in both streams."""
        linked = identity_pb2.IdentityLinked(
            link_id=link_id, customer_a_id=one, customer_b_id=other, evidence="same-person"
        )
        self.add(linked, at, customer=one)
        return self.add(linked, at, customer=other)

    def unlink(self, one: str, other: str, at: int | str, link_id: str = "link") -> int:
        """Take a link back, in both streams."""
        unlinked = identity_pb2.IdentityUnlinked(link_id=link_id, reason="wrong")
        self.add(unlinked, at, customer=one)
        return self.add(unlinked, at, customer=other)

    def copy(self) -> History:
        """Return a history of the same facts, to be continued otherwise."""
        other = History()
        other.facts = list(self.facts)
        return other

    def states(self, position: int | None = None, until: int = END_OF_TIME) -> dict[str, Any]:
        """Return the states of all streams as of a position, of what occurred at or before `until`."""
        names = {POLICIES, stream("c"), *(name for name, _ in self.facts)}
        states = {name: initial_state(name, until) for name in names}
        for name, fact in self.facts:
            if position is None or fact.position <= position:
                states[name].evolve(fact)
        return states

    def book(self, customer: str = "c", position: int | None = None) -> Book:
        """Return the book of a customer's exchanges."""
        book = Book()
        for name, fact in self.facts:
            if name == stream(customer) and (position is None or fact.position <= position):
                book.evolve(fact)
        return book

    def picture(
        self, at: int | str, *, customer: str = "c", position: int | None = None, until: int = END_OF_TIME
    ) -> Picture:
        """Return what a decision about a customer at an instant sees."""
        states = self.states(position, until)
        return draw(stream(customer), states, instant(at), book=self.book(customer, position))

    def decide(
        self,
        at: int | str,
        asked: d.ContactQuestion | None = None,
        *,
        customer: str = "c",
        position: int | None = None,
        until: int = END_OF_TIME,
    ) -> d.ContactDecided:
        """Return the answer about a customer at an instant, which is at or after every fact."""
        picture = self.picture(at, customer=customer, position=position, until=until)
        reads = read_set(stream(customer), self.states(position, until))
        return decide(picture, question() if asked is None else asked, instant(at), reads)

    def decide_and_record(
        self, at: int | str, asked: d.ContactQuestion | None = None, *, customer: str = "c"
    ) -> tuple[int, d.ContactDecided]:
        """Decide, record the answer, and return its position and itself."""
        decided = self.decide(at, asked, customer=customer)
        return self.add(decided, at, customer=customer, recorded=at), decided

    def latest(self, customer: str = "c") -> int:
        """Return the earliest instant for which a customer may be decided about."""
        return latest_record_time(stream(customer), self.states())

    def _add(self, name: str, event: Message, at: int | str, recorded: int | str | None) -> int:
        time, last = instant(at), self.facts[-1][1].record_time if self.facts else 0
        record_time = max(time, last) if recorded is None else instant(recorded)
        assert time <= record_time >= last, "nothing is recorded before it happened, or before what was recorded"
        version = 1 + sum(1 for other, _ in self.facts if other == name)
        position = self.head + 1
        fact = Fact(position, version, record_time, time, TOPIC_OF[type(event)], event, EventMetadata())
        self.facts.append((name, fact))
        return position


def instant(at: int | str) -> int:
    """Return an instant given in microseconds or as text."""
    return moment(at) if isinstance(at, str) else at


# Events, short to write. Scopes are given by the names of their parts.


def given(purpose: str = "marketing.direct", until: int | str | None = None, **values: Any) -> c.ConsentGiven:
    """Return a consent; it holds until an instant, or without end."""
    validity = None if until is None else c.Validity(until_time=timestamp(instant(until)))
    return c.ConsentGiven(**{"purposes": [purpose], "validity": validity, **values})


def withdrawn(*purposes: str, **values: Any) -> c.ConsentWithdrawn:
    """Return a withdrawal; of everything where no purpose is named."""
    return c.ConsentWithdrawn(purposes=purposes, **values)


def refused(*purposes: str, **values: Any) -> c.ConsentRefused:
    """Return a refusal."""
    return c.ConsentRefused(purposes=purposes, **values)


def objected(*purposes: str, **values: Any) -> c.ObjectionRaised:
    """Return an objection."""
    return c.ObjectionRaised(scope=c.ConsentScope(purposes=purposes, **values))


def suppressed(reason: str, **values: Any) -> c.SuppressionAdded:
    """Return a suppression, by the name of its reason."""
    return c.SuppressionAdded(reason=c.SuppressionReason.Value(f"SUPPRESSION_REASON_{reason}"), **values)


def recipient(name: str, until: int | str, purpose: str = "marketing.direct", **values: Any) -> c.RecipientGrantGiven:
    """Return a grant to a recipient."""
    return c.RecipientGrantGiven(
        **{
            "recipient": name,
            "purposes": [purpose],
            "fields": ["contact"],
            "until": timestamp(instant(until)),
            "max_uses": 1_000_000,
            **values,
        }
    )


def profile(jurisdiction: str = "DE", adult: str = "", **values: Any) -> identity_pb2.ProfileDeclared:
    """Return a profile; of age from a day on, where one is given."""
    days = [identity_pb2.AdultFrom(jurisdiction=jurisdiction, date=adult)] if adult else []
    return identity_pb2.ProfileDeclared(jurisdiction=jurisdiction, adult_from=days, **values)


def guardian(name: str = "mum", until: int | str | None = None, **values: Any) -> c.GuardianAppointed:
    """Return an appointment of a guardian."""
    end = None if until is None else timestamp(instant(until))
    return c.GuardianAppointed(guardian_id=name, verification_method="id", until=end, **values)


def verified(point: str, **values: Any) -> identity_pb2.IdentifierVerified:
    """Return that a contact point is the customer's."""
    return identity_pb2.IdentifierVerified(contact_point_id=point, kind="email", **values)


def sent(**values: Any) -> i.InteractionRecorded:
    """Return a marketing message to the customer by e-mail, unless said otherwise."""
    return i.InteractionRecorded(
        **{
            "kind": i.INTERACTION_KIND_MESSAGE,
            "channel": i.CHANNEL_EMAIL,
            "direction": i.DIRECTION_OUTBOUND,
            "initiator": i.INITIATOR_ORGANIZATION,
            "message_class": i.MESSAGE_CLASS_MARKETING,
            **values,
        }
    )


def did(kind: str, **values: Any) -> i.InteractionRecorded:
    """Return an act of the customer, by the name of its kind."""
    return i.InteractionRecorded(
        **{
            "kind": i.InteractionKind.Value(f"INTERACTION_KIND_{kind}"),
            "channel": i.CHANNEL_WEB,
            "direction": i.DIRECTION_INBOUND,
            "initiator": i.INITIATOR_CUSTOMER,
            **values,
        }
    )


def preferred(**values: Any) -> preference_pb2.PreferenceDeclared:
    """Return a declaration of the customer."""
    return preference_pb2.PreferenceDeclared(**values)


def quiet(start: int, end: int, *weekdays: int) -> preference_pb2.PreferenceDeclared:
    """Return quiet hours, from an hour to another."""
    window = preference_pb2.LocalWindow(start_minute=start * 60, end_minute=end * 60, weekdays=weekdays)  # type: ignore[arg-type]
    return preferred(quiet_hours=preference_pb2.QuietHours(windows=[window]))


def lives_in(zone: str) -> preference_pb2.PreferenceDeclared:
    """Return where the customer's clock stands."""
    return preferred(time_zone=preference_pb2.TimeZonePreference(time_zone=zone))


def erased() -> privacy_pb2.ErasureStarted:
    """Return the beginning of an erasure."""
    return privacy_pb2.ErasureStarted()


def reason_name(decided: d.ContactDecided) -> str:
    """Return the outcome and its reason. Examples: `PERMIT`, `DENY CONSENT_WITHDRAWN`."""
    outcome = d.DecisionOutcome.Name(decided.outcome).removeprefix("DECISION_OUTCOME_")
    reason = d.DecisionReason.Name(decided.decisive_reason).removeprefix("DECISION_REASON_")
    return f"{outcome} {reason}" if decided.decisive_reason else outcome


def trace(decided: d.ContactDecided) -> dict[str, str]:
    """Return by gate what was found where it is more than PASS. Example: `{"DENIAL": "FAIL CONSENT_WITHDRAWN"}`."""
    told = {}
    for each in decided.findings:
        result = d.GateResult.Name(each.result).removeprefix("GATE_RESULT_")
        reason = d.DecisionReason.Name(each.reason).removeprefix("DECISION_REASON_")
        name = d.Gate.Name(each.gate).removeprefix("GATE_")
        told[name] = f"{result} {reason}" if each.reason else result
    return told


# Histories drawn at random.

START: Final = moment("2026-03-01T00:00Z")
SPAN_DAYS: Final = 60
PURPOSES: Final = ("marketing", "marketing.direct", "marketing.social", "service.care", "order.management", "community")
CLASS_OF: Final = {
    **dict.fromkeys(PURPOSES, (i.MESSAGE_CLASS_MARKETING,)),
    "service.care": (i.MESSAGE_CLASS_SERVICE, i.MESSAGE_CLASS_TRANSACTIONAL),
    "order.management": (i.MESSAGE_CLASS_TRANSACTIONAL,),
    "community": (i.MESSAGE_CLASS_COMMUNITY,),
}
"""Classes of messages that the built-in registry allows."""
CHANNELS: Final = (i.CHANNEL_EMAIL, i.CHANNEL_SMS)
POINTS: Final = ("p1", "p2")
BRANDS: Final = ("tea", "rum")
PARTNERS: Final = ("carrier", "ads")
BASES: Final = (c.LEGAL_BASIS_UNSPECIFIED, c.LEGAL_BASIS_UNSPECIFIED, c.LEGAL_BASIS_CONSENT, c.LEGAL_BASIS_SOFT_OPT_IN)
PERIODS: Final = (preference_pb2.PERIOD_DAY, preference_pb2.PERIOD_WEEK, preference_pb2.PERIOD_MONTH)
ZONES: Final = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC")
CLASSES: Final = (
    i.MESSAGE_CLASS_MARKETING,
    i.MESSAGE_CLASS_MARKETING,
    i.MESSAGE_CLASS_SERVICE,
    i.MESSAGE_CLASS_TRANSACTIONAL,
    i.MESSAGE_CLASS_COMMUNITY,
)


class Draw:
    """Draws events; those that say no, and consents, can be drawn by themselves."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, values: Sequence[Any], share: float = 0.3) -> list[Any]:
        """Return one of some values, or none; a part of a scope."""
        return [self.random.choice(values)] if self.random.random() < share else []

    def scope(self) -> dict[str, Any]:
        """Return the narrowing parts of a scope."""
        return {
            "channels": self.some(CHANNELS),
            "contact_point_ids": self.some(POINTS, 0.15),
            "brands": self.some(BRANDS, 0.15),
        }

    def later(self, at: int, days: int = 40) -> int:
        """Return an instant after another, on a whole minute."""
        return at + self.random.randrange(1, days * 24 * 60) * MINUTE

    def consent(self, at: int) -> Message:
        """Return a consent that names no recipient."""
        validity = self.random.choice(
            [
                None,
                c.Validity(until_time=timestamp(self.later(at))),
                c.Validity(uses=1),
                c.Validity(event="leave"),
            ]
        )
        consent = c.ConsentGiven(
            purposes=self.random.sample(PURPOSES, 2),
            notice=c.NoticeReference(notice_id="n", purposes=self.some(PURPOSES, 0.5)),
            validity=validity,
            confirmation_required=self.random.random() < 0.1,
            indicated_by=self.random.choice([c.INDICATED_BY_SUBJECT] * 4 + [c.INDICATED_BY_GUARDIAN]),
            indicated_by_id="mum",
            **self.scope(),
        )
        return c.ConsentRenewed(consent=consent) if self.random.random() < 0.2 else consent

    def denial(self) -> Message:
        """Return a withdrawal, a refusal, a revocation, an invalidation or an objection."""
        purposes = self.some(PURPOSES, 0.8)
        scope = c.ConsentScope(purposes=purposes, **self.scope())
        return self.random.choice(
            [
                c.ConsentWithdrawn(purposes=purposes, **self.scope()),
                c.ConsentRefused(purposes=purposes, **self.scope()),
                c.ConsentRevoked(scope=scope),
                c.ConsentInvalidated(scope=scope),
                c.ObjectionRaised(scope=scope),
            ]
        )

    def preference(self, at: int) -> Message:
        """Return a declaration."""
        draw = self.random
        found: list[Callable[[], Message]] = [
            lambda: quiet(draw.randrange(24), draw.randrange(24)),
            lambda: lives_in(draw.choice(ZONES)),
            lambda: preferred(
                frequency=preference_pb2.FrequencyPreference(count=draw.randrange(1, 4), period=draw.choice(PERIODS))
            ),
            lambda: preferred(pause=preference_pb2.Pause(until=timestamp(self.later(at, 10)))),
            lambda: preferred(channels=preference_pb2.ChannelPreference(preferred=self.some(CHANNELS))),
            lambda: preferred(topics=preference_pb2.TopicPreference(excluded=self.some(("sale", "news")))),
        ]
        return draw.choice(found)()

    def interaction(self) -> Message:
        """Return something said or done."""
        draw = self.random
        found: list[Callable[[], Message]] = [
            lambda: sent(channel=draw.choice(CHANNELS), message_class=draw.choice(CLASSES)),
            lambda: did(draw.choice(["QUESTION", "PURCHASE", "PURCHASE", "COMPLAINT", "CHECKOUT_STARTED"])),
            lambda: did("MESSAGE", topic=draw.choice(["leave", "news"])),
        ]
        return draw.choice(found)()

    def other(self, at: int, history: History) -> Message:
        """Return anything that is neither a consent nor a denial."""
        draw = self.random
        found: list[Callable[[], Message]] = [
            lambda: self.preference(at),
            lambda: self.preference(at),
            self.interaction,
            self.interaction,
            lambda: verified(draw.choice(POINTS)),
            lambda: recipient(draw.choice(PARTNERS), self.later(at), draw.choice(PURPOSES)),
            lambda: c.RecipientGrantRevoked(recipient=draw.choice(PARTNERS)),
            lambda: attribute_pb2.DisclosureRecorded(
                recipient=draw.choice(PARTNERS), purposes=["marketing.direct"], fields=["contact"]
            ),
            lambda: profile("DE", draw.choice(["", "2026-03-20", "2026-04-10", "2010-01-01"])),
            lambda: guardian("mum", draw.choice([None, self.later(at)])),
            lambda: c.GuardianReleased(guardian_id="mum"),
            lambda: suppressed("HARD_BOUNCE", contact_point_id=draw.choice(POINTS)),
            lambda: suppressed(draw.choice(["COMPLAINT", "EXTERNAL_LIST"]), channel=draw.choice(CHANNELS)),
            lambda: c.SuppressionLifted(added_position=draw.randrange(1, history.head + 2), reason="wrong"),
            lambda: c.ObjectionLifted(raised_position=draw.randrange(1, history.head + 2)),
            lambda: c.ConsentConfirmed(given_position=draw.randrange(1, history.head + 2)),
        ]
        return draw.choice(found)()

    def plain_question(self) -> d.ContactQuestion:
        """Return a question about marketing that leaves open what it can: what limits it is mostly not permission."""
        draw = self.random
        return question(channel=draw.choice(CHANNELS), topic=draw.choice(["", "sale", "news"]))

    def question(self) -> d.ContactQuestion:
        """Return a question."""
        draw = self.random
        purpose = draw.choice(PURPOSES)
        return d.ContactQuestion(
            purpose=purpose,
            channel=draw.choice(CHANNELS),
            message_class=draw.choice(CLASSES if draw.random() < 0.1 else CLASS_OF[purpose]),
            contact_point_id=draw.choice(["", "", *POINTS]),
            brand=draw.choice(["", "", *BRANDS]),
            topic=draw.choice(["", "sale", "news"]),
            sender=draw.choice(["", "", "", *PARTNERS]),
            recipients=self.some(PARTNERS, 0.15),
            legal_basis=draw.choice(BASES),
        )

    def policy(self, version: int = 1) -> p.ContactPolicy:
        """Return a contact policy with every kind of number in it somewhere; a later version begins later."""
        draw = self.random
        begins = START - DAY if version == 1 else START + draw.randrange(80 * 24) * HOUR
        return p.ContactPolicy(
            version=version,
            effective_from_time=timestamp(begins),
            default_jurisdiction=draw.choice(["", "DE", "CA"]),
            default_time_zones=draw.choice([[], ["Europe/Berlin"], ["America/New_York", "America/Chicago"]]),
            jurisdictions=[
                p.JurisdictionRules(jurisdiction="DE", minor_age=16, consent_months=draw.choice([0, 1])),
            ],
            basis_rules=[
                p.BasisRule(
                    legal_basis=c.LEGAL_BASIS_SOFT_OPT_IN,
                    purposes=["marketing"],
                    interaction_kinds=[i.INTERACTION_KIND_PURCHASE],
                    months=draw.choice([0, 1]),
                    first_contact_months=draw.choice([0, 1]),
                ),
                p.BasisRule(
                    legal_basis=c.LEGAL_BASIS_CONTRACT_PERFORMANCE,
                    interaction_kinds=[i.INTERACTION_KIND_PURCHASE],
                    exchange=True,
                    months=1,
                ),
            ],
            legal_windows=draw.choice(
                [[], [p.LegalWindow(window=preference_pb2.LocalWindow(start_minute=480, end_minute=1260))]]
            ),
            caps=draw.choice([[], [p.FrequencyCap(count=draw.randrange(1, 4), period=draw.choice(PERIODS))]]),
            cap_defers=draw.random() < 0.5,
            age_unknown_denies=draw.random() < 0.1,
            guardian_consent_at_age=draw.choice(p.GuardianConsentAtAge.values()),
        )


def random_history(
    seed: int, events: int = 12, *, known: bool = True, welcome: bool = False
) -> tuple[History, Draw, int]:
    """Return a history of one customer, the draw that made it, and an instant after all of it.

    `known`: the customer did something that makes them known. `welcome`: they consented to everything, and little but
    preferences and talk follows.
    """
    history, draw = History(), Draw(seed)
    if draw.random.random() < 0.8:
        history.publish(draw.policy(), START - DAY)
    if draw.random.random() < 0.2:
        history.publish(draw.policy(version=2), START - DAY)
    minutes = sorted(draw.random.randrange(SPAN_DAYS * 24 * 60) for _ in range(events))
    if known:
        _arrive(history, draw)
    if welcome:
        history.add(given(purposes=PURPOSES), START)
    for minute in minutes:
        recorded = START + minute * MINUTE
        # Some things are heard of late.
        at = max(START, recorded - draw.random.choice([0, 0, 0, draw.random.randrange(20 * 24 * 60) * MINUTE]))
        history.add(_event(history, draw, at, welcome=welcome), at, recorded=recorded)
        if draw.random.random() < 0.15:
            asked = draw.plain_question() if welcome else draw.question()
            _decide_and_perhaps_send(history, draw, recorded, asked)
    last = max(minutes, default=0) + draw.random.randrange(24 * 60 if welcome else 30 * 24 * 60)
    return history, draw, START + last * MINUTE


def _arrive(history: History, draw: Draw) -> None:
    history.add(did("VISIT", direction=i.DIRECTION_OBSERVED), START)
    for point in POINTS:
        if draw.random.random() < 0.8:
            history.add(verified(point), START)


def _event(history: History, draw: Draw, at: int, *, welcome: bool) -> Message:
    kind = draw.random.random()
    if welcome:
        return draw.preference(at) if kind < 0.5 else draw.interaction() if kind < 0.9 else draw.consent(at)
    return draw.consent(at) if kind < 0.35 else draw.denial() if kind < 0.42 else draw.other(at, history)


def _decide_and_perhaps_send(history: History, draw: Draw, at: int, asked: d.ContactQuestion) -> None:
    decision_id, decided = history.decide_and_record(at, asked)
    if decided.outcome == d.DECISION_OUTCOME_PERMIT and draw.random.random() < 0.5:
        message = sent(channel=asked.channel, message_class=asked.message_class, decision_id=decision_id)
        history.add(message, at)
