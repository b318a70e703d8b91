"""Consent statuses against a second reading of the rules, written apart: it looks at every act for every question.

The few purposes, channels and instants make acts meet, tie and overtake each other often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product
from typing import NamedTuple

from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.consent import (
    Cell,
    ConsentState,
    GiveConsent,
    WithdrawalEffect,
    WithdrawConsent,
    cells,
    permits,
    status,
)
from ledger.domain.consent_effect import ended_by, lifted_by
from ledger.domain.decider import Setting
from ledger.domain.errors import Rejected
from ledger.domain.fact import Fact
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME, timestamp
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1.consent_pb2 import (
    ConsentGiven,
    ConsentInvalidated,
    ConsentRefused,
    ConsentRevoked,
    ConsentScope,
    ConsentWithdrawn,
    NoticeReference,
    Validity,
)
from rapport.events.v1.metadata_pb2 import EventMetadata
from rapport.type.v1.event_context_pb2 import EventContext

PURPOSES = ("marketing", "marketing.direct", "marketing.social", "service")
CHANNELS = (1, 2)
POINTS = ("cp-1",)
BRANDS = ("north",)
DENIALS = (
    c.CONSENT_STATUS_REFUSED,
    c.CONSENT_STATUS_WITHDRAWN,
    c.CONSENT_STATUS_REVOKED,
    c.CONSENT_STATUS_INVALIDATED,
)
NOW = 6
"""Acts happen at instants 1 to 5."""

# Every combination of what acts name, what none of them names, and what is left open.
CELLS = [
    Cell(*parts)
    for parts in product(
        (*PURPOSES, "marketing.other", ""), (*CHANNELS, 3, 0), (*POINTS, "cp-9", ""), (*BRANDS, "east", "")
    )
]
SOME_CELLS = [cell for cell in CELLS if cell.contact_point_id == cell.brand == ""] + CELLS[::7]


class Act(NamedTuple):
    """One act in plain values."""

    status: int
    """GIVEN, REFUSED, WITHDRAWN, REVOKED or INVALIDATED."""
    occur_time: int
    purposes: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    points: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    valid_from: int | None = None
    until: int | None = None
    imported: bool = False

    @property
    def is_yes(self) -> bool:
        return self.status == c.CONSENT_STATUS_GIVEN

    def event(self) -> Message:
        parts = {"channels": self.channels, "contact_point_ids": self.points, "brands": self.brands}
        if self.status == c.CONSENT_STATUS_REFUSED:
            return ConsentRefused(purposes=self.purposes, **parts)  # type: ignore[arg-type]
        if self.status == c.CONSENT_STATUS_WITHDRAWN:
            return ConsentWithdrawn(purposes=self.purposes, **parts)  # type: ignore[arg-type]
        if not self.is_yes:
            scope = ConsentScope(purposes=self.purposes, **parts)  # type: ignore[arg-type]
            revoked = self.status == c.CONSENT_STATUS_REVOKED
            return ConsentRevoked(scope=scope) if revoked else ConsentInvalidated(scope=scope)
        event = ConsentGiven(purposes=self.purposes, **parts)  # type: ignore[arg-type]
        if self.listed:
            event.notice.CopyFrom(NoticeReference(notice_id="n", purposes=self.listed))
        if self.valid_from is not None:
            event.valid_from_time.CopyFrom(timestamp(self.valid_from))
        if self.until is not None:
            event.validity.CopyFrom(Validity(until_time=timestamp(self.until)))
        return event

    def fact(self, position: int) -> Fact:
        topic = f"consent.{c.ConsentStatus.Name(self.status).removeprefix('CONSENT_STATUS_').lower()}.v1"  # type: ignore[arg-type]
        return Fact(position, position, NOW, self.occur_time, topic, self.event(), EventMetadata())

    # The rules of coverage, read again from consent.md 1 and settled.md 61.

    def covers(self, cell: Cell) -> bool:
        if self.is_yes:
            children = {child for child in self.listed for parent in self.purposes if child.startswith(parent + ".")}
            purpose = cell.purpose in {*self.purposes, *children}
            asked = zip((self.channels, self.points, self.brands), cell[1:], strict=True)
            return purpose and all(part in named for named, part in asked if named)
        purpose = not self.purposes or any(f"{cell.purpose}.".startswith(f"{named}.") for named in self.purposes)
        asked = zip((self.channels, self.points, self.brands), cell[1:], strict=True)
        return purpose and all(part in named or not part for named, part in asked if named)


def subsets(values: Sequence[str] | Sequence[int], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=2, unique=True).map(tuple)  # type: ignore[arg-type]


instants = st.integers(1, 5)
# Mostly not narrowed, so that acts meet.
channels = st.just(()) | subsets(CHANNELS)
points = st.just(()) | st.just(()) | subsets(POINTS)
brands = st.just(()) | st.just(()) | subsets(BRANDS)
yeses = st.builds(
    Act,
    status=st.just(c.CONSENT_STATUS_GIVEN),
    occur_time=instants,
    purposes=subsets(PURPOSES, least=1),
    channels=channels,
    points=points,
    brands=brands,
    listed=subsets(PURPOSES),
    valid_from=st.none() | instants,
    until=st.none() | st.integers(1, 8),
    imported=st.booleans(),
)
noes = st.builds(
    Act,
    status=st.sampled_from(DENIALS),
    occur_time=instants,
    purposes=st.just(()) | subsets(PURPOSES),
    channels=channels,
    points=points,
    brands=brands,
)
histories = st.lists(yeses | noes, max_size=6)


def read_again(acts: Sequence[Act], cell: Cell, at: int) -> int:
    """Return the status by the four rules, first match, over acts in the order they were recorded."""
    known = [(position, act) for position, act in enumerate(acts) if act.occur_time <= at and act.covers(cell)]
    denials = [(position, act) for position, act in known if not act.is_yes]
    yes = [(position, act) for position, act in known if act.is_yes]
    for position, act in yes:
        begun = (act.occur_time if act.valid_from is None else act.valid_from) <= at
        over = act.until is not None and act.until <= at
        later = all(position > p and act.occur_time > d.occur_time for p, d in denials)
        if begun and not over and later:
            return c.CONSENT_STATUS_GIVEN
    if denials:
        return max(denials)[1].status
    if any(act.until is not None and act.until <= at for _, act in yes):
        return c.CONSENT_STATUS_EXPIRED
    return c.CONSENT_STATUS_UNKNOWN


def fold(acts: Sequence[Act], until: int = END_OF_TIME) -> ConsentState:
    state = ConsentState(until)
    for position, act in enumerate(acts, start=1):
        state.evolve(act.fact(position))
    return state


def live(state: ConsentState, at: int = NOW) -> set[Cell]:
    return {cell for cell in CELLS if permits(status(state, cell, at).status)}


@given(histories, st.integers(0, 9))
def test_a_status_is_what_the_rules_say(acts: list[Act], at: int) -> None:
    state = fold(acts, at)

    for cell in CELLS:
        assert read_again(acts, cell, at) == status(state, cell, at).status, cell


@given(histories, st.integers(0, 4))
def test_a_clock_that_lags_sees_what_the_last_act_left(acts: list[Act], at: int) -> None:
    state, last = fold(acts), max((act.occur_time for act in acts), default=at)

    for cell in SOME_CELLS:
        assert status(state, cell, max(at, last)) == status(state, cell, at)


def test_all_orders_of_all_subsets_of_six_acts_agree_with_the_rules() -> None:
    given, refused, withdrawn = c.CONSENT_STATUS_GIVEN, c.CONSENT_STATUS_REFUSED, c.CONSENT_STATUS_WITHDRAWN
    acts = (
        Act(given, 2, ("marketing",), listed=("marketing.direct",)),
        Act(given, 3, ("marketing.direct",), channels=(1,), until=7),
        Act(given, 4, ("marketing.direct", "service"), until=5),
        Act(withdrawn, 3, ("marketing",), channels=(1,)),
        Act(refused, 2, ("marketing.direct",)),
        Act(withdrawn, 3),
    )
    asked = [
        Cell(purpose, channel) for purpose in ("marketing", "marketing.direct", "service") for channel in (0, 1, 2)
    ]

    compared = 0
    for count in range(len(acts) + 1):
        for order in permutations(acts, count):
            state = fold(order)
            for cell in asked:
                assert read_again(order, cell, NOW) == status(state, cell, NOW).status, (order, cell)
                compared += 1

    assert (1 + 6 + 30 + 120 + 360 + 720 + 720) * len(asked) == compared


@given(histories)
def test_the_evidence_alone_gives_the_same_status(acts: list[Act]) -> None:
    state = fold(acts)

    for cell in SOME_CELLS:
        verdict = status(state, cell, NOW)
        alone = fold([acts[position - 1] for position in verdict.evidence])
        assert sorted(verdict.evidence) == list(verdict.evidence)
        assert verdict[:4] == status(alone, cell, NOW)[:4]


@given(st.lists(yeses | noes, min_size=2, max_size=6), st.data())
def test_the_order_of_recording_matters_only_between_a_yes_and_a_no_of_the_cell(
    acts: list[Act], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(acts) - 2))
    swapped = [*acts[:first], acts[first + 1], acts[first], *acts[first + 2 :]]

    changed = live(fold(acts)) ^ live(fold(swapped))

    one, other = acts[first], acts[first + 1]
    assert one.is_yes != other.is_yes or not changed
    assert all(one.covers(cell) and other.covers(cell) for cell in changed)


@given(histories, noes, st.data())
def test_a_further_no_makes_nothing_live(acts: list[Act], no: Act, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(acts)))

    more = [*acts[:place], no, *acts[place:]]

    assert live(fold(more)) <= live(fold(acts))


@given(histories, st.integers(0, 6))
def test_a_view_as_of_a_time_is_the_fold_of_what_it_admits(acts: list[Act], until: int) -> None:
    admitted = ConsentState()
    for position, act in enumerate(acts, start=1):
        if act.occur_time <= until:
            admitted.evolve(act.fact(position))

    view = fold(acts, until)

    assert (admitted.acts, admitted.first_time, admitted.last_time) == (view.acts, view.first_time, view.last_time)
    assert cells(admitted) == cells(view)
    assert live(admitted, until) == live(view, until)


@given(histories)
def test_the_cells_are_the_combinations_that_acts_name(acts: list[Act]) -> None:
    named = {
        Cell(*parts)
        for act in acts
        for parts in product(act.purposes or ("",), act.channels or (0,), act.points or ("",), act.brands or ("",))
    }

    assert sorted(named) == cells(fold(acts))


def decided(acts: Sequence[Act]) -> Iterator[tuple[Act, list[Act], Rejected | WithdrawalEffect | None]]:
    """Decide acts one after the other; yield each with those recorded before it, and what became of it."""
    state = RelationshipState()
    recorded: list[Act] = []
    for act in acts:
        outcome = decide(act, state)
        yield act, list(recorded), outcome
        if not isinstance(outcome, Rejected):
            recorded.append(act)
            state.evolve(act.fact(len(recorded)))


def decide(act: Act, state: RelationshipState) -> Rejected | WithdrawalEffect | None:
    event = act.event()
    if isinstance(event, ConsentWithdrawn):
        withdrawal = WithdrawConsent("shop/42", event, act.occur_time)
        return WithdrawalEffect.noted(withdrawal.decide(state, Setting(NOW, {})).note)
    if isinstance(event, ConsentGiven):
        context = EventContext(historical_import=act.imported)
        try:
            step = GiveConsent("shop/42", event, act.occur_time, context)
            step.decide(state, Setting(NOW, dict.fromkeys(step.reads, PolicyState())))
        except Rejected as refusal:
            return refusal
    return None


@given(histories)
@settings(max_examples=300)
def test_a_yes_is_refused_exactly_when_a_cell_of_it_is_denied_at_or_after_its_time(acts: list[Act]) -> None:
    for act, recorded, outcome in decided(acts):
        standing = [
            position
            for position, no in enumerate(recorded, start=1)
            if act.is_yes and not no.is_yes and no.occur_time >= act.occur_time
            if any(no.covers(cell) and act.covers(cell) for cell in CELLS)
        ]
        assert bool(standing and not act.imported) == isinstance(outcome, Rejected)
        if isinstance(outcome, Rejected):
            latest = max(standing, key=lambda position: (recorded[position - 1].occur_time, position))
            assert reasons.ERROR_REASON_CONSENT_WITHDRAWN_SINCE == outcome.reason
            assert str(latest) == outcome.metadata["position"]
            assert recorded[latest - 1].covers(Cell(outcome.metadata["purpose"]))


@given(histories)
def test_a_yes_that_was_not_refused_is_live_in_every_cell_while_its_term_lasts(acts: list[Act]) -> None:
    for act, recorded, outcome in decided(acts):
        holds = (act.valid_from or act.occur_time) <= NOW < (act.until or NOW + 1)
        if act.is_yes and holds and not act.imported and not isinstance(outcome, Rejected):
            assert {cell for cell in CELLS if act.covers(cell)} <= live(fold([*recorded, act]))


@given(histories, noes)
@settings(max_examples=300)
def test_a_withdrawal_says_that_it_ended_something_exactly_when_it_did(acts: list[Act], no: Act) -> None:
    for act, recorded, outcome in decided([*acts, no._replace(status=c.CONSENT_STATUS_WITHDRAWN)]):
        if isinstance(outcome, WithdrawalEffect):
            ended = live(fold(recorded)) - live(fold([*recorded, act]))
            assert (WithdrawalEffect.ENDED if ended else WithdrawalEffect.NONE) is outcome


@given(histories, st.integers(0, 9))
@settings(max_examples=300)
def test_a_grant_is_in_force_in_full_when_it_counts_in_every_cell_it_covers(acts: list[Act], at: int) -> None:
    state = fold(acts)

    for position, act in enumerate(acts, start=1):
        begun = act.occur_time <= at and (act.valid_from or act.occur_time) <= at
        ended_by = [
            no
            for place, no in enumerate(acts, start=1)
            if not no.is_yes and no.occur_time <= at and (place > position or no.occur_time >= act.occur_time)
            if any(no.covers(cell) and act.covers(cell) for cell in CELLS)
        ]
        expected = act.is_yes and begun and at < (act.until or 99) and not ended_by
        assert expected == state.grant_in_force(position, at)


@given(histories)
def test_no_live_cell_rests_on_a_yes_that_does_not_come_after_every_no_of_it(acts: list[Act]) -> None:
    state = fold(acts)

    for cell in live(state):
        (position,) = status(state, cell, NOW).evidence
        yes = acts[position - 1]
        for place, no in enumerate(acts, start=1):
            if not no.is_yes and no.covers(cell):
                assert place < position
                assert no.occur_time < yes.occur_time


CLOSED_CELLS = [cell for cell in CELLS if all(cell)]


def first(limits: Iterator[int], leaves_nothing: Callable[[int], bool]) -> int:
    return next((place for place in limits if leaves_nothing(place)), 0)


@given(histories)
@settings(max_examples=300)
def test_a_yes_is_ended_by_the_first_no_that_leaves_nothing_of_it(acts: list[Act]) -> None:
    state = fold(acts)

    for position, act in enumerate(acts, start=1):
        covered = [cell for cell in CLOSED_CELLS if act.covers(cell)]
        against = [
            (place, no)
            for place, no in enumerate(acts, start=1)
            if not no.is_yes and (place > position or no.occur_time >= act.occur_time)
        ]

        def ended(last: int, covered: list[Cell] = covered, against: list[tuple[int, Act]] = against) -> bool:
            return all(any(no.covers(cell) for place, no in against if place <= last) for cell in covered)

        found = state.find(position)
        assert (found is not None) == act.is_yes
        if found is not None:
            assert first((place for place, _ in against), ended) == ended_by(state.acts, *found)


@given(histories)
@settings(max_examples=300)
def test_a_no_is_lifted_by_the_first_yes_that_allows_the_last_of_what_it_names(acts: list[Act]) -> None:
    state = fold(acts)

    for position, act in enumerate(acts, start=1):
        found = state.find_denial(position)
        assert (found is None) == act.is_yes
        if found is None:
            continue
        named = [cell for cell in CLOSED_CELLS if cell.purpose in act.purposes and act.covers(cell)]
        later = [
            (place, yes)
            for place, yes in enumerate(acts, start=1)
            if yes.is_yes and place > position and yes.occur_time > act.occur_time
            if (yes.valid_from or yes.occur_time) <= NOW < (yes.until or NOW + 1)
        ]

        def lifted(last: int, named: list[Cell] = named, later: list[tuple[int, Act]] = later) -> bool:
            return all(any(yes.covers(cell) for place, yes in later if place <= last) for cell in named)

        expected = first((place for place, _ in later), lifted) if act.purposes else 0
        assert expected == lifted_by(state.acts, *found, NOW)
