"""Histories of customers, short to write, and decisions about them; nothing checks what is recorded.

A `History` holds the facts of an organization's streams and decides on folds of them alone.
"""

from __future__ import annotations

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
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import identity_pb2, preference_pb2, privacy_pb2
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
