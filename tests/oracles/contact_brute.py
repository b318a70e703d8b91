"""The contact decision of consent.md 6 once more: over plain lists of events, by scanning minutes and reading it all.

Written from the design alone (consent.md 1 to 6, settled.md 59 to 69, relationship.md 2 and 10). It shares no line with
the ledger, so that the two can check each other: no folds, no arithmetic of time zones beyond asking `zoneinfo` what
the clock on the wall shows, minute by minute. Reciprocity is left to the oracles of balances: there are no exchanges
here.

Events carry the stored messages; positions ascend; every occur time is at or before the instant asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from heapq import merge
from itertools import chain
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1 import preference_pb2 as pref
from tests.oracles import consent_brute
from tests.oracles.consent_brute import FOR_EVER, Act

SECOND = 1_000_000
MINUTE = 60 * SECOND
QUARTER = 15 * MINUTE
DAY = 86_400 * SECOND
FURTHER = 62 * DAY
"""How far beyond the days that are searched ends are told apart."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

PASS, FAIL, DEFER, ADVISE, SKIPPED = (
    d.GATE_RESULT_PASS,
    d.GATE_RESULT_FAIL,
    d.GATE_RESULT_DEFER,
    d.GATE_RESULT_ADVISE,
    d.GATE_RESULT_SKIPPED,
)
PERMIT, DENY, POSTPONE = d.DECISION_OUTCOME_PERMIT, d.DECISION_OUTCOME_DENY, d.DECISION_OUTCOME_DEFER
MARKETING, SERVICE, TRANSACTIONAL, SURVEY, COMMUNITY = range(1, 6)
ALWAYS_BOUND = {
    p.PURPOSE_CLASS_MARKETING,
    p.PURPOSE_CLASS_PERSONALISATION,
    p.PURPOSE_CLASS_RESEARCH,
    p.PURPOSE_CLASS_SHARING,
    p.PURPOSE_CLASS_COMMUNITY,
}
BLOCK_ALL = {c.SUPPRESSION_REASON_DECEASED, c.SUPPRESSION_REASON_LEGAL}
ADDRESSED = {1, 2, 3, 4, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 24, 33, 34}
"""Numbers of the kinds of relationship.md 2: MESSAGE to SURVEY_ANSWERED, FEEDBACK, complaints, PRAISE and so on."""


class Event(NamedTuple):
    position: int
    occur: int
    topic: str
    message: Any


class Found(NamedTuple):
    """What one gate found; the reason is 0 for PASS and SKIPPED."""

    result: int
    reason: int = 0


class Answer(NamedTuple):
    outcome: int
    reason: int
    results: tuple[int, ...]
    reasons: tuple[int, ...]
    defer_until: int | None = None


OK, UNASKED = Found(PASS), Found(SKIPPED)


def reason(name: str) -> int:
    return d.DecisionReason.Value("DECISION_REASON_" + name)


def micros(stamp: Any) -> int:
    return int(stamp.seconds) * SECOND + int(stamp.nanos) // 1000


@cache
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=500_000)
def wall(minute: int, name: str) -> datetime:
    """What the clock on the wall shows in a minute since 1970; minutes begin together everywhere."""
    return (EPOCH + timedelta(minutes=minute)).astimezone(zone(name))


def on_the_wall(at: int, name: str) -> datetime:
    return wall(at // MINUTE, name)


def months_later(at: int, months: int) -> int:
    """Same day and time of day in UTC, clamped to the month's last day (consent.md 8)."""
    start = EPOCH + timedelta(microseconds=at)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    for day in range(start.day, 27, -1):
        try:
            return (start.replace(year=year, month=month + 1, day=day) - EPOCH) // timedelta(microseconds=1)
        except ValueError:
            continue
    return (start.replace(year=year, month=month + 1) - EPOCH) // timedelta(microseconds=1)


def is_law_of(rule: str, place: str) -> bool:
    return rule == place or place.startswith(rule + "-")


def holds_for(jurisdictions: Sequence[str], place: str) -> bool:
    return not jurisdictions or any(is_law_of(each, place) for each in jurisdictions)


def is_in(window: Any, at: int, name: str) -> bool:
    """Whether the clock on the wall stands in a local window; its weekdays are those on which it begins."""
    now = on_the_wall(at, name)
    minute, today = now.hour * 60 + now.minute, now.isoweekday()
    yesterday = (today - 2) % 7 + 1
    days = set(window.weekdays) or set(range(1, 8))
    if window.start_minute < window.end_minute:
        return window.start_minute <= minute < window.end_minute and today in days
    return (minute >= window.start_minute and today in days) or (minute < window.end_minute and yesterday in days)


def period_of(at: int, period: int, name: str) -> tuple[int, ...]:
    """Name the calendar period that an instant lies in, by the clock on the wall."""
    now = on_the_wall(at, name)
    if period == pref.PERIOD_DAY:
        return (now.year, now.month, now.day)
    return tuple(now.isocalendar()[:2]) if period == pref.PERIOD_WEEK else (now.year, now.month)


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
            act = Act(
                kind,
                event.position,
                event.occur,
                tuple(scope.purposes),
                tuple(scope.channels),
                tuple(scope.contact_point_ids),
                tuple(scope.brands),
            )
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


# The gates, in their order.


def subject(case: Case, at: int) -> Found:
    if case.of("privacy.erasure_started.v1"):
        return Found(FAIL, reason("SUBJECT_ERASED"))
    if all(event.topic.startswith(("contact.", "privacy.key")) for event in case.events):
        return Found(FAIL, reason("SUBJECT_UNKNOWN"))
    if case.question.contact_point_id and case.point is None:
        return Found(FAIL, reason("CONTACT_POINT_UNKNOWN"))
    return OK


def suppression(case: Case, at: int) -> Found:
    lifted = {event.message.added_position for event in case.of("suppression.lifted.v1")}
    reasons = set()
    for event in case.of("suppression.added.v1"):
        entry, asked = event.message, case.question
        if event.position in lifted or entry.channel not in {0, asked.channel}:
            continue
        if entry.reason == c.SUPPRESSION_REASON_HARD_BOUNCE:
            # Without a point in the request it blocks only if it names none.
            if entry.contact_point_id not in {"", asked.contact_point_id}:
                continue
        elif asked.message_class == TRANSACTIONAL and entry.reason not in BLOCK_ALL:
            continue
        reasons.add(entry.reason)
    names = ("", "BOUNCE", "COMPLAINT", "DECEASED", "LEGAL", "LIST")
    return Found(FAIL, reason("SUPPRESSED_" + names[min(reasons)])) if reasons else OK


def minor(case: Case, at: int) -> Found:
    if case.adult_from is None:
        if case.policy.age_unknown_denies:
            return Found(FAIL, reason("AGE_UNKNOWN"))
        knows = any(
            rules.minor_age and (not case.place or is_law_of(rules.jurisdiction, case.place))
            for rules in case.policy.jurisdictions
        )
        return Found(ADVISE, reason("AGE_UNKNOWN")) if knows else OK
    if at < case.adult_from and not case.guardians(at):
        return Found(FAIL, reason("MINOR_WITHOUT_GUARDIAN"))
    return OK


def allowed_bases(case: Case) -> list[int]:
    purpose = case.purposes.get(case.question.purpose)
    allowed = list(purpose.legal_bases) if purpose else []
    return [each for each in allowed if case.question.legal_basis in {0, each}]


def other_basis_holds(case: Case, at: int) -> bool:
    return any(case.grounds(basis, at)[0] for basis in allowed_bases(case) if basis != c.LEGAL_BASIS_CONSENT)


def denial(case: Case, at: int) -> Found:
    purpose, asked = case.purposes.get(case.question.purpose), case.question
    status, more = case.said(at)
    if purpose is None or purpose.purpose_class in ALWAYS_BOUND:
        binds = True
    elif asked.legal_basis == 0:
        binds = c.LEGAL_BASIS_CONSENT in purpose.legal_bases and not other_basis_holds(case, at)
    else:
        binds = asked.legal_basis == c.LEGAL_BASIS_CONSENT
    if more["denied"] and binds:
        return Found(FAIL, reason("CONSENT_" + status))
    if purpose is None or purpose.objectable != p.OBJECTABLE_NONE:
        for events in (case.events, *case.linked):
            if any(meets(event, case) for event in objections(case, events) if not is_lifted(event, case, events)):
                return Found(FAIL, reason("OBJECTED"))
    return OK


def objections(case: Case, events: Sequence[Event]) -> list[Event]:
    return case.of("objection.raised.v1", events)


def is_lifted(raised: Event, case: Case, events: Sequence[Event]) -> bool:
    """Only by a lifting later on both axes."""
    return any(
        event.message.raised_position == raised.position
        and event.occur > raised.occur
        and event.position > raised.position
        for event in case.of("objection.lifted.v1", events)
    )


def scope_act(event: Event, scope: Any) -> Act:
    return Act(
        "OBJECTED",
        event.position,
        event.occur,
        tuple(scope.purposes),
        tuple(scope.channels),
        tuple(scope.contact_point_ids),
        tuple(scope.brands),
    )


def meets(event: Event, case: Case) -> bool:
    asked = case.question
    cell = consent_brute.Cell(asked.purpose, asked.channel, asked.contact_point_id, asked.brand)
    return consent_brute.denies(scope_act(event, event.message.scope), cell)


def basis(case: Case, at: int) -> Found:
    purpose, asked = case.purposes.get(case.question.purpose), case.question
    if purpose is None:
        return Found(FAIL, reason("PURPOSE_UNKNOWN"))
    of_marketing = purpose.purpose_class == p.PURPOSE_CLASS_MARKETING
    if asked.message_class not in purpose.message_classes or (of_marketing and asked.message_class == TRANSACTIONAL):
        return Found(FAIL, reason("CLASS_NOT_ALLOWED"))
    if asked.legal_basis and asked.legal_basis not in purpose.legal_bases:
        return Found(FAIL, reason("BASIS_NOT_ALLOWED"))
    status, more = case.said(at)
    tried = allowed_bases(case)
    by_consent = c.LEGAL_BASIS_CONSENT in tried
    if (by_consent and status in consent_brute.GRANTS) or other_basis_holds(case, at):
        return OK
    if by_consent and more["denied"]:
        return Found(FAIL, reason("NO_BASIS"))
    if by_consent and more["unconfirmed"]:
        return Found(FAIL, reason("CONSENT_UNCONFIRMED"))
    is_over = any(case.grounds(each, at)[1] for each in tried if each != c.LEGAL_BASIS_CONSENT)
    if is_over or (by_consent and more["expired"]):
        return Found(FAIL, reason("CONSENT_EXPIRED"))
    if by_consent and more["of_parent"]:
        return Found(FAIL, reason("NOTICE_NOT_SPECIFIC"))
    return Found(FAIL, reason("NO_BASIS"))


def recipient_grants(case: Case, party: str, at: int) -> list[Event]:
    """Grants of a party that hold now for exactly this purpose, with uses left."""
    purpose = case.question.purpose
    revoked = [event for event in case.of("recipient_grant.revoked.v1") if event.message.recipient == party]
    live = []
    for event in case.of("recipient_grant.given.v1"):
        overtaken = any(
            not (event.occur > gone.occur and event.position > gone.position)
            and (
                not gone.message.purposes
                or any(purpose == each or purpose.startswith(each + ".") for each in gone.message.purposes)
            )
            for gone in revoked
        )
        uses = [
            each
            for each in case.of("disclosure.recorded.v1")
            if each.message.recipient == party and each.position > event.position and each.occur >= event.occur
        ]
        if (
            event.message.recipient == party
            and purpose in event.message.purposes
            and event.occur <= at < micros(event.message.until)
            and not overtaken
            and len(uses) < event.message.max_uses
        ):
            live.append(event)
    return live


def is_marketing(slug: str, case: Case) -> bool:
    known = case.purposes.get(slug)
    return known.purpose_class == p.PURPOSE_CLASS_MARKETING if known else (slug + ".").startswith("marketing.")


def opt_outs(case: Case) -> Iterator[tuple[int, int]]:
    """Any withdrawal, refusal or objection from marketing, on this channel, point and brand (settled.md 61)."""
    asked = case.question
    cell = consent_brute.Cell("", asked.channel, asked.contact_point_id, asked.brand)
    for events in (case.events, *case.linked):
        for event in events:
            if event.topic in {"consent.withdrawn.v1", "consent.refused.v1"}:
                scope = event.message
            elif event.topic == "objection.raised.v1":
                scope = event.message.scope
            else:
                continue
            about = not scope.purposes or any(is_marketing(each, case) for each in scope.purposes)
            if about and consent_brute.is_narrowing_met(scope_act(event, scope), cell):
                yield event.occur, event.position


def parties(case: Case, at: int) -> Found:
    asked = case.question
    if asked.sender and not recipient_grants(case, asked.sender, at):
        return Found(FAIL, reason("SENDER_NOT_GRANTED"))
    if any(not recipient_grants(case, each, at) for each in asked.recipients):
        return Found(FAIL, reason("RECIPIENT_NOT_GRANTED"))
    for party in filter(None, (asked.sender, *asked.recipients)):
        since = [
            grant
            for grant in recipient_grants(case, party, at)
            if all(grant.occur > occur and grant.position > position for occur, position in opt_outs(case))
        ]
        if not since:
            return Found(FAIL, reason("TRANSFER_AFTER_OPT_OUT"))
    return OK


def preference(case: Case, at: int) -> Found:
    asked = case.question
    if asked.message_class == TRANSACTIONAL:
        return UNASKED
    channels, topics = case.preferences.get(("channels", 0, "")), case.preferences.get(("topics", 0, ""))
    if channels is not None and asked.channel in channels.averse:
        return Found(FAIL, reason("CHANNEL_AVERSE"))
    if topics is not None and asked.topic and asked.topic in topics.excluded:
        return Found(FAIL, reason("TOPIC_EXCLUDED"))
    pauses = case.scoped("pause")
    if any(not each.HasField("until") for each in pauses):
        return Found(FAIL, reason("PAUSED"))
    return Found(DEFER, reason("PAUSED")) if any(at < micros(each.until) for each in pauses) else OK


def frequency(case: Case, at: int) -> Found:
    asked = case.question
    if asked.message_class == TRANSACTIONAL:
        return UNASKED
    caps = [
        cap
        for cap in case.policy.caps
        if cap.channel in {0, asked.channel}
        and cap.topic in {"", asked.topic}
        and cap.message_class in {0, asked.message_class}
    ]
    declared = [each for each in case.scoped("frequency") if is_full(case, at, each, 0)]
    full = [cap for cap in caps if is_full(case, at, cap, cap.message_class)]
    if not declared and not full:
        return OK
    why = reason("FREQUENCY_DECLARED" if declared else "FREQUENCY_ORGANIZATION")
    # Where nothing is ever allowed, no end of a period is worth waiting for.
    is_over_some_day = case.policy.cap_defers and all(each.count for each in (*declared, *full))
    return Found(DEFER if is_over_some_day else FAIL, why)


def is_full(case: Case, at: int, limit: Any, message_class: int) -> bool:
    """Full in any zone that the customer may be in is full."""

    def counts(each: Any) -> bool:
        return (
            each.message_class != TRANSACTIONAL
            and message_class in {0, each.message_class}
            and limit.channel in {0, each.channel}
            and limit.topic in {"", each.topic}
        )

    permits = sum(counts(each.question) for each in case.open_permits(at))
    for name in case.zones:
        now = period_of(at, limit.period, name)
        made = sum(
            counts(event.message) and period_of(event.occur, limit.period, name) == now for event in case.contacts
        )
        if made + permits >= limit.count:
            return True
    return False


def hours(case: Case, at: int) -> Found:
    asked = case.question
    for each in case.policy.hours_exemptions:
        if each.channel in {0, asked.channel} and each.message_class in {0, asked.message_class}:
            return UNASKED
    quiet = case.preferences.get(("quiet_hours", 0, ""))
    is_quiet = any(is_in(window, at, name) for name in case.zones for window in (quiet.windows if quiet else ()))
    legal = [
        each
        for each in case.policy.legal_windows
        if holds_for(each.jurisdictions, case.place)
        and (not each.channels or asked.channel in each.channels)
        and (not each.message_classes or asked.message_class in each.message_classes)
    ]
    is_outside = any(not is_in(each.window, at, name) for name in case.zones for each in legal)
    if not is_quiet and not is_outside:
        return OK
    if len(case.zones) > 1:
        return Found(DEFER, reason("ZONE_UNKNOWN"))
    return Found(DEFER, reason("QUIET_HOURS" if is_quiet else "LEGAL_WINDOW"))


def pacing(case: Case, at: int) -> Found:
    if case.question.message_class in {TRANSACTIONAL, SERVICE}:
        return UNASKED
    begun = [
        (event.occur, event.position)
        for event in case.interactions
        if event.message.initiator == i.INITIATOR_CUSTOMER
        and event.message.kind in ADDRESSED
        and event.message.direction in {i.DIRECTION_INBOUND, i.DIRECTION_MUTUAL}
    ]
    since = max(begun, default=(-FOR_EVER, 0))
    within = at - case.policy.streak_window_days * DAY
    streak = [event for event in case.solicitations if (event.occur, event.position) > since and event.occur > within]
    if len(streak) >= case.policy.streak_max:
        return Found(FAIL, reason("UNANSWERED_STREAK"))
    resolved = {
        event.message.refers_to
        for event in case.interactions
        if event.message.kind == i.INTERACTION_KIND_COMPLAINT_RESOLVED
    }
    if any(
        event.message.kind == i.INTERACTION_KIND_COMPLAINT and event.position not in resolved
        for event in case.interactions
    ):
        return Found(FAIL, reason("COMPLAINT_OPEN"))
    if any(
        event.message.kind == i.INTERACTION_KIND_CHECKOUT_STARTED
        and at < event.occur + case.policy.checkout_seconds * SECOND
        for event in case.interactions
    ):
        return Found(DEFER, reason("CHECKOUT_OPEN"))
    return OK


def reciprocity(case: Case, at: int) -> Found:
    return UNASKED if case.question.message_class in {TRANSACTIONAL, SERVICE, COMMUNITY} else OK


def waste(case: Case, at: int) -> Found:
    asked = case.question
    if asked.message_class in {TRANSACTIONAL, SERVICE, COMMUNITY}:
        return UNASKED
    cost, margin = asked.expected_cost, asked.expected_margin
    if not asked.HasField("expected_cost") or not asked.HasField("expected_margin") or margin.units <= 0:
        return OK
    if cost.asset != margin.asset:
        return OK
    window = case.policy.attribution_days * DAY
    matured = [event for event in case.solicitations if event.occur + window <= at]
    if not matured:
        return Found(ADVISE, reason("RESPONSE_UNKNOWN"))
    answered = answered_solicitations(case, window)
    responses = Fraction(sum(event.position in answered for event in matured), len(matured))
    # No policy values attention here, so that only the cost is left of the social breakeven.
    if half_even_ppm(responses) < half_even_ppm(Fraction(cost.units, margin.units)):
        return Found(FAIL if case.policy.waste_denies else ADVISE, reason("BELOW_SOCIAL_BREAKEVEN"))
    return OK


def half_even_ppm(share: Fraction) -> int:
    return round(share * 1_000_000)


def answered_solicitations(case: Case, window: int) -> set[int]:
    """Each act of the customer is credited to one solicitation: the one it names, else the latest within the window."""
    answered = set()
    for act in case.interactions:
        bought = act.message.kind in {i.INTERACTION_KIND_PURCHASE, i.INTERACTION_KIND_OFFER_ACCEPTED}
        replied = act.message.kind in ADDRESSED and act.message.direction == i.DIRECTION_INBOUND
        if not bought and not replied:
            continue
        open_ones = [
            event
            for event in case.solicitations
            if (event.occur, event.position) < (act.occur, act.position) and act.occur < event.occur + window
        ]
        named = [event for event in case.solicitations if event.position == act.message.in_reply_to]
        credited = [event for event in named or open_ones if event in open_ones]
        if credited:
            answered.add(max(credited, key=lambda event: (event.occur, event.position)).position)
    return answered


GATES: tuple[Callable[[Case, int], Found], ...] = (
    subject,
    suppression,
    minor,
    denial,
    basis,
    parties,
    preference,
    frequency,
    hours,
    pacing,
    reciprocity,
    waste,
)


def evaluate(case: Case, at: int) -> list[Found]:
    return [gate(case, at) for gate in GATES]


def end_of_deferring(case: Case, gate: Callable[[Case, int], Found], at: int, limit: int) -> int | None:
    """Return the first instant at which a gate no longer defers, minute by minute."""
    steps: Iterable[int] = (instant for instant in case.instants if at < instant < limit)
    if gate is hours:
        steps = merge(steps, range(at - at % MINUTE + MINUTE, limit, MINUTE))
    elif gate is frequency:  # Days begin at quarters of hours UTC, wherever one is.
        steps = merge(steps, range(at - at % QUARTER + QUARTER, limit, QUARTER))
    return next((instant for instant in chain(steps, [limit]) if gate(case, instant).result != DEFER), None)


def decide(case: Case, at: int) -> Answer:
    found = evaluate(case, at)
    results, reasons = tuple(each.result for each in found), tuple(each.reason for each in found)
    if FAIL in results:
        return Answer(DENY, reasons[results.index(FAIL)], results, reasons)
    if DEFER not in results:
        return Answer(PERMIT, 0, results, reasons)
    limit, now, ahead = at + case.policy.search_days * DAY, found, at
    for _ in range(8):
        ends = {
            number: end_of_deferring(case, GATES[number], ahead, limit)
            for number, each in enumerate(now)
            if each.result == DEFER
        }
        late = [number for number, end in ends.items() if end is None]
        if late:
            # Of several that end too late, the latest ended the search.
            further = {number: end_of_deferring(case, GATES[number], ahead, limit + FURTHER) for number in late}
            return failed(found, max(late, key=lambda number: (further[number] or FOR_EVER, number)), "NO_WINDOW")
        ahead = max(filter(None, ends.values()))
        now = evaluate(case, ahead)
        failing = [number for number, each in enumerate(now) if each.result == FAIL]
        if failing:
            return failed(found, failing[0], "BASIS_ENDS_BEFORE_WINDOW")
        if all(each.result != DEFER for each in now):
            return Answer(POSTPONE, reasons[results.index(DEFER)], results, reasons, ahead)
    return failed(found, max(number for number, each in enumerate(now) if each.result == DEFER), "NO_WINDOW")


def failed(found: list[Found], ended_by: int, why: str) -> Answer:
    marked = [Found(FAIL, reason(why)) if number == ended_by else each for number, each in enumerate(found)]
    return Answer(DENY, reason(why), tuple(each.result for each in marked), tuple(each.reason for each in marked))


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
