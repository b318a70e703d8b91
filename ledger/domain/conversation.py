"""Conversation: what was said between the two, one by one, for decisions about contacts (consent.md 6).

Corrections and retractions are applied: a row bears the position of its original, whichever form of it counts, and
references to a corrected event follow its replacement (settled.md 8 and 47). Terms are those of relationship.md 2
and 10. Whatever is asked costs a few look-ups and what is looked at, however long the two have talked.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Final, NamedTuple

from ledger.domain.conversation_lookups import Lookups
from ledger.domain.conversation_rows import Row, Rows, Words
from ledger.domain.conversation_shapes import NOTHING, Shape, fields_of, known_shapes, shape_of
from ledger.domain.fact import Fact
from ledger.domain.interaction import CORRECTED, RECORDED, RETRACTED
from ledger.domain.made_late import MadeLate
from ledger.domain.moments import Moments
from ledger.domain.passing import Passing
from ledger.domain.responses import OptOut, Response, Responses
from ledger.domain.times import END_OF_TIME
from rapport.events.v1 import interaction_pb2
from rapport.events.v1.interaction_pb2 import InteractionCorrected, InteractionRecorded, InteractionRetracted

TOPICS: Final[tuple[str, ...]] = (RECORDED, CORRECTED, RETRACTED)
"""What this subject folds."""

_BOUNCED: Final = interaction_pb2.INTERACTION_KIND_BOUNCED
_DELIVERED: Final = interaction_pb2.INTERACTION_KIND_DELIVERED
_COMPLAINT: Final = interaction_pb2.INTERACTION_KIND_COMPLAINT
_CHECKOUT: Final = frozenset({interaction_pb2.INTERACTION_KIND_CHECKOUT_STARTED})


class Contact(NamedTuple):
    """An outbound addressed interaction that did not bounce."""

    position: int
    occur_time: int
    """Microseconds."""
    channel: int
    message_class: int
    topic: str
    decision_id: int
    """Position of the decision it names; 0: none."""
    contact_point_id: str
    brand: str
    sender_id: str
    """Empty: the organization itself."""
    in_reply_to: int
    """Position of the interaction it answers; 0: none."""
    kind: int
    historical_import: bool
    answers: bool
    """Whether what it answers is an inbound of this relationship."""


class Solicitation(NamedTuple):
    """A contact that is not TRANSACTIONAL and answers no inbound (relationship.md 10)."""

    position: int
    occur_time: int
    """Microseconds."""


class Conversation(MadeLate):
    """Fold of one relationship."""

    __slots__ = (
        "_bounces", "_complaints", "_contacts", "_corrections", "_decided", "_is_asked", "_lookups", "_originals",
        "_passing", "_resolutions", "_responses", "_retracted", "_rows", "_solicitations", "_spoken", "_until",
    )  # fmt: skip

    LATE: ClassVar = {
        "_complaints": Moments, "_contacts": Moments, "_corrections": dict, "_decided": Moments, "_lookups": Lookups,
        "_passing": Passing, "_resolutions": dict, "_retracted": set, "_solicitations": Moments,
        "_spoken": Moments,
    }  # fmt: skip

    _passing: Passing
    _corrections: dict[int, list[int]]
    """Positions of the corrections of an original."""
    _retracted: set[int]
    _contacts: Moments
    """Outbound addressed interactions, bounced ones too."""
    _solicitations: Moments
    """Solicitations by the times at which they were sent."""
    _spoken: Moments
    """What ends a streak."""
    _decided: Moments
    """What names a decision, by that decision's position instead of a time."""
    _complaints: Moments
    """Complaints that nothing resolved."""
    _resolutions: dict[int, list[int]]
    """Positions of what resolved something."""
    _lookups: Lookups

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until
        self._rows = Rows()
        self._originals: dict[int, int] = {}
        """Originals by the positions of their corrections."""
        self._bounces: dict[int, list[int]] = {}
        """Positions of the bounces of something."""
        self._is_asked = False
        """Whether anything was looked up. Until then nobody needs to say what comes and goes."""
        self._responses: dict[int, Responses] = {}
        """By the attribution that was asked about."""

    # What is asked.

    def contacts(self, start: int, end: int) -> Iterator[Contact]:
        """Yield the contacts that occurred in [start, end), in microseconds, by (occur_time, position)."""
        found, bounces = self._contacts, self._bounces
        span = found.positions[found.before(start) : found.before(end)]
        # One by one: most readers look for one of them, and there may be many.
        return (self._contact(position) for position in span if position not in bounces)

    def latest_contacts(
        self, start: int, end: int, most: int, channel: int = 0, topic: str = "", message_class: int = 0
    ) -> list[int]:
        """Return the positions of the latest contacts in [start, end) that are not TRANSACTIONAL, the newest first.

        At most `most`; of one channel, topic or class only where it is given.
        """
        found, rows, bounces = self._contacts, self._rows, self._bounces
        latest: list[int] = []
        for position in reversed(found.positions[found.before(start) : found.before(end)]):
            if len(latest) >= most:
                break
            place = rows.at(position)
            shape = rows.shape(place)
            if (
                shape.solicits
                and channel in {0, shape.channel}
                and message_class in {0, shape.message_class}
                and (not topic or rows.words(place)[0] == topic)
                and position not in bounces
            ):
                latest.append(position)
        return latest

    def contact_at(self, position: int) -> Contact | None:
        """Return the contact that has a position, or None; what bounced is none."""
        place = self._rows.find(position)
        if place is None or position in self._bounces or not self._rows.shape(place).contact:
            return None
        return self._contact(position)

    def contact_of(self, decision_id: int) -> int | None:
        """Return the position of what used a decision's permit, bounced or not; the first recorded, or None."""
        decided = self._decided
        place = decided.before(decision_id)
        return decided.positions[place] if place < decided.until(decision_id) else None

    def streak(self, at: int, since: int, most: int) -> list[Solicitation]:
        """Return the latest unanswered solicitations, the newest first, at most `most` (relationship.md 10).

        Those with `since < occur_time <= at` after the last communication that the customer began.
        """
        sent, spoken = self._solicitations, self._spoken
        first, last = sent.until(since), sent.until(at)
        count = spoken.until(at)
        if count:
            first = max(first, sent.place(spoken.times[count - 1], spoken.positions[count - 1]))
        return [
            Solicitation(sent.positions[i], sent.times[i]) for i in range(last - 1, max(first, last - most) - 1, -1)
        ]

    def open_complaints(self, most: int = 64) -> list[int]:
        """Return the positions of complaints that nothing resolved, the latest first, at most `most`."""
        return list(reversed(self._complaints.positions[-most:]))

    @property
    def complaints(self) -> Moments:
        """Complaints that nothing resolved. Not to be changed."""
        return self._complaints

    def checkout_before(self, at: int) -> tuple[int, int] | None:
        """Return position and occur time of the latest checkout begun at or before an instant, or None."""
        return self.latest_fact(_CHECKOUT, at)

    def latest_fact(self, kinds: Iterable[int], at: int) -> tuple[int, int] | None:
        """Return position and occur time of the customer's latest act of some kinds by an instant, or None."""
        latest = None
        for kind in kinds:
            moments = self.acts_of(kind)
            count = moments.until(at)
            if count:
                found = moments.times[count - 1], moments.positions[count - 1]
                latest = found if latest is None else max(latest, found)
        return None if latest is None else (latest[1], latest[0])

    def topic_time(self, code: str, after: int) -> int | None:
        """Return the occur time of the earliest interaction about a topic that is later than an instant, or None."""
        if not code:
            return None
        self._is_asked = True
        moments = self._lookups.about(code, self._rows)
        place = moments.until(after)
        return moments.times[place] if place < len(moments) else None

    def response(self, at: int, attribution: int, opt_outs: Iterable[OptOut] = ()) -> Response:
        """Return what became of the solicitations that are matured at an instant (relationship.md 10, settled.md 44).

        `attribution`: within how long an act of the customer answers one, in microseconds, at least 1. `opt_outs`:
        withdrawals and objections, which are no interactions; they make no difference to how many are answered.
        """
        return self.responses(attribution).at(at, opt_outs)

    def responses(self, attribution: int) -> Responses:
        """Return the outcomes under an attribution, in microseconds, at least 1. Not to be changed."""
        responses = self._responses.get(attribution)
        if responses is None:
            if len(self._responses) > 1:  # One policy asks at a time; a simulation may bring a second.
                self._responses.clear()
            responses = self._responses[attribution] = self._weighed(attribution)
        return responses

    @property
    def solicitations(self) -> Moments:
        """Solicitations by the times at which they were sent. Not to be changed."""
        return self._solicitations

    # How facts are folded.

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order. Total: what was recorded is a fact."""
        if fact.topic == CORRECTED:
            self._correct(fact)
        elif fact.topic == RETRACTED:
            self._retract(fact)
        elif fact.topic == RECORDED:
            if fact.occur_time > self._until:
                self.pass_over(fact.position, fact.occur_time)
            else:
                event: InteractionRecorded = fact.event  # type: ignore[assignment]  # The topic says so.
                shape = shape_of(fields_of(event, imported=fact.metadata.historical_import))
                self.record(fact.position, fact.occur_time, shape, event)

    def record(self, position: int, time: int, shape: Shape, event: InteractionRecorded) -> None:
        """Fold an `interaction.recorded.v1` that occurred by `until`."""
        # The commonest fact, so a straight run with few calls of ours.
        if shape.passing and not event.topic:
            self._passing.append(position, time, shape.kind)
            if self._is_asked:
                self._lookups.add_passing(shape.kind, time, position)
            return
        self._rows.append(position, time, shape, event)
        self._enter(position, time, shape)

    def pass_over(self, position: int, time: int) -> None:
        """Fold one that occurred later: only a correction may make it count."""
        self._passing.append(position, time, 0)

    def _correct(self, fact: Fact) -> None:
        """Let a replacement count instead of an original; after a retraction nothing does."""
        event: InteractionCorrected = fact.event  # type: ignore[assignment]  # The topic says so.
        position, time = event.original_position, fact.occur_time
        imported = fact.metadata.historical_import or self._is_imported(position)
        if position in self._retracted or not self._leave(position):
            return
        self._originals[fact.position] = position
        self._corrections.setdefault(position, []).append(fact.position)
        if time <= self._until:
            place = self._rows.find(position)
            if place is None:
                place = self._rows.insert_nothing(position)
            new = event.replacement
            shape = shape_of(fields_of(new, imported=imported))
            self._rows.replace(place, time, shape, new, fact.position)
            self._enter(position, time, shape)
        self._settle_answers_to(position)

    def _retract(self, fact: Fact) -> None:
        event: InteractionRetracted = fact.event  # type: ignore[assignment]  # The topic says so.
        position = event.original_position
        if position not in self._retracted and self._leave(position):
            self._retracted.add(position)
            self._settle_answers_to(position)

    def _enter(self, position: int, time: int, shape: Shape) -> None:
        """Let a row count."""
        if shape.contact:
            self._contacts.add(time, position)
            if shape.solicits and position not in self._bounces and not self._answers(position):
                self._add_solicitation(position, time)
        elif shape.ends_streak:
            self._spoken.add(time, position)
        if shape.outgoing and position in self._rows.decisions:
            self._decided.add(self._rows.decisions[position], position)
        if shape.reports:
            self._report(position, time, shape)
        if self._is_asked:
            self._lookups.add(shape, self._words(position)[0], time, position)
        if shape.outcome and self._responses:
            for responses in self._responses.values():
                responses.act(time, position)

    def _leave(self, position: int) -> bool:
        """Let nothing count for an original; return False where there is no such original."""
        rows = self._rows
        place = rows.find(position)
        if place is None:
            return self._leave_passing(position)
        time, shape = rows.times[place], rows.shape(place)
        if shape.contact:
            self._contacts.remove(time, position)
            if self._solicitations.has(time, position):
                self._drop_solicitation(position)
        elif shape.ends_streak:
            self._spoken.remove(time, position)
        if shape.outgoing and position in rows.decisions:
            self._decided.remove(rows.decisions[position], position)
        if shape.reports:
            self._unreport(position, time, shape)
        if self._is_asked:
            self._lookups.remove(shape, rows.words(place)[0], time, position)
        if shape.outcome:
            for responses in self._responses.values():
                responses.undo(time, position)
        rows.clear(place)
        return True

    def _leave_passing(self, position: int) -> bool:
        place = self._passing.find(position)
        if place is None:
            return False
        kind, time = self._passing.clear(place)
        if self._is_asked:
            self._lookups.remove_passing(kind, time, position)
        return True

    def _report(self, position: int, time: int, shape: Shape) -> None:
        """Let a row say what it says of another."""
        if shape.kind == _COMPLAINT:
            if shape.by_customer and position not in self._resolutions:
                self._complaints.add(time, position)
            return
        about = self.original(self._rows.refers.get(position, 0))
        if shape.kind == _DELIVERED:
            if self._responses:
                row = self._solicitation(about)
                for responses in self._responses.values():
                    responses.deliver(about, (time, position), row)
        elif shape.kind == _BOUNCED:
            self._bounces.setdefault(about, []).append(position)
            self._settle(about)
        else:
            if about not in self._resolutions:
                self._close(about)
            self._resolutions.setdefault(about, []).append(position)

    def _unreport(self, position: int, time: int, shape: Shape) -> None:
        """Undo `_report`."""
        if shape.kind == _COMPLAINT:
            if shape.by_customer and position not in self._resolutions:
                self._complaints.remove(time, position)
            return
        about = self.original(self._rows.refers.get(position, 0))
        if shape.kind == _DELIVERED:
            row = self._solicitation(about)
            for responses in self._responses.values():
                responses.undeliver(about, (time, position), row)
            return
        reports = self._bounces if shape.kind == _BOUNCED else self._resolutions
        reports[about].remove(position)
        if reports[about]:
            return
        del reports[about]
        if shape.kind == _BOUNCED:
            self._settle(about)
        else:
            self._reopen(about)

    def _close(self, position: int) -> None:
        row = self.row_of(position)
        if row is not None and self._complaints.has(row.time, position):
            self._complaints.remove(row.time, position)

    def _reopen(self, position: int) -> None:
        row = self.row_of(position)
        if row is not None and row.shape.kind == _COMPLAINT and row.shape.by_customer:
            self._complaints.add(row.time, position)

    def _is_imported(self, position: int) -> bool:
        place = self._rows.find(position)
        return place is not None and self._rows.shape(place).imported

    def _settle_answers_to(self, position: int) -> None:
        """Look again at what answers an interaction that was corrected or retracted."""
        for answer in self._rows.replying_to({position, *self._corrections.get(position, ())}):
            self._settle(answer)

    def _settle(self, position: int) -> None:
        """Let a row, if there is one, be among the solicitations or not, as it stands now."""
        rows = self._rows
        place = rows.find(position)
        if place is None or not rows.shape(place).solicits:
            return
        time = rows.times[place]
        is_one = position not in self._bounces and not self._answers(position)
        if is_one == self._solicitations.has(time, position):
            return
        if is_one:
            self._add_solicitation(position, time)
        else:
            self._drop_solicitation(position)

    def _add_solicitation(self, position: int, time: int) -> None:
        self._solicitations.add(time, position)
        if self._responses:
            for responses in self._responses.values():
                responses.solicit(position, time, self._words(position)[4])

    def _drop_solicitation(self, position: int) -> None:
        row = self._rows.row(self._rows.at(position))
        self._solicitations.remove(row.time, position)
        for responses in self._responses.values():
            responses.drop(row)

    def _answers(self, position: int) -> bool:
        """Tell whether a row answers an inbound of this relationship."""
        answered = self._rows.replies.get(position, 0)
        if not answered:
            return False
        found = self._rows.find(self.original(answered))
        return found is not None and self._rows.shape(found).inbound

    def _words(self, position: int) -> Words:
        return self._rows.words(self._rows.at(position))

    def original(self, reference: int) -> int:
        """Return the original that a reference names, also one that names a correction of it."""
        return self._originals.get(reference, reference)

    def row_of(self, reference: int) -> Row | None:
        """Return the row of an interaction that a reference names, or None; views and clicks have none."""
        place = self._rows.find(self.original(reference))
        if place is None or self._rows.shape(place) is NOTHING:
            return None
        return self._rows.row(place)

    def judged_by(self, reference: int) -> int:
        """Return the earliest occur time of what is judged by an interaction, in microseconds; END_OF_TIME: of nothing.

        That is itself, what it reports on, what answers it, and what names the same decision.
        """
        original = self.original(reference)
        row, rows = self.row_of(original), self._rows
        answers = rows.replying_to({original, *self._corrections.get(original, ())})
        times = [rows.times[rows.at(answer)] for answer in answers]
        if row is not None:
            times.append(row.time)
            about = self.row_of(row.refers_to) if row.refers_to else None
            times += [] if about is None else [about.time]
            if row.decision_id:
                first, last = self._decided.before(row.decision_id), self._decided.until(row.decision_id)
                others = (self.row_of(position) for position in self._decided.positions[first:last])
                times += [other.time for other in others if other is not None]
        return min(times, default=END_OF_TIME)

    def told(self) -> Iterator[tuple[int, int, Shape]]:
        """Yield time, position and shape of everything that counts but views and clicks, by position."""
        return self._rows.shapes()

    def acts_of(self, kind: int) -> Moments:
        """Return the customer's acts of a kind. Not to be changed."""
        self._is_asked = True
        return self._lookups.of_kind(kind, self._rows, self._passing)

    def _solicitation(self, position: int) -> Row | None:
        row = self.row_of(position)
        return row if row is not None and self._solicitations.has(row.time, position) else None

    def _contact(self, position: int) -> Contact:
        rows = self._rows
        _, time, shape, in_reply_to, _, decision_id, words = rows.row(rows.at(position))
        topic, contact_point_id, brand, sender_id, _ = words
        return Contact(
            position, time, shape.channel, shape.message_class, topic, decision_id, contact_point_id, brand, sender_id,
            in_reply_to, shape.kind, shape.imported, self._answers(position),
        )  # fmt: skip

    def _weighed(self, attribution: int) -> Responses:
        """Return the responses under an attribution, from everything folded so far."""
        responses, rows = Responses(attribution, self.row_of), self._rows
        for time, position in rows.with_shapes({shape.number for shape in known_shapes() if shape.kind == _DELIVERED}):
            responses.deliver(self.original(rows.refers.get(position, 0)), (time, position), None)
        for position in self._solicitations.positions:
            row = self._existing(position)
            responses.solicit(position, row.time, row.words[4])
        for time, position in rows.with_shapes({shape.number for shape in known_shapes() if shape.outcome}):
            responses.act(time, position)
        return responses

    def _existing(self, position: int) -> Row:
        row = self.row_of(position)
        assert row is not None, "it counts"
        return row
