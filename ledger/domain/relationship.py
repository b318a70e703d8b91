"""A relationship: the fold of one stream, composed of the folds of its subjects."""

from collections.abc import Callable
from typing import Final

from ledger.domain.consent import CONSENT_GIVEN, CONSENT_REFUSED, CONSENT_WITHDRAWN, ConsentState
from ledger.domain.exchange_state import EXCHANGE_POSTED, EXCHANGE_RECORDED, ExchangeState
from ledger.domain.exchange_state import FOLDS as EXCHANGE_FOLDS
from ledger.domain.fact import Fact
from ledger.domain.interaction import INTERACTION_FOLDS, InteractionState
from ledger.domain.times import END_OF_TIME
from rapport.events.v1.exchange_pb2 import ExchangePosted, ExchangeRecorded
from rapport.events.v1.privacy_pb2 import KeyCreated

KEY_CREATED: Final = "privacy.key_created.v1"


class RelationshipState:
    """Fold of one relationship's stream, now or as of an occur time.

    `version`, `last_position` and `key_check` tell of every event folded, all else of what occurred at or before
    `until`.
    """

    __slots__ = ("_consents", "_exchanges", "_until", "interactions", "key_check", "last_position", "version")

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self.interactions = InteractionState(until)
        # Made when first asked for: most relationships have no use for one of them, and a rebuild makes very many.
        self._consents: ConsentState | None = None
        self._exchanges: ExchangeState | None = None
        self.version = 0
        """Version of the stream; 0 before its first event."""
        self.last_position = 0
        """Log position of the last event folded."""
        self.key_check: bytes | None = None
        """Check of the data key of this relationship's personal fields; None before there is one."""

    @property
    def consents(self) -> ConsentState:
        """Fold of the acts of consent."""
        if self._consents is None:
            self._consents = ConsentState(self._until)
        return self._consents

    @property
    def exchanges(self) -> ExchangeState:
        """Fold of the exchanges."""
        if self._exchanges is None:
            self._exchanges = ExchangeState(self._until)
        return self._exchanges

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. A topic that nobody here knows only moves the version."""
        self.version = fact.version
        self.last_position = fact.position
        topic = fact.topic
        fold_interaction = INTERACTION_FOLDS.get(topic)
        if fold_interaction is not None:  # Most facts; so no further call stands in their way.
            fold_interaction(self.interactions, fact)
            return
        fold = _FOLDS.get(topic)
        if fold is not None:
            fold(self, fact)

    @property
    def first_occur_time(self) -> int | None:
        """Occur time, in microseconds, of the first fact that counts.

        Interactions not corrected or retracted away, corrections in their stead, acts of consent, and exchanges in
        force count, pending ones only once they are posted; retractions, reversals and keys are bookkeeping.
        """
        span = self.exchanges.span()
        times = (self.interactions.first_time, self.consents.first_time, span and span[0])
        return min((time for time in times if time is not None), default=None)

    @property
    def last_occur_time(self) -> int | None:
        """Occur time, in microseconds, of the last fact that counts."""
        span = self.exchanges.span()
        times = (self.interactions.last_time, self.consents.last_time, span and span[1])
        return max((time for time in times if time is not None), default=None)

    def undone_by(self, fact: Fact) -> int:
        """Return the position of the correction, retraction or reversal that leaves a fact out of this view, or 0."""
        if fact.topic in (EXCHANGE_RECORDED, EXCHANGE_POSTED):
            event: ExchangeRecorded | ExchangePosted = fact.event  # type: ignore[assignment]  # The topic says so.
            reversal = self.exchanges.reversal_of(event.exchange_id)
            return reversal.position if reversal is not None and reversal.occur_time <= self._until else 0
        return self.interactions.undone.get(fact.position, 0)


def _fold_consent(state: RelationshipState, fact: Fact) -> None:
    state.consents.evolve(fact)


def _fold_exchange(state: RelationshipState, fact: Fact) -> None:
    state.exchanges.evolve(fact)


def _fold_key(state: RelationshipState, fact: Fact) -> None:
    event: KeyCreated = fact.event  # type: ignore[assignment]  # The topic says so.
    state.key_check = event.key_check


_FOLDS: Final[dict[str, Callable[[RelationshipState, Fact], None]]] = {
    CONSENT_GIVEN: _fold_consent,
    CONSENT_REFUSED: _fold_consent,
    CONSENT_WITHDRAWN: _fold_consent,
    **dict.fromkeys(EXCHANGE_FOLDS, _fold_exchange),
    KEY_CREATED: _fold_key,
}
