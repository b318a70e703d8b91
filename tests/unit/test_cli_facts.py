"""Facts about customers, consents and contacts in a few words: every kind has some, and none tells what is sealed."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from ledger.domain.times import timestamp
from rapport.events.v1 import attribute_pb2, consent_pb2, contact_pb2, identity_pb2, preference_pb2
from rapport.events.v1 import relationship_pb2 as r
from rapport.events.v1.disclosure_pb2 import PROVENANCE_ASSESSED, PROVENANCE_INFERRED
from rapport.events.v1.exchange_pb2 import PARTY_ORGANIZATION
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, MESSAGE_CLASS_MARKETING, OUR_FUNCTION_SALES
from rapport.type.v1.levels_pb2 import CONTACT_SHAPE_DIAMOND
from services.cli.facts import summary
from services.client.events import TOPICS

MARCH = timestamp(1_740_787_200_000_000)
SCOPE = consent_pb2.ConsentScope(purposes=["p"], channels=[CHANNEL_EMAIL])
TOLD: list[tuple[Message, str]] = [
    (
        consent_pb2.NoticeServed(notice=consent_pb2.NoticeReference(notice_id="privacy", version="v3", language="de")),
        "privacy v3 de",
    ),
    (consent_pb2.ConsentRequested(scope=SCOPE), "p by EMAIL"),
    (consent_pb2.ConsentDeferred(scope=SCOPE), "p by EMAIL"),
    (consent_pb2.ConsentConfirmed(given_position=3, purposes=["p"]), "confirms 3 p"),
    (
        consent_pb2.ConsentRenewed(consent=consent_pb2.ConsentGiven(purposes=["p"]), renews_position=3),
        "p renews 3",
    ),
    (consent_pb2.ConsentRevoked(scope=SCOPE, reason="closed", reason_text="secret"), "p by EMAIL (closed)"),
    (consent_pb2.ConsentInvalidated(scope=SCOPE), "p by EMAIL"),
    (consent_pb2.ObjectionRaised(grounds="mine", grounds_text="secret"), "everything (mine)"),
    (consent_pb2.ObjectionLifted(raised_position=3, reason="asked", reason_text="secret"), "lifts 3 (asked)"),
    (consent_pb2.WithdrawalHonoured(withdrawal_position=3, system="mailer"), "mailer acts on 3"),
    (
        consent_pb2.GuardianAppointed(guardian_id="g-1", until=MARCH, purposes=["p"]),
        "g-1 until 2025-03-01T00:00:00Z for p",
    ),
    (consent_pb2.GuardianReleased(guardian_id="g-1", reason="grown"), "g-1 (grown)"),
    (
        consent_pb2.RecipientGrantGiven(recipient="r", purposes=["p"], fields=["contact"], until=MARCH),
        "r may have contact for p until 2025-03-01T00:00:00Z",
    ),
    (consent_pb2.RecipientGrantRevoked(recipient="r", purposes=["p"]), "r for p"),
    (attribute_pb2.DisclosureRecorded(recipient="r", purposes=["p"], fields=["contact"]), "contact to r for p"),
    (
        consent_pb2.SuppressionAdded(
            reason=consent_pb2.SUPPRESSION_REASON_EXTERNAL_LIST, list_name="robinson.de", list_version="2025"
        ),
        "EXTERNAL_LIST robinson.de 2025",
    ),
    (consent_pb2.SuppressionLifted(added_position=3, reason="mended"), "lifts 3 (mended)"),
    (
        contact_pb2.ContactDecided(
            outcome=contact_pb2.DECISION_OUTCOME_DENY,
            decisive_reason=contact_pb2.DECISION_REASON_OBJECTED,
            question=contact_pb2.ContactQuestion(
                purpose="p", channel=CHANNEL_EMAIL, message_class=MESSAGE_CLASS_MARKETING
            ),
        ),
        "DENY OBJECTED: MARKETING by EMAIL for p",
    ),
    (contact_pb2.ContactAborted(decision_id=3, reason="sold.out"), "gives 3 back (sold.out)"),
    (
        preference_pb2.PreferenceDeclared(language=preference_pb2.LanguagePreference(language="de")),
        "language: de",
    ),
    (preference_pb2.PreferenceCleared(kind=preference_pb2.PREFERENCE_KIND_QUIET_HOURS), "quiet hours"),
    (
        identity_pb2.ProfileDeclared(
            jurisdiction="AT",
            country="DE",
            adult_from=[identity_pb2.AdultFrom(jurisdiction="AT", date="2030-05-17")],
        ),
        "AT in DE of age AT 2030-05-17",
    ),
    (
        identity_pb2.IdentifierVerified(contact_point_id="cp-1", kind="email", address="secret", shared=True),
        "cp-1 email shared",
    ),
    (identity_pb2.IdentifierRevoked(contact_point_id="cp-1", reason="moved"), "cp-1 (moved)"),
    (
        identity_pb2.IdentityLinked(link_id="l-1", customer_a_id="c-1", customer_b_id="c-2", evidence="account"),
        "l-1: c-1 is c-2 (account)",
    ),
    (identity_pb2.IdentityUnlinked(link_id="l-1", reason="wrong"), "l-1 (wrong)"),
    (attribute_pb2.AttributeRequested(key="size", purposes=["p"], reason="fit"), "size for p (fit)"),
    (attribute_pb2.AttributeDisclosed(key="size", code="xl", text="secret"), "size xl"),
    (attribute_pb2.AttributeObserved(key="size", code="xl", text="secret"), "size xl"),
    (attribute_pb2.AttributeInferred(key="size", code="xl", rule="m-1", text="secret"), "size xl by m-1"),
    (
        attribute_pb2.AttributeObtained(
            key="size", code="xl", provenance=PROVENANCE_ASSESSED, source="clerk", text="secret"
        ),
        "size xl ASSESSED from clerk",
    ),
    (attribute_pb2.AttributeWithdrawn(key="size", provenance=PROVENANCE_INFERRED), "size INFERRED"),
    (
        identity_pb2.PromiseMade(
            promise_id="pr-1", kind=identity_pb2.PROMISE_KIND_NOTIFY_ME, topic="books", text="secret"
        ),
        "pr-1 NOTIFY_ME books",
    ),
    (identity_pb2.PromiseTriggered(promise_id="pr-1"), "pr-1"),
    (identity_pb2.PromiseKept(promise_id="pr-1", interaction_position=3), "pr-1 by 3"),
    (
        identity_pb2.PromiseCancelled(
            promise_id="pr-1", reason=identity_pb2.PROMISE_CANCEL_REASON_CONTACT_DENIED, decision_id=3
        ),
        "pr-1 CONTACT_DENIED by decision 3",
    ),
    (
        r.CommonGroundDeclared(item_id="g-1", ground="chess", provenance=PROVENANCE_ASSESSED, text="secret"),
        "g-1 chess ASSESSED",
    ),
    (r.CommonGroundEnded(item_id="g-1", reason="moved"), "g-1 (moved)"),
    (r.RelationshipTypeDeclared(slug="hbr:buddies", text="secret"), "wishes hbr:buddies"),
    (
        r.RelationshipTypeAssessed(
            slug="hbr:buddies", assessor_id="ben", our_function=OUR_FUNCTION_SALES, until=MARCH, text="secret"
        ),
        "ben judges hbr:buddies for SALES until 2025-03-01T00:00:00Z",
    ),
    (
        r.AssessmentRecorded(instrument="q1", dimension="trust", score=-1, scale_min=-2, scale_max=2, text="secret"),
        "q1 trust: -1 of -2 to 2",
    ),
    (r.VectorOpened(vector_id="v-1", goal="play", next_reason="lesson", text="secret"), "v-1 play next lesson"),
    (r.VectorRenewed(vector_id="v-1", next_reason="lesson", text="secret"), "v-1 next lesson"),
    (r.VectorFulfilled(vector_id="v-1", reason="done"), "v-1 (done)"),
    (
        r.ObstacleReported(obstacle_id="o-1", obstacle="parking", our_function=OUR_FUNCTION_SALES, text="secret"),
        "o-1 parking for SALES",
    ),
    (r.ObstacleRemoved(obstacle_id="o-1"), "o-1"),
    (r.ValueDefinitionAsked(channel=CHANNEL_EMAIL), "asks what is of value by EMAIL"),
    (r.ValueDefinitionDeclared(asked_position=3, values=["time", "quiet"], text="secret"), "time, quiet answers 3"),
    (
        r.PointOfContactOpened(
            point_of_contact_id="ben", side=PARTY_ORGANIZATION, our_function=OUR_FUNCTION_SALES, role="adviser"
        ),
        "ben ORGANIZATION for SALES adviser",
    ),
    (r.PointOfContactClosed(point_of_contact_id="ben", reason="left"), "ben (left)"),
    (r.ContactShapeWanted(shape=CONTACT_SHAPE_DIAMOND), "wants DIAMOND"),
    (r.RelationshipEnded(by=PARTY_ORGANIZATION, reason="closed", text="secret"), "by ORGANIZATION (closed)"),
]


@pytest.mark.parametrize("fact, words", TOLD, ids=lambda each: type(each).__name__)
def test_a_fact_is_told_in_a_few_words(fact: Message, words: str) -> None:
    assert words == summary(fact)
    assert "secret" not in summary(fact)


def test_every_topic_of_customers_consents_and_contacts_has_words() -> None:
    subjects = (
        *("notice", "consent", "objection", "withdrawal", "guardian", "recipient_grant", "suppression", "preference"),
        *("profile", "identifier", "identity", "promise", "attribute", "disclosure", "contact"),
        *("common_ground", "relationship_type", "assessment", "vector", "obstacle", "value_definition"),
        *("point_of_contact", "contact_shape", "relationship"),
    )
    elsewhere = {"consent.given.v1", "consent.refused.v1", "consent.withdrawn.v1"}  # tests/unit/test_cli_arguments.py
    wanted = {topic for topic in TOPICS if topic.startswith(tuple(f"{each}." for each in subjects))} - elsewhere

    assert set() == {TOPICS[topic] for topic in wanted} - {type(fact) for fact, _ in TOLD}
    assert 52 <= len(wanted)
