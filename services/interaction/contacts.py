"""Contacts that name the decision that allowed them: what has to be read to say how they stand with it."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.contact.person import person
from ledger.contact.recording import RecordContact
from ledger.domain.decider import Step
from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.ledger import Ledger
from rapport.interaction.v1 import interaction_service_pb2 as pb
from services.interaction.translate import record_of
from services.runtime.validation import check


async def contact_steps(ledger: Ledger, request: pb.RecordInteractionRequest) -> Sequence[Step]:
    """Return the step of a RecordInteraction that names a decision.

    Who is linked at the last moment is not read for it: the contact was made before, and is recorded all the same.

    Raises:
        Invalid: the request breaks rules; every violation is named.
    """
    check(request)
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    names = {stream_id}
    while True:
        looks = await ledger.current_many(sorted(names))
        found = person(stream_id, {name: look.state for name, look in looks.items()})
        if not found.missing:
            break
        names |= found.missing
    record = record_of(request.organization_id, request)
    return (RecordContact(record=record, reads=(policy_stream(request.organization_id), *found.linked)),)
