"""The pass over a group: each request is decided on the states that the ones before it leave behind.

No I/O happens here, so the whole pass runs in one piece; that is most of what makes it fast (performance.md 4). What it
needs was loaded before (`loading.py`), what becomes of its events is settled after (`settling.py`).
"""

import os
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import Message

from ledger.domain.decider import Setting, Step
from ledger.domain.errors import Refused, Rejected
from ledger.domain.fact import Fact, NewFact
from ledger.domain.identifiers import uuid_bytes
from ledger.domain.times import MICROSECONDS
from ledger.log.entries import EventTooLarge, check_entry_size
from ledger.log.envelope import join_state
from ledger.log.fingerprints import fingerprint
from ledger.log.keys import KeyDestroyed, Keys, KeyUnreadable, key_check
from ledger.log.personal import split
from ledger.log.sealing import SEAL_RANDOM_BYTES, seal
from ledger.log.sealing import Place as SealPlace
from ledger.log.store import Append, Head, NewEvent
from ledger.requests import Place, StepReceipt, encode_notes
from ledger.states import Entry, States
from ledger.waiting import Waiting
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.metadata_pb2 import Cause, EventMetadata
from rapport.events.v1.privacy_pb2 import KeyCreated

KEY_CREATED: Final = "privacy.key_created.v1"

_SEALS_AT_ONCE = 64


class Deferred(Exception):
    """The request builds on a stream whose state was spoilt by a refused one; it is decided in the next group."""


class Written:
    """One event of the group, on its way: where it will stand, and what folding it takes."""

    __slots__ = ("event", "metadata", "occur_time", "offset", "topic", "version")

    def __init__(
        self, offset: int, version: int, occur_time: int, topic: str, event: Message, metadata: EventMetadata
    ) -> None:
        self.offset = offset
        """Place among the events of the group, from 0."""
        self.version = version
        self.occur_time = occur_time
        self.topic = topic
        self.event = event
        self.metadata = metadata

    def fact(self, position: int, record_time: int) -> Fact:
        """Return the event as folds see it."""
        return Fact(position, self.version, record_time, self.occur_time, self.topic, self.event, self.metadata)


class Touched:
    """A stream that the group reads or writes."""

    __slots__ = ("entry", "evolved", "pending", "spoilt", "stream_id", "version")

    def __init__(self, stream_id: str, entry: Entry) -> None:
        self.stream_id = stream_id
        self.entry = entry
        self.version = entry.version
        """Version that the stream will have after what the group has decided so far."""
        self.pending: list[Written] = []
        """Events of the group that the state does not hold yet."""
        self.evolved: list[Written] = []
        """Events of the group that the state holds already, at predicted positions."""
        self.spoilt = False
        """The state holds events that will never be stored: it is of no more use."""


@dataclass(slots=True)
class Decided:
    """A request with its append, ready for the store."""

    waiting: Waiting
    append: Append
    steps: tuple[StepReceipt, ...]
    """Receipts whose positions count from 0 at the group's first event."""
    offset: int
    """Of its first event among the events of the group."""


@dataclass(slots=True)
class Declined:
    """A request that a rule refused, with the versions of the streams that the refusal rests on."""

    waiting: Waiting
    refusal: Refused
    touched: tuple[Touched, ...]


@dataclass(slots=True)
class Pass:
    """One group being decided. Used once."""

    states: States
    head: Head
    now: int
    """The server's clock, read once for the group. Microseconds."""
    future_tolerance: int
    """Microseconds."""
    keys: Keys
    touched: dict[str, Touched] = field(default_factory=dict)
    decided: list[Decided] = field(default_factory=list)
    declined: list[Declined] = field(default_factory=list)
    deferred: list[Waiting] = field(default_factory=list)
    events: int = 0
    """Events of the requests decided so far."""
    _random: bytes = b""
    setting: Setting = field(init=False)
    """What decisions see that read no other stream."""

    def __post_init__(self) -> None:
        self.setting = Setting(self.now, {}, self.future_tolerance)

    @property
    def record_time(self) -> int:
        """The record time that the group's events will have, unless another process writes first."""
        return max(self.now, self.head.record_time)

    @property
    def verified(self) -> bool:
        """Whether every stream that a decision rests on without writing it was looked at since foreign events came."""
        era = self.states.era
        return all(
            self.touched[stream_id].entry.era == era for each in self.decided for stream_id, _ in each.append.read_set
        )

    def decide(self, waiting: Waiting) -> None:
        """Decide one request: append it to `decided`, `declined` or `deferred`."""
        attempt = _Attempt(self, waiting)
        try:
            waiting.fingerprint = self._fingerprint(waiting)
            decided = attempt.run()
        except Refused as refusal:
            attempt.undo()
            self.declined.append(Declined(waiting, refusal, tuple(attempt.marks)))
        except Deferred:
            attempt.undo()
            self.deferred.append(waiting)
        except Exception as error:  # noqa: BLE001  # A defect that one request meets must not fail its whole group.
            attempt.undo()
            waiting.fail(error)
        else:
            self.decided.append(decided)
            self.events += len(decided.append.events)

    def randomness(self) -> bytes:
        """Return fresh random bytes for one sealed part; the operating system is asked for many at once."""
        if len(self._random) < SEAL_RANDOM_BYTES:
            self._random = os.urandom(SEAL_RANDOM_BYTES * _SEALS_AT_ONCE)
        taken, self._random = self._random[:SEAL_RANDOM_BYTES], self._random[SEAL_RANDOM_BYTES:]
        return taken

    def touch(self, stream_id: str) -> Touched:
        """Return the stream as the group sees it.

        Raises:
            Deferred: its state was spoilt in this group, or it is not at hand after all.
        """
        touched = self.touched.get(stream_id)
        if touched is None:
            entry = self.states.get(stream_id)
            if entry is None:
                raise Deferred(stream_id)
            touched = self.touched[stream_id] = Touched(stream_id, entry)
        if touched.spoilt:
            raise Deferred(stream_id)
        return touched

    def state(self, touched: Touched) -> Any:
        """Return the stream's state with everything that the group has decided so far, at predicted positions."""
        if touched.pending:
            first, record_time, entry = self.head.position + 1, self.record_time, touched.entry
            for written in touched.pending:
                entry.state.evolve(written.fact(first + written.offset, record_time))
            touched.evolved += touched.pending
            touched.pending.clear()
        return touched.entry.state

    def _fingerprint(self, waiting: Waiting) -> bytes:
        """Return the fingerprint of a request, once; empty while it cannot be known.

        Raises:
            Rejected: SUBJECT_ERASED, when there is personal content and the key of its subject was destroyed.
        """
        if not waiting.personal:
            return fingerprint(waiting.request.method, waiting.request.message, personal=False)
        streams = dict.fromkeys(step.stream_id for step in waiting.steps)
        try:
            data_keys = [self.keys.require(stream_id) for stream_id in streams]
        except KeyDestroyed as destroyed:
            organization_id, _, customer_id = destroyed.key_id.partition("/")
            raise Rejected(
                reasons.ERROR_REASON_SUBJECT_ERASED,
                "the customer's data was erased; record without personal content or under a new customer id",
                organization_id=organization_id,
                customer_id=customer_id,
            ) from None
        return fingerprint(waiting.request.method, waiting.request.message, data_keys, personal=True)


class _Attempt:
    """The decision of one request, until it is known whether it stands."""

    def __init__(self, group: Pass, waiting: Waiting) -> None:
        self.group = group
        self.waiting = waiting
        self.marks: dict[Touched, int] = {}
        """Version of each stream touched, before this request."""
        self._events: list[NewEvent] = []
        self._reads: set[str] = set()
        self._placed = False
        """What was decided may name positions of this group's events, which are only predicted."""

    def run(self) -> Decided:
        """Decide every step in order; return what to append.

        Raises:
            Refused: a rule says no to one of them, so to all.
            Deferred: a stream cannot be decided on in this group.
        """
        receipts = tuple(self._decide(index, step) for index, step in enumerate(self.waiting.steps))
        waiting = self.waiting
        append = Append(
            tuple(self._events),
            waiting.key,
            waiting.fingerprint,
            encode_notes(receipts),
            self._read_set(),
            self.group.head.position + 1 + self.group.events if self._placed else 0,
        )
        return Decided(waiting, append, receipts, self.group.events)

    def undo(self) -> None:
        """Take back what this request did to the group."""
        for touched, version in self.marks.items():
            own = touched.version - version
            touched.version = version
            if own == 0 or touched.entry.state is None:
                continue
            if len(touched.pending) >= own:
                del touched.pending[-own:]
            else:
                # The state holds events of this request already, and nobody can take them out again.
                touched.spoilt = True

    def _decide(self, index: int, step: Step) -> StepReceipt:
        touched = self._touch(step.stream_id)
        state = self.group.state(touched) if step.needs_state or self.waiting.personal else None
        try:
            setting = self._setting_of(step) if step.reads else self.group.setting
            if getattr(step, "names_positions", False):
                self._placed = self._placed or any(each.evolved for each in self.marks)
            facts, note = step.decide(state, setting)
            return StepReceipt(tuple([self._record(touched, state, fact) for fact in facts]), note)
        except Rejected as refusal:
            if len(self.waiting.steps) == 1:
                raise
            raise refusal.at_step(index) from None

    def _setting_of(self, step: Step) -> Setting:
        others = {}
        for stream_id in step.reads:
            others[stream_id] = self.group.state(self._touch(stream_id))
            self._reads.add(stream_id)
        return Setting(self.group.now, others, self.group.future_tolerance)

    def _touch(self, stream_id: str) -> Touched:
        touched = self.group.touch(stream_id)
        if touched not in self.marks:
            self.marks[touched] = touched.version
        return touched

    def _read_set(self) -> tuple[tuple[str, int], ...]:
        """Return the streams that the decision rests on and does not write, with the versions it saw."""
        if len(self.marks) == 1 and self._events:
            return ()
        written = {event.stream_id for event in self._events}
        return tuple((touched.stream_id, touched.version) for touched in self.marks if touched.stream_id not in written)

    def _record(self, touched: Touched, state: Any, fact: NewFact) -> Place:
        """Put one fact, and the key of its personal fields where that is new, at the end of the group's events."""
        opened, personal = split(fact.event)
        if personal and not self._tells_of_key(touched, state):
            created = KeyCreated(key_check=key_check(self.group.keys.require(touched.stream_id)))
            self._write(touched, NewFact(topic=KEY_CREATED, event=created, occur_time=self.group.now))
        return self._write(touched, fact, opened, personal)

    def _tells_of_key(self, touched: Touched, state: Any) -> bool:
        """Tell whether the stream has recorded that it has a key.

        Raises:
            KeyUnreadable: it has recorded another one than the key store holds. Sealing under that would part the
                person's data over two keys, of which erasure would destroy one.
        """
        if state.key_check is None:
            return any(written.topic == KEY_CREATED for written in touched.pending)
        if state.key_check != key_check(self.group.keys.require(touched.stream_id)):
            raise KeyUnreadable(touched.stream_id, "the key store holds another key than the stream tells of")
        return True

    def _write(self, touched: Touched, fact: NewFact, opened: Message | None = None, personal: bytes = b"") -> Place:
        event = fact.event if opened is None else opened
        version = touched.version + 1
        metadata = metadata_of(fact, self.waiting.key.request_id)
        stored_metadata, stored_event = metadata.SerializeToString(), event.SerializeToString()
        sealed = b""
        if personal:
            place = SealPlace(touched.stream_id, version, fact.topic, stored_metadata, stored_event)
            data_key = self.group.keys.require(touched.stream_id)
            sealed = seal(data_key, touched.stream_id, place, personal, self.group.randomness())
        state = join_state(stored_metadata, stored_event, sealed)
        _check_size(touched.stream_id, fact.topic, state)
        offset = self.group.events + len(self._events)
        self._events.append(NewEvent(touched.stream_id, version, fact.topic, state))
        touched.version = version
        if touched.entry.state is not None:
            touched.pending.append(Written(offset, version, fact.occur_time, fact.topic, event, metadata))
        return Place(offset, version)


def metadata_of(fact: NewFact, request_id: bytes) -> EventMetadata:
    """Return the envelope of a new event (settled.md 2: UUIDs as 16 bytes, times in whole microseconds)."""
    seconds, micros = divmod(fact.occur_time, MICROSECONDS)
    metadata = EventMetadata(request_id=request_id)
    occur_time = metadata.occur_time
    occur_time.seconds = seconds
    occur_time.nanos = micros * 1000
    if fact.defaulted:
        metadata.occur_time_defaulted = True
    if fact.clamped:
        metadata.occur_time_clamped = True
    context = fact.context
    if context is not None:
        metadata.actor = context.actor
        metadata.on_behalf_of = context.on_behalf_of
        metadata.external_id = context.external_id
        metadata.correlation_id = uuid_bytes(context.correlation_id) if context.correlation_id else b""
        metadata.causes.extend(Cause(position=position) for position in context.caused_by)
        metadata.historical_import = context.historical_import
    return metadata


def _check_size(stream_id: str, topic: str, state: bytes) -> None:
    try:
        check_entry_size(stream_id, topic, state)
    except EventTooLarge as error:
        raise Rejected(
            reasons.ERROR_REASON_EVENT_TOO_LARGE,
            "the event is too large; divide it, or keep attachments elsewhere and record their place and SHA-256",
            size=error.size_bytes,
            limit=65_535,
        ) from None
