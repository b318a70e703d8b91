"""Acts for tests of receipts: one of each kind with everything said, and some that say as little as can be."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from ledger.domain.fact import Fact
from ledger.domain.receipt import Act, ActName
from ledger.domain.times import MICROSECONDS, timestamp
from rapport.events.v1 import consent_pb2 as ev
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_SMS
from rapport.events.v1.metadata_pb2 import EventMetadata

LOG_ID: Final = "5f1c3a52-7d0e-4b5e-9a8e-0123456789ab"
MARCH: Final = 1_740_787_200_000_000
"""2025-03-01T00:00:00Z."""
DPV_IRIS: Final = {"marketing.direct": "https://w3id.org/dpv#DirectMarketing", "service.care": ""}
"""Terms of purposes; one purpose of the acts has none, and one is in no registry."""

NOTICE: Final = ev.NoticeReference(
    notice_id="privacy.2025",
    version="v3",
    sha256=bytes(range(32)),
    language="de-AT",
    served_position=11,
    purposes=["marketing.direct", "service.care"],
)
CONSENT: Final = ev.ConsentGiven(
    purposes=["marketing.direct", "service.care", "unheard.of"],
    channels=[CHANNEL_EMAIL, CHANNEL_SMS],
    contact_point_ids=["cp-1", 'cp "é"\u2028'],
    brands=["north"],
    legal_basis=ev.LEGAL_BASIS_CONSENT,
    consent_type=ev.CONSENT_TYPE_EXPLICITLY_EXPRESSED,
    jurisdiction="AT",
    notice=NOTICE,
    indicated_by=ev.INDICATED_BY_GUARDIAN,
    indicated_by_id="g-1",
    method=ev.INDICATION_METHOD_FORM,
    valid_from_time=timestamp(MARCH + 3600 * MICROSECONDS),
    validity=ev.Validity(duration=Duration(seconds=365 * 86_400)),
    recipients=["partner.post"],
    data_categories=["contact", "purchases"],
    storage_locations=["eu", "ie"],
    retention=Duration(seconds=90_061, nanos=500_000_000),
    withdrawal_method="link.footer",
    collection_source="form.signup",
    controller="acme.retail",
    schema_version="ts-27560-2023",
)
SCOPE: Final = ev.ConsentScope(
    purposes=["marketing.direct"], channels=[CHANNEL_SMS], contact_point_ids=["cp-1"], brands=["north", "south"]
)


def act(topic: str, event: Message, *, position: int = 17, given: Message | None = None, **more: Any) -> Act:
    """Return an act of customer c-1 of organization acme."""
    found = _fact(topic, event, position, **more)
    confirmed = None if given is None else _fact("consent.given.v1", given, position - 1)
    return Act(ActName(LOG_ID, "acme", "c-1", position), found, confirmed)


def _fact(topic: str, event: Message, position: int, *, imported: bool = False) -> Fact:
    metadata = EventMetadata(historical_import=imported)
    occur_time, version = MARCH + position * MICROSECONDS, position - 10
    return Fact(position, version, occur_time + 250_000, occur_time, topic, event, metadata)


def _ending(**validity: Any) -> Act:
    return act("consent.given.v1", ev.ConsentGiven(purposes=["p"], validity=ev.Validity(**validity)))


ACTS: Final[dict[str, Act]] = {
    "given": act("consent.given.v1", CONSENT),
    "given_plain": act("consent.given.v1", ev.ConsentGiven(purposes=["marketing.direct"])),
    "given_imported": act("consent.given.v1", ev.ConsentGiven(purposes=["p"]), imported=True),
    "given_unconfirmed": act("consent.given.v1", ev.ConsentGiven(purposes=["p"], confirmation_required=True)),
    "given_soft_opt_in": act(
        "consent.given.v1", ev.ConsentGiven(purposes=["p"], legal_basis=ev.LEGAL_BASIS_SOFT_OPT_IN)
    ),
    "given_until_time": _ending(until_time=timestamp(MARCH + 86_400 * MICROSECONDS)),
    "given_until_event": _ending(event="account.closed"),
    "given_for_uses": _ending(uses=3),
    "given_endless": _ending(endless=True),
    "renewed": act("consent.renewed.v1", ev.ConsentRenewed(consent=CONSENT, renews_position=12)),
    "confirmed": act(
        "consent.confirmed.v1",
        ev.ConsentConfirmed(given_position=16, purposes=["marketing.direct"]),
        given=ev.ConsentGiven(purposes=["marketing.direct", "service.care"], confirmation_required=True),
    ),
    "refused": act(
        "consent.refused.v1",
        ev.ConsentRefused(
            purposes=["marketing.direct"],
            channels=[CHANNEL_EMAIL],
            contact_point_ids=["cp-1"],
            brands=["north"],
            notice=NOTICE,
            indicated_by=ev.INDICATED_BY_AGENT,
            indicated_by_id="agent-7",
            method=ev.INDICATION_METHOD_REJECT,
        ),
    ),
    "withdrawn": act(
        "consent.withdrawn.v1",
        ev.ConsentWithdrawn(
            purposes=["marketing.direct", "unheard.of"],
            channels=[CHANNEL_SMS],
            contact_point_ids=["cp-1"],
            brands=["north"],
            method=ev.INDICATION_METHOD_KEYWORD,
            indicated_by=ev.INDICATED_BY_INFOMEDIARY,
            indicated_by_id="im-1",
        ),
    ),
    "withdrawn_everything": act("consent.withdrawn.v1", ev.ConsentWithdrawn()),
    "revoked": act("consent.revoked.v1", ev.ConsentRevoked(scope=SCOPE, reason="service.ended")),
    "invalidated": act("consent.invalidated.v1", ev.ConsentInvalidated(scope=SCOPE, reason="authority")),
    "objected": act(
        "objection.raised.v1",
        ev.ObjectionRaised(
            scope=SCOPE,
            grounds="particular.situation",
            indicated_by=ev.INDICATED_BY_SUBJECT,
            method=ev.INDICATION_METHOD_PAPER,
        ),
    ),
    "objected_by_guardian": act(
        "objection.raised.v1",
        ev.ObjectionRaised(
            scope=SCOPE,
            grounds="particular.situation",
            indicated_by=ev.INDICATED_BY_GUARDIAN,
            indicated_by_id="g-1",
            method=ev.INDICATION_METHOD_VERBAL,
        ),
    ),
    "objected_to_everything": act("objection.raised.v1", ev.ObjectionRaised()),
}
"""By the name of the file that holds the receipt."""
