"""What was said between the two, as far as measures count it and decisions about contacts do not.

Beside the conversation of a relationship, which knows contacts, solicitations and their outcomes, this knows who spoke
and who answered, what a solicitation cost, how contributions and messages were judged, and who on either side took
part. Corrections and retractions are applied as there: under the position of the original, whichever form of it counts
(settled.md 8 and 47). Of most interactions the conversation knows all that there is; nothing is kept of those here.
"""

from bisect import bisect_left, insort
from typing import ClassVar, Final, NamedTuple, Protocol, TypeVar

from ledger.domain.consent_state import CONSENT_WITHDRAWN
from ledger.domain.conversation_shapes import Shape
from ledger.domain.fact import Fact
from ledger.domain.made_late import MadeLate
from ledger.domain.moments import Moments
from ledger.domain.objection import OBJECTION_RAISED
from ledger.domain.relationship import RelationshipState
from ledger.measure.speech import Speech
from ledger.measure.talk_shapes import (
    ACCEPTED,
    ASKS,
    BOUNCED,
    JUDGES,
    MAY_BE_INCITED,
    MAY_BOUNCE,
    OUT,
    RATED,
    SPEAKS,
    WAYS,
    way_of,
)
from rapport.events.v1.interaction_pb2 import InteractionRecorded

TOPICS: Final = (CONSENT_WITHDRAWN, OBJECTION_RAISED)
"""What is folded here beside interactions."""


class Sent(NamedTuple):
    """What a contact that is not TRANSACTIONAL says beside what the conversation keeps of it."""

    tactic: int
    programme: str
    seconds: int
    """Of attention, as the event says; 0: it does not."""
    asset: str
    """Of the cost; empty: no cost is on record."""
    units: int


class Judged(NamedTuple):
    """A judgement of a message or a contribution. In the order of their times."""

    time: int
    """Microseconds."""
    position: int
    favourable: bool
    """Relevant, or accepted."""


class Said(NamedTuple):
    """What an interaction counts for beyond its time and shape. Positions are those of originals."""

    time: int
    """Microseconds."""
    asks: bool
    """It needs a reply."""
    person: str
    """On the customer's side; empty: the customer."""
    function: int
    """An `OurFunction`; 0: not said."""
    ours: str
    """On our side; empty: not said."""
    reply_to: int
    """What it answers; 0: nothing."""
    about: int
    """What it judges, or says to have bounced; 0: nothing."""
    kind: int
    """Of a judgement; else 0."""
    favourable: bool | None
    """What a judgement says; None: nothing."""


class Watcher(Protocol):
    """Whoever keeps what follows from opt-outs and ratings."""

    def opted_out(self, time: int, position: int) -> None:
        """Take note of a withdrawal or an objection, by its time in microseconds and its position."""

    def rated(self, position: int) -> None:
        """Take note that ratings of a message changed."""


_K = TypeVar("_K")
_NOBODY: Final = ("", 0, "")
"""Person on the customer's side, our function, person on our side."""
_NOTHING: Final = (0, 0, None)
"""What an interaction says of others that is no judgement."""
_PLAIN: Final = Sent(0, "", 0, "", 0)
"""What most contacts say."""

Edge = tuple[str, int]
"""Person on the customer's side and our function."""


class Talk(MadeLate):
    """Fold of one relationship."""

    __slots__ = (
        "_bounces", "_said", "_speech", "_state", "answers", "decided", "edges", "incited", "named", "opt_outs", "ours",
        "ratings", "requests", "sent", "verdicts", "watchers",
    )  # fmt: skip

    LATE: ClassVar = {
        **dict.fromkeys(("decided", "named", "opt_outs", "requests"), Moments),
        **dict.fromkeys(("answers", "edges", "ours", "ratings", "verdicts"), dict),
        "incited": set,
        "watchers": list,
    }

    requests: Moments
    """What needs a reply."""
    answers: dict[int, list[tuple[int, int]]]
    """Times and positions of the answers to something, in order; those that bounced are none."""
    ratings: dict[int, list[Judged]]
    """By message."""
    verdicts: dict[int, list[Judged]]
    """Acceptances and rejections, by contribution; one that names none stands for itself."""
    decided: Moments
    """The same."""
    incited: set[int]
    """Acts of the customer that were given for an incentive, as was said; purchases are not among them."""
    opt_outs: Moments
    """Withdrawals and objections."""
    edges: dict[Edge, Moments]
    """Interactions that name a person or a function, by both."""
    named: Moments
    """Interactions that name a function."""
    ours: dict[str, Moments]
    """Interactions that name a person on our side, by person."""
    watchers: list[Watcher]
    """Told of what they keep. Few; whoever adds one takes old ones away."""

    def __init__(self, state: RelationshipState) -> None:
        """Start empty. `state`: has folded each fact before it comes here."""
        self._state = state
        self._said: dict[int, Said] = {}
        """What is known of an interaction here alone, by position."""
        self._bounces: dict[int, list[int]] = {}
        """Positions of the bounces of something."""
        self._speech: Speech | None = None
        """Made from the conversation when first asked for, and kept in order since."""
        self.sent: dict[int, Sent] = {}
        """Contacts that are not TRANSACTIONAL, bounced ones too, by position."""

    @property
    def inbound(self) -> Moments:
        """Addressed communications to us, mutual ones among them."""
        return self._heard().inbound

    @property
    def outbound(self) -> Moments:
        """Addressed communications to the customer that did not bounce, mutual ones among them."""
        return self._heard().outbound

    @property
    def mutual(self) -> Moments:
        """Those that are among both."""
        return self._heard().mutual

    @property
    def together(self) -> Moments:
        """Those in which both take part at the same time: a call, a meeting, a chat, or face to face; each once."""
        return self._heard().together

    @property
    def spoken(self) -> dict[int, Moments]:
        """Addressed communications that the customer began, by kind."""
        return self._heard().spoken

    def said(self, position: int) -> Said | None:
        """Return what an original counts for beyond its time and shape, or None."""
        return self._said.get(position)

    def replied_within(self, request: int, time: int, within: int) -> int:
        """Return the position of the first answer to a request of a time, in [time, time + within); 0: there is none.

        Microseconds; an answer at the end is too late (settled.md 43).
        """
        answers = self.answers.get(request)
        if answers is None:
            return 0
        place = bisect_left(answers, (time, 0))
        return answers[place][1] if place < len(answers) and answers[place][0] < time + within else 0

    def evolve(self, fact: Fact) -> None:
        """Fold one fact of `TOPICS`, in position order."""
        if fact.occur_time <= self._state.until:
            self.opt_outs.add(fact.occur_time, fact.position)
            for watcher in self.watchers:
                watcher.opted_out(fact.occur_time, fact.position)

    def record(self, position: int, time: int, shape: Shape, event: InteractionRecorded, told: int) -> None:
        """Let an interaction count that occurred by `until`, as an event says that has the position `told`."""
        # Most facts pass here; of each way only what it can mean is read.
        way = WAYS.get(shape.number)
        if way is None:
            way = way_of(shape)
        people = event.customer_person_id, event.our_function, event.point_of_contact_id
        asks = event.needs_reply if way & ASKS else False
        reply_to = event.in_reply_to if way & OUT else 0
        special = asks or reply_to or way & JUDGES or people != _NOBODY
        if special:
            judged = (self._original(event.refers_to, told), shape.kind, _verdict(event)) if way & JUDGES else _NOTHING
            self._said[position] = Said(time, asks, *people, self._original(reply_to, told), *judged)
        if shape.solicits:
            self.sent[position] = _sent(event)
        if way & MAY_BE_INCITED and event.incentivised:
            self.incited.add(position)
        if (special or self._speech is not None) and not (way & MAY_BOUNCE and position in self._bounces):
            self._count(position, time, shape.kind, way)

    def leave(self, position: int) -> None:
        """Let nothing count for an original, of which the conversation still knows what counted so far."""
        if not self._has_bounced(position):
            self._discount(position)
        self._said.pop(position, None)
        self.sent.pop(position, None)
        self.incited.discard(position)

    def _heard(self) -> Speech:
        """Return who spoke when."""
        speech = self._speech
        if speech is None:
            speech = self._speech = Speech()
            for time, position, shape in self._state.conversation.told():
                way = way_of(shape)
                if way & SPEAKS and not (way & MAY_BOUNCE and position in self._bounces):
                    speech.add(time, position, shape.kind, way)
        return speech

    def _has_bounced(self, position: int) -> bool:
        row = self._state.conversation.row_of(position) if position in self._bounces else None
        return row is not None and bool(way_of(row.shape) & MAY_BOUNCE)

    def _count(self, position: int, time: int, kind: int, way: int) -> None:
        if way & SPEAKS and self._speech is not None:
            self._speech.add(time, position, kind, way)
        said = self._said.get(position)
        if said is None:
            return
        _, asks, person, function, ours, reply_to, _, judges, _ = said
        if reply_to:
            insort(self.answers.setdefault(reply_to, []), (time, position))
        if asks:
            self.requests.add(time, position)
        if function or person:
            _at(self.edges, (person, function)).add(time, position)
            if function:
                self.named.add(time, position)
        if ours:
            _at(self.ours, ours).add(time, position)
        if judges:
            self._judge(position, said)

    def _discount(self, position: int) -> None:
        """Undo `_count`."""
        row = self._state.conversation.row_of(position)
        if row is not None and self._speech is not None:
            self._speech.remove(row.time, position, row.shape.kind, way_of(row.shape))
        said = self._said.get(position)
        if said is None:
            return
        time, asks, person, function, ours, reply_to, _, judges, _ = said
        if reply_to:
            self.answers[reply_to].remove((time, position))
        if asks:
            self.requests.remove(time, position)
        if function or person:
            self.edges[person, function].remove(time, position)
            if function:
                self.named.remove(time, position)
        if ours:
            self.ours[ours].remove(time, position)
        if judges:
            self._unjudge(position, said)

    def _judge(self, position: int, said: Said) -> None:
        """Let what an interaction says of another count."""
        if said.kind == BOUNCED:
            bounces = self._bounces.setdefault(said.about, [])
            bounces.append(position)
            if len(bounces) == 1 and self._has_bounced(said.about):
                self._discount(said.about)
            return
        if said.favourable is None:
            return
        judged = Judged(said.time, position, said.favourable)
        if said.kind == RATED:
            insort(self.ratings.setdefault(said.about, []), judged)
            self._tell_rated(said.about)
        else:
            insort(self.verdicts.setdefault(said.about or position, []), judged)
            self.decided.add(said.time, position)

    def _unjudge(self, position: int, said: Said) -> None:
        """Undo `_judge`."""
        if said.kind == BOUNCED:
            bounces = self._bounces[said.about]
            bounces.remove(position)
            if not bounces:
                bounced = self._has_bounced(said.about)
                del self._bounces[said.about]
                row = self._state.conversation.row_of(said.about)
                if bounced and row is not None:
                    self._count(said.about, row.time, row.shape.kind, way_of(row.shape))
            return
        if said.favourable is None:
            return
        judged = Judged(said.time, position, said.favourable)
        if said.kind == RATED:
            self.ratings[said.about].remove(judged)
            self._tell_rated(said.about)
        else:
            self.verdicts[said.about or position].remove(judged)
            self.decided.remove(said.time, position)

    def _tell_rated(self, position: int) -> None:
        for watcher in self.watchers:
            watcher.rated(position)

    def _original(self, reference: int, told: int) -> int:
        """Return the original that a reference names; 0 where it names nothing that was there before."""
        return self._state.conversation.original(reference) if 0 < reference < told else 0


def _at(moments: dict[_K, Moments], key: _K) -> Moments:
    found = moments.get(key)
    if found is None:
        found = moments[key] = Moments()
    return found


def _sent(event: InteractionRecorded) -> Sent:
    tactic, programme, seconds = event.tactic, event.programme, event.attention_seconds
    if event.HasField("cost"):
        return Sent(tactic, programme, seconds, event.cost.asset, event.cost.units)
    return Sent(tactic, programme, seconds, "", 0) if tactic or programme or seconds else _PLAIN


def _verdict(event: InteractionRecorded) -> bool | None:
    """Return what a judgement says; a bounce, and a rating that does not say, say nothing."""
    if event.kind == RATED:
        return event.relevant if event.HasField("relevant") else None
    return None if event.kind == BOUNCED else event.kind == ACCEPTED
