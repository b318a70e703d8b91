"""Until when all that is measured stays as it is: who asks again before that is answered as before.

Left out is one that moves always: how long the silence is beside the cadence.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from ledger.measure import conduct, conversation, solicitations
from ledger.measure.involvement import DAY

if TYPE_CHECKING:
    from ledger.domain.moments import Moments
    from ledger.measure.measured import Measured


def steady_until(m: Measured) -> int:
    """Return the first later instant at which the clock alone may change what is measured, in microseconds.

    Nothing changes but at midnight UTC, when ages grow; where something leaves a window, matures, or is answered too
    late; where a permission changes; and where a level may be crossed.
    """
    moves = (
        m.next_crossing, m.permission.changes_at, conversation.moves_at(m), solicitations.next_maturity(m),
        conduct.moves_at(m),
    )  # fmt: skip
    told = (each for each in moves if each is not None)
    return min(chain(((m.at // DAY + 1) * DAY,), told, _leaving(m)))


def _leaving(m: Measured) -> Iterator[int]:
    """Yield when the next event of each kind leaves its window, of those that `conversation.moves_at` does not see."""
    rules, talk, said = m.outlook.rules, m.record.talk, m.record.state.conversation
    named = (talk.named, *talk.edges.values(), *talk.ours.values())
    for moments in (talk.together, talk.decided, said.solicitations, *named):
        yield from _leaves_at(moments, m.at, rules.window)
    for moments in m.record.acts.tones.values():
        yield from _leaves_at(moments, m.at, rules.valence_window)


def _leaves_at(moments: Moments, at: int, window: int) -> Iterator[int]:
    place = moments.until(at - window)
    if place < len(moments):
        yield moments.times[place] + window
