"""What a contact decision may look at, read out of plain lists of events each time it is asked for; no folds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as pref
from tests.oracles import consent_brute
from tests.oracles.consent_brute import FOR_EVER, Act
from tests.oracles.contact_clock import DAY, EPOCH, SECOND, micros, months_later

PERMIT = d.DECISION_OUTCOME_PERMIT
MARKETING, SERVICE, TRANSACTIONAL, SURVEY, COMMUNITY = range(1, 6)
ADDRESSED = {1, 2, 3, 4, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 24, 33, 34}
"""Numbers of the kinds of relationship.md 2: MESSAGE to SURVEY_ANSWERED, FEEDBACK, complaints, PRAISE and so on."""


class Event(NamedTuple):
    position: int
    occur: int
    topic: str
    message: Any


def is_law_of(rule: str, place: str) -> bool:
    return rule == place or place.startswith(rule + "-")


def holds_for(jurisdictions: Sequence[str], place: str) -> bool:
    return not jurisdictions or any(is_law_of(each, place) for each in jurisdictions)


def act_on(kind: str, event: Event, scope: Any) -> Act:
    """The act that an event is on a scope: purposes, channels, contact points and brands."""
    return Act(
        kind,
        event.position,
        event.occur,
        tuple(scope.purposes),
        tuple(scope.channels),
        tuple(scope.contact_point_ids),
        tuple(scope.brands),
    )


@dataclass
class Case:
    """Everything that a decision may look at."""

    events: Sequence[Event]
    policy: p.ContactPolicy
    purposes: Mapping[str, p.Purpose]
    question: d.ContactQuestion
    linked: Sequence[Sequence[Event]] = field(default=())

    @cached_property
    def instants(self) -> list[int]:
        return sorted(instants(self))

    # What was said and done.

    def of(self, topic: str, events: Sequence[Event] | None = None) -> list[Event]:
        return [event for event in (self.events if events is None else events) if event.topic == topic]

    @cached_property
    def place(self) -> str:
        profile = self.profile
        return (profile.jurisdiction if profile else "") or self.policy.default_jurisdiction

    @cached_property
    def profile(self) -> Any:
        told = self.of("profile.declared.v1")
        return max(told, key=lambda event: (event.occur, event.position)).message if told else None

    @cached_property
    def adult_from(self) -> int | None:
        told = list(self.profile.adult_from) if self.profile else []
        # Of a region that nothing is said of, what is said of its country.
        for each in sorted(told, key=lambda each: each.jurisdiction != self.place):
            if is_law_of(each.jurisdiction, self.place):
                return (datetime.fromisoformat(each.date).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
        return None

    @cached_property
    def preferences(self) -> dict[tuple[str, int, str], Any]:
        """The last word of each kind and scope."""
        last: dict[tuple[str, int, str], Any] = {}
        said = [event for event in self.events if event.topic.startswith("preference.")]
        names = {number: name.removeprefix("PREFERENCE_KIND_").lower() for name, number in pref.PreferenceKind.items()}
        for event in sorted(said, key=lambda event: (event.occur, event.position)):
            if event.topic == "preference.cleared.v1":
                last.pop((names[event.message.kind], event.message.channel, event.message.topic), None)
                continue
            kind = event.message.WhichOneof("preference")
            value = getattr(event.message, kind)
            scoped = kind in {"frequency", "pause"}
            last[kind, value.channel if scoped else 0, value.topic if scoped else ""] = value
        return last

    def scoped(self, kind: str) -> list[Any]:
        """Preferences of a kind whose scope meets the question."""
        asked = self.question
        return [
            value
            for (name, channel, topic), value in self.preferences.items()
            if name == kind and channel in {0, asked.channel} and topic in {"", asked.topic}
        ]

    @cached_property
    def point(self) -> Any:
        """The contact point asked about, if it is verified as the customer's own and not revoked since."""
        last = None
        for event in sorted(self.events, key=lambda event: (event.occur, event.position)):
            if (
                event.topic.startswith("identifier.")
                and event.message.contact_point_id == self.question.contact_point_id
            ):
                last = event
        return last.message if last is not None and last.topic == "identifier.verified.v1" else None

    @cached_property
    def zones(self) -> tuple[str, ...]:
        if ("time_zone", 0, "") in self.preferences:
            return (self.preferences["time_zone", 0, ""].time_zone,)
        if self.point is not None and self.question.contact_point_id:
            if self.point.time_zones:
                return tuple(self.point.time_zones)
            if found := self.zones_of(self.point.country):
                return found
        return (
            (self.profile is not None and self.zones_of(self.profile.country))
            or tuple(self.policy.default_time_zones)
            or ("UTC",)
        )

    def zones_of(self, country: str) -> tuple[str, ...]:
        return next((tuple(each.time_zones) for each in self.policy.countries if each.country == country), ())

    # Consents.

    def acts(self, events: Sequence[Event], at: int) -> list[Act]:
        found = []
        for event in events:
            kind = event.topic.split(".")[1].upper()
            if not event.topic.startswith("consent."):
                continue
            message = event.message
            if kind == "CONFIRMED":
                found.append(
                    Act(kind, event.position, event.occur, tuple(message.purposes), confirms=message.given_position)
                )
                continue
            said = message.consent if kind == "RENEWED" else message
            scope = said.scope if kind in {"REVOKED", "INVALIDATED", "REQUESTED", "DEFERRED"} else said
            act = act_on(kind, event, scope)
            if kind in consent_brute.GRANTS:
                act = act._replace(
                    listed=tuple(said.notice.purposes),
                    start=micros(said.valid_from_time) if said.HasField("valid_from_time") else None,
                    until=self.end_of(event, said, at),
                    unconfirmed=kind == "GIVEN" and said.confirmation_required,
                    by=said.indicated_by_id if said.indicated_by == c.INDICATED_BY_GUARDIAN else "",
                )
            found.append(act)
        return found

    def end_of(self, event: Event, consent: c.ConsentGiven, at: int) -> int:
        """The earliest of record, jurisdiction, event and uses (rule 5), and of age for a guardian's (rule 7)."""
        start = micros(consent.valid_from_time) if consent.HasField("valid_from_time") else event.occur
        ends = [FOR_EVER]
        match consent.validity.WhichOneof("end"):
            case "until_time":
                ends.append(micros(consent.validity.until_time))
            case "duration":
                ends.append(start + consent.validity.duration.seconds * SECOND)
            case "event":
                ends += [
                    each.occur
                    for each in self.interactions
                    if each.message.topic == consent.validity.event and each.occur > event.occur
                ]
            case "uses":
                if len(self.uses_of(event.position, at)) >= consent.validity.uses:
                    ends.append(at)
            case _:
                pass
        for rules in self.policy.jurisdictions:
            if is_law_of(rules.jurisdiction, self.place):
                for months in filter(None, (rules.consent_months, rules.ask_again_months)):
                    ends.append(months_later(event.occur, months))
        if consent.indicated_by == c.INDICATED_BY_GUARDIAN and self.adult_from is not None:
            ends.append(self.adult_from)
        return min(ends)

    def uses_of(self, position: int, at: int) -> list[Event]:
        """Return the permits resting on a consent that were used, or may still be."""
        used = {event.message.decision_id for event in self.interactions}
        given_back = {event.message.decision_id for event in self.of("contact.aborted.v1")}
        return [
            event
            for event in self.of("contact.decided.v1")
            if event.message.outcome == PERMIT
            and position in event.message.basis_positions
            and (
                event.position in used
                or (event.position not in given_back and at < micros(event.message.permit_expires_time))
            )
        ]

    def counts(self, act: Act, at: int) -> bool:
        """Whose consent counts (rule 7): a minor's own never, a guardian's while the appointment lived and lives."""
        if act.by and self.adult_from is not None and act.occur >= self.adult_from:
            return False
        if act.by:
            return act.by in self.guardians(act.occur) and act.by in self.guardians(at)
        return self.adult_from is None or act.occur >= self.adult_from

    def guardians(self, at: int) -> set[str]:
        live = set()
        for event in self.of("guardian.appointed.v1"):
            until = micros(event.message.until) if event.message.HasField("until") else FOR_EVER
            named = event.message.purposes
            for_this = not named or any(
                self.question.purpose == each or self.question.purpose.startswith(each + ".") for each in named
            )
            released = any(
                gone.message.guardian_id == event.message.guardian_id and gone.occur >= event.occur
                for gone in self.of("guardian.released.v1")
            )
            if event.occur <= at < until and for_this and not released:
                live.add(event.message.guardian_id)
        return live

    def said(self, at: int) -> tuple[str, dict[str, bool]]:
        """Return the status of the cell asked about, for the person, and which lesser grants there are."""
        asked = self.question
        cell = consent_brute.Cell(asked.purpose, asked.channel, asked.contact_point_id, asked.brand)
        own, others = self.acts(self.events, at), [act for events in self.linked for act in self.acts(events, at)]
        shared = [
            act
            for act in others
            if act.kind not in consent_brute.GRANTS or (asked.contact_point_id and asked.contact_point_id in act.points)
        ]
        acts = [act for act in (*own, *shared) if act.kind not in consent_brute.GRANTS or self.counts(act, at)]
        (status, *_) = consent_brute.statuses(acts, cell, at)
        against = [act for act in acts if act.kind in consent_brute.DENIALS and consent_brute.denies(act, cell)]
        over = [
            act
            for act in acts
            if act.kind in consent_brute.GRANTS
            and all(act.occur > no.occur and act.position > no.position for no in against)
        ]
        of_parent = any(
            any(consent_brute.is_below(cell.purpose, parent) for parent in act.purposes)
            and not consent_brute.reaches(act, cell.purpose)
            and consent_brute.is_narrowing_held(act, cell)
            and (act.start or act.occur) <= at < act.until
            for act in over
        )
        covering = [act for act in over if consent_brute.grants(act, cell)]
        waiting = any(
            act.unconfirmed
            and consent_brute.confirmed_at(acts, act, cell.purpose) is None
            and (act.start or act.occur) <= at < act.until
            for act in covering
        )
        return status, {
            "denied": bool(against) and status in consent_brute.DENIALS,
            "unconfirmed": waiting,
            "expired": any(act.until <= at for act in covering),
            "of_parent": of_parent,
        }

    # Other bases.

    def grounds(self, basis: int, at: int) -> tuple[bool, bool]:
        """Whether a basis other than consent holds, and whether it held and is over."""
        holds = over = False
        for rule in self.policy.basis_rules:
            fits = (
                rule.legal_basis == basis
                and holds_for(rule.jurisdictions, self.place)
                and (not rule.channels or self.question.channel in rule.channels)
                and (
                    not rule.purposes
                    or any(
                        self.question.purpose == each or self.question.purpose.startswith(each + ".")
                        for each in rule.purposes
                    )
                )
            )
            if not fits:
                continue
            if not rule.interaction_kinds and not rule.exchange:
                holds = True
                continue
            facts = [
                event.occur
                for event in self.interactions
                if event.message.kind in rule.interaction_kinds and event.message.direction != i.DIRECTION_OUTBOUND
            ]
            if facts:
                live = not rule.months or at < months_later(max(facts), rule.months)
                holds, over = holds or live, over or not live
        return holds, over

    # What was said between the two.

    @cached_property
    def interactions(self) -> list[Event]:
        gone = {event.message.original_position for event in self.of("interaction.retracted.v1")}
        return [event for event in self.of("interaction.recorded.v1") if event.position not in gone]

    @cached_property
    def contacts(self) -> list[Event]:
        """Outbound addressed interactions that did not bounce."""
        bounced = {
            event.message.refers_to for event in self.interactions if event.message.kind == i.INTERACTION_KIND_BOUNCED
        }
        return [
            event
            for event in self.interactions
            if event.message.kind in ADDRESSED
            and event.message.direction in {i.DIRECTION_OUTBOUND, i.DIRECTION_MUTUAL}
            and event.position not in bounced
        ]

    @cached_property
    def solicitations(self) -> list[Event]:
        inbound = {
            event.position
            for event in self.interactions
            if event.message.direction in {i.DIRECTION_INBOUND, i.DIRECTION_MUTUAL}
        }
        return [
            event
            for event in self.contacts
            if event.message.message_class != TRANSACTIONAL and event.message.in_reply_to not in inbound
        ]

    def open_permits(self, at: int) -> list[Any]:
        used = {event.message.decision_id for event in self.interactions}
        given_back = {event.message.decision_id for event in self.of("contact.aborted.v1")}
        return [
            event.message
            for event in self.of("contact.decided.v1")
            if event.message.outcome == PERMIT
            and event.position not in used | given_back
            and at < micros(event.message.permit_expires_time)
        ]


def instants(case: Case) -> set[int]:
    """Return every instant at which something in the events could begin or end, and the microseconds beside it."""
    policy = case.policy
    found: set[int] = {case.adult_from} if case.adult_from is not None else set()
    for events in (case.events, *case.linked):
        for event in events:
            found |= {event.occur, event.occur + policy.checkout_seconds * SECOND}
            found |= {event.occur + days * DAY for days in (policy.streak_window_days, policy.attribution_days)}
            months = {rule.months for rule in policy.basis_rules} | {
                each for rules in policy.jurisdictions for each in (rules.consent_months, rules.ask_again_months)
            }
            found |= {months_later(event.occur, each) for each in months if each}
            found |= {micros(stamp) for stamp in stamps(event.message)}
            if event.topic in {"consent.given.v1", "consent.renewed.v1"}:
                consent = event.message.consent if event.topic == "consent.renewed.v1" else event.message
                found |= {case.end_of(event, consent, FOR_EVER)}
    return {near for each in found for near in (each - 1, each, each + 1)}


def stamps(message: Any) -> Iterator[Any]:
    """Yield every time in a message."""
    for kind, value in message.ListFields():
        if kind.message_type is None:
            continue
        for each in value if kind.is_repeated else (value,):
            if kind.message_type.full_name == "google.protobuf.Timestamp":
                yield each
            else:
                yield from stamps(each)
