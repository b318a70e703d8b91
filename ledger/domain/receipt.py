"""Receipts: one act of a customer as JSON-LD that the customer can keep and anybody can check (consent.md 3, rule 10).

Terms are those of the W3C Data Privacy Vocabulary 2.3 and its guide to ISO/IEC TS 27560:2023: a `dpv:ConsentReceipt`
around a `dpv:ConsentRecord`. What the vocabulary has no word for, such as channels and log positions, has the prefix
`rapport`. Numbers are written as texts, times as RFC 3339 in UTC.

A receipt is made of what stays open for ever: it can be made again, the same to the byte, when its customer's data is
long erased. So nothing here may change once released; another content is another `LAYOUT`, beside this one.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from ledger.domain.canonical_json import Json, canonical
from ledger.domain.fact import Fact
from ledger.domain.receipt_terms import (
    CONSENT_TYPES,
    CONTEXT,
    CUSTOMER,
    DENIALS,
    SPEAKERS,
    Node,
    lasting,
    legal_basis,
    purpose,
    span,
    thing,
    things,
    word,
)
from ledger.domain.times import microseconds, text
from rapport.events.v1 import consent_pb2, interaction_pb2
from rapport.events.v1.consent_pb2 import (
    ConsentConfirmed,
    ConsentGiven,
    ConsentInvalidated,
    ConsentRefused,
    ConsentRenewed,
    ConsentRevoked,
    ConsentScope,
    ConsentWithdrawn,
    ObjectionRaised,
    Validity,
)

LAYOUT: Final = "1"
"""Version of what is written below."""
_SCHEMA: Final = "https://w3id.org/dpv/schema/dpv-27560"
_NAME: Final = re.compile(
    rb'"@id":"urn:uuid:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'
    rb'#([a-z0-9][a-z0-9-]{0,62})/([A-Za-z0-9][A-Za-z0-9._~:-]{0,127})/([1-9][0-9]{0,18})/receipt"'
)

Denial: TypeAlias = ConsentRefused | ConsentWithdrawn | ConsentRevoked | ConsentInvalidated
Scoped: TypeAlias = ConsentGiven | ConsentRefused | ConsentWithdrawn | ConsentScope


class ActName(NamedTuple):
    """Which act a receipt is about."""

    log_id: str
    organization_id: str
    customer_id: str
    position: int

    @property
    def iri(self) -> str:
        """The name as an IRI that nothing else in the world has."""
        return f"urn:uuid:{self.log_id}#{self.organization_id}/{self.customer_id}/{self.position}"


class Act(NamedTuple):
    """An act with what its receipt needs beside it."""

    name: ActName
    fact: Fact
    """One of TOPICS; its open part."""
    given: Fact | None = None
    """For a confirmation: the consent that it confirms."""


TOPICS: Final = frozenset(
    {
        *("consent.given.v1", "consent.renewed.v1", "consent.confirmed.v1", "consent.refused.v1"),
        *("consent.withdrawn.v1", "consent.revoked.v1", "consent.invalidated.v1", "objection.raised.v1"),
    }
)
"""Acts that have receipts."""


def named(receipt: bytes) -> ActName | None:
    """Return the act that a receipt, or what was made of one, says it is about; None: none that can be read.

    It is looked for as it would be written, so that a receipt which is broken elsewhere still has its name.
    """
    found = _NAME.search(receipt)
    if found is None:
        return None
    log_id, organization_id, customer_id, position = (part.decode() for part in found.groups())
    return ActName(log_id, organization_id, customer_id, int(position))


def receipt_of(act: Act, dpv_iris: Mapping[str, str]) -> bytes:
    """Return the receipt of an act, as canonical JSON.

    dpv_iris: terms of the vocabulary by purpose, from the purpose registry as it stood at the act's position.
    """
    name, fact = act.name, act.fact
    recorded = text(fact.record_time)
    return canonical(
        {
            "@context": CONTEXT,
            "@id": f"{name.iri}/receipt",
            "@type": "dpv:ConsentReceipt",
            "dct:conformsTo": f"{_SCHEMA}#receipt",
            "dct:created": recorded,
            "dct:hasVersion": LAYOUT,
            "dct:identifier": f"{name.log_id}/{name.position}/receipt",
            "dct:publisher": name.organization_id,
            "dpv:hasRecordOfActivity": {
                "@id": name.iri,
                "dct:conformsTo": f"{_SCHEMA}#record",
                "dct:created": recorded,
                "dct:identifier": f"{name.log_id}/{name.position}",
                "dpv:hasDataSubject": thing("dpv:DataSubject", name.customer_id),
                "rapport:logId": name.log_id,
                "rapport:position": str(fact.position),
                "rapport:topic": fact.topic,
                "rapport:version": str(fact.version),
                **({"rapport:historicalImport": True} if fact.metadata.historical_import else {}),
                **_record(act, dpv_iris),
            },
        }
    )


def scope_of(act: Act) -> ConsentScope:
    """Return what an act is about."""
    event = act.fact.event
    match event:
        case ConsentRenewed():
            return _scope(event.consent)
        case ConsentConfirmed():
            return _scope(_confirmed(act, event))
        case ConsentRevoked() | ConsentInvalidated() | ObjectionRaised():
            return event.scope
        case ConsentGiven() | ConsentRefused() | ConsentWithdrawn():
            return _scope(event)
        case _:
            raise _no_receipt(act.fact)


def _record(act: Act, dpv_iris: Mapping[str, str]) -> Node:
    event, time = act.fact.event, act.fact.occur_time
    match event:
        case ConsentGiven():
            status = "dpv:ConsentRequested" if event.confirmation_required else "dpv:ConsentGiven"
            more: Node = {"rapport:confirmationRequired": True} if event.confirmation_required else {}
            return {**_grant(act, event, status, time, dpv_iris), **more}
        case ConsentRenewed():
            more = {"rapport:renews": str(event.renews_position)} if event.renews_position else {}
            return {**_grant(act, event.consent, "dpv:RenewedConsentGiven", time, dpv_iris), **more}
        case ConsentConfirmed():
            grant = _grant(act, _confirmed(act, event), "dpv:ConsentGiven", time, dpv_iris)
            return {**grant, "rapport:confirms": str(event.given_position)}
        case ConsentRefused() | ConsentWithdrawn() | ConsentRevoked() | ConsentInvalidated():
            return _denial(act, event, dpv_iris)
        case ObjectionRaised():
            return _objection(act, event, dpv_iris)
        case _:
            raise _no_receipt(act.fact)


def _grant(act: Act, consent: ConsentGiven, status: str, time: int, dpv_iris: Mapping[str, str]) -> Node:
    method = consent.withdrawal_method
    return {
        "@type": "dpv:ConsentRecord",
        "dpv:hasDataController": _controllers(act, consent.controller),
        "dpv:hasLegalBasis": legal_basis(consent.legal_basis),
        "dpv:hasProcess": _process(consent, dpv_iris) | _handling(consent),
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", **({"dct:identifier": method} if method else {})},
        "dpv:hasConsentStatus": {
            "@type": [status, *CONSENT_TYPES.get(consent.consent_type, ())],
            **_indication(consent, time),
            **_validity(consent, time),
        },
        **({"dpv:hasJurisdiction": {"@id": f"loc:{consent.jurisdiction}"}} if consent.jurisdiction else {}),
        **_notice(consent),
        **({"rapport:schemaVersion": consent.schema_version} if consent.schema_version else {}),
    }


def _denial(act: Act, denial: Denial, dpv_iris: Mapping[str, str]) -> Node:
    time = act.fact.occur_time
    if isinstance(denial, ConsentRefused | ConsentWithdrawn):
        said = _indication(denial, time)
    else:  # Somebody other than the customer; the log says who recorded it.
        said = {"dpv:isIndicatedAtTime": text(time)}
    notice = _notice(denial) if isinstance(denial, ConsentRefused) else {}
    reason = denial.reason if isinstance(denial, ConsentRevoked | ConsentInvalidated) else ""
    return {
        "@type": "dpv:ConsentRecord",
        "dpv:hasDataController": _controllers(act),
        "dpv:hasProcess": _process(scope_of(act), dpv_iris),
        "dpv:hasConsentStatus": {"@type": DENIALS[type(denial)], **said},
        **notice,
        **({"rapport:reason": reason} if reason else {}),
    }


def _objection(act: Act, objection: ObjectionRaised, dpv_iris: Mapping[str, str]) -> Node:
    """Return the record of a right that was exercised, for an objection is no status of a consent."""
    return {
        "@type": "dpv:RightExerciseRecord",
        "dpv:hasDataController": _controllers(act),
        "dpv:hasProcess": _process(objection.scope, dpv_iris),
        "dpv:hasRight": {"@id": "eu-gdpr:A21"},
        **_indication(objection, act.fact.occur_time),
        **({"rapport:grounds": objection.grounds} if objection.grounds else {}),
    }


def _process(scope: Scoped, dpv_iris: Mapping[str, str]) -> Node:
    """Return what an act is about. What is not narrowed is left out; purposes, the heart of it, say so."""
    purposes: Node = {"dpv:hasPurpose": [purpose(slug, dpv_iris.get(slug, "")) for slug in scope.purposes]}
    channels = [word(interaction_pb2.Channel.DESCRIPTOR, channel) for channel in scope.channels]
    parts = {
        "rapport:brand": list(scope.brands),
        "rapport:channel": channels,
        "rapport:contactPoint": list(scope.contact_point_ids),
    }
    return {
        "@type": "dpv:Process",
        **(purposes if scope.purposes else {"rapport:everyPurpose": True}),
        **{term: codes for term, codes in parts.items() if codes},
    }


def _handling(consent: ConsentGiven) -> Node:
    """Return who receives which data, where it comes from, and where and how long it is kept."""
    conditions: list[Json] = []
    if consent.storage_locations:
        conditions.append({"@type": "dpv:StorageLocation", "dpv:hasLocation": list(consent.storage_locations)})
    if consent.HasField("retention"):
        conditions.append({"@type": "dpv:StorageDuration", "dpv:hasDuration": lasting(consent.retention)})
    found: Node = {
        "dpv:hasPersonalData": things("dpv:PersonalData", consent.data_categories),
        "dpv:hasRecipient": things("dpv:Recipient", consent.recipients),
        "dpv:hasStorageCondition": conditions,
    }
    source = consent.collection_source
    return {
        **{term: things for term, things in found.items() if things},
        **({"dpv:hasDataSource": thing("dpv:DataSource", source)} if source else {}),
    }


def _validity(consent: ConsentGiven, time: int) -> Node:
    """Return from when on a consent holds, and by its own term how long; what a law or a policy adds is not its."""
    start = microseconds(consent.valid_from_time) if consent.HasField("valid_from_time") else time
    ends = _ends(consent.validity)
    return {"rapport:validFrom": text(start), **({"dpv:hasDuration": ends} if ends else {})}


def _ends(validity: Validity) -> Node:
    match validity.WhichOneof("end"):
        case "until_time":
            return span("dpv:UntilTimeDuration", text(microseconds(validity.until_time)))
        case "duration":
            return lasting(validity.duration)
        case "event":
            return span("dpv:UntilEventDuration", validity.event)
        case "uses":
            return span("dpv:FixedOccurrencesDuration", str(validity.uses))
        case "endless":
            return {"@type": "dpv:EndlessDuration"}
        case _:
            return {}  # Nothing was said.


def _indication(act: ConsentGiven | ConsentRefused | ConsentWithdrawn | ObjectionRaised, time: int) -> Node:
    """Return who spoke, when and how."""
    speaker = {"dct:identifier": act.indicated_by_id} if act.indicated_by_id else {}
    method = word(consent_pb2.IndicationMethod.DESCRIPTOR, act.method) if act.method else ""
    return {
        "dpv:isIndicatedAtTime": text(time),
        "dpv:isIndicatedBy": {**SPEAKERS.get(act.indicated_by, CUSTOMER), **speaker},
        **({"dpv:hasIndicationMethod": method} if method else {}),
    }


def _notice(act: ConsentGiven | ConsentRefused) -> Node:
    """Return what the customer was shown, where that was said."""
    if not act.HasField("notice"):
        return {}
    notice = act.notice
    said: Node = {
        "dct:hasVersion": notice.version,
        "dct:language": notice.language,
        "rapport:lists": list(notice.purposes),
        "rapport:servedPosition": str(notice.served_position or ""),
        "rapport:sha256": notice.sha256.hex(),
    }
    told = {term: value for term, value in said.items() if value}
    return {"dpv:hasNotice": {**thing("dpv:ConsentNotice", notice.notice_id), **told}}


def _controllers(act: Act, controller: str = "") -> Json:
    """Return the organization, and beside it the controller that a consent names."""
    names = dict.fromkeys(each for each in (act.name.organization_id, controller) if each)
    return things("dpv:DataController", list(names))


def _confirmed(act: Act, confirmation: ConsentConfirmed) -> ConsentGiven:
    """Return the consent that a confirmation confirms, narrowed to its purposes, from its time on."""
    assert act.given is not None
    assert isinstance(act.given.event, ConsentGiven)
    consent = ConsentGiven()
    consent.CopyFrom(act.given.event)
    if confirmation.purposes:
        consent.purposes[:] = confirmation.purposes
    if consent.HasField("valid_from_time") and microseconds(consent.valid_from_time) < act.fact.occur_time:
        consent.ClearField("valid_from_time")
    return consent


def _scope(act: ConsentGiven | ConsentRefused | ConsentWithdrawn) -> ConsentScope:
    return ConsentScope(
        purposes=act.purposes, channels=act.channels, contact_point_ids=act.contact_point_ids, brands=act.brands
    )


def _no_receipt(fact: Fact) -> TypeError:
    return TypeError(f"there is no receipt of {fact.topic}")
