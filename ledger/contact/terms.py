"""What ends a consent, and whose consent counts, for one customer under one contact policy (consent.md 4, rules 5, 7).

The earliest of these ends a consent: its own term, the months that the law allows, the event that it names, its uses,
and for that of a guardian the day from which on the customer speaks alone. Before that day only the consent of a
guardian counts, while the appointment lives; what a minor gave alone never counts, also not later (settled.md 60, 67).
"""

from collections.abc import Iterator
from itertools import chain
from typing import Final, NamedTuple

from ledger.contact.finding import earliest
from ledger.contact.picture import Picture
from ledger.domain.consent_scope import Cell
from ledger.domain.consent_status import CellVerdict, Grant, permits, person_verdict
from ledger.domain.jurisdictions import under
from ledger.domain.months import months_after
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME
from rapport.events.v1 import consent_pb2, contact_policy_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion

_GUARDIAN: Final = consent_pb2.INDICATED_BY_GUARDIAN
_KEEP: Final = contact_policy_pb2.GUARDIAN_CONSENT_AT_AGE_KEEP_AND_ASK


def jurisdiction_of(picture: Picture) -> str:
    """Return whose law applies to the customer: the profile says so, else the policy; empty: nobody does."""
    declared = picture.state.profile.jurisdiction if "profile" in picture.state.parts else ""
    return declared or picture.policy.default_jurisdiction


def adult_from(picture: Picture, jurisdiction: str) -> int | None:
    """Return from when on the customer speaks alone under a law, in microseconds, or None where nobody knows.

    A date for a country counts in its regions that have none.
    """
    if "profile" not in picture.state.parts:  # Of most customers nothing is declared, and no fold is there to be asked.
        return None
    profile = picture.state.profile
    told = profile.adult_from(jurisdiction)
    country = jurisdiction.partition("-")[0]
    return profile.adult_from(country) if told is None and country != jurisdiction else told


class ContactTerms:
    """Terms of the consents of one customer at one instant. To be asked about that instant only."""

    __slots__ = ("_adult_from", "_jurisdiction", "_picture", "_released")

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._jurisdiction = jurisdiction_of(picture)
        self._adult_from = adult_from(picture, self._jurisdiction)
        self._released: int | None = None
        """When the first of the permits ends that take a use of a consent and were not used."""

    def end_of(self, grant: Grant, at: int, purpose: str = "") -> int:  # noqa: ARG002  # As the protocol has it.
        """Return the first instant at which a consent holds no longer, as far as is known at `at`. Microseconds."""
        end = grant.until
        policy = self._picture.policy
        if policy.jurisdictions:
            end = min(end, self._limit_of_the_law(grant, end))
        if grant.indicated_by == _GUARDIAN and self._adult_from is not None:
            keeps = policy.guardian_consent_at_age == _KEEP
            end = end if keeps else min(end, self._adult_from)
        if grant.end_event:
            end = min(end, *self._event_times(grant))
        if grant.uses and self._used_up(grant, at):
            end = min(end, at)
        return end

    def admits(self, grant: Grant, at: int, purpose: str = "") -> bool:
        """Tell whether who gave a consent could give it, and still speaks for the customer where it is a guardian."""
        adult_from = self._adult_from
        if grant.indicated_by != _GUARDIAN:
            return adult_from is None or grant.occur_time >= adult_from
        if adult_from is not None and grant.occur_time >= adult_from:
            return False
        # From the customer's day on no guardian has to live any more: what ends the consent then is its term.
        lived_until = at if adult_from is None else min(at, adult_from - 1)
        guardians = self._picture.state.guardians
        return all(
            any(each.guardian_id == grant.indicated_by_id for each in guardians.live(moment, purpose))
            for moment in (grant.occur_time, lived_until)
        )

    def changes_after(self, at: int) -> int | None:
        """Return the earliest later instant at which an answer could be another by the clock alone, or None.

        Besides the ends that were told, the day of age among them. Microseconds. To be asked last.
        """
        guardians = (
            self._picture.state.guardians.changes_after(at) if "guardians" in self._picture.state.parts else None
        )
        return earliest(guardians, self._released)

    def _limit_of_the_law(self, grant: Grant, end: int) -> int:
        """Return when the law ends a consent: so many months after it was given."""
        jurisdiction = grant.jurisdiction or self._jurisdiction
        for rules in self._picture.policy.jurisdictions:
            if under((rules.jurisdiction,), jurisdiction):
                for months in (rules.consent_months, rules.ask_again_months):
                    if months:
                        end = min(end, months_after(grant.occur_time, months))
        return end

    def _event_times(self, grant: Grant) -> Iterator[int]:
        """Yield when the event came that ends a consent, and END_OF_TIME: it did not."""
        yield END_OF_TIME
        for state in self._person:
            time = state.conversation.topic_time(grant.end_event, grant.occur_time)
            if time is not None:
                yield time

    def _used_up(self, grant: Grant, at: int) -> bool:
        """Tell whether a consent has no use left: permits that may still be used take one too."""
        taken, open_ends = 0, []
        for state in self._person:
            contact_of = state.conversation.contact_of
            taking = state.contacts.used_up_by(grant.position, at, contact_of)
            taken += len(taking)
            open_ends += [each.expires for each in taking if each.expires > at and contact_of(each.position) is None]
        if taken < grant.uses:
            return False
        self._released = earliest(self._released, *open_ends)
        return True

    @property
    def _person(self) -> Iterator[RelationshipState]:
        """States of all customer ids of the person: what uses up or ends a consent does so under any of them."""
        return chain((self._picture.state,), self._picture.linked)


class Said(NamedTuple):
    """What the whole person said about what is asked, at one instant."""

    cell: Cell
    verdict: CellVerdict
    changes_at: int | None
    """Earliest later instant at which the verdict could differ by the clock alone. Microseconds. None: never."""

    @property
    def consents(self) -> bool:
        """Whether a consent is live."""
        return permits(self.verdict.status)


def said(picture: Picture, question: ContactQuestion, at: int) -> Said:
    """Return what the customer said about a question: denials of all linked ids, grants as consent.md 6 has it."""
    cell = Cell(question.purpose, question.channel, question.contact_point_id, question.brand)
    terms = ContactTerms(picture)
    linked = [state.consents.acts for state in picture.linked]
    verdict = person_verdict(picture.state.consents.acts, linked, cell, at, terms)
    return Said(cell, verdict, earliest(verdict.changes_at, terms.changes_after(at)))
