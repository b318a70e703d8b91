"""Gate 7: do they want it this way? (consent.md 5 and 6).

Averse channels, excluded topics, pauses: declared by the customer, never inferred. Topics and hours wanted enter no
gate (settled.md 68); how often and when not have gates of their own.
"""

from collections.abc import Iterator
from typing import Final

from ledger.contact.finding import DEFER, FAIL, NOT_ASKED, PASSED, Finding
from ledger.contact.picture import Picture
from ledger.domain.preference import Declared, PreferenceState
from ledger.domain.times import END_OF_TIME, microseconds
from rapport.events.v1 import contact_pb2, interaction_pb2, preference_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion

_CHANNELS: Final = preference_pb2.PREFERENCE_KIND_CHANNELS
_TOPICS: Final = preference_pb2.PREFERENCE_KIND_TOPICS


def gate(picture: Picture, question: ContactQuestion, at: int) -> Finding:
    """FAIL for what is not wanted or paused without end, DEFER to the end of the pause that lasts longest."""
    if question.message_class == interaction_pb2.MESSAGE_CLASS_TRANSACTIONAL:
        return NOT_ASKED
    if "preferences" not in picture.state.parts:
        return PASSED
    return unwanted(picture.state.preferences, question.channel, question.topic, at)


def unwanted(preferences: PreferenceState, channel: int, topic: str, at: int) -> Finding:
    """Return what is declared against a contact by a channel about a topic, which may be empty, at an instant."""
    channels = preferences.of(_CHANNELS)
    if channels is not None and channel in channels.message.channels.averse:
        return Finding(FAIL, contact_pb2.DECISION_REASON_CHANNEL_AVERSE, (channels.position,))
    topics = preferences.of(_TOPICS)
    if topics is not None and topic in topics.message.topics.excluded:
        return Finding(FAIL, contact_pb2.DECISION_REASON_TOPIC_EXCLUDED, (topics.position,))
    pauses = scoped(preferences, preference_pb2.PREFERENCE_KIND_PAUSE, channel, topic)
    longest = max(((_end(pause), -pause.position) for pause in pauses), default=None)
    if longest is None or longest[0] <= at:
        return PASSED
    until, evidence = longest[0], (-longest[1],)
    if until == END_OF_TIME:
        return Finding(FAIL, contact_pb2.DECISION_REASON_PAUSED, evidence)
    return Finding(DEFER, contact_pb2.DECISION_REASON_PAUSED, evidence, until, until)


def scoped(preferences: PreferenceState, kind: int, channel: int, topic: str) -> Iterator[Declared]:
    """Yield the declarations of a kind whose scope has a channel and a topic, the widest first.

    What is declared for one topic says nothing of a contact whose topic is not said.
    """
    for each_channel in (0, channel) if channel else (0,):
        for each_topic in ("", topic) if topic else ("",):
            declared = preferences.of(kind, each_channel, each_topic)
            if declared is not None:
                yield declared


def _end(pause: Declared) -> int:
    message = pause.message.pause
    return microseconds(message.until) if message.HasField("until") else END_OF_TIME
