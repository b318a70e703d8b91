"""Histories of customers drawn at random: those of `contact_histories`, in which acts meet each other often.

There are small numbers of purposes, channels, points, brands and instants, and a seed draws the same history always.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from ledger.domain.times import timestamp
from rapport.events.v1 import attribute_pb2, preference_pb2
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_pb2 as d
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from tests.contact_histories import (
    DAY,
    HOUR,
    MINUTE,
    History,
    did,
    given,
    guardian,
    lives_in,
    moment,
    preferred,
    profile,
    question,
    quiet,
    recipient,
    sent,
    suppressed,
    verified,
)

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
