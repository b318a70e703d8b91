"""Requests of AuditService to what the log is asked, and back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf.duration_pb2 import Duration

from ledger.domain.errors import Rejected, Violation
from ledger.domain.identifiers import relationship_stream
from ledger.domain.times import microseconds
from ledger.ledger import Ledger
from ledger.log.scanning import Selection
from ledger.log.store import EventRow
from ledger.log.topics import MESSAGE_BY_TOPIC
from rapport.audit.v1 import audit_service_pb2 as messages
from rapport.audit.v1 import recorded_event_pb2 as recorded
from rapport.errors.v1 import error_reason_pb2 as reasons
from services.audit.views import EntryView, OpenView, PersonalView, View
from services.runtime.logs import get_log
from services.runtime.settings import Settings
from services.runtime.validation import check

HEARTBEAT_DEFAULT_S: Final = 5.0

AnyStart = messages.ReadEventsRequest | messages.SubscribeRequest
AnyView = messages.ReadEventsRequest | messages.SubscribeRequest | messages.GetEventRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """What a replay reads; fixed when the call begins."""

    after: int
    to: int
    """At most the head, at least `after`."""
    selection: Selection
    events_max: int
    """0: no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPlan:
    """What a subscription follows."""

    after: int
    selection: Selection
    heartbeat_s: float


async def replay_plan(ledger: Ledger, request: messages.ReadEventsRequest) -> ReplayPlan:
    """Return what a request to replay asks for.

    Raises:
        Invalid: fields break their rules.
        Rejected: POSITION_BEYOND_HEAD.
    """
    check_events_request(request)
    head = await ledger.follower.reads(ledger.store.head)
    after = await _start(ledger, request, head.position)
    to = min(request.to_position, head.position) if request.HasField("to_position") else head.position
    return ReplayPlan(
        after=after, to=max(to, after), selection=selection(request.filter), events_max=request.max_events
    )


async def subscription_plan(ledger: Ledger, request: messages.SubscribeRequest) -> SubscriptionPlan:
    """Return what a request to subscribe asks for.

    Raises:
        Invalid: fields break their rules.
        Rejected: POSITION_BEYOND_HEAD.
    """
    check_events_request(request)
    head = await ledger.follower.reads(ledger.store.head)
    after = head.position if request.from_head else await _start(ledger, request, head.position)
    heartbeat_s = _seconds(request.heartbeat) if request.HasField("heartbeat") else HEARTBEAT_DEFAULT_S
    return SubscriptionPlan(after=after, selection=selection(request.filter), heartbeat_s=heartbeat_s)


def check_events_request(request: AnyStart) -> None:
    """Let pass what keeps its rules.

    Raises:
        Invalid: with every violation.
    """
    violations = _purpose_violations(request)
    if request.filter.customer_ids and not request.filter.organization_id:
        violations += (
            Violation("filter.organization_id", "must be given with customer_ids: ids are those of an organization"),
        )
    check(request, *violations)


def check_event_request(request: messages.GetEventRequest) -> None:
    """Let pass what keeps its rules.

    Raises:
        Invalid: with every violation.
    """
    check(request, *_purpose_violations(request))


def view_of(ledger: Ledger, settings: Settings, request: AnyView) -> View:
    """Return how a checked request wants to see events; who opens personal parts, and why, goes into the log.

    Raises:
        Rejected: PERSONAL_VIEW_DISABLED.
    """
    if request.view == recorded.EVENT_VIEW_ENTRY:
        return EntryView()
    if request.view != recorded.EVENT_VIEW_PERSONAL:
        return OpenView()
    if not settings.personal_view:
        raise Rejected(
            reasons.ERROR_REASON_PERSONAL_VIEW_DISABLED,
            "this service does not open personal fields; read the open view",
        )
    # Before the first byte leaves: what is not written down is not shown (I28).
    get_log().info("personal.viewed", request=type(request).__name__, purpose=request.purpose)
    return PersonalView(ledger.keys, ledger.follower.reads)


def selection(chosen: messages.EventFilter) -> Selection:
    """Return the selection that a filter means."""
    organization_id = chosen.organization_id
    return Selection(
        organization_id=organization_id,
        streams=frozenset(relationship_stream(organization_id, customer) for customer in chosen.customer_ids),
        topics=topics(chosen.topics) if chosen.topics else None,
        external_id=chosen.external_id,
    )


def topics(patterns: Iterable[str]) -> frozenset[str]:
    """Return the topics that patterns mean: an exact one itself, a prefix with a star all registered ones below it."""
    found: set[str] = set()
    for pattern in patterns:
        if pattern.endswith(".*"):
            found.update(topic for topic in MESSAGE_BY_TOPIC if topic.startswith(pattern[:-1]))
        else:
            found.add(pattern)
    return frozenset(found)


async def find_event(ledger: Ledger, request: messages.GetEventRequest) -> EventRow:
    """Return the row that a checked request names.

    Raises:
        Rejected: EVENT_UNKNOWN.
    """
    reads = ledger.follower.reads
    if request.WhichOneof("event") == "position":
        head = await reads(ledger.store.head)
        row = await reads(ledger.store.get, request.position) if 0 < request.position <= head.position else None
        if row is None:
            raise Rejected(reasons.ERROR_REASON_EVENT_UNKNOWN, "no such position", position=request.position)
        return row
    stream_id, version = request.stream_version.stream_id, request.stream_version.version
    last = (await reads(ledger.store.versions, (stream_id,)))[stream_id]
    if not 0 < version <= last:
        raise Rejected(
            reasons.ERROR_REASON_EVENT_UNKNOWN, "no such stream and version", stream_id=stream_id, version=version
        )
    (row,) = await reads(ledger.store.read_stream, stream_id, version - 1, 1)
    return row


async def _start(ledger: Ledger, request: AnyStart, head: int) -> int:
    """Return the position after which a request begins."""
    if request.WhichOneof("start") == "from_record_time":
        # Inclusive, so it begins after everything that was recorded before that microsecond.
        before = microseconds(request.from_record_time) - 1
        return min(await ledger.follower.reads(ledger.store.position_at, before), head)
    if request.after_position > head:
        raise Rejected(
            reasons.ERROR_REASON_POSITION_BEYOND_HEAD,
            "after_position lies beyond the head: the log went backwards, or the position is of another log",
            position=request.after_position,
            head=head,
            log_id=ledger.log_id,
        )
    return request.after_position


def _purpose_violations(request: AnyView) -> tuple[Violation, ...]:
    if request.view == recorded.EVENT_VIEW_PERSONAL and not request.purpose.strip():
        return (Violation("purpose", "must say why, when personal parts are opened"),)
    return ()


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1_000_000_000
