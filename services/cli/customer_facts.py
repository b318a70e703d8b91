"""Facts about customers, their consents and contacts in a few words, for tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.events.v1 import (
    attribute_pb2,
    consent_pb2,
    contact_pb2,
    identity_pb2,
    preference_pb2,
)
from services.cli import relationship_facts
from services.cli.decision_tables import outcome_cell, question_text, reason_cell
from services.cli.fact_words import because, joined, provenance_cell
from services.cli.output import enum_cell, time_cell
from services.cli.preference import preference_text
from services.cli.scopes import scope_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message


def summary(fact: Message) -> str:
    """Return what a fact says, without its personal fields. Empty: it is none of these, or nothing fits a line."""
    return (
        _consent(fact)
        or _sharing(fact)
        or _contact(fact)
        or _customer(fact)
        or _known(fact)
        or relationship_facts.summary(fact)
    )


def _consent(fact: Message) -> str:
    match fact:
        case consent_pb2.NoticeServed():
            return joined([fact.notice.notice_id, fact.notice.version, fact.notice.language])
        case consent_pb2.ConsentRequested() | consent_pb2.ConsentDeferred():
            return scope_text(fact.scope)
        case consent_pb2.ConsentConfirmed():
            return joined([f"confirms {fact.given_position}", ", ".join(fact.purposes)])
        case consent_pb2.ConsentRenewed():
            return joined([", ".join(fact.consent.purposes), _about("renews", fact.renews_position)])
        case consent_pb2.ConsentRevoked() | consent_pb2.ConsentInvalidated():
            return joined([scope_text(fact.scope), because(fact.reason)])
        case consent_pb2.ObjectionRaised():
            return joined([scope_text(fact.scope), because(fact.grounds)])
        case consent_pb2.ObjectionLifted():
            return joined([f"lifts {fact.raised_position}", because(fact.reason)])
        case consent_pb2.WithdrawalHonoured():
            return f"{fact.system} acts on {fact.withdrawal_position}"
        case consent_pb2.GuardianAppointed():
            until = f"until {time_cell(fact.until)}" if fact.HasField("until") else ""
            return joined([fact.guardian_id, until, _for(fact.purposes)])
        case consent_pb2.GuardianReleased():
            return joined([fact.guardian_id, because(fact.reason)])
        case _:
            return ""


def _sharing(fact: Message) -> str:
    match fact:
        case consent_pb2.RecipientGrantGiven():
            until, fields = time_cell(fact.until), ", ".join(fact.fields)
            return joined([fact.recipient, f"may have {fields}", _for(fact.purposes), f"until {until}"])
        case consent_pb2.RecipientGrantRevoked():
            return joined([fact.recipient, _for(fact.purposes), because(fact.reason)])
        case attribute_pb2.DisclosureRecorded():
            return joined([", ".join(fact.fields), f"to {fact.recipient}", _for(fact.purposes)])
        case consent_pb2.SuppressionAdded():
            reason = enum_cell(consent_pb2.SuppressionReason.DESCRIPTOR, fact.reason)
            return joined([reason, fact.contact_point_id, fact.list_name, fact.list_version])
        case consent_pb2.SuppressionLifted():
            return joined([f"lifts {fact.added_position}", because(fact.reason)])
        case _:
            return ""


def _contact(fact: Message) -> str:
    match fact:
        case contact_pb2.ContactDecided():
            answer = joined([outcome_cell(fact.outcome), reason_cell(fact.decisive_reason)])
            return f"{answer}: {question_text(fact.question)}"
        case contact_pb2.ContactAborted():
            return joined([f"gives {fact.decision_id} back", because(fact.reason)])
        case _:
            return ""


def _customer(fact: Message) -> str:
    match fact:
        case preference_pb2.PreferenceDeclared():
            kind = (fact.WhichOneof("preference") or "").replace("_", " ")
            return f"{kind}: {preference_text(fact)}"
        case preference_pb2.PreferenceCleared():
            return enum_cell(preference_pb2.PreferenceKind.DESCRIPTOR, fact.kind).lower().replace("_", " ")
        case identity_pb2.ProfileDeclared():
            adult = ", ".join(f"of age {each.jurisdiction} {each.date}" for each in fact.adult_from)
            return joined([fact.jurisdiction, fact.country and f"in {fact.country}", adult])
        case identity_pb2.IdentifierVerified():
            return joined([fact.contact_point_id, fact.kind, "shared" if fact.shared else ""])
        case identity_pb2.IdentifierRevoked():
            return joined([fact.contact_point_id, because(fact.reason)])
        case identity_pb2.IdentityLinked():
            return f"{fact.link_id}: {fact.customer_a_id} is {fact.customer_b_id} {because(fact.evidence)}".rstrip()
        case identity_pb2.IdentityUnlinked():
            return joined([fact.link_id, because(fact.reason)])
        case _:
            return ""


def _known(fact: Message) -> str:
    match fact:
        case attribute_pb2.AttributeRequested():
            return joined([fact.key, _for(fact.purposes), because(fact.reason)])
        case attribute_pb2.AttributeDisclosed() | attribute_pb2.AttributeObserved():
            return joined([fact.key, fact.code])
        case attribute_pb2.AttributeInferred():
            return joined([fact.key, fact.code, f"by {fact.rule}"])
        case attribute_pb2.AttributeObtained():
            return joined([fact.key, fact.code, provenance_cell(fact.provenance), f"from {fact.source}"])
        case attribute_pb2.AttributeWithdrawn():
            return joined([fact.key, provenance_cell(fact.provenance), because(fact.reason)])
        case identity_pb2.PromiseMade():
            return joined([fact.promise_id, enum_cell(identity_pb2.PromiseKind.DESCRIPTOR, fact.kind), fact.topic])
        case identity_pb2.PromiseTriggered():
            return fact.promise_id
        case identity_pb2.PromiseKept():
            return joined([fact.promise_id, _about("by", fact.interaction_position)])
        case identity_pb2.PromiseCancelled():
            reason = enum_cell(identity_pb2.PromiseCancelReason.DESCRIPTOR, fact.reason)
            return joined([fact.promise_id, reason, _about("by decision", fact.decision_id)])
        case _:
            return ""


def _for(purposes: Iterable[str]) -> str:
    listed = ", ".join(purposes)
    return f"for {listed}" if listed else ""


def _about(word: str, position: int) -> str:
    return f"{word} {position}" if position else ""
