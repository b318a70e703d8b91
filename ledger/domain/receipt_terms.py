"""Words of receipts: terms of the W3C Data Privacy Vocabulary 2.3 for what our messages say (consent.md 2, 3).

They are part of the bytes of every receipt, so none of them may change once released; see `receipt.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from ledger.domain.canonical_json import Json
from rapport.events.v1 import consent_pb2
from rapport.events.v1.consent_pb2 import ConsentInvalidated, ConsentRefused, ConsentRevoked, ConsentWithdrawn

Node: TypeAlias = dict[str, Json]
"""An object of JSON-LD."""

CONTEXT: Final[Mapping[str, Json]] = {
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "loc": "https://w3id.org/dpv/loc#",
    "rapport": "urn:uuid:0b8f1c2e-6d0a-4e57-9c33-6a2f4d1e7b90#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
}
"""Prefixes of the terms used. That of ours is a UUID: it belongs to nobody else, and nothing has to be fetched."""


def legal_basis(basis: int) -> Node:
    """Return a basis by its term; those of other laws, which the vocabulary does not have, by our code."""
    term = _LEGAL_BASES.get(basis or consent_pb2.LEGAL_BASIS_CONSENT)
    return {"@id": term} if term else thing("dpv:LegalBasis", word(consent_pb2.LegalBasis.DESCRIPTOR, basis))


def purpose(slug: str, dpv_iri: str) -> Node:
    """Return a purpose by our code and, where there is one, by its term."""
    return {"@type": ["dpv:Purpose", dpv_iri] if dpv_iri else ["dpv:Purpose"], "dct:identifier": slug}


def thing(kind: str, identifier: str) -> Node:
    """Return something of a kind that has a name of ours."""
    return {"@type": kind, "dct:identifier": identifier}


def things(kind: str, identifiers: Sequence[str]) -> list[Json]:
    """Return many of a kind, in their order."""
    return [thing(kind, identifier) for identifier in identifiers]


def span(kind: str, value: str) -> Node:
    """Return how long something holds."""
    return {"@type": kind, "rdf:value": value}


def lasting(length: Duration) -> Node:
    """Return a length of time as ISO 8601: in days where it is whole days of 24 hours, else in seconds."""
    days, seconds = divmod(length.seconds, 86_400)
    if not seconds and not length.nanos:
        return span("dpv:TemporalDuration", f"P{days}D")
    fraction = f".{length.nanos:09d}".rstrip("0") if length.nanos else ""
    return span("dpv:TemporalDuration", f"PT{length.seconds}{fraction}S")


def word(enum: EnumDescriptor, number: int) -> str:
    """Return an enum value without its prefix; the number where this release has no name for it."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    value = enum.values_by_number.get(number)
    return str(number) if value is None else value.name.removeprefix(prefix)


CUSTOMER: Final[Node] = {"@type": "dpv:DataSubject"}
"""Who speaks where nobody else is named."""
SPEAKERS: Final[dict[int, Node]] = {
    consent_pb2.INDICATED_BY_GUARDIAN: {"@type": "dpv:GuardianOfDataSubject"},
    consent_pb2.INDICATED_BY_AGENT: {"@type": "dpv:Entity", "rapport:role": "AGENT"},
    consent_pb2.INDICATED_BY_INFOMEDIARY: {"@type": "dpv:Entity", "rapport:role": "INFOMEDIARY"},
}
"""Who spoke for the customer, by `IndicatedBy`."""
CONSENT_TYPES: Final[dict[int, Sequence[str]]] = {
    consent_pb2.CONSENT_TYPE_UNINFORMED: ("dpv:UninformedConsent",),
    consent_pb2.CONSENT_TYPE_IMPLIED: ("dpv:ImpliedConsent",),
    consent_pb2.CONSENT_TYPE_EXPRESSED: ("dpv:ExpressedConsent",),
    consent_pb2.CONSENT_TYPE_EXPLICITLY_EXPRESSED: ("dpv:ExplicitlyExpressedConsent",),
}
"""How plainly, by `ConsentType`."""
DENIALS: Final[dict[type[Message], str]] = {
    ConsentRefused: "dpv:ConsentRefused",
    ConsentWithdrawn: "dpv:ConsentWithdrawn",
    ConsentRevoked: "dpv:ConsentRevoked",
    ConsentInvalidated: "dpv:ConsentInvalidated",
}
"""What an act makes of a consent, by its message."""
_LEGAL_BASES: Final[dict[int, str]] = {
    consent_pb2.LEGAL_BASIS_CONSENT: "eu-gdpr:A6-1-a",
    consent_pb2.LEGAL_BASIS_CONTRACT_PERFORMANCE: "eu-gdpr:A6-1-b-contract-performance",
    consent_pb2.LEGAL_BASIS_ENTER_INTO_CONTRACT: "eu-gdpr:A6-1-b-enter-into-contract",
    consent_pb2.LEGAL_BASIS_LEGAL_OBLIGATION: "eu-gdpr:A6-1-c",
    consent_pb2.LEGAL_BASIS_VITAL_INTEREST: "eu-gdpr:A6-1-d",
    consent_pb2.LEGAL_BASIS_PUBLIC_INTEREST: "eu-gdpr:A6-1-e-public-interest",
    consent_pb2.LEGAL_BASIS_OFFICIAL_AUTHORITY: "eu-gdpr:A6-1-e-official-authority",
    consent_pb2.LEGAL_BASIS_LEGITIMATE_INTEREST_CONTROLLER: "eu-gdpr:A6-1-f-controller",
    consent_pb2.LEGAL_BASIS_LEGITIMATE_INTEREST_THIRD_PARTY: "eu-gdpr:A6-1-f-third-party",
}
