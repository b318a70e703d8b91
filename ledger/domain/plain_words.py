"""What of a text is compared where plain words count: letters and digits (settled.md 68).

Case, encoding, and everything that stands between or behind the letters make no difference: punctuation, white space,
symbols, and the marks that telephones put behind each picture.
"""

from typing import Final
from unicodedata import category, normalize

_IGNORED: Final = frozenset({"C", "P", "S", "Z", "Me"})
"""Unicode categories, or their initials: controls, punctuation, symbols, separators, and marks that enclose, such as
that of a keycap."""
_UNSEEN: Final = frozenset((0x034F, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
"""Marks that only choose between pictures of what stands before them: no letters, though Unicode has them among the
marks that letters are made of."""


def bare(text: str) -> str:
    """Return what of a text is compared. A dotted capital I is an i: without that a dot would be left of it."""
    folded = normalize("NFKC", text).casefold().replace("i\N{COMBINING DOT ABOVE}", "i")
    return "".join(each for each in folded if not _is_ignored(each))


def bare_parts(text: str) -> list[str]:
    """Return the same of each part of a text between what is not compared."""
    parts = "".join(" " if _is_ignored(each) else each for each in normalize("NFKC", text)).split()
    return [found for part in parts if (found := bare(part))]


def _is_ignored(character: str) -> bool:
    found = category(character)
    return found[0] in _IGNORED or found in _IGNORED or ord(character) in _UNSEEN
