"""What a contact must do (settled.md 69)."""

from typing import Final

from ledger.contact.finding import Finding
from ledger.contact.picture import Picture
from ledger.domain.times import timestamp
from rapport.events.v1 import consent_pb2, contact_pb2, interaction_pb2, preference_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion, Obligation

_PROMOTING: Final = frozenset(
    {
        interaction_pb2.MESSAGE_CLASS_MARKETING,
        interaction_pb2.MESSAGE_CLASS_SURVEY,
        interaction_pb2.MESSAGE_CLASS_COMMUNITY,
    }
)
"""Classes of which the customer has to be told who writes, and how to end it."""
_TOLD_BY_WHOM: Final = (
    Obligation(kind=contact_pb2.OBLIGATION_KIND_INCLUDE_UNSUBSCRIBE),
    Obligation(kind=contact_pb2.OBLIGATION_KIND_IDENTIFY_SENDER),
)


def obligations(
    picture: Picture, question: ContactQuestion, basis: Finding, at: int, permit_expires: int | None
) -> list[Obligation]:
    """Return what a contact must do, in the order of the kinds.

    `basis`: what the gate of the basis found. `permit_expires`: microseconds; None: there is no permit yet.
    """
    told = [*_TOLD_BY_WHOM] if question.message_class in _PROMOTING else []
    language, channel = _declared(picture)
    if language:
        told.append(Obligation(kind=contact_pb2.OBLIGATION_KIND_USE_LANGUAGE, language=language))
    if _confirms(picture, question, at):
        told.append(Obligation(kind=contact_pb2.OBLIGATION_KIND_CONFIRM_ONCE))
    if channel not in (0, question.channel):
        told.append(Obligation(kind=contact_pb2.OBLIGATION_KIND_PREFER_CHANNEL, channel=channel))
    if permit_expires is not None:
        before = timestamp(permit_expires)
        told.append(Obligation(kind=contact_pb2.OBLIGATION_KIND_USE_BEFORE, before=before))
    if _relays(picture, question, basis):
        told.append(Obligation(kind=contact_pb2.OBLIGATION_KIND_RELAY_ONLY))
    return told


def _declared(picture: Picture) -> tuple[str, interaction_pb2.Channel.ValueType]:
    """Return the language and the best channel that the customer declared; empty and 0 where nothing is."""
    language, channel = "", interaction_pb2.CHANNEL_UNSPECIFIED
    if "preferences" in picture.state.parts:
        preferences = picture.state.preferences
        spoken = preferences.of(preference_pb2.PREFERENCE_KIND_LANGUAGE)
        if spoken is not None:
            language = spoken.message.language.language
        ways = preferences.of(preference_pb2.PREFERENCE_KIND_CHANNELS)
        if ways is not None and ways.message.channels.preferred:
            channel = ways.message.channels.preferred[0]
    return language, channel


def _confirms(picture: Picture, question: ContactQuestion, at: int) -> bool:
    """Tell whether this may be the one message that confirms a withdrawal by keyword.

    It is no promotion, comes by the way by which the word came, and nothing else has been sent by that way since.
    """
    if question.message_class in _PROMOTING or not picture.policy.keywords.confirm_once:
        return False
    latest = None
    for scope, denials in picture.state.consents.acts.denials.items():
        if not scope.channels or question.channel in scope.channels:
            for denial in denials:
                if denial.by_keyword and (latest is None or denial.occur_time > latest):
                    latest = denial.occur_time
    if latest is None:
        return False
    return not any(each.channel == question.channel for each in picture.state.conversation.contacts(latest, at + 1))


def _relays(picture: Picture, question: ContactQuestion, basis: Finding) -> bool:
    """Tell whether the customer is reached through an infomediary only: by its channel, or by its consent."""
    if question.channel == interaction_pb2.CHANNEL_INFOMEDIARY_RELAY:
        return True
    if not basis.legal_basis or not basis.evidence:
        return False
    found = (state.consents.find(basis.evidence[0]) for state in (picture.state, *picture.linked))
    return any(each is not None and each[1].indicated_by == consent_pb2.INDICATED_BY_INFOMEDIARY for each in found)
