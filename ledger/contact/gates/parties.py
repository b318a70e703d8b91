"""Gate 6: may these senders and recipients take part? (consent.md 4 rule 8, 5; settled.md 61).

Sharing is denied by default: a sender other than the organization, and each recipient, needs a grant of its own that is
live for exactly this purpose. After an opt-out from marketing, by anybody of the person's ids, an address may not be
passed on under a grant that is not later than it; a consent given since makes no difference to that.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from ledger.contact.finding import FAIL, PASS, PASSED, Finding
from ledger.contact.picture import Picture
from ledger.domain.consent_scope import Cell, Scope, lineage
from rapport.events.v1 import consent_pb2, contact_pb2, contact_policy_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion
from rapport.events.v1.contact_policy_pb2 import Purpose

_OPT_OUTS: Final = frozenset({consent_pb2.CONSENT_STATUS_WITHDRAWN, consent_pb2.CONSENT_STATUS_REFUSED})
"""What the customer said, and nobody else."""
_MARKETING: Final = "marketing"


class OptOut(NamedTuple):
    """A withdrawal, refusal or objection that is about marketing."""

    position: int
    occur_time: int
    """Microseconds."""


def gate(picture: Picture, question: ContactQuestion, at: int) -> Finding:
    """FAIL for a sender, then a recipient, without a live grant; then for one whose grant an opt-out overtook."""
    parties = [*filter(None, (question.sender,)), *question.recipients]
    if not parties:
        return PASSED
    grants = picture.state.recipient_grants
    changes_at = grants.changes_after(at)
    missing = [party for party in parties if grants.covering(party, question.purpose, at) is None]
    if missing:
        reason = contact_pb2.DECISION_REASON_RECIPIENT_NOT_GRANTED
        if missing[0] == question.sender:
            reason = contact_pb2.DECISION_REASON_SENDER_NOT_GRANTED
        return Finding(FAIL, reason, changes_at=changes_at)
    opt_outs = list(_opt_outs(picture, question))
    if opt_outs and not _granted_since(picture, question.purpose, parties, opt_outs, at):
        reason, evidence = contact_pb2.DECISION_REASON_TRANSFER_AFTER_OPT_OUT, sorted({each[0] for each in opt_outs})
        return Finding(FAIL, reason, tuple(evidence), changes_at=changes_at)
    return Finding(PASS, changes_at=changes_at)


def _granted_since(picture: Picture, purpose: str, parties: Sequence[str], opt_outs: Sequence[OptOut], at: int) -> bool:
    """Tell whether each party has a live grant later than every opt-out, on both axes."""
    position, time = max(each.position for each in opt_outs), max(each.occur_time for each in opt_outs)
    grants = picture.state.recipient_grants
    return all(grants.latest_after(party, purpose, time, position, at) is not None for party in parties)


def _opt_outs(picture: Picture, question: ContactQuestion) -> Iterator[OptOut]:
    """Yield the person's opt-outs from any marketing on the channel, contact point and brand asked about."""
    for state in (picture.state, *picture.linked):
        for scope, denials in state.consents.acts.denials.items():
            if _is_of_marketing(scope, question, picture.purposes):
                yield from (OptOut(each.position, each.occur_time) for each in denials if each.status in _OPT_OUTS)
        if "objections" in state.parts:
            for objection in state.objections.raised():  # Lifted, it was an opt-out all the same.
                if _is_of_marketing(objection.scope, question, picture.purposes):
                    yield OptOut(objection.position, objection.occur_time)


def _is_of_marketing(scope: Scope, question: ContactQuestion, purposes: Mapping[str, Purpose]) -> bool:
    """Tell whether a denial of a scope is about marketing, and meets channel, contact point and brand of a question."""
    everything = Cell("", question.channel, question.contact_point_id, question.brand)
    return scope._replace(purposes=frozenset()).denies(everything) and (
        not scope.purposes
        or any(_is_marketing(above, purposes) for slug in scope.purposes for above in lineage(slug))
        or any(scope.denies_purpose(slug) for slug in purposes if _is_marketing(slug, purposes))
    )


def _is_marketing(slug: str, purposes: Mapping[str, Purpose]) -> bool:
    """Tell whether a purpose is of marketing: by its class, or by its name where it is not registered."""
    purpose = purposes.get(slug)
    if purpose is None:
        return slug == _MARKETING
    return purpose.purpose_class == contact_policy_pb2.PURPOSE_CLASS_MARKETING
