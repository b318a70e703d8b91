"""What holds of every contact decision, over histories drawn at random (consent.md, property tests).

The numbers are those of the page. Each history is of one customer, mostly; a failing one is named by its seed.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger.contact.decision import decide, evaluate
from ledger.domain.times import microseconds
from rapport.events.v1 import contact_pb2 as d
from tests.contact_histories import DAY, History, did, erased, question, stream
from tests.random_contact_histories import START, Draw, random_history

HISTORIES = 300
PERMIT, DENY, DEFER = (
    d.DECISION_OUTCOME_PERMIT,
    d.DECISION_OUTCOME_DENY,
    d.DECISION_OUTCOME_DEFER,
)
ABOUT_CONSENT = {d.GATE_DENIAL - 1, d.GATE_BASIS - 1}


def drawn(seed: int, histories: int = HISTORIES) -> Iterator[tuple[int, History, Draw, int, d.ContactQuestion]]:
    """Yield a seed, a history, what goes on drawing, an instant after it, and a question.

    Every second history is one of a customer who consented: there the gates that limit have their say.
    """
    for number in range(seed, seed + histories):
        welcome = bool(number % 2)
        history, draw, at = random_history(number, welcome=welcome)
        yield number, history, draw, at, draw.plain_question() if welcome else draw.question()


def told(decided: d.ContactDecided) -> tuple[int, int, tuple[int, ...]]:
    """Return outcome, reason and results: what must not change while nothing happens."""
    return decided.outcome, decided.decisive_reason, tuple(decided.gate_results)


def test_1_a_denial_more_never_turns_a_deny_into_anything_else(seed: int) -> None:
    denied = 0
    for number, history, draw, at, asked in drawn(seed):
        if history.decide(at, asked).outcome != DENY:
            continue
        denied += 1
        happened = draw.random.randrange(START, at + 1)
        history.add(draw.denial(), happened, recorded=at)

        assert DENY == history.decide(at, asked).outcome, number
    assert denied > HISTORIES // 4


def test_1_also_where_it_is_another_customer_id_of_the_person_that_says_no(seed: int) -> None:
    for number, history, draw, at, asked in drawn(seed, HISTORIES // 3):
        history.add(did("VISIT"), at, customer="b")
        before = history.decide(at, asked).outcome
        history.link("c", "b", at)
        history.add(draw.denial(), at, customer="b")

        after = history.decide(at, asked).outcome
        assert before != DENY or after == DENY, number


def test_2_a_consent_more_that_names_no_recipient_moves_no_gate_but_those_of_denial_and_basis(seed: int) -> None:
    for number, history, draw, at, asked in drawn(seed):
        before = evaluate(history.picture(at), asked, at)
        history.add(draw.consent(at), draw.random.randrange(START, at + 1), recorded=at)

        after = evaluate(history.picture(at), asked, at)
        moved = {index for index in range(12) if before[index][:2] != after[index][:2]}
        assert moved <= ABOUT_CONSENT, number


def test_3_nothing_changes_before_the_time_that_the_answer_tells(seed: int) -> None:
    looked = 0
    for number, history, draw, at, asked in drawn(seed):
        picture = history.picture(at)
        decided = decide(picture, asked, at)
        end = at + 400 * DAY
        if decided.HasField("next_change_time"):
            end = microseconds(decided.next_change_time)
            assert end > at, number
            looked += 1
        for instant in (at + 1, end - 1, *(draw.random.randrange(at, end) for _ in range(3))):
            if at <= instant < end:
                assert told(decided) == told(decide(picture, asked, instant)), (number, instant - at)
    assert looked > HISTORIES // 4


def test_4_when_what_was_deferred_is_due_the_same_events_permit_it(seed: int) -> None:
    deferred = 0
    for number, history, _draw, at, asked in drawn(seed, 3 * HISTORIES):
        decided = history.decide(at, asked)
        assert decided.HasField("defer_until") == (decided.outcome == DEFER), number
        if decided.outcome == DEFER:
            deferred += 1
            due = microseconds(decided.defer_until)
            assert at < due <= at + 31 * DAY, number
            assert PERMIT == history.decide(due, asked).outcome, number
    assert deferred > 0


def test_a_permit_lasts_to_its_end_on_the_same_events(seed: int) -> None:
    permitted = 0
    for number, history, draw, at, asked in drawn(seed):
        picture = history.picture(at)
        decided = decide(picture, asked, at)
        assert decided.HasField("permit_expires_time") == (decided.outcome == PERMIT), number
        if decided.outcome == PERMIT:
            permitted += 1
            end = microseconds(decided.permit_expires_time)
            limit = at + picture.policy.permit_seconds * 1_000_000
            assert at < end <= limit, number
            assert PERMIT == decide(picture, asked, draw.random.randrange(at, end)).outcome, number
            assert PERMIT == decide(picture, asked, end - 1).outcome, number
            if end < limit:
                assert PERMIT != decide(picture, asked, end).outcome, number
    assert permitted > HISTORIES // 20


def test_5_a_recorded_decision_is_made_again_to_the_byte_from_what_was_recorded_before_it(seed: int) -> None:
    replayed = 0
    for number, history, *_ in drawn(seed):
        for name, fact in history.facts:
            if name == stream("c") and isinstance(fact.event, d.ContactDecided):
                again = history.decide(fact.occur_time, fact.event.question, position=fact.position - 1)
                recorded = fact.event.SerializeToString(deterministic=True)
                assert recorded == again.SerializeToString(deterministic=True), (number, fact.position)
                replayed += 1
    assert replayed > HISTORIES // 4


def test_7_there_are_always_twelve_results_and_findings_of_those_that_did_not_pass(seed: int) -> None:
    for number, history, _draw, at, asked in drawn(seed):
        decided = history.decide(at, asked)

        assert 12 == len(decided.gate_results), number
        not_passed = {
            gate: result for gate, result in enumerate(decided.gate_results, 1) if result != d.GATE_RESULT_PASS
        }
        assert not_passed == {finding.gate: finding.result for finding in decided.findings}, number
        assert sorted(not_passed) == [finding.gate for finding in decided.findings], number


def test_8_the_outcome_follows_from_the_trace_alone_and_what_ended_a_search_is_a_fail(seed: int) -> None:
    for number, history, _draw, at, asked in drawn(seed):
        decided = history.decide(at, asked)

        failed = [each for each in decided.findings if each.result == d.GATE_RESULT_FAIL]
        deferring = [each for each in decided.findings if each.result == d.GATE_RESULT_DEFER]
        expected = DENY if failed else DEFER if deferring else PERMIT
        reasons = [each.reason for each in (*failed, *deferring)] or [d.DECISION_REASON_UNSPECIFIED]
        assert (expected, reasons[0]) == (decided.outcome, decided.decisive_reason), number
        searched = [each for each in decided.findings if each.own_reason]
        assert all(each.result == d.GATE_RESULT_FAIL for each in searched), number
        assert len(searched) == (decided.decisive_reason in SEARCHED), number


SEARCHED = {d.DECISION_REASON_NO_WINDOW, d.DECISION_REASON_BASIS_ENDS_BEFORE_WINDOW}


def test_10_deciding_leaves_no_trace_in_what_it_looks_at(seed: int) -> None:
    for number, history, draw, at, asked in drawn(seed, HISTORIES // 2):
        picture, second = history.picture(at), draw.question()
        fresh = decide(history.picture(at), asked, at)

        decide(picture, second, at + DAY)
        decide(picture, second, at)
        assert fresh == decide(picture, asked, at), number


def test_11_link_and_unlink_leave_the_answers_of_who_was_never_linked(seed: int) -> None:
    for number, history, _draw, at, asked in drawn(seed, HISTORIES // 3):
        other = random_history(number + 10**6)[0]
        alone = history.copy()
        for name, fact in other.facts:
            if name == stream("c") and not isinstance(fact.event, d.ContactDecided):
                history.add(fact.event, fact.occur_time, customer="b", recorded=max(at, fact.record_time))
        later = history.latest("b") + DAY
        history.link("c", "b", later)
        history.unlink("c", "b", later)

        expected, found = alone.decide(later, asked), history.decide(later, asked)
        for decided in (expected, found):
            del decided.read_set[:]
        assert without_positions(expected) == without_positions(found), number


def without_positions(decided: d.ContactDecided) -> d.ContactDecided:
    """Return a decision without the positions in it."""
    for finding in decided.findings:
        del finding.evidence_positions[:]
    del decided.basis_positions[:]
    return decided


def test_14_who_is_erased_gets_no_other_answer(seed: int) -> None:
    for number, history, _draw, at, asked in drawn(seed, HISTORIES // 3):
        history.add(erased(), at)

        assert d.DECISION_REASON_SUBJECT_ERASED == history.decide(at, asked).decisive_reason, number


def test_who_is_only_decided_about_stays_unknown(seed: int) -> None:
    history, draw = History(), Draw(seed)
    for day in range(5):
        _, decided = history.decide_and_record(START + day * DAY, draw.question())

        assert d.DECISION_REASON_SUBJECT_UNKNOWN == decided.decisive_reason
    assert d.DECISION_REASON_SUBJECT_UNKNOWN == history.decide(START + 9 * DAY, question()).decisive_reason
