"""Plain words count (consent.md 4, rule 9; settled.md 68): what is read in a text, and what that records."""

from __future__ import annotations

import pytest

from ledger.contact.keywords import Read, Reading, read
from ledger.contact.texts import RecordText, TextNote
from ledger.domain.consent import Cell, WithdrawalEffect, status
from ledger.domain.contact_policy import CONTACT_PUBLISHED
from ledger.domain.errors import Rejected
from ledger.domain.fact import Decision, Fact
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1 import consent_pb2 as c
from rapport.events.v1 import contact_policy_pb2 as p
from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.contact_pb2 import DECISION_OUTCOME_PERMIT, ContactDecided, ContactQuestion
from rapport.events.v1.metadata_pb2 import EventMetadata
from tests.relationship_history import DAY, NOON, STREAM, History

WORDS = ("STOP", "QUIT", "END", "REVOKE", "OPT OUT", "CANCEL", "UNSUBSCRIBE")
SMS, EMAIL = i.CHANNEL_SMS, i.CHANNEL_EMAIL
RULES = p.KeywordRules(words=WORDS)


def reading(text: str, rules: p.KeywordRules = RULES, channel: i.Channel.ValueType = SMS) -> Reading:
    return read(text, channel, rules).reading


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("spell", ["{}", "  {} \n", "{}!", "«{}»…", "\t.{}.", "{}\u200b"])
def test_each_word_of_the_policy_is_a_withdrawal_however_it_is_spelt(word: str, spell: str) -> None:
    spellings = {word, word.lower(), word.title(), "-".join(word), word.replace(" ", ""), word.replace(" ", "-")}

    for spelling in spellings:
        assert Read(Reading.WITHDRAWAL, word) == read(spell.format(spelling), SMS, RULES), spelling


@pytest.mark.parametrize("text", ["\uff33\uff34\uff2f\uff30", "s t o p", "stop 🙏", "“Stop.”", "STOP\r\n"])
def test_what_stands_around_a_word_and_how_it_is_encoded_makes_no_difference(text: str) -> None:
    assert Reading.WITHDRAWAL is reading(text)


@pytest.mark.parametrize(
    "text",
    [
        "STOP\u2757\ufe0f",
        "stop \u203c\ufe0f",
        "\U0001f6d1\ufe0f Stop",
        "STOP \U0001f44d\U0001f3fd",
        "stop\u20e3",
        "st\u034fop",
    ],
)
def test_what_telephones_put_behind_a_picture_is_no_letter(text: str) -> None:
    assert Reading.WITHDRAWAL is reading(text)


def test_a_dotted_capital_i_is_an_i() -> None:
    for word, text in (("iptal", "İPTAL"), ("İPTAL", "iptal"), ("İPTAL", "IPTAL")):
        assert Reading.WITHDRAWAL is reading(text, p.KeywordRules(words=[word]))


def test_marks_that_letters_are_made_of_are_compared() -> None:
    rules = p.KeywordRules(words=["\u0930\u094b\u0915\u094b", "arr\u00eat"])

    assert Reading.WITHDRAWAL is reading("\u0930\u094b\u0915\u094b", rules) is reading("ARRE\u0302T", rules)
    assert Reading.NOTHING is reading("\u0930\u0915", rules) is reading("arret", rules)


def test_case_is_folded_and_not_only_lowered() -> None:
    rules = p.KeywordRules(words=["schließen", "ΤΈΛΟΣ"])

    assert Reading.WITHDRAWAL is reading("SCHLIESSEN", rules) is reading("τέλος", rules)


@pytest.mark.parametrize("text", ["please don't stop", "Stop it", "can I opt   out of this?", "the end.", "to-end"])
def test_a_word_among_others_is_for_a_person(text: str) -> None:
    assert Reading.FOR_A_PERSON is reading(text)


@pytest.mark.parametrize("text", ["", " ", "?!", "stopped", "unstoppable", "weekend", "sto", "opt in, out"])
def test_anything_else_is_nothing(text: str) -> None:
    assert Read(Reading.NOTHING) == read(text, SMS, RULES)


def test_words_count_by_the_ways_the_policy_names_and_nowhere_without_words() -> None:
    rules = p.KeywordRules(words=WORDS, channels=[SMS])

    assert [Reading.WITHDRAWAL, Reading.NOTHING] == [reading("stop", rules, way) for way in (SMS, EMAIL)]
    assert Reading.NOTHING is reading("stop", p.KeywordRules()) is reading("", p.KeywordRules(words=["!"]))


# Recorded.


@pytest.fixture
def history() -> History:
    return History()


def decide(history: History, text: str, *, at: int | None = None, purpose: str = "", **rules: object) -> Decision:
    policy = p.ContactPolicy(version=1, keywords=p.KeywordRules(words=WORDS, **rules))  # type: ignore[arg-type]
    fact = Fact(1, 1, 0, 0, CONTACT_PUBLISHED, p.ContactPolicyPublished(policy=policy), EventMetadata())
    history.policies.evolve(fact)
    return history.decide(RecordText(stream_id=STREAM, text=text, channel=SMS, purpose=purpose, occur_time=at))


def test_a_word_becomes_a_withdrawal_beside_the_interaction_that_keeps_the_text(history: History) -> None:
    history.add("consent.given.v1", c.ConsentGiven(purposes=["marketing"]), NOON - DAY)

    facts, note = decide(history, "Stop!", confirm_once=True)

    assert ["interaction.recorded.v1", "consent.withdrawn.v1"] == [fact.topic for fact in facts]
    assert "Stop!" == facts[0].event.summary  # type: ignore[attr-defined]
    assert not facts[0].event.needs_reply  # type: ignore[attr-defined]
    assert c.ConsentWithdrawn(method=c.INDICATION_METHOD_KEYWORD) == facts[1].event
    expected = TextNote(Read(Reading.WITHDRAWAL, "STOP"), WithdrawalEffect.ENDED, confirm_once=True)
    assert expected == TextNote.decoded(note)
    for fact in facts:
        history.add(fact.topic, fact.event, fact.occur_time)
    withdrawn = status(history.state().consents, Cell("marketing"), NOON).status
    assert c.CONSENT_STATUS_WITHDRAWN == withdrawn


def test_a_word_among_others_withdraws_nothing_and_wants_a_reply(history: History) -> None:
    (fact,), note = decide(history, "please don't stop")

    assert fact.event.needs_reply  # type: ignore[attr-defined]
    assert TextNote(Read(Reading.FOR_A_PERSON, "STOP")) == TextNote.decoded(note)


def test_plain_talk_is_an_inbound_message_of_the_customer(history: History) -> None:
    (fact,), note = decide(history, "when does it arrive?")

    expected = i.InteractionRecorded(
        kind=i.INTERACTION_KIND_MESSAGE,
        direction=i.DIRECTION_INBOUND,
        initiator=i.INITIATOR_CUSTOMER,
        channel=SMS,
        summary="when does it arrive?",
    )
    assert expected == fact.event
    assert TextNote(Read(Reading.NOTHING)) == TextNote.decoded(note)


@pytest.mark.parametrize(
    "scope, purpose, expected",
    [
        (0, "marketing", c.ConsentWithdrawn()),
        (p.KEYWORD_SCOPE_ALL, "marketing", c.ConsentWithdrawn()),
        (p.KEYWORD_SCOPE_PURPOSE, "marketing", c.ConsentWithdrawn(purposes=["marketing"])),
        (p.KEYWORD_SCOPE_PURPOSE, "", c.ConsentWithdrawn()),
        (p.KEYWORD_SCOPE_CHANNEL, "marketing", c.ConsentWithdrawn(channels=[SMS])),
    ],
)
def test_the_policy_says_what_a_word_takes_back(
    history: History, scope: p.KeywordScope.ValueType, purpose: str, expected: c.ConsentWithdrawn
) -> None:
    facts, _ = decide(history, "stop", purpose=purpose, scope=scope)

    expected.method = c.INDICATION_METHOD_KEYWORD
    assert expected == facts[1].event


def test_a_message_that_was_decided_tells_what_an_answer_to_it_is_about(history: History) -> None:
    decided = ContactDecided(
        question=ContactQuestion(purpose="marketing", channel=SMS), outcome=DECISION_OUTCOME_PERMIT
    )
    decision = history.add("contact.decided.v1", decided, NOON - 9)
    message = i.InteractionRecorded(
        kind=i.INTERACTION_KIND_MESSAGE, direction=i.DIRECTION_OUTBOUND, channel=SMS, decision_id=decision.position
    )
    sent = history.add("interaction.recorded.v1", message, NOON - 5)

    def about(in_reply_to: int) -> list[str]:
        decide(history, "", scope=p.KEYWORD_SCOPE_PURPOSE)  # Publishes the policy.
        step = RecordText(stream_id=STREAM, text="stop", channel=SMS, in_reply_to=in_reply_to)
        return list(history.decide(step).facts[1].event.purposes)  # type: ignore[attr-defined]

    assert ["marketing"] == about(sent.position)
    assert [] == about(decision.position) == about(0)


def test_a_withdrawal_by_word_is_not_refused_for_its_time_and_other_texts_are(history: History) -> None:
    facts, _ = decide(history, "stop", at=NOON + 99 * DAY)

    assert {NOON} == {fact.occur_time for fact in facts}
    with pytest.raises(Rejected) as caught:
        decide(history, "please don't stop", at=NOON + 99 * DAY)
    assert reasons.ERROR_REASON_OCCUR_TIME_IN_FUTURE == caught.value.reason
