"""What the rules of the protos leave open: names, dates, and fields that belong together. Values are never repeated."""

from __future__ import annotations

import re
from typing import Final

from ledger.domain.attribute import OBTAINED, Value
from ledger.domain.errors import Violation
from ledger.domain.identifiers import CUSTOMER_ID
from ledger.domain.preference import SCOPED
from ledger.domain.profile import start_of_day
from ledger.domain.time_zones import zone_fault
from rapport.events.v1 import identity_pb2
from rapport.events.v1.attribute_pb2 import AttributeObtained
from rapport.events.v1.identity_pb2 import (
    IdentifierVerified,
    IdentityLinked,
    ProfileDeclared,
    PromiseCancelled,
    PromiseMade,
)
from rapport.events.v1.preference_pb2 import PreferenceCleared, PreferenceDeclared

_LANGUAGE: Final = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[a-wy-z0-9](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
    r"|x(?:-[a-z0-9]{1,8})+",
    re.ASCII | re.IGNORECASE,
)
"""A well-formed tag of BCP 47 (RFC 5646, 2.1), without the grandfathered ones."""


def profile_faults(profile: ProfileDeclared) -> list[Violation]:
    """Return what is wrong with the dates of a profile: none that is no day, one for each jurisdiction."""
    faults = []
    seen: set[str] = set()
    for index, each in enumerate(profile.adult_from):
        path = f"profile.adult_from[{index}]"
        if start_of_day(each.date) is None:
            faults.append(Violation(f"{path}.date", "must be a day that there is, YYYY-MM-DD"))
        if each.jurisdiction in seen:
            faults.append(Violation(f"{path}.jurisdiction", "must be named once"))
        seen.add(each.jurisdiction)
    return faults


def identifier_faults(identifier: IdentifierVerified) -> list[Violation]:
    """Return what is wrong with the time zones of a contact point."""
    faults = ((index, zone_fault(name)) for index, name in enumerate(identifier.time_zones))
    return [Violation(f"identifier.time_zones[{index}]", fault) for index, fault in faults if fault]


def preference_faults(preference: PreferenceDeclared) -> list[Violation]:
    """Return what is wrong with a declaration: a language or a zone that there is not, a yes and a no to the same."""
    match preference.WhichOneof("preference"):
        case "language" if not _LANGUAGE.fullmatch(preference.language.language):
            return [Violation("preference.language.language", "must be a BCP 47 tag, such as de or pt-BR")]
        case "time_zone" if (fault := zone_fault(preference.time_zone.time_zone)) is not None:
            return [Violation("preference.time_zone.time_zone", fault)]
        case "channels" if not set(preference.channels.preferred).isdisjoint(preference.channels.averse):
            return [Violation("preference.channels.averse", "must not name a channel that is preferred as well")]
        case "topics" if not set(preference.topics.wanted).isdisjoint(preference.topics.excluded):
            return [Violation("preference.topics.excluded", "must not name a topic that is wanted as well")]
        case _:
            return []


def clearing_faults(clearing: PreferenceCleared) -> list[Violation]:
    """Return what is wrong with a clearing: a scope where the kind has none."""
    if clearing.kind in SCOPED:
        return []
    described = "must be left out: only FREQUENCY and PAUSE are declared by channel and topic"
    fields = {"channel": bool(clearing.channel), "topic": bool(clearing.topic)}
    return [Violation(f"clearing.{name}", described) for name, given in fields.items() if given]


def value_faults(value: Value) -> list[Violation]:
    """Return what is wrong with a value: it says nothing, or claims a slot that only another event fills."""
    faults = []
    if not value.code and not value.text:
        faults.append(Violation("attribute.code", "must be given where there is no text"))
    if isinstance(value, AttributeObtained) and value.provenance not in OBTAINED:
        faults.append(Violation("attribute.provenance", "must be THIRD_PARTY, ASSESSED or IMPORTED"))
    return faults


def promise_faults(promise: PromiseMade) -> list[Violation]:
    """Return what is wrong with a promise: to tell, but not about what."""
    if promise.kind == identity_pb2.PROMISE_KIND_NOTIFY_ME and not promise.topic:
        return [Violation("promise.topic", "must say what about, where the kind is NOTIFY_ME")]
    return []


def cancellation_faults(cancellation: PromiseCancelled) -> list[Violation]:
    """Return what is wrong with giving up a promise: a denial without its decision, or a decision without denial."""
    denied = cancellation.reason == identity_pb2.PROMISE_CANCEL_REASON_CONTACT_DENIED
    if denied and not cancellation.decision_id:
        return [Violation("cancellation.decision_id", "must name the decision, where the reason is CONTACT_DENIED")]
    if cancellation.decision_id and not denied:
        return [Violation("cancellation.decision_id", "must be left out, unless the reason is CONTACT_DENIED")]
    return []


def link_faults(link: IdentityLinked) -> list[Violation]:
    """Return what is wrong with the customers of a link: they must be ids of the form that others have."""
    described = "must be the id of a customer: letters, digits and . _ ~ : -, at most 128, a letter or digit first"
    fields = {"customer_a_id": link.customer_a_id, "customer_b_id": link.customer_b_id}
    return [Violation(f"link.{name}", described) for name, given in fields.items() if not CUSTOMER_ID.match(given)]
