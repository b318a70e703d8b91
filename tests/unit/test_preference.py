"""Preferences: the later declaration of the same kind and scope holds, and a cleared one does not."""

from typing import Any

import pytest

from ledger.domain.preference import KINDS, SCOPED, ClearPreference, DeclarePreference, PreferenceState
from ledger.domain.times import MICROSECONDS
from rapport.events.v1 import preference_pb2 as ev
from rapport.events.v1.interaction_pb2 import CHANNEL_EMAIL, CHANNEL_POSTAL, CHANNEL_SMS
from rapport.events.v1.preference_pb2 import PreferenceCleared, PreferenceDeclared
from tests.stepping import Steps

NOW = 1_800_000_000 * MICROSECONDS
STREAM = "acme/c-1"
FREQUENCY, LANGUAGE = ev.PREFERENCE_KIND_FREQUENCY, ev.PREFERENCE_KIND_LANGUAGE


@pytest.fixture
def steps() -> Steps:
    return Steps(NOW)


def declare(at: int | None = None, **kind: Any) -> DeclarePreference:
    return DeclarePreference(STREAM, PreferenceDeclared(**kind), at)


def language(tag: str, at: int | None = None) -> DeclarePreference:
    return declare(at, language=ev.LanguagePreference(language=tag))


def at_most(count: int, channel: Any = 0, topic: str = "", at: int | None = None) -> DeclarePreference:
    return declare(
        at, frequency=ev.FrequencyPreference(count=count, period=ev.PERIOD_WEEK, channel=channel, topic=topic)
    )


def clear(kind: Any, at: int | None = None, **scope: Any) -> ClearPreference:
    return ClearPreference(STREAM, PreferenceCleared(kind=kind, **scope), at)


def held(steps: Steps) -> PreferenceState:
    state: PreferenceState = steps.state(STREAM).preferences
    return state


def spoken(state: PreferenceState) -> str | None:
    declared = state.of(LANGUAGE)
    return None if declared is None else declared.message.language.language


def test_there_is_a_kind_for_every_way_to_declare_one() -> None:
    fields = {field.name for field in PreferenceDeclared.DESCRIPTOR.oneofs_by_name["preference"].fields}
    kinds = {number for name, number in ev.PreferenceKind.items() if number}

    assert fields == set(KINDS)
    assert kinds == set(KINDS.values())


def test_nothing_declared_is_nothing_held() -> None:
    state = PreferenceState()

    assert [] == state.all()
    assert state.of(LANGUAGE) is None
    assert frozenset() == state.wanted_topics()


def test_the_later_declaration_replaces_the_earlier_one(steps: Steps) -> None:
    steps.do(language("de"))
    steps.do(language("fr"))

    assert "fr" == spoken(held(steps))
    assert 1 == len(held(steps).all())


def test_of_two_that_occurred_at_once_the_one_recorded_later_holds(steps: Steps) -> None:
    steps.do(language("de", NOW - 5))
    steps.do(language("fr", NOW - 5))

    assert "fr" == spoken(held(steps))


def test_one_that_arrives_late_does_not_replace_what_was_said_after_it(steps: Steps) -> None:
    steps.do(language("de", NOW - 5))
    steps.do(language("fr", NOW - 9))

    assert "de" == spoken(held(steps))
    assert "fr" == spoken(steps.as_of(STREAM, NOW - 6).preferences)


def test_frequencies_of_different_scope_hold_side_by_side_and_other_kinds_have_no_scope(steps: Steps) -> None:
    steps.do(at_most(9), at_most(2, CHANNEL_EMAIL), at_most(1, CHANNEL_EMAIL, "books"), at_most(3, CHANNEL_EMAIL))
    steps.do(language("de"))

    found = [(each.kind, each.message.frequency.count) for each in held(steps).all()]
    assert [(FREQUENCY, 9), (FREQUENCY, 3), (FREQUENCY, 1), (LANGUAGE, 0)] == found
    exact = held(steps).of(FREQUENCY, CHANNEL_EMAIL, "books")
    assert exact is not None
    assert 1 == exact.message.frequency.count
    assert held(steps).of(FREQUENCY, CHANNEL_SMS) is None
    assert held(steps).of(LANGUAGE, CHANNEL_SMS, "whatever") is not None
    assert {FREQUENCY, ev.PREFERENCE_KIND_PAUSE} == SCOPED


def test_a_cleared_one_holds_no_longer_and_only_that_scope_is_cleared(steps: Steps) -> None:
    steps.do(at_most(9), at_most(2, CHANNEL_EMAIL))
    steps.do(clear(FREQUENCY, channel=CHANNEL_EMAIL))

    assert [9] == [each.message.frequency.count for each in held(steps).all()]


def test_clearing_nothing_is_harmless_and_clearing_keeps_out_what_was_said_before_it(steps: Steps) -> None:
    steps.do(clear(LANGUAGE, NOW - 5))
    steps.do(language("de", NOW - 6))

    assert spoken(held(steps)) is None
    assert "de" == spoken(steps.as_of(STREAM, NOW - 6).preferences)
    steps.do(language("fr", NOW - 5))
    assert "fr" == spoken(held(steps))


def test_a_view_of_the_past_shows_what_held_then(steps: Steps) -> None:
    steps.do(language("de", NOW - 9))
    steps.do(clear(LANGUAGE, NOW - 5))

    assert "de" == spoken(steps.as_of(STREAM, NOW - 6).preferences)
    assert spoken(steps.as_of(STREAM, NOW - 5).preferences) is None
    assert "de" == spoken(steps.as_of(STREAM, position=1).preferences)


def test_topics_wanted_are_those_of_the_declaration_that_holds(steps: Steps) -> None:
    steps.do(declare(topics=ev.TopicPreference(wanted=["books", "music"])))
    steps.do(declare(topics=ev.TopicPreference(wanted=["music", "films"], excluded=["books"])))

    assert {"music", "films"} == held(steps).wanted_topics()


def test_channels_are_replaced_as_a_whole(steps: Steps) -> None:
    steps.do(declare(channels=ev.ChannelPreference(averse=[CHANNEL_SMS])))
    steps.do(declare(channels=ev.ChannelPreference(preferred=[CHANNEL_POSTAL])))

    (declared,) = held(steps).all()
    assert [] == list(declared.message.channels.averse)


def test_what_lies_in_the_future_is_refused(steps: Steps) -> None:
    assert "OCCUR_TIME_IN_FUTURE" == steps.refused(language("de", NOW + 10**12))[0]
    assert "OCCUR_TIME_IN_FUTURE" == steps.refused(clear(LANGUAGE, NOW + 10**12))[0]
