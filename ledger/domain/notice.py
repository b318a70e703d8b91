"""Notices that a customer was shown: the proof that it was this text, and when (consent.md 1)."""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from ledger.domain.decider import Setting, new_fact, occurrence
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact
from ledger.domain.times import END_OF_TIME
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.consent_pb2 import NoticeReference, NoticeServed
from rapport.type.v1.event_context_pb2 import EventContext

NOTICE_SERVED: Final = "notice.served.v1"
TOPICS: Final = (NOTICE_SERVED,)
"""What this subject folds."""


class HasNotices(Protocol):
    """State of a relationship, as far as acts that name a notice read it."""

    @property
    def notices(self) -> "NoticeState":
        """Fold of the relationship's notices."""
        ...


@dataclass(frozen=True, slots=True)
class ServeNotice:
    """Record that the customer was shown a notice."""

    reads: ClassVar[tuple[str, ...]] = ()
    needs_state: ClassVar[bool] = False

    stream_id: str
    served: NoticeServed
    """With the SHA-256 of the text."""
    occur_time: int | None = None
    """Microseconds. None: now."""
    context: EventContext | None = None

    def decide(self, state: object, setting: Setting) -> Decision:  # noqa: ARG002  # Whatever was shown before.
        """Return the fact.

        Raises:
            Rejected: OCCUR_TIME_IN_FUTURE.
        """
        when = occurrence(self.occur_time, setting)
        return Decision((new_fact(NOTICE_SERVED, self.served, when, self.context),))


class NoticeState:
    """Fold of the notices of one relationship."""

    __slots__ = ("_served", "_until")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._served: dict[int, NoticeServed] = {}

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what was recorded is a fact."""
        if fact.occur_time <= self._until and isinstance(fact.event, NoticeServed):
            self._served[fact.position] = fact.event

    def find(self, position: int) -> NoticeServed | None:
        """Return the notice that was served at a position."""
        return self._served.get(position)


def refuse_unknown_notice(state: HasNotices, reference: NoticeReference) -> None:
    """Do nothing where a reference names no served notice, or one that says the same.

    Raises:
        Rejected: NOTICE_UNKNOWN, where it names a position at which this customer was not shown this text, or one that
            lists fewer purposes: what a consent covers is what was listed then (consent.md 4, rule 3).
    """
    if not reference.served_position:
        return
    served = state.notices.find(reference.served_position)
    if served is None or not _is_same_text(served.notice, reference):
        raise Rejected(
            reasons.ERROR_REASON_NOTICE_UNKNOWN,
            "no notice of this id, version and SHA-256, listing these purposes, was served to this customer at that "
            "position; record what was served, or name none",
            notice_id=reference.notice_id,
            position=reference.served_position,
        )


def _is_same_text(served: NoticeReference, named: NoticeReference) -> bool:
    mine, theirs = ((notice.notice_id, notice.version, notice.sha256) for notice in (served, named))
    return mine == theirs and set(served.purposes).issuperset(named.purposes)
