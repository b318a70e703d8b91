"""A relationship: the fold of one stream, composed of the folds of its subjects."""

from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, Protocol, TypeVar

from ledger.domain import (
    assessment,
    attribute,
    common_ground,
    consent,
    contact,
    conversation,
    ending,
    exchange_state,
    guardian,
    identity,
    notice,
    objection,
    obstacle,
    point_of_contact,
    preference,
    profile,
    promise,
    recipient_grant,
    relationship_type,
    suppression,
    value_definition,
    vector,
)
from ledger.domain.conversation_shapes import KNOWN, NOTHING, Shape, shape_of
from ledger.domain.exchange_state import EXCHANGE_POSTED, EXCHANGE_RECORDED
from ledger.domain.fact import Fact
from ledger.domain.interaction import CORRECTED, RECORDED, RETRACTED, InteractionState
from ledger.domain.times import END_OF_TIME, START_OF_TIME
from rapport.events.v1.exchange_pb2 import ExchangePosted, ExchangeRecorded
from rapport.events.v1.interaction_pb2 import InteractionRecorded
from rapport.events.v1.privacy_pb2 import KeyCreated

KEY_CREATED: Final = "privacy.key_created.v1"
ERASURE_STARTED: Final = "privacy.erasure_started.v1"


class _Foldable(Protocol):
    def evolve(self, fact: Fact) -> None: ...


_P = TypeVar("_P", bound=_Foldable)


class _Part(Generic[_P]):
    """Fold of one subject, made when first asked for: most relationships have no use for most of them.

    From then on it is an attribute of the state itself, and nobody comes here for it.
    """

    def __init__(self, make: Callable[[int], _P]) -> None:
        self._make = make
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, state: "RelationshipState", owner: type | None = None) -> _P:
        part = state.parts[self._name] = self._make(state.until)
        return part


class RelationshipState:
    """Fold of one relationship's stream, now or as of an occur time.

    `version`, `last_position`, `last_record_time` and `key_check` tell of every event folded, all else of what occurred
    at or before `until`.
    """

    __slots__ = (
        "__dict__", "conversing", "erased_position", "exchange_version", "interactions", "key_check", "known",
        "last_position", "last_record_time", "parts", "until", "version",
    )  # fmt: skip

    consents = _Part(consent.ConsentState)
    """Acts of consent."""
    exchanges = _Part(exchange_state.ExchangeState)
    """Exchanges."""
    conversation = _Part(conversation.Conversation)
    """What was said, for decisions about contacts; empty unless `conversing`."""
    notices = _Part(notice.NoticeState)
    """Notices served."""
    objections = _Part(objection.ObjectionState)
    """Objections."""
    guardians = _Part(guardian.GuardianState)
    """Guardians."""
    recipient_grants = _Part(recipient_grant.RecipientGrantState)
    """Grants to recipients, and disclosures."""
    suppressions = _Part(suppression.SuppressionState)
    """Suppressions."""
    preferences = _Part(preference.PreferenceState)
    """Preferences."""
    profile = _Part(profile.ProfileState)
    """Profile and contact points."""
    identity = _Part(identity.IdentityState)
    """Links to other customer ids."""
    promises = _Part(promise.PromiseState)
    """Promises."""
    attributes = _Part(attribute.AttributeState)
    """Attributes."""
    contacts = _Part(contact.ContactState)
    """Contact decisions."""
    common_ground = _Part(common_ground.CommonGroundState)
    """What both sides share."""
    wishes = _Part(relationship_type.WishState)
    """Wished and assessed types of the relationship."""
    assessments = _Part(assessment.AssessmentState)
    """Answers of surveys, and judgements."""
    vectors = _Part(vector.VectorStates)
    """What the customer wants to achieve."""
    obstacles = _Part(obstacle.ObstacleState)
    """What stands in the customer's way."""
    value_questions = _Part(value_definition.ValueQuestionState)
    """What is of value to the customer, and whether they were asked."""
    points_of_contact = _Part(point_of_contact.PointOfContactState)
    """Who takes part; whom interactions name only where it is `conversing`."""
    shape_wanted = _Part(point_of_contact.ContactShapeState)
    """The shape of contacts that the organization wants."""
    ending = _Part(ending.EndingState)
    """Declared ends."""

    def __init__(self, until: int = END_OF_TIME, *, conversing: bool = True) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds.

        `conversing`: keep what was said one by one, as decisions about contacts need it and projections do not.
        """
        self.until = until
        self.conversing = conversing
        self.parts: dict[str, Any] = self.__dict__
        """Folds of the subjects that were asked for, by name; each is an attribute, too."""
        self.interactions = InteractionState(until)
        self.version = 0
        """Version of the stream; 0 before its first event."""
        self.last_position = 0
        """Log position of the last event folded."""
        self.last_record_time = START_OF_TIME
        """Record time of the last event folded, in microseconds. No occur time is later."""
        self.exchange_version = 0
        """Version of the last event folded that belongs to the exchanges; 0: there is none."""
        self.known = False
        """Whether anything but keys, contact decisions and a wanted shape is recorded: else nothing is known of the
        customer."""
        self.erased_position = 0
        """Position of the event from which on the customer's data is erased; 0: it is not."""
        self.key_check: bytes | None = None
        """Check of the data key of this relationship's personal fields; None before there is one."""

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. A topic that nobody here knows only moves the version."""
        topic = fact.topic
        if topic == RECORDED:  # Most facts; so few further calls stand in their way.
            self.record(fact)
            return
        self.version = fact.version
        self.last_position = fact.position
        self.last_record_time = fact.record_time
        fold = _FOLDS.get(topic)
        if fold is not None:
            fold(self, fact)
            return
        name = _PART_OF.get(topic)
        if name is not None:
            if name not in _OWN_BUSINESS and fact.occur_time <= self.until:
                self.known = True
            getattr(self, name).evolve(fact)

    def record(self, fact: Fact) -> Shape:
        """Fold an `interaction.recorded.v1`; return what it is, as far as this state is conversing and admits it."""
        position, self.version, self.last_record_time, time, _, message, metadata = fact
        self.last_position = position
        if time > self.until:
            self.interactions.pass_over(position, time)
            if self.conversing:
                self.conversation.pass_over(position, time)
            return NOTHING
        self.known = True
        event: InteractionRecorded = message  # type: ignore[assignment]  # The topic says so.
        kind, direction, channel = event.kind, event.direction, event.channel
        self.interactions.record(position, time, direction, kind, channel, event.attention_seconds)
        if not self.conversing:
            return NOTHING
        # Not by the attribute: it would cost as much as two fields.
        conversation = self.parts.get("conversation") or self.conversation
        fields = kind, direction, event.initiator, channel, event.message_class, metadata.historical_import
        shape = KNOWN.get(fields) or shape_of(fields)
        conversation.record(position, time, shape, event)
        if event.point_of_contact_id or event.customer_person_id:
            self.points_of_contact.evolve(fact)
        return shape

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
            return reversal.position if reversal is not None and reversal.occur_time <= self.until else 0
        return self.interactions.undone.get(fact.position, 0)


def _correct(state: RelationshipState, fact: Fact) -> None:
    state.interactions.correct(fact)
    _rewrite(state, fact)


def _retract(state: RelationshipState, fact: Fact) -> None:
    state.interactions.retract(fact)
    _rewrite(state, fact)


def _rewrite(state: RelationshipState, fact: Fact) -> None:
    if fact.occur_time <= state.until:
        state.known = True
    if state.conversing:
        state.conversation.evolve(fact)
        state.points_of_contact.evolve(fact)


def _fold_exchange(state: RelationshipState, fact: Fact) -> None:
    if fact.occur_time <= state.until:
        state.known = True
    state.exchange_version = fact.version
    state.exchanges.evolve(fact)


def _fold_key(state: RelationshipState, fact: Fact) -> None:
    event: KeyCreated = fact.event  # type: ignore[assignment]  # The topic says so.
    state.key_check = event.key_check


def _fold_erasure(state: RelationshipState, fact: Fact) -> None:
    if not state.erased_position and fact.occur_time <= state.until:
        state.erased_position = fact.position


_FOLDS: Final[dict[str, Callable[[RelationshipState, Fact], None]]] = {
    CORRECTED: _correct,
    RETRACTED: _retract,
    **dict.fromkeys(exchange_state.FOLDS, _fold_exchange),
    "exchange.observation_declared.v1": _fold_exchange,
    KEY_CREATED: _fold_key,
    ERASURE_STARTED: _fold_erasure,
}


def _parts() -> Iterator[tuple[str, str]]:
    """Yield each topic of a subject with the name of the part that folds it."""
    yield from ((topic, "consents") for topic in consent.TOPICS)
    yield from ((topic, "notices") for topic in notice.TOPICS)
    yield from ((topic, "objections") for topic in objection.TOPICS)
    yield from ((topic, "guardians") for topic in guardian.TOPICS)
    yield from ((topic, "recipient_grants") for topic in recipient_grant.TOPICS)
    yield from ((topic, "suppressions") for topic in suppression.TOPICS)
    yield from ((topic, "preferences") for topic in preference.TOPICS)
    yield from ((topic, "profile") for topic in profile.TOPICS)
    yield from ((topic, "identity") for topic in identity.TOPICS)
    yield from ((topic, "promises") for topic in promise.TOPICS)
    yield from ((topic, "attributes") for topic in attribute.TOPICS)
    yield from ((topic, "contacts") for topic in contact.TOPICS)
    yield from ((topic, "common_ground") for topic in common_ground.TOPICS)
    yield from ((topic, "wishes") for topic in relationship_type.TOPICS)
    yield from ((topic, "assessments") for topic in assessment.TOPICS)
    yield from ((topic, "vectors") for topic in vector.TOPICS)
    yield from ((topic, "obstacles") for topic in obstacle.TOPICS)
    yield from ((topic, "value_questions") for topic in value_definition.TOPICS)
    yield from ((topic, "points_of_contact") for topic in point_of_contact.TOPICS)
    yield from ((topic, "shape_wanted") for topic in point_of_contact.SHAPE_TOPICS)
    yield from ((topic, "ending") for topic in ending.TOPICS)


_PART_OF: Final[dict[str, str]] = dict(_parts())
"""Name of the part that folds a topic."""
_OWN_BUSINESS: Final = frozenset({"contacts", "shape_wanted"})
"""Parts that tell of the organization alone, and nothing of the customer."""
