"""Dwell: a condition that must hold for a while before it is announced (relationship.md 15, settled.md 41).

It counts from the evaluation that first saw the condition. A condition that did not hold at one evaluation begins anew.
The cause that is named is what began it, and the change takes effect then; it is found when the dwell is over. How long
that takes is up to the policy in force: a new one moves the end of what is under way, and what has held for as long as
it asks is found when it comes into force.
"""

from collections.abc import Iterator

from ledger.change.levels import Levels
from ledger.change.look import Cause, Look


def held(look: Look, measure: str, what: str, dwell: int) -> Cause | None:
    """Return the cause of a condition that has held for `dwell` microseconds, and forget it; None: it has not.

    `what`: names the condition, another name is another condition; empty: none holds.
    """
    pending = look.levels.pending
    if not what:
        pending.pop(measure, None)
        return None
    known = pending.get(measure)
    if known is None or known[0] != what:
        if dwell <= 0:
            pending.pop(measure, None)
            return look.cause
        known = pending[measure] = [what, look.at, 0, look.cause.text, *look.cause.positions]
    known[2] = known[1] + dwell
    if look.at < known[2]:
        return None
    del pending[measure]
    _, since, _, text, *positions = known
    return Cause(text, since, tuple(positions))


def reckon(levels: Levels, measure: str, dwell: int) -> None:
    """Move the end of a dwell that is under way, if it is, to `dwell` microseconds after it began."""
    known = levels.pending.get(measure)
    if known is not None:
        known[2] = known[1] + dwell


def is_over(levels: Levels, at: int) -> bool:
    """Tell whether a dwell that is under way is over at an instant, in microseconds, and was not looked at since."""
    return any(end <= at for end in ends(levels))


def ends(levels: Levels) -> Iterator[int]:
    """Yield when each dwell that is under way is over, in microseconds."""
    return (pending[2] for pending in levels.pending.values())
