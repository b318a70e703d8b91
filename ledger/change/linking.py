"""Changes of who a customer is: `identity_merged`, `identity_split`, and conflicts between linked ids.

relationship.md 14 and 15, consent.md 7: where one id has a live consent and the other a denial for the same cell, that
is a conflict of both. It is looked for when they are linked, and when the customer says something about consents.
"""

from collections.abc import Iterator
from typing import Final

from ledger.change.look import Draft, Look
from ledger.change.permissions import cell_name, verdicts
from ledger.domain import consent
from ledger.domain.consent_status import INVALIDATED, LIVE, REFUSED, REVOKED, WITHDRAWN
from ledger.domain.identifiers import customer_of
from rapport.change.v1 import change_pb2 as pb
from rapport.events.v1.identity_pb2 import IdentityLinked, IdentityUnlinked

_DENIED: Final = frozenset({REFUSED, WITHDRAWN, REVOKED, INVALIDATED})


def linking(look: Look) -> Iterator[Draft]:
    """Announce links, their undoing, and the conflicts that they show."""
    event = look.fact.event if look.fact is not None else None
    if isinstance(event, IdentityLinked):
        measure = f"identity:{event.link_id}"
        yield Draft(pb.CHANGE_KIND_IDENTITY_MERGED, measure, "SEPARATE", "LINKED", look.cause, pair=measure)
    elif isinstance(event, IdentityUnlinked):
        measure = f"identity:{event.link_id}"
        yield Draft(pb.CHANGE_KIND_IDENTITY_SPLIT, measure, "LINKED", "SEPARATE", look.cause, pair=measure)
    elif look.topic not in consent.TOPICS:
        return
    if "identity" in look.measured.record.state.parts:
        yield from _conflicts(look)


def _conflicts(look: Look) -> Iterator[Draft]:
    state, levels = look.measured.record.state, look.levels
    own = customer_of(look.stream_id)
    now: set[str] = set()
    for other in sorted(state.identity.others - {own}):
        now |= _contradictions(look, other)
    for cell in sorted(now - set(levels.conflicts)):
        yield Draft(pb.CHANGE_KIND_CONSENT_CONFLICT, f"consent:{cell}", "CLEAR", "LINKED_IDS", look.cause)
    levels.conflicts = sorted(now)


def _contradictions(look: Look, other: str) -> set[str]:
    """Return the cells in which this and another customer id contradict each other."""
    mine, theirs = look.measured.record.state, look.linked(other)
    cells = set(consent.cells(mine.consents)) | set(consent.cells(theirs.consents))
    found = set()
    here = verdicts(look.stream_id, mine, look.measured, cells)
    there = verdicts(f"{look.stream_id.partition('/')[0]}/{other}", theirs, look.measured, cells)
    for cell in cells:
        one, two = here[cell].status, there[cell].status
        if (one in LIVE and two in _DENIED) or (two in LIVE and one in _DENIED):
            found.add(cell_name(cell))
    return found
