"""Changes of promises: `promise_kept` and `promise_broken` (relationship.md 12 and 15).

A promise is broken by the clock, at the instant at which it is due. Kept later it is kept late, which announces nothing
(settled.md 48). Said later to have been kept in time, it is announced as kept, and that corrects the breach.
"""

from collections.abc import Iterator
from typing import Final

from ledger.change.look import Draft, Look
from ledger.domain.promise import Standing
from rapport.change.v1 import change_pb2 as pb

_KEPT: Final = 1
_BROKEN: Final = 2
_ANNOUNCED: Final = {Standing.KEPT: _KEPT, Standing.BROKEN: _BROKEN, Standing.KEPT_LATE: _BROKEN}
_WORDS: Final = {0: "TRIGGERED", _KEPT: "KEPT", _BROKEN: "BROKEN"}


def promising(look: Look) -> Iterator[Draft]:
    """Announce each promise that was kept in time, or was not."""
    state, known = look.measured.record.state, look.levels.promises
    if "promises" not in state.parts:
        return
    for promise in state.promises.all():
        promise_id = promise.message.promise_id
        now, before = _ANNOUNCED.get(promise.standing(look.at), 0), known.get(promise_id, 0)
        if now and now != before:
            known[promise_id] = now
            kind = pb.CHANGE_KIND_PROMISE_KEPT if now == _KEPT else pb.CHANGE_KIND_PROMISE_BROKEN
            pair = measure = f"promise:{promise_id}"
            yield Draft(kind, measure, _WORDS[before], _WORDS[now], look.cause, pair=pair, corrects=bool(before))
