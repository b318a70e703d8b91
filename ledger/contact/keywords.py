"""Plain words count: what an inbound text says about consent (consent.md 4, rule 9).

Compared are letters and digits only, without regard to case, to how they are encoded, or to what stands between them:
"OPT-OUT", "opt out" and "Optout." are one word (settled.md 68). A text that is such a word is a withdrawal. A text that
holds one among others is for a person to read: "please don't stop" is none.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from ledger.domain.plain_words import bare, bare_parts
from rapport.events.v1.contact_policy_pb2 import KeywordRules
from rapport.events.v1.interaction_pb2 import Channel


class Reading(IntEnum):
    """What was read; numbers as in `rapport.consent.v1.TextReading`."""

    NOTHING = 1
    WITHDRAWAL = 2
    FOR_A_PERSON = 3


class Read(NamedTuple):
    """What was read in a text, and the policy's word that was found in it; empty: none."""

    reading: Reading
    word: str = ""


def read(text: str, channel: Channel.ValueType, rules: KeywordRules) -> Read:
    """Return what a text that came by a channel says, by the words of a contact policy."""
    if not rules.words or (rules.channels and channel not in rules.channels):
        return Read(Reading.NOTHING)
    words = {plain: word for word in reversed(rules.words) if (plain := bare(word))}
    parts = bare_parts(text)
    whole = words.get("".join(parts))
    if whole is not None:
        return Read(Reading.WITHDRAWAL, whole)
    longest = max(map(len, words), default=0)
    found = next((words[run] for run in _runs(parts, longest) if run in words), None)
    return Read(Reading.NOTHING) if found is None else Read(Reading.FOR_A_PERSON, found)


def _runs(parts: list[str], longest: int) -> Iterator[str]:
    """Yield the texts that neighbouring parts make together, up to a length: a word may be written in several."""
    for first in range(len(parts)):
        run = ""
        for part in parts[first:]:
            run += part
            if len(run) > longest:
                break
            yield run
