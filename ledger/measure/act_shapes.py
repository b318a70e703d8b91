"""What interactions have in common that agree in kind, direction and initiator, as acts of the customer."""

from typing import Final, NamedTuple

from rapport.events.v1 import interaction_pb2 as i

_THEIR_OWN: Final = frozenset({i.INTERACTION_KIND_JOIN, i.INTERACTION_KIND_LEAVE})
"""Acts of the customer whoever is said to have begun them (settled.md 46)."""
_SPECIAL: Final = frozenset({
    i.INTERACTION_KIND_PURCHASE, i.INTERACTION_KIND_PURCHASE_ELSEWHERE, i.INTERACTION_KIND_RETURN,
    i.INTERACTION_KIND_JOIN, i.INTERACTION_KIND_LEAVE, i.INTERACTION_KIND_PRAISE, i.INTERACTION_KIND_COMPLAINT,
})  # fmt: skip
_TONES: Final[dict[int, int]] = {i.INTERACTION_KIND_PRAISE: 1, i.INTERACTION_KIND_COMPLAINT: -1}


class ActShape(NamedTuple):
    """What three fields of an interaction mean here."""

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


KNOWN: Final[dict[tuple[int, int, int], ActShape]] = {}
"""Every shape met, by kind, direction and initiator; to be looked up before `shape_of` is called."""


def shape_of(fields: tuple[int, int, int]) -> ActShape:
    """Return the shape of an interaction by kind, direction and initiator."""
    shape = KNOWN.get(fields)
    if shape is None:
        shape = KNOWN[fields] = _shape(*fields)
    return shape


def code_of(kind: int, *, partial: bool) -> int:
    """Return the number that stands for a kind and an attention in the columns of acts."""
    return 2 * kind + partial


def kind_of(code: int) -> int:
    """Return the kind that a code stands for."""
    return code >> 1


def is_partial(code: int) -> bool:
    """Tell whether a code stands for partial attention."""
    return bool(code & 1)


def _shape(kind: int, direction: int, initiator: int) -> ActShape:
    inward = direction != i.DIRECTION_OUTBOUND
    return ActShape(
        kind=kind,
        by_customer=inward and (initiator == i.INITIATOR_CUSTOMER or kind in _THEIR_OWN),
        special=inward and kind in _SPECIAL,
        tone=_TONES.get(kind, 0) if inward else 0,
        full=code_of(kind, partial=False),
        partial=code_of(kind, partial=True),
    )
