"""The gates of the contact decision once more, one function each, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from tests.oracles import consent_brute
from tests.oracles.consent_brute import FOR_EVER
from tests.oracles.contact_case import (
    ADDRESSED,
    COMMUNITY,
    SERVICE,
    TRANSACTIONAL,
    Case,
    Event,
    act_on,
    holds_for,
    is_law_of,
)
from tests.oracles.contact_clock import DAY, SECOND, is_in, micros, period_of

PASS, FAIL, DEFER, ADVISE, SKIPPED = (
    d.GATE_RESULT_PASS,
    d.GATE_RESULT_FAIL,
    d.GATE_RESULT_DEFER,
    d.GATE_RESULT_ADVISE,
    d.GATE_RESULT_SKIPPED,
)
ALWAYS_BOUND = {
    p.PURPOSE_CLASS_MARKETING,
    p.PURPOSE_CLASS_PERSONALISATION,
    p.PURPOSE_CLASS_RESEARCH,
    p.PURPOSE_CLASS_SHARING,
    p.PURPOSE_CLASS_COMMUNITY,
}
BLOCK_ALL = {c.SUPPRESSION_REASON_DECEASED, c.SUPPRESSION_REASON_LEGAL}


class Found(NamedTuple):
    """What one gate found; the reason is 0 for PASS and SKIPPED."""

    result: int
    reason: int = 0


OK, UNASKED = Found(PASS), Found(SKIPPED)


def reason(name: str) -> int:
    return d.DecisionReason.Value("DECISION_REASON_" + name)


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


def meets(event: Event, case: Case) -> bool:
    asked = case.question
    cell = consent_brute.Cell(asked.purpose, asked.channel, asked.contact_point_id, asked.brand)
    return consent_brute.denies(act_on("OBJECTED", event, event.message.scope), cell)


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
            if about and consent_brute.is_narrowing_met(act_on("OBJECTED", event, scope), cell):
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
