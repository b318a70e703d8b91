"""Changes of the conversation: `broadcast_mode_entered` and `_left` (relationship.md 10 and 15). The gap, no dwell."""

from collections.abc import Iterator
from typing import Final

from ledger.change.look import Draft, Look
from ledger.measure.results import ConversationMeasure
from ledger.measure.rules import Rules
from rapport.change.v1 import change_pb2 as pb

MEASURE: Final = "conversation"
_BROADCAST: Final = "BROADCAST"
_CONVERSATION: Final = "CONVERSATION"


def conversing(look: Look) -> Iterator[Draft]:
    """Announce that we talk and nobody answers, or that they answer again."""
    levels, rules, now = look.levels, look.measured.outlook.rules, look.measured.conversation
    entered = not levels.broadcast and now.broadcast
    if not entered and not (levels.broadcast and has_left(now, rules)):
        return
    levels.broadcast = entered
    kind = pb.CHANGE_KIND_BROADCAST_MODE_ENTERED if entered else pb.CHANGE_KIND_BROADCAST_MODE_LEFT
    told = (_CONVERSATION, _BROADCAST) if entered else (_BROADCAST, _CONVERSATION)
    yield Draft(
        kind,
        MEASURE,
        *told,
        look.cause,
        value=now.listening.ppm if now.listening.unknown is None else None,
        threshold=rules.broadcast_below if entered else rules.broadcast_left_from,
        hysteresis=rules.broadcast_left_from - rules.broadcast_below,
        pair=MEASURE,
    )


def has_left(now: ConversationMeasure, rules: Rules) -> bool:
    """Tell whether a broadcast is over: nothing is left unanswered, and we listen enough, or little was said."""
    if now.streak or now.broadcast:
        return False
    if now.outbound < rules.broadcast_out_min:
        return True
    return now.listening.unknown is None and now.listening.ppm >= rules.broadcast_left_from
