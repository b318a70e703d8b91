"""The types of relationship that are shipped: version 0 of every organization's catalogue (relationship.md 8).

A stranger, the fifteen forms of Fournier (1998), and of the types of Avery, Fournier and Wittenbraker (2014) the
seven whose names public text confirms. Their article counts twenty-nine; the other names are not shipped. An
organization that holds the article publishes them as its own. Definitions are in our words. Where a form stands on the
axes is our reading, no published score; what is left open matches nothing and contradicts nothing.

Frozen: types that were inferred are inferred again from it, and a test holds its bytes.
"""

from typing import Final

from rapport.events.v1.relationship_types_pb2 import RelationshipType, TypeAxes, TypeCatalogue
from rapport.type.v1 import levels_pb2 as levels

_OURS: Final = "Rapport: the state before there is a relationship"
_FOURNIER: Final = (
    "Susan Fournier, Consumers and Their Brands: Developing Relationship Theory in Consumer Research, Journal of"
    " Consumer Research 24 (4), 1998, 343-373"
)
_HBR: Final = (
    "Jill Avery, Susan Fournier, John Wittenbraker, Unlock the Mysteries of Your Customer Relationships, Harvard"
    " Business Review 92 (7-8), 2014, 72-81"
)
_SOURCES: Final = {"rapport": _OURS, "fournier": _FOURNIER, "hbr": _HBR}
_AXES: Final = {
    "+": TypeAxes(valence=levels.VALENCE_POSITIVE),
    "-": TypeAxes(valence=levels.VALENCE_NEGATIVE),
    "D": TypeAxes(closeness=levels.CLOSENESS_DISTANT),
    "I": TypeAxes(closeness=levels.CLOSENESS_INTIMATE),
    "S": TypeAxes(intensity=levels.INTENSITY_INTENSE),
    "W": TypeAxes(intensity=levels.INTENSITY_WEAK),
}


def _type(slug: str, axes: str, alias: str, definition: str) -> RelationshipType:
    source, _, name = slug.partition(":")
    found = RelationshipType(
        slug=slug,
        title=name.replace("-", " ").capitalize(),
        source=_SOURCES[source],
        definition=definition,
        axes=TypeAxes() if axes else None,
        neutral_alias=alias or slug,
    )
    for axis in axes.split():
        found.axes.MergeFrom(_AXES[axis])
    return found


_SHIPPED: Final = (
    _type("fournier:arranged-marriage", "D W", "assigned", "Entered because a third party chose it."),
    _type("fournier:best-friendship", "+ I S", "close", "Chosen freely, candid, and rewarding to both."),
    _type("fournier:casual-friend", "+ D W", "light", "Friendly, seldom, and without expectations."),
    _type("fournier:childhood-friendship", "+ W", "nostalgic", "Of old, rarely renewed, and fond for the memory."),
    _type("fournier:committed-partnership", "+ I S", "committed", "Long, wished for, and kept through bad times."),
    _type("fournier:compartmentalized-friendship", "+ D", "situational", "Friendly, within one kind of situation."),
    _type("fournier:courtship", "+", "exploring", "On the way to a commitment, being tried out."),
    _type("fournier:dependency", "I S", "reliant", "The customer feels that they cannot do without."),
    _type("fournier:enmity", "- S", "opposed", "Strong dislike that wants to avoid or to harm."),
    _type("fournier:enslavement", "-", "captive", "Kept up only for want of a choice."),
    _type("fournier:fling", "+ S", "brief-enthusiasm", "Intense, short, and without a promise."),
    _type("fournier:kinship", "", "inherited", "Handed down in the family, not chosen."),
    _type("fournier:marriage-of-convenience", "D", "practical", "Lasting, because circumstances suit."),
    _type("fournier:rebound", "", "alternative", "Taken up to get away from somebody else."),
    _type("fournier:secret-affair", "+ S", "private", "Emotional, and hidden from others."),
    _type("hbr:basic-exchange", "D W", "exchange", "Goods against money, and nothing else is wished."),
    _type("hbr:best-friends", "+ I S", "close", "Mutual, open, and reliable."),
    _type("hbr:buddies", "+ D", "companionable", "Good company, without closeness."),
    _type("hbr:business-partners", "+", "cooperating", "Both sides work for a common result."),
    _type("hbr:ex-friends", "D W", "estranged", "Was close once, and is no more."),
    _type("hbr:fling", "+ S", "brief-enthusiasm", "Exciting while it lasts, which is not meant to be long."),
    _type("hbr:master-slave", "S", "unconditional-service", "One side expects to be served, whatever it asks."),
    _type("rapport:stranger", "", "", "Nothing was begun by the customer, and nothing is shared."),
)

BUILT_IN_TYPES: Final = TypeCatalogue(types=_SHIPPED)
"""Version 0, by slug; never changed."""
