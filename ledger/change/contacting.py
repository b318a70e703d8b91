"""Changes of points of contact: `contact_shape_changed` and `continuity_risk` (relationship.md 11 and 15)."""

from collections.abc import Iterator
from typing import Final

from ledger.change.dwell import held
from ledger.change.look import Draft, Look
from rapport.change.v1 import change_pb2 as pb
from rapport.events.v1.relationship_pb2 import PointOfContactClosed
from rapport.type.v1.levels_pb2 import ContactShape

MEASURE: Final = "contact_shape"


def contacting(look: Look) -> Iterator[Draft]:
    """Announce another shape if it lasts, and that somebody on whom much hangs has left."""
    levels, rules, now = look.levels, look.measured.outlook.rules, look.measured.contacts
    cause = held(look, MEASURE, "DIFFERS" if now.shape != levels.shape else "", rules.shape_dwell)
    if cause is not None:
        kind = pb.CHANGE_KIND_CONTACT_SHAPE_CHANGED
        yield Draft(kind, MEASURE, name(levels.shape), name(now.shape), cause, pair=MEASURE)
        levels.shape = now.shape
    if look.fact is not None and isinstance(look.fact.event, PointOfContactClosed):
        for gone in look.measured.record.state.points_of_contact.closed():
            if gone.position == look.fact.position:
                yield from _leaving(look, gone.point_of_contact_id, gone.side)


def _leaving(look: Look, person_id: str, side: int) -> Iterator[Draft]:
    """Announce that somebody has left on whom much hangs; one id may name a person of either side."""
    threshold = look.measured.outlook.rules.continuity_from
    shares = [each for each in look.measured.contacts.shares if (each.person_id, each.side) == (person_id, side)]
    share = max((each.share.ppm for each in shares if each.share.unknown is None), default=0)
    if shares and share >= threshold:
        measure = f"person_share:{person_id}"
        kind = pb.CHANGE_KIND_CONTINUITY_RISK
        yield Draft(kind, measure, "OPEN", "CLOSED", look.cause, value=share, threshold=threshold)


def name(shape: int) -> str:
    """Return the word for a shape. Example: `BOW_TIE`."""
    return ContactShape.Name(shape).removeprefix("CONTACT_SHAPE_")  # type: ignore[arg-type]  # A number of the enum.
