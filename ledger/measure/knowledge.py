"""What is known of the customer, by provenance (relationship.md 10 and 13)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ledger.domain.attribute import DECLARED
from ledger.measure.results import Knowledge
from rapport.events.v1.contact_policy_pb2 import AttributeCatalogue

if TYPE_CHECKING:
    from ledger.measure.measured import Measured

_CATALOGUES_MAX: Final = 64

Groups = Mapping[str, str]
"""Group by key; keys without a group are missing."""

_known: OrderedDict[int, tuple[AttributeCatalogue, Groups]] = OrderedDict()
"""Groups of the catalogues read last, by identity: a catalogue has up to 1,000 keys, and every measure asks."""


def knowledge(m: Measured) -> Knowledge:
    """Return how many keys have a value of each provenance, and how much of the catalogue was declared.

    A group is declared if a value of one of its keys was disclosed and not withdrawn. What was only asked for, or
    withdrawn, is not known.
    """
    state, catalogue = m.record.state, m.outlook.catalogue
    groups = {} if catalogue is None else _groups(catalogue)
    if "attributes" not in state.parts:
        return Knowledge((), 0, len(set(groups.values())))
    attributes, declared = state.attributes, set()
    for key in attributes.keys() if groups else ():
        slot = attributes.slot(key, DECLARED)
        if slot is not None and slot.value is not None and key in groups:
            declared.add(groups[key])
    return Knowledge(tuple(attributes.inventory()), len(declared), len(set(groups.values())))


def _groups(catalogue: AttributeCatalogue) -> Groups:
    known = _known.get(id(catalogue))
    if known is None:
        groups = {each.key: each.group for each in catalogue.attributes if each.group}
        # The catalogue is kept with them, so that its identity stays its own.
        known = _known[id(catalogue)] = catalogue, groups
        while len(_known) > _CATALOGUES_MAX:
            _known.popitem(last=False)
    return known[1]
