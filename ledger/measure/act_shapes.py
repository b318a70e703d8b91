"""What interactions of one shape have in common as acts of the customer."""

from typing import Final, NamedTuple

from ledger.domain.conversation_shapes import Shape
from rapport.events.v1 import interaction_pb2 as i

_THEIR_OWN: Final = frozenset({i.INTERACTION_KIND_JOIN, i.INTERACTION_KIND_LEAVE})
"""Acts of the customer whoever is said to have begun them (settled.md 46)."""
_SPECIAL: Final = frozenset({
    i.INTERACTION_KIND_PURCHASE, i.INTERACTION_KIND_PURCHASE_ELSEWHERE, i.INTERACTION_KIND_RETURN,
    i.INTERACTION_KIND_JOIN, i.INTERACTION_KIND_LEAVE, i.INTERACTION_KIND_PRAISE, i.INTERACTION_KIND_COMPLAINT,
})  # fmt: skip
_TONES: Final[dict[int, int]] = {i.INTERACTION_KIND_PRAISE: 1, i.INTERACTION_KIND_COMPLAINT: -1}


class ActShape(NamedTuple):
    """What the kind, direction and initiator of an interaction mean here."""

    kind: int
    by_customer: bool
    """An act of the customer: begun by them, never OUTBOUND (relationship.md 5, settled.md 46)."""
    special: bool
    """More than its time and kind is kept of it."""
    tone: int
    """1 or -1 where the kind itself bears a tone, else 0 (relationship.md 7)."""
    full: int
    """Its code with full attention."""
    partial: int
    """Its code with partial attention."""


KNOWN: Final[dict[int, ActShape]] = {}
"""Every one met, by the number of the shape; to be looked up before `act_shape` is called."""


def code_of(kind: int, *, partial: bool) -> int:
    """Return the number that stands for a kind and an attention in the columns of acts."""
    return 2 * kind + partial


def kind_of(code: int) -> int:
    """Return the kind that a code stands for."""
    return code >> 1


def is_partial(code: int) -> bool:
    """Tell whether a code stands for partial attention."""
    return bool(code & 1)


def act_shape(shape: Shape) -> ActShape:
    """Return what a shape means for acts."""
    found = KNOWN.get(shape.number)
    if found is None:
        found = KNOWN[shape.number] = _act_shape(shape)
    return found


def _act_shape(shape: Shape) -> ActShape:
    kind, inward = shape.kind, shape.direction != i.DIRECTION_OUTBOUND
    return ActShape(
        kind=kind,
        by_customer=inward and (shape.initiator == i.INITIATOR_CUSTOMER or kind in _THEIR_OWN),
        special=inward and kind in _SPECIAL,
        tone=_TONES.get(kind, 0) if inward else 0,
        full=code_of(kind, partial=False),
        partial=code_of(kind, partial=True),
    )
