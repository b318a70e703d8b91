"""Which later events make a decision another one: a smallest set of them, found by leaving out (consent.md 4, rule 6).

Events are left out as long as the answer stays another one than before, many at once first, then fewer, then each by
itself, and over again until nothing more can go. What is left is needed: without any one of them the answer is the old
one. It is *a* smallest set, not the smallest: two late withdrawals that each suffice are told by the last of them.
"""

from collections.abc import Callable, Sequence
from typing import Final

TRIALS_MAX: Final = 500
"""Most answers made for one search; what could not be tried by then stays in the set."""


def needed(positions: Sequence[int], differs: Callable[[Sequence[int]], bool]) -> list[int]:
    """Return some of the positions, ascending, with which the answer is another one, and without any of them is not.

    `positions` ascend. `differs`: whether the answer is another one when of later events only those at some positions
    are known. Empty where it is the old one with all of them.
    """
    kept = list(positions)
    if not differs(kept):
        return []
    trials = 1
    size = max(len(kept) // 2, 1)
    while kept and trials < TRIALS_MAX:
        left_out = False
        start = 0
        while start < len(kept) and trials < TRIALS_MAX:
            rest = kept[:start] + kept[start + size :]
            trials += 1
            if rest and differs(rest):
                kept, left_out = rest, True
            else:
                start += size
        if size == 1 and not left_out:
            break
        size = max(size // 2, 1)
    return kept
