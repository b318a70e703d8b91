"""What was said between the two, as far as measures count it and decisions about contacts do not.

Beside the conversation of a relationship, which knows contacts, solicitations and their outcomes, this knows who spoke
and who answered, what a solicitation cost, how contributions and messages were judged, and who on either side took
part. Corrections and retractions are applied as there: under the position of the original, whichever form of it counts
(settled.md 8 and 47). What takes part in nothing of that, such as a view, leaves only its position behind.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol, TypeVar

from ledger.domain.consent_state import CONSENT_WITHDRAWN
from ledger.domain.conversation_shapes import ADDRESSED
from ledger.domain.fact import Fact
from ledger.domain.interaction import CORRECTED, RECORDED, RETRACTED
from ledger.domain.moments import Moments
from ledger.domain.objection import OBJECTION_RAISED
from ledger.domain.times import END_OF_TIME
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted

_IN: Final = 1
"""Addressed to us; MUTUAL too (settled.md 45)."""
_OUT: Final = 2
"""Addressed to the customer; MUTUAL too."""
_CONTACT: Final = 4
"""Addressed to the customer, and OUTBOUND."""
_ASKS: Final = 8
"""Says something to us, so that it may need a reply."""
_BEGINS: Final = 16
"""Addressed, and not OUTBOUND: the customer may have begun it."""
_JUDGES: Final = 32
"""Says something of another interaction that is counted here."""
_OUTBOUND: Final = 64
"""OUTBOUND, and no bounce itself: it may bounce."""
_TOGETHER: Final = 128
"""Addressed, and both take part at the same time (relationship.md 7)."""
_SPEAKS: Final = _IN | _OUT
_MAY_BE_INCITED: Final = 256
"""An act of the customer for which somebody may have been given something; of purchases others know."""
_COUNTS: Final = _SPEAKS | _BEGINS | _JUDGES

_BOUNCED: Final = i.INTERACTION_KIND_BOUNCED
_RATED: Final = i.INTERACTION_KIND_RELEVANCE_RATED
_ACCEPTED: Final = i.INTERACTION_KIND_CONTRIBUTION_ACCEPTED
_AT_ONCE: Final = frozenset({i.INTERACTION_KIND_CALL, i.INTERACTION_KIND_MEETING, i.INTERACTION_KIND_CHAT_SESSION})
_FACE_TO_FACE: Final = frozenset({i.CHANNEL_IN_PERSON, i.CHANNEL_VIDEO})
_JUDGEMENTS: Final = frozenset({_BOUNCED, _RATED, _ACCEPTED, i.INTERACTION_KIND_CONTRIBUTION_REJECTED})
_NEVER_INCITED: Final = frozenset({
    i.INTERACTION_KIND_PURCHASE, i.INTERACTION_KIND_VIEW, i.INTERACTION_KIND_CLICK, *_JUDGEMENTS,
})  # fmt: skip
"""Purchases, of which others know, and what is too weak to be asked about."""
_CUSTOMER: Final = i.INITIATOR_CUSTOMER
_TRANSACTIONAL: Final = i.MESSAGE_CLASS_TRANSACTIONAL


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
    """What an interaction counts for. Positions are those of originals."""

    time: int
    """Microseconds."""
    way: int
    """Sum of the flags above."""
    begun: int
    """Its kind, if it is an addressed communication that the customer began; else 0."""
    asks: bool
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
_People = tuple[str, int, str]
"""Person on the customer's side, our function, person on our side."""
_NOBODY: Final[_People] = ("", 0, "")
_new: Final = tuple.__new__

Edge = tuple[str, int]
"""Person on the customer's side and our function."""


class Talk:
    """Fold of one relationship."""

    __slots__ = (
        "_bounces", "_known", "_originals", "_retracted", "_said", "_until", "answers", "decided", "edges", "inbound",
        "incited", "mutual", "named", "opt_outs", "ours", "outbound", "ratings", "requests", "sent", "spoken",
        "together", "verdicts", "watchers",
    )  # fmt: skip

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._known = array("q")
        """Positions of all interactions, ascending: what may be corrected."""
        self._originals: dict[int, int] = {}
        """Originals by the positions of their corrections."""
        self._retracted: set[int] = set()
        self._said: dict[int, Said] = {}
        """What counts for something, by position."""
        self._bounces: dict[int, list[int]] = {}
        """Positions of the bounces of something."""
        self.inbound = Moments()
        """Addressed communications to us, mutual ones among them."""
        self.outbound = Moments()
        """Addressed communications to the customer that did not bounce, mutual ones among them."""
        self.mutual = Moments()
        """Those that are among both."""
        self.together = Moments()
        """Those in which both take part at the same time: a call, a meeting, a chat, or face to face; each once."""
        self.spoken: dict[int, Moments] = {}
        """Addressed communications that the customer began, by kind."""
        self.requests = Moments()
        """What needs a reply."""
        self.answers: dict[int, list[tuple[int, int]]] = {}
        """Times and positions of the answers to something, in order; those that bounced are none."""
        self.sent: dict[int, Sent] = {}
        """Contacts that are not TRANSACTIONAL, bounced ones too, by position."""
        self.ratings: dict[int, list[Judged]] = {}
        """By message."""
        self.verdicts: dict[int, list[Judged]] = {}
        """Acceptances and rejections, by contribution; one that names none stands for itself."""
        self.decided = Moments()
        """The same."""
        self.incited: set[int] = set()
        """Acts of the customer that were given for an incentive, as was said; purchases are not among them."""
        self.opt_outs = Moments()
        """Withdrawals and objections."""
        self.edges: dict[Edge, Moments] = {}
        """Interactions that name a person or a function, by both."""
        self.named = Moments()
        """Interactions that name a function."""
        self.ours: dict[str, Moments] = {}
        """Interactions that name a person on our side, by person."""
        self.watchers: list[Watcher] = []
        """Told of what they keep. Few; whoever adds one takes old ones away."""

    def said(self, position: int) -> Said | None:
        """Return what an original counts for, or None."""
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
        """Fold one fact, in position order. Total: what was recorded is a fact."""
        position, _, _, time, topic, message, _ = fact
        if topic != RECORDED:
            fold = _FOLDS.get(topic)
            if fold is not None:
                fold(self, fact)
            return
        # The commonest fact; most of them count for nothing here, and few fields tell.
        self._known.append(position)
        if time > self._until:
            return
        event: InteractionRecorded = message  # type: ignore[assignment]  # The topic says so.
        kind = event.kind
        way = _WAYS.get(kind << 3 | event.direction, 0)
        people = event.customer_person_id, event.our_function, event.point_of_contact_id
        if way & _COUNTS or people != _NOBODY or (way & _ASKS and event.needs_reply):
            self._enter(position, time, event, position, kind, way, people)
        if way & _MAY_BE_INCITED and event.incentivised:
            self.incited.add(position)

    def _correct(self, fact: Fact) -> None:
        """Let a replacement count instead of an original; after a retraction nothing does."""
        event: InteractionCorrected = fact.event  # type: ignore[assignment]  # The topic says so.
        position = event.original_position
        if position in self._retracted or not self._is_known(position):
            return
        self._leave(position)
        self._originals[fact.position] = position
        if fact.occur_time <= self._until:
            new = event.replacement
            way = _WAYS.get(new.kind << 3 | new.direction, 0)
            people = new.customer_person_id, new.our_function, new.point_of_contact_id
            self._enter(position, fact.occur_time, new, fact.position, new.kind, way, people)
            if way & _MAY_BE_INCITED and new.incentivised:
                self.incited.add(position)

    def _retract(self, fact: Fact) -> None:
        event: InteractionRetracted = fact.event  # type: ignore[assignment]  # The topic says so.
        position = event.original_position
        if self._is_known(position):
            self._leave(position)
            self._retracted.add(position)

    def _opt_out(self, fact: Fact) -> None:
        if fact.occur_time <= self._until:
            self.opt_outs.add(fact.occur_time, fact.position)
            for watcher in self.watchers:
                watcher.opted_out(fact.occur_time, fact.position)

    def _is_known(self, position: int) -> bool:
        place = bisect_left(self._known, position)
        return place < len(self._known) and self._known[place] == position

    def _enter(
        self, position: int, time: int, event: InteractionRecorded, told: int, kind: int, way: int, people: _People
    ) -> None:
        """Let an interaction count. `told`: position of the event that says it; it refers to what was there before."""
        if way & _SPEAKS and event.channel in _FACE_TO_FACE:
            way |= _TOGETHER
        reply_to = event.in_reply_to if way & _OUT else 0
        judges = way & _JUDGES
        # As Said(...), without its check of names and numbers: that would cost as much as the rest.
        said = self._said[position] = _new(
            Said,
            (
                time,
                way,
                kind if way & _BEGINS and event.initiator == _CUSTOMER else 0,
                event.needs_reply if way & _ASKS else False,
                *people,
                self._original(reply_to, told) if reply_to else 0,
                self._original(event.refers_to, told) if judges else 0,
                kind if judges else 0,
                _verdict(event) if judges else None,
            ),
        )
        if way & _CONTACT and event.message_class != _TRANSACTIONAL:
            self.sent[position] = _sent(event)
        if not (way & _OUTBOUND and position in self._bounces):
            self._count(position, said)

    def _leave(self, position: int) -> None:
        """Let nothing count for an original."""
        self.incited.discard(position)
        said = self._said.pop(position, None)
        if said is None:
            return
        self.sent.pop(position, None)
        if not (said.way & _OUTBOUND and position in self._bounces):
            self._discount(position, said)

    def _count(self, position: int, said: Said) -> None:
        time, way, begun, asks, person, function, ours, reply_to, _, kind, _ = said
        if way & _IN:
            self.inbound.add(time, position)
        if way & _OUT:
            self.outbound.add(time, position)
            if way & _IN:
                self.mutual.add(time, position)
            if reply_to:
                insort(self.answers.setdefault(reply_to, []), (time, position))
        if way & _TOGETHER:
            self.together.add(time, position)
        if begun:
            _at(self.spoken, begun).add(time, position)
        if asks:
            self.requests.add(time, position)
        if function or person:
            _at(self.edges, (person, function)).add(time, position)
            if function:
                self.named.add(time, position)
        if ours:
            _at(self.ours, ours).add(time, position)
        if kind:
            self._judge(position, said)

    def _discount(self, position: int, said: Said) -> None:
        """Undo `_count`."""
        time, way, begun, asks, person, function, ours, reply_to, _, kind, _ = said
        if way & _IN:
            self.inbound.remove(time, position)
        if way & _OUT:
            self.outbound.remove(time, position)
            if way & _IN:
                self.mutual.remove(time, position)
            if reply_to:
                self.answers[reply_to].remove((time, position))
        if way & _TOGETHER:
            self.together.remove(time, position)
        if begun:
            self.spoken[begun].remove(time, position)
        if asks:
            self.requests.remove(time, position)
        if function or person:
            self.edges[person, function].remove(time, position)
            if function:
                self.named.remove(time, position)
        if ours:
            self.ours[ours].remove(time, position)
        if kind:
            self._unjudge(position, said)

    def _judge(self, position: int, said: Said) -> None:
        """Let what an interaction says of another count."""
        if said.kind == _BOUNCED:
            bounces = self._bounces.setdefault(said.about, [])
            bounces.append(position)
            bounced = self._said.get(said.about)
            if len(bounces) == 1 and bounced is not None and bounced.way & _OUTBOUND:
                self._discount(said.about, bounced)
            return
        if said.favourable is None:
            return
        judged = Judged(said.time, position, said.favourable)
        if said.kind == _RATED:
            insort(self.ratings.setdefault(said.about, []), judged)
            self._tell_rated(said.about)
        else:
            insort(self.verdicts.setdefault(said.about or position, []), judged)
            self.decided.add(said.time, position)

    def _unjudge(self, position: int, said: Said) -> None:
        """Undo `_judge`."""
        if said.kind == _BOUNCED:
            bounces = self._bounces[said.about]
            bounces.remove(position)
            if not bounces:
                del self._bounces[said.about]
                bounced = self._said.get(said.about)
                if bounced is not None and bounced.way & _OUTBOUND:
                    self._count(said.about, bounced)
            return
        if said.favourable is None:
            return
        judged = Judged(said.time, position, said.favourable)
        if said.kind == _RATED:
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
        return self._originals.get(reference, reference) if reference < told else 0


def _at(moments: dict[_K, Moments], key: _K) -> Moments:
    found = moments.get(key)
    if found is None:
        found = moments[key] = Moments()
    return found


def _sent(event: InteractionRecorded) -> Sent:
    cost = (event.cost.asset, event.cost.units) if event.HasField("cost") else ("", 0)
    return _new(Sent, (event.tactic, event.programme, event.attention_seconds, *cost))


def _verdict(event: InteractionRecorded) -> bool | None:
    """Return what a judgement says; a bounce, and a rating that does not say, say nothing."""
    if event.kind == _RATED:
        return event.relevant if event.HasField("relevant") else None
    return None if event.kind == _BOUNCED else event.kind == _ACCEPTED


def _way(kind: int, direction: int) -> int:
    outbound, mutual = direction == i.DIRECTION_OUTBOUND, direction == i.DIRECTION_MUTUAL
    inbound = mutual or direction == i.DIRECTION_INBOUND
    addressed = kind in ADDRESSED
    flags = (
        (_IN, addressed and inbound),
        (_OUT, addressed and (outbound or mutual)),
        (_CONTACT, addressed and outbound),
        (_ASKS, inbound),
        (_BEGINS, addressed and not outbound),
        (_JUDGES, kind in _JUDGEMENTS),
        (_MAY_BE_INCITED, not outbound and kind not in _NEVER_INCITED),
        (_OUTBOUND, outbound and kind != _BOUNCED),
        (_TOGETHER, kind in _AT_ONCE and (inbound or outbound)),
    )
    return sum(flag for flag, holds in flags if holds)


_WAYS: Final[Mapping[int, int]] = {
    kind << 3 | direction: _way(kind, direction)
    for kind in i.InteractionKind.values()
    for direction in i.Direction.values()
}
"""Flags by kind and direction, as one number: of what another version of the events knows, none."""
_FOLDS: Final[dict[str, Callable[[Talk, Fact], None]]] = {
    CORRECTED: Talk._correct,  # noqa: SLF001 # The table of the class's own folds.
    RETRACTED: Talk._retract,  # noqa: SLF001
    CONSENT_WITHDRAWN: Talk._opt_out,  # noqa: SLF001
    OBJECTION_RAISED: Talk._opt_out,  # noqa: SLF001
}
