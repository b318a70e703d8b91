"""What the kind, direction and class of an interaction make of it in a conversation (relationship.md 2, 5 and 10)."""

from itertools import count
from typing import Final, NamedTuple

from rapport.events.v1 import interaction_pb2 as i

ADDRESSED: Final = frozenset(
    {
        i.INTERACTION_KIND_MESSAGE,
        i.INTERACTION_KIND_CALL,
        i.INTERACTION_KIND_MEETING,
        i.INTERACTION_KIND_CHAT_SESSION,
        i.INTERACTION_KIND_REPLY,
        i.INTERACTION_KIND_QUESTION,
        i.INTERACTION_KIND_ANSWER,
        i.INTERACTION_KIND_OFFER,
        i.INTERACTION_KIND_SURVEY_ASKED,
        i.INTERACTION_KIND_SURVEY_ANSWERED,
        i.INTERACTION_KIND_FEEDBACK,
        i.INTERACTION_KIND_COMPLAINT,
        i.INTERACTION_KIND_COMPLAINT_RESOLVED,
        i.INTERACTION_KIND_PRAISE,
        i.INTERACTION_KIND_GREETING,
        i.INTERACTION_KIND_SUPPORT_CASE,
        i.INTERACTION_KIND_PREFERENCE_SHARED,
    }
)
"""Kinds that are addressed to the other side (relationship.md 2)."""
_TOO_WEAK: Final = frozenset(
    {
        i.INTERACTION_KIND_OFFER,
        i.INTERACTION_KIND_SURVEY_ASKED,
        i.INTERACTION_KIND_COMPLAINT_RESOLVED,
        i.INTERACTION_KIND_GREETING,
    }
)
"""Addressed kinds that weigh less than 300000, so that they end no streak (relationship.md 5, settled.md 45)."""
_REPORTS: Final = frozenset(
    {
        i.INTERACTION_KIND_DELIVERED,
        i.INTERACTION_KIND_BOUNCED,
        i.INTERACTION_KIND_COMPLAINT,
        i.INTERACTION_KIND_COMPLAINT_RESOLVED,
    }
)
_PASSING: Final = frozenset({i.INTERACTION_KIND_VIEW, i.INTERACTION_KIND_CLICK})

NO_RESPONSE: Final = 0
OPTED_OUT: Final = 1
REPLIED: Final = 2
BOUGHT: Final = 3
"""Outcomes of a solicitation, the higher before the lower (relationship.md 10)."""
_OUTCOMES: Final[dict[int, int]] = {
    i.INTERACTION_KIND_PURCHASE: BOUGHT,
    i.INTERACTION_KIND_OFFER_ACCEPTED: BOUGHT,
    i.INTERACTION_KIND_MARKED_SPAM: OPTED_OUT,
    i.INTERACTION_KIND_LEAVE: OPTED_OUT,
}


class Shape(NamedTuple):
    """What all interactions have in common that agree in six fields."""

    number: int
    """Its place in `SHAPES`."""
    kind: int
    direction: int
    initiator: int
    channel: int
    message_class: int
    inbound: bool
    """INBOUND, or MUTUAL, which is in and out."""
    outgoing: bool
    """OUTBOUND or MUTUAL: it may use a permit."""
    by_customer: bool
    """An act of the customer is never OUTBOUND (settled.md 46)."""
    contact: bool
    """Outbound and addressed. MUTUAL is none (settled.md 45)."""
    solicits: bool
    """A contact that is not TRANSACTIONAL: a solicitation unless it answers an inbound or bounced."""
    ends_streak: bool
    """Addressed, and initiated by the customer."""
    outcome: int
    """What an act of the customer makes of the solicitation that it is credited to."""
    answers: bool
    """It makes a difference whether it answers something."""
    refers: bool
    """It says something of another interaction."""
    names: bool
    """It may refer to something in a way that makes a difference."""
    reports: bool
    """It says something of another interaction that is kept with that, or waits for such a word."""
    passing: bool
    """A view or click that is addressed to nobody: too many to keep more of than the time."""
    imported: bool
    """Of a historical import."""


Fields = tuple[int, int, int, int, int, bool]
"""Kind, direction, initiator, channel, class, imported."""

NOTHING: Final = Shape(
    number=0,
    kind=0,
    direction=0,
    initiator=0,
    channel=0,
    message_class=0,
    inbound=False,
    outgoing=False,
    by_customer=False,
    contact=False,
    solicits=False,
    ends_streak=False,
    outcome=NO_RESPONSE,
    answers=False,
    refers=False,
    names=False,
    reports=False,
    passing=False,
    imported=False,
)
"""In the place of what was retracted, or has not happened yet."""
SHAPES: Final[dict[int, Shape]] = {NOTHING.number: NOTHING}
"""Every shape met, by number: few, for all relationships together. What stands in it never changes."""
KNOWN: Final[dict[Fields, Shape]] = {}
"""The same by their fields, to be looked up before `shape_of` is called."""
_numbers: Final = count(NOTHING.number + 1)


def fields_of(event: i.InteractionRecorded, *, imported: bool) -> Fields:
    """Return the fields that make the shape of an interaction. `imported`: of a historical import."""
    return event.kind, event.direction, event.initiator, event.channel, event.message_class, imported


def shape_of(fields: Fields) -> Shape:
    """Return the shape of an interaction.

    Folds run in several threads. Two that meet the same fields at once give them two numbers, which mean the same.
    """
    shape = KNOWN.get(fields)
    if shape is None:
        shape = _shape(fields, next(_numbers))
        SHAPES[shape.number] = KNOWN[fields] = shape
    return shape


def known_shapes() -> list[Shape]:
    """Return every shape met so far, that of nothing too."""
    return list(SHAPES.values())


def _shape(fields: Fields, number: int) -> Shape:
    kind, direction, initiator, channel, message_class, imported = fields
    outbound, mutual = direction == i.DIRECTION_OUTBOUND, direction == i.DIRECTION_MUTUAL
    inbound = mutual or direction == i.DIRECTION_INBOUND
    addressed = kind in ADDRESSED
    contact = outbound and addressed
    outcome = NO_RESPONSE if outbound else _OUTCOMES.get(kind, REPLIED if inbound and addressed else NO_RESPONSE)
    answers = contact or bool(outcome)
    refers = kind in _REPORTS or kind == i.INTERACTION_KIND_MARKED_SPAM
    return Shape(
        number=number,
        kind=kind,
        direction=direction,
        initiator=initiator,
        channel=channel,
        message_class=message_class,
        inbound=inbound,
        outgoing=outbound or mutual,
        by_customer=not outbound,
        contact=contact,
        solicits=contact and message_class != i.MESSAGE_CLASS_TRANSACTIONAL,
        ends_streak=(addressed and not outbound and initiator == i.INITIATOR_CUSTOMER and kind not in _TOO_WEAK),
        outcome=outcome,
        answers=answers,
        refers=refers,
        names=answers or refers or outbound or mutual,
        reports=kind in _REPORTS,
        passing=kind in _PASSING and direction == i.DIRECTION_OBSERVED and not imported,
        imported=imported,
    )
