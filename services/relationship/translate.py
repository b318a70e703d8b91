"""Requests of RelationshipService to what is asked of the ledger, and states and facts to responses."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from ledger.contact.picture import Picture
from ledger.contact.terms import ContactTerms
from ledger.domain.amounts import INT64_MAX
from ledger.domain.consent import Cell, CellVerdict, cells, status
from ledger.domain.contact_policy import BUILT_IN
from ledger.domain.errors import Rejected, Violation
from ledger.domain.exchange_state import ExchangeState
from ledger.domain.interaction import InteractionState
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME, MICROSECONDS, microseconds, timestamp
from ledger.log.reading import fact, metadata, parts
from ledger.log.store import EventRow
from ledger.log.topics import MESSAGE_BY_TOPIC
from ledger.projections.balances import NO_INDEX, Worth
from ledger.projections.listing import BY_BALANCE, Account, Balances, Listing, Order
from ledger.views import Look
from rapport.consent.v1.consent_cell_pb2 import CellStatus
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER
from rapport.relationship.v1 import relationship_pb2 as shapes
from rapport.relationship.v1 import relationship_service_pb2 as messages
from rapport.relationship.v1.timeline_pb2 import TimelineEntry
from rapport.type.v1.as_of_pb2 import AsOf
from services.runtime.validation import check

PAGE_SIZE_DEFAULT: Final = 100

_ORDERS: Final = {
    messages.RELATIONSHIP_ORDER_UNSPECIFIED: Order.CUSTOMER_ID,
    messages.RELATIONSHIP_ORDER_CUSTOMER_ID: Order.CUSTOMER_ID,
    messages.RELATIONSHIP_ORDER_LAST_OCCUR_TIME_DESCENDING: Order.LAST_OCCUR_TIME_DESCENDING,
    messages.RELATIONSHIP_ORDER_INTERACTIONS_DESCENDING: Order.INTERACTIONS_DESCENDING,
    messages.RELATIONSHIP_ORDER_UNITS_DESCENDING: Order.UNITS_DESCENDING,
    messages.RELATIONSHIP_ORDER_INDEX_ASCENDING: Order.INDEX_ASCENDING,
    messages.RELATIONSHIP_ORDER_INDEX_DESCENDING: Order.INDEX_DESCENDING,
    messages.RELATIONSHIP_ORDER_CONFIDENCE_DESCENDING: Order.CONFIDENCE_DESCENDING,
    messages.RELATIONSHIP_ORDER_NET_ASCENDING: Order.NET_ASCENDING,
    messages.RELATIONSHIP_ORDER_NET_DESCENDING: Order.NET_DESCENDING,
    messages.RELATIONSHIP_ORDER_NEXT_CROSSING_ASCENDING: Order.NEXT_CROSSING_ASCENDING,
}
_EVENT_FIELDS: Final = {
    topic: field.name
    for topic, message in MESSAGE_BY_TOPIC.items()
    for field in TimelineEntry.DESCRIPTOR.oneofs_by_name["event"].fields
    if field.message_type is message.DESCRIPTOR
}
"""Where a timeline shows the fact of each topic."""


def wants_now(as_of: AsOf) -> bool:
    """Tell whether a point of view that may be empty means now, with everything recorded."""
    return not as_of.ListFields()


def listing(request: messages.ListRelationshipsRequest) -> Listing:
    """Return the question that a ListRelationships asks.

    Raises:
        Invalid: the request breaks rules; every violation is named.
    """
    check(request, *_listing_faults(request))
    chosen = request.filter
    return Listing(
        organization_id=request.organization_id,
        order=_ORDERS[request.order_by],
        customer_id_prefix=chosen.customer_id_prefix,
        first_occur_time_from=_time(chosen, "first_occur_time_from"),
        last_occur_time_from=_time(chosen, "last_occur_time_from"),
        last_occur_time_before=_time(chosen, "last_occur_time_before"),
        interactions_min=min(chosen.interactions_min, INT64_MAX),
        exchanges_min=min(chosen.exchanges_min, INT64_MAX),
        account=Account(chosen.units.giver, chosen.units.asset) if chosen.HasField("units") else None,
        units_min=chosen.units_min,
        units_max=chosen.units_max,
        balances=_balances(request),
    )


def tell(
    told: shapes.Relationship,
    organization_id: str,
    customer_id: str,
    look: Look,
    position: int,
    occur_time: int | None = None,
) -> None:
    """Fill in a relationship as it is seen from (occur_time, position). None: now, with everything up to `position`.

    Now is the clock's, unless a server with a faster clock recorded something later: that counts, and so it is not in
    the future of the answer.
    """
    # Messages are filled where they stand: made apart, each would be copied into the one around it.
    last_occur_time = tell_recorded(told, organization_id, customer_id, look)
    if occur_time is None:
        now = look.view.occur_time
        occur_time = now if last_occur_time is None else max(now, last_occur_time)
    tell_standing(told, look.state, position, occur_time)


def tell_recorded(told: shapes.Relationship, organization_id: str, customer_id: str, look: Look) -> int | None:
    """Fill in what of a relationship stays as it is until something is recorded; return its `last_occur_time`."""
    state: RelationshipState = look.state
    last_occur_time = state.last_occur_time
    told.organization_id = organization_id
    told.customer_id = customer_id
    told.version = look.version
    told.last_position = look.last_position
    _set_time(told.first_occur_time, state.first_occur_time)
    _set_time(told.last_occur_time, last_occur_time)
    _tell_interactions(told.interactions, state.interactions)
    told.exchanges.SetInParent()  # Also where there are none.
    return last_occur_time


def tell_standing(told: shapes.Relationship, state: RelationshipState, position: int, occur_time: int) -> None:
    """Fill in the rest: where it is seen from, and what the clock may move."""
    told.position = told.as_of.position = position
    _set_time(told.as_of.occur_time, occur_time)
    if state.exchange_version:
        _tell_exchanges(told, state.exchanges, occur_time)
    _tell_consents(told, state, occur_time)


def _tell_consents(told: shapes.Relationship, state: RelationshipState, occur_time: int) -> None:
    """Tell the status of every cell named: consents end by what they say; limits of laws are GetConsents' to know."""
    if state.consents.last_time is None:  # Every answer comes by here, and many have none.
        return
    terms = ContactTerms(Picture("", state, BUILT_IN.policy, {}))
    for cell in cells(state.consents):
        _tell_status(told.consents.add(), cell, status(state.consents, cell, occur_time, terms))


def unknown(organization_id: str, customer_id: str) -> Rejected:
    """Return the refusal to show a relationship of which nothing is recorded in the view."""
    return Rejected(
        reasons.ERROR_REASON_RELATIONSHIP_UNKNOWN,
        "nothing was recorded between the two in this view; check both ids",
        organization_id=organization_id,
        customer_id=customer_id,
    )


def timeline_entry(row: EventRow, state: RelationshipState, position: int) -> TimelineEntry:
    """Return one fact of a relationship, with what of the events up to `position` undid it.

    Raises:
        LogDamaged: it cannot be read.
    """
    entry = TimelineEntry(
        position=row.position,
        version=row.version,
        record_time=timestamp(row.record_time),
        topic=row.topic,
        metadata=metadata(row),
        has_personal_part=bool(parts(row).sealed),
    )
    known = fact(row)
    if known is not None:
        undone_by = state.undone_by(known)
        entry.undone_by_position = undone_by if undone_by <= position else 0
        if row.topic in _EVENT_FIELDS:
            event: Message = getattr(entry, _EVENT_FIELDS[row.topic])
            event.CopyFrom(known.event)
            event.SetInParent()  # Also where the fact says nothing beyond that it happened.
    return entry


def tell_balance(told: shapes.Relationship, listing: Listing, worth: Worth | None, occur_time: int) -> None:
    """Fill in the balance that a list goes by, as of a time in microseconds; nothing where there is none."""
    if listing.balances is None or worth is None:
        return
    balance = told.balance
    balance.perspective = listing.balances.perspective  # type: ignore[assignment]  # A number of the enum.
    balance.got_nanos, balance.gave_nanos, balance.net_nanos = worth.got, worth.gave, worth.net
    if worth.index_ppm != NO_INDEX:
        balance.index_ppm = worth.index_ppm
    balance.confidence_ppm = worth.confidence_ppm
    _set_time(balance.occur_time, occur_time)


def _listing_faults(request: messages.ListRelationshipsRequest) -> list[Violation]:
    chosen = request.filter
    faults = []
    if request.order_by not in _ORDERS:
        faults.append(Violation("order_by", "must be one of the orders that are there"))
    if request.order_by == messages.RELATIONSHIP_ORDER_NEXT_CROSSING_ASCENDING and not chosen.HasField("standing"):
        faults.append(Violation("filter.standing", "must be there, if empty: the order is by it"))
    if not chosen.HasField("units"):
        faults += [
            Violation("filter.units", f"must say whose giving of what {name} means")
            for name, given in (
                ("filter.units_min", chosen.units_min),
                ("filter.units_max", chosen.units_max),
                ("order_by", request.order_by == messages.RELATIONSHIP_ORDER_UNITS_DESCENDING),
            )
            if given
        ]
    return faults


def _balances(request: messages.ListRelationshipsRequest) -> Balances | None:
    """Return whose balances are asked for and their bounds; None where neither filter nor order are about balances."""
    chosen = request.filter.balance
    if not request.filter.HasField("balance") and _ORDERS[request.order_by] not in BY_BALANCE:
        return None

    def bound(name: str) -> int | None:
        return getattr(chosen, name) if chosen.HasField(name) else None  # type: ignore[arg-type]  # Names of fields.

    return Balances(
        perspective=chosen.perspective or PARTY_CUSTOMER,
        index_min=bound("index_ppm_min"),
        index_max=bound("index_ppm_max"),
        confidence_min=bound("confidence_ppm_min"),
        net_min=bound("net_nanos_min"),
        net_max=bound("net_nanos_max"),
    )


def _tell_interactions(told: shapes.InteractionTotals, state: InteractionState) -> None:
    told.SetInParent()  # Also where there are none.
    totals = state.totals()
    if not totals.count:
        return
    told.count = totals.count
    told.inbound = totals.inbound
    told.outbound = totals.outbound
    told.observed = totals.observed
    told.attention_seconds = totals.attention_seconds
    for kind, count in totals.by_kind:
        told.by_kind.add(kind=kind, count=count)
    for channel, count in totals.by_channel:
        told.by_channel.add(channel=channel, count=count)
    _set_time(told.last_inbound_time, totals.last_inbound_time)
    _set_time(told.last_outbound_time, totals.last_outbound_time)


def _tell_exchanges(told: shapes.Relationship, state: ExchangeState, at: int) -> None:
    exchanges = told.exchanges
    exchanges.count = state.count
    exchanges.reversed = state.reversed
    exchanges.one_sided = state.one_sided
    exchanges.pending = state.pending(at)
    add = told.quantities.add
    for giver, category, asset, posted, taken_back, pended, hold_posted, hold_voided, hold_expired in state.quantities(
        at
    ):
        quantity = add(giver=giver, category=category, asset=asset, posted=posted, reversed=taken_back)
        if pended:
            quantity.pended = pended
            quantity.hold_posted = hold_posted
            quantity.hold_voided = hold_voided
            quantity.hold_expired = hold_expired


def _tell_status(told: CellStatus, cell: Cell, verdict: CellVerdict) -> None:
    about = told.cell
    about.SetInParent()  # Also where it is all open.
    about.purpose = cell.purpose
    about.channel = cell.channel  # type: ignore[assignment]  # A number of the enum, kept as an int in the domain.
    about.contact_point_id = cell.contact_point_id
    about.brand = cell.brand
    told.status = verdict.status  # type: ignore[assignment]  # The same.
    told.legal_basis = verdict.legal_basis  # type: ignore[assignment]  # The same.
    told.evidence_positions.extend(verdict.evidence)
    _set_time(told.since_time, verdict.since)
    _set_time(told.until_time, None if verdict.until is None else min(verdict.until, END_OF_TIME - MICROSECONDS))


def _set_time(field: Timestamp, time: int | None) -> None:
    if time is not None:
        field.seconds, micros = divmod(time, MICROSECONDS)
        field.nanos = micros * 1000
        field.SetInParent()  # Also where it is the first instant of 1970.


def _time(chosen: messages.RelationshipFilter, name: str) -> int | None:
    return microseconds(getattr(chosen, name)) if chosen.HasField(name) else None  # type: ignore[arg-type]
