"""A relationship as a question about consents sees it: its state, and the contact policy that ends consents too."""

from __future__ import annotations

from typing import NamedTuple

from ledger.contact.picture import Picture
from ledger.contact.terms import ContactTerms, jurisdiction_of
from ledger.domain.errors import Rejected
from ledger.domain.identifiers import policy_stream, relationship_stream
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME
from ledger.ledger import Ledger
from ledger.views import Look, View
from rapport.consent.v1 import consent_acts_pb2 as acts
from rapport.consent.v1 import consent_service_pb2 as pb
from rapport.errors.v1 import error_reason_pb2 as reasons
from rapport.events.v1.contact_policy_pb2 import ContactPolicy


class Sight(NamedTuple):
    """What is seen. The state may be shared: read it at once, keep and change nothing of it."""

    stream_id: str
    state: RelationshipState
    view: View
    policy: ContactPolicy
    """In force at the view's instant, as far as it was published at the view's position."""

    @property
    def picture(self) -> Picture:
        """The same, for rules that contact decisions have too."""
        return Picture(self.stream_id, self.state, self.policy, {})

    @property
    def terms(self) -> ContactTerms:
        """What ends consents, at the view's instant."""
        return ContactTerms(self.picture)

    @property
    def jurisdiction(self) -> str:
        """Whose law applies to the customer; empty: nobody says."""
        return jurisdiction_of(self.picture)


async def see(ledger: Ledger, request: pb.GetConsentsRequest | acts.GetConsentHistoryRequest) -> Sight:
    """Return what a request is about, in its point of view.

    Raises:
        Rejected: RELATIONSHIP_UNKNOWN; what a point of view may meet.
    """
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    policies = policy_stream(request.organization_id)
    if request.HasField("as_of") and request.as_of.ListFields():
        return await see_apart(ledger, request)
    looks = await ledger.current_many((stream_id, policies), request.min_position)
    return _sight(request, looks[stream_id], looks[policies])


async def see_apart(ledger: Ledger, request: pb.GetConsentsRequest | acts.GetConsentHistoryRequest) -> Sight:
    """Return the same, with a state that nobody shares, so that it can be kept while others are waited for."""
    as_of = request.as_of if request.HasField("as_of") else None
    view = await ledger.resolve(as_of, request.min_position)
    published = await ledger.state_at(policy_stream(request.organization_id), View(END_OF_TIME, view.position))
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    return _sight(request, await ledger.state_at(stream_id, view), published)


def _sight(request: pb.GetConsentsRequest | acts.GetConsentHistoryRequest, look: Look, published: Look) -> Sight:
    if not look.version:
        raise _unknown(request)
    stream_id = relationship_stream(request.organization_id, request.customer_id)
    policies: PolicyState = published.state
    # As statuses are told: what a faster clock recorded is not in the future of who asks.
    at = max(look.view.occur_time, look.state.consents.last_time or look.view.occur_time)
    return Sight(stream_id, look.state, look.view._replace(occur_time=at), policies.contact.in_force(at).policy)


def _unknown(request: pb.GetConsentsRequest | acts.GetConsentHistoryRequest) -> Rejected:
    return Rejected(
        reasons.ERROR_REASON_RELATIONSHIP_UNKNOWN,
        "nothing was recorded between the two; check both ids",
        organization_id=request.organization_id,
        customer_id=request.customer_id,
    )
