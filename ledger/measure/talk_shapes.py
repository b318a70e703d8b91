"""What interactions of one shape have in common in the talk between the two: flags, of which the sum is a way."""

from typing import Final

from ledger.domain.conversation_shapes import ADDRESSED, Shape
from rapport.events.v1 import interaction_pb2 as i

IN: Final = 1
"""Addressed to us; MUTUAL too (settled.md 45)."""
OUT: Final = 2
"""Addressed to the customer; MUTUAL too."""
BEGUN: Final = 4
"""Addressed, not OUTBOUND, and begun by the customer."""
TOGETHER: Final = 8
"""Addressed, and both take part at the same time (relationship.md 7)."""
ASKS: Final = 16
"""Says something to us, so that it may need a reply."""
JUDGES: Final = 32
"""Says something of another interaction that is counted here."""
MAY_BOUNCE: Final = 64
"""OUTBOUND, and no bounce itself."""
MAY_BE_INCITED: Final = 128
"""An act of the customer for which somebody may have been given something; of purchases others know."""
SPEAKS: Final = IN | OUT | BEGUN

BOUNCED: Final = i.INTERACTION_KIND_BOUNCED
RATED: Final = i.INTERACTION_KIND_RELEVANCE_RATED
ACCEPTED: Final = i.INTERACTION_KIND_CONTRIBUTION_ACCEPTED
_AT_ONCE: Final = frozenset({i.INTERACTION_KIND_CALL, i.INTERACTION_KIND_MEETING, i.INTERACTION_KIND_CHAT_SESSION})
_FACE_TO_FACE: Final = frozenset({i.CHANNEL_IN_PERSON, i.CHANNEL_VIDEO})
_JUDGEMENTS: Final = frozenset({BOUNCED, RATED, ACCEPTED, i.INTERACTION_KIND_CONTRIBUTION_REJECTED})
_NEVER_INCITED: Final = frozenset({
    i.INTERACTION_KIND_PURCHASE, i.INTERACTION_KIND_VIEW, i.INTERACTION_KIND_CLICK, *_JUDGEMENTS,
})  # fmt: skip
"""Purchases, of which others know, and what is too weak to be asked about."""
_KINDS: Final = frozenset(i.InteractionKind.values())
_DIRECTIONS: Final = frozenset(i.Direction.values())


WAYS: Final[dict[int, int]] = {}
"""Every way met, by the number of its shape; to be looked up before `way_of` is called."""


def way_of(shape: Shape) -> int:
    """Return the flags of a shape."""
    way = WAYS.get(shape.number)
    if way is None:
        way = WAYS[shape.number] = _way(shape)
    return way


def _way(shape: Shape) -> int:
    """Return the flags of a shape: of what another version of the events knows, none."""
    kind, direction = shape.kind, shape.direction
    if kind not in _KINDS or direction not in _DIRECTIONS:
        return 0
    outbound, mutual = direction == i.DIRECTION_OUTBOUND, direction == i.DIRECTION_MUTUAL
    inbound = mutual or direction == i.DIRECTION_INBOUND
    addressed = kind in ADDRESSED
    speaks = addressed and (inbound or outbound)
    flags = (
        (IN, addressed and inbound),
        (OUT, addressed and (outbound or mutual)),
        (BEGUN, addressed and not outbound and shape.initiator == i.INITIATOR_CUSTOMER),
        (TOGETHER, speaks and (kind in _AT_ONCE or shape.channel in _FACE_TO_FACE)),
        (ASKS, inbound),
        (JUDGES, kind in _JUDGEMENTS),
        (MAY_BOUNCE, outbound and kind != BOUNCED),
        (MAY_BE_INCITED, not outbound and kind not in _NEVER_INCITED),
    )
    return sum(flag for flag, holds in flags if holds)
