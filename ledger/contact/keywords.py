"""Plain words count: what an inbound text says about consent (consent.md 4, rule 9).

Compared are letters and digits only, without regard to case, to how they are encoded, or to what stands between them:
"OPT-OUT", "opt out" and "Optout." are one word (settled.md 68). A text that is such a word is a withdrawal. A text that
holds one among others is for a person to read: "please don't stop" is none.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, NamedTuple
from unicodedata import category, normalize

from rapport.events.v1.contact_policy_pb2 import KeywordRules
from rapport.events.v1.interaction_pb2 import Channel

_IGNORED: Final = frozenset({"C", "P", "S", "Z", "Me"})
"""Unicode categories, or their initials, that are not compared: controls, punctuation, symbols, separators, and marks
that enclose, such as that of a keycap."""
_UNSEEN: Final = frozenset((0x034F, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
"""Marks that only choose between pictures of what stands before them, as telephones put behind each emoji: no letters,
though Unicode has them among the marks that letters are made of."""


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
    words = {bare: word for word in reversed(rules.words) if (bare := _bare(word))}
    parts = [bare for part in _apart(text) if (bare := _bare(part))]
    whole = words.get("".join(parts))
    if whole is not None:
        return Read(Reading.WITHDRAWAL, whole)
    longest = max(map(len, words), default=0)
    found = next((words[run] for run in _runs(parts, longest) if run in words), None)
    return Read(Reading.NOTHING) if found is None else Read(Reading.FOR_A_PERSON, found)


def _bare(text: str) -> str:
    """Return what of a text is compared. A dotted capital I is an i: without that a dot would be left of it."""
    folded = normalize("NFKC", text).casefold().replace("i\N{COMBINING DOT ABOVE}", "i")
    return "".join(each for each in folded if not _is_ignored(each))


def _apart(text: str) -> Iterable[str]:
    """Return the parts of a text between what is not compared."""
    return "".join(" " if _is_ignored(each) else each for each in normalize("NFKC", text)).split()


def _is_ignored(character: str) -> bool:
    found = category(character)
    return found[0] in _IGNORED or found in _IGNORED or ord(character) in _UNSEEN


def _runs(parts: list[str], longest: int) -> Iterator[str]:
    """Yield the texts that neighbouring parts make together, up to a length: a word may be written in several."""
    for first in range(len(parts)):
        run = ""
        for part in parts[first:]:
            run += part
            if len(run) > longest:
                break
            yield run
