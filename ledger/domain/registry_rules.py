"""What a well-formed registry of purposes is, and a well-formed catalogue of attributes. Every fault is found.

A purpose's parent is what stands before its last dot, and may be said, not chosen (ADR 0009, ADR 0020).
"""

from collections.abc import Collection, Iterator, Sequence

from ledger.domain.contact_policy_rules import faults_of_lists
from ledger.domain.faults import Fault
from ledger.domain.policy_faults import invalid, unknown_purpose
from rapport.events.v1.contact_policy_pb2 import (
    OBJECTABLE_ABSOLUTE,
    PURPOSE_CLASS_MARKETING,
    AttributeCatalogue,
    Purpose,
    PurposeRegistry,
)
from rapport.events.v1.interaction_pb2 import MESSAGE_CLASS_TRANSACTIONAL


def faults_of_registry(registry: PurposeRegistry) -> Iterator[Fault]:
    """Yield what is wrong with a registry of purposes; the reason is REQUEST_INVALID. Total, as `faults_of_policy`."""
    yield from faults_of_lists(registry)
    yield from _keys_twice("purposes", "slug", [each.slug for each in registry.purposes])
    slugs = {each.slug for each in registry.purposes}
    for index, purpose in enumerate(registry.purposes):
        place = f"purposes[{index}]"
        yield from _faults_of_slug(place, purpose, slugs)
        yield from _faults_of_use(place, purpose)


def faults_of_catalogue(catalogue: AttributeCatalogue, purposes: Collection[str]) -> Iterator[Fault]:
    """Yield what is wrong with a catalogue of attributes; `purposes`: slugs of the registry."""
    yield from faults_of_lists(catalogue)
    yield from _keys_twice("attributes", "key", [each.key for each in catalogue.attributes])
    for index, attribute in enumerate(catalogue.attributes):
        for nth, slug in enumerate(attribute.purposes):
            if slug not in purposes:
                yield unknown_purpose(f"attributes[{index}].purposes[{nth}]", slug)


def _faults_of_slug(place: str, purpose: Purpose, slugs: Collection[str]) -> Iterator[Fault]:
    above, dot, last = purpose.slug.rpartition(".")
    if not last or ".." in purpose.slug:
        yield invalid(f"{place}.slug", "must have something between its dots and after the last")
    elif purpose.parent and purpose.parent != above:
        wanted = f"must be {above}, what stands before the last dot of the slug, or unset" if dot else "must be unset"
        yield invalid(f"{place}.parent", wanted)
    elif purpose.parent and above not in slugs:
        yield invalid(f"{place}.parent", f"must be unset, or {above} be in the registry too")


def _faults_of_use(place: str, purpose: Purpose) -> Iterator[Fault]:
    if not purpose.legal_bases:
        yield invalid(f"{place}.legal_bases", "must name at least one")
    if not purpose.message_classes:
        yield invalid(f"{place}.message_classes", "must name at least one")
    if purpose.purpose_class != PURPOSE_CLASS_MARKETING:
        return
    # What passes for TRANSACTIONAL is asked neither for preferences nor for hours.
    if MESSAGE_CLASS_TRANSACTIONAL in purpose.message_classes:
        index = list(purpose.message_classes).index(MESSAGE_CLASS_TRANSACTIONAL)
        field = f"{place}.message_classes[{index}]"
        yield invalid(field, "must be another: TRANSACTIONAL messages do not promote anything")
    if purpose.objectable and purpose.objectable != OBJECTABLE_ABSOLUTE:
        field = f"{place}.objectable"
        yield invalid(field, "must be ABSOLUTE: who is marketed to may object at any time (GDPR Article 21(2) and (3))")


def _keys_twice(name: str, field: str, keys: Sequence[str]) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for index, key in enumerate(keys):
        first = seen.setdefault(key, index)
        if first != index:
            yield invalid(f"{name}[{index}].{field}", f"must be named once; {name}[{first}] has the same")
