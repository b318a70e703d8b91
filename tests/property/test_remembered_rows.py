"""Rows of a relationship in memory are those of a fold from zero after every batch, though few are made anew."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, Final

import pytest
from google.protobuf.message import Message

from ledger.domain.conversation_shapes import NO_RESPONSE, OPTED_OUT
from ledger.domain.times import END_OF_TIME
from ledger.measure.outlook import outlook_of
from ledger.measure.solicitations import OUTCOMES
from ledger.report.basis import basis_of
from ledger.report.remembered import Change, Keyed, Remembered
from ledger.report.rows import Folded, kept_since, rows_of
from ledger.report.shapes import KEYS, KINDS, ActDay, Conduct, Person, Request, Solicitation
from rapport.events.v1.exchange_pb2 import CATEGORY_DISCOUNT, PARTY_ORGANIZATION
from rapport.events.v1.interaction_pb2 import DIRECTION_INBOUND, MESSAGE_CLASS_TRANSACTIONAL, InteractionRecorded
from tests.changed_histories import ChangedHistory
from tests.contact_histories import DAY
from tests.measured_histories import START, acted, told, traded
from tests.programme_histories import CUSTOMERS, ProgrammeDraw, facts_of, published_at

SEEDS: Final = range(12)
NONE: Final = OUTCOMES[NO_RESPONSE]
SPAM: Final = OUTCOMES[OPTED_OUT]


class OddDraw(ProgrammeDraw):
    """Draws a history in which some speak of what is not there yet, and many of what is."""

    def judged(self, at: int) -> Message:
        """Return a judgement, or an interaction that names another by its position."""
        draw = self.random
        if draw.random() < 0.4:
            return super().judged(at)
        made = draw.choice([
            acted("RELEVANCE_RATED", relevant=True), acted("REPLY"), acted("PURCHASE"), acted("VIEW"), told("MESSAGE"),
            acted("RETURN"), told("DELIVERED"), told("BOUNCED"), acted("MESSAGE", needs_reply=True),
        ])  # fmt: skip
        assert isinstance(made, InteractionRecorded)
        position = max(1, self.history.head + draw.choice([-9, -4, -1, *([3] if draw.random() < 0.1 else [])]))
        setattr(made, draw.choice(["in_reply_to", "refers_to"]), position)
        made.campaign = draw.choice(["", "spring", "fall"])
        return made


def odd(seed: int, events: int) -> ChangedHistory:
    """Return a history."""
    draw = OddDraw(seed)
    draw.fill(events)
    return draw.history


def anew(history: ChangedHistory, customer: str, position: int, published: int) -> dict[type[Any], Keyed]:
    """Return the rows of a fold from zero."""
    folded = Folded()
    folded.feed(facts_of(history, customer, position))
    outlook = outlook_of(published_at(history, published), folded.recorded)
    rows = rows_of(customer, folded.record, outlook, kept_since(folded.recorded, outlook))
    return {kind: {row[: KEYS[kind]]: row for row in rows.of(kind)} for kind in KINDS}


def applied(there: dict[type[Any], Keyed], change: Change) -> dict[type[Any], Keyed]:
    """Return rows after a change."""
    kept = {} if change.whole else there
    return {
        kind: {**kept.get(kind, {}), **{row[: KEYS[kind]]: row for row in change.rows.get(kind, [])}} for kind in KINDS
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_in_memory_are_those_of_a_fold_from_zero(seed: int) -> None:
    draw, history = random.Random(seed), odd(seed, 180)
    for customer in CUSTOMERS:
        remembered, there = Remembered(), dict[type[Any], Keyed]()
        left, whole = facts_of(history, customer, history.head), Counter[bool]()
        while left:
            batch, left = left[: (size := draw.choice([1, 1, 2, 7]))], left[size:]
            at, forgotten = batch[-1].position, draw.random() < 0.05
            if forgotten:  # It is folded from its stream, and what rows are there is not known.
                remembered, batch = Remembered(is_told=False), facts_of(history, customer, at)
            remembered.feed(batch, batch[-1].version)
            # The policy in force changes now and then, as when an organization publishes another one.
            published = at if at > history.head // 2 else 0
            outlook = outlook_of(published_at(history, published), batch[-1].record_time)

            change = remembered.change(outlook, basis_of(outlook))

            there = applied(there, change)
            assert anew(history, customer, at, published) == there
            assert change.whole or not forgotten
            whole[change.whole] += 1
        assert not whole or whole[False], "some facts leave most rows alone"


def told_after_each(history: ChangedHistory) -> list[Change]:
    """Return the changes after each fact of one customer; rows are those of a fold from zero after every one."""
    remembered, there, changes = Remembered(), dict[type[Any], Keyed](), list[Change]()
    for fact in facts_of(history, "c", history.head):
        remembered.feed([fact], fact.version)
        outlook = outlook_of(published_at(history, 0), fact.record_time)
        changes.append(remembered.change(outlook, 1))
        there = applied(there, changes[-1])
        assert anew(history, "c", fact.position, 0) == there
    return changes


@pytest.mark.parametrize("late_days", [0, 600], ids=["as it happens", "imported"])
def test_what_is_older_than_a_window_goes_when_a_step_is_over(late_days: int) -> None:
    history = ChangedHistory()
    for number in range(70):
        at = START + 4 * number * DAY
        history.add(
            told() if number % 2 else acted("MESSAGE", needs_reply=True, direction=DIRECTION_INBOUND),
            at,
            recorded=at + late_days * DAY,
        )

    changes = told_after_each(history)

    # 276 days less a window of 180 reach into four spans of 30 days, and something goes soon after each begins.
    assert (4 if not late_days else 0) == sum(change.whole for change in changes)


def test_the_exchange_of_an_order_tells_that_a_purchase_had_an_incentive() -> None:
    history = ChangedHistory()
    history.add(told(), START)
    history.add(acted("PURCHASE", order_id="o-1"), START + 1)
    exchange = traded("x", paid=5, got=5)
    exchange.cause_ref = "o-1"
    exchange.legs.add(giver=PARTY_ORGANIZATION, category=CATEGORY_DISCOUNT, amount=exchange.legs[0].amount)
    history.add(exchange, START + 2)

    changes = told_after_each(history)

    assert [0, 1, 0] == [change.rows[Solicitation][0].followed for change in changes]


def test_a_request_waits_again_when_its_answer_bounced() -> None:
    history = ChangedHistory()
    history.add(acted("MESSAGE", needs_reply=True, direction=DIRECTION_INBOUND), START)
    history.add(told(in_reply_to=history.head), START + 1)
    history.add(told("BOUNCED", refers_to=history.head), START + 2)

    changes = told_after_each(history)

    assert [END_OF_TIME, START + 1, END_OF_TIME] == [change.rows[Request][0].answered_time for change in changes]


def test_what_begins_nothing_may_still_be_the_outcome() -> None:
    history = ChangedHistory()
    history.add(told(), START)
    history.add(acted("MARKED_SPAM"), START + 1)

    changes = told_after_each(history)

    assert [(NONE, 0), (SPAM, 0)] == [
        (change.rows[Solicitation][0].outcome, change.rows[Solicitation][0].followed) for change in changes
    ]


def test_what_is_sent_for_a_transaction_solicits_nothing() -> None:
    history = ChangedHistory()
    history.add(told(), START)
    history.add(told(message_class=MESSAGE_CLASS_TRANSACTIONAL), START + 1)

    changes = told_after_each(history)

    assert [1, 0] == [len(change.rows[Solicitation]) for change in changes]


def test_nothing_has_to_go_where_nothing_was() -> None:
    history, remembered = ChangedHistory(), Remembered()
    history.add(told(), START)
    (fact,) = facts_of(history, "c", history.head)
    remembered.feed([fact], fact.version)

    change = remembered.change(outlook_of(published_at(history, 0), fact.record_time), 1)

    assert not change.whole
    assert {Person, Solicitation, Conduct} == {kind for kind, rows in change.rows.items() if rows}


def test_a_plain_fact_of_a_long_history_changes_few_rows() -> None:
    history, remembered = ChangedHistory(), Remembered()
    for day in range(400):
        at = START + day * DAY
        history.add(told(campaign="spring") if day % 4 else acted("PURCHASE"), at, recorded=at)
    facts = [fact for _, fact in history.facts]
    outlook = outlook_of(published_at(history, 0), facts[-1].record_time)
    remembered.feed(facts[:-1], facts[-2].version)
    remembered.change(outlook, 1)

    remembered.feed(facts[-1:], facts[-1].version)
    change = remembered.change(outlook, 1)

    assert not change.whole
    assert dict.fromkeys(KINDS, 0) | {Solicitation: 1, Conduct: 1} == {
        kind: len(change.rows.get(kind, ())) for kind in KINDS
    }
    assert 300 == len(history.facts) - len(anew(history, "c", history.head, 0)[ActDay])
