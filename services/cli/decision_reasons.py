"""What to do about each reason of a contact decision, in a few words for tables; `consent.md` 6 has the gates."""

from __future__ import annotations

from typing import Final

from rapport.events.v1 import contact_pb2 as ev

WHAT_TO_DO: Final[dict[int, str]] = {
    ev.DECISION_REASON_SUBJECT_UNKNOWN: "check both ids; nothing is recorded of this customer",
    ev.DECISION_REASON_SUBJECT_ERASED: "contact them no more",
    ev.DECISION_REASON_CONTACT_POINT_UNKNOWN: "verify the contact point, or use one that is verified",
    ev.DECISION_REASON_SUPPRESSED_BOUNCE: "ask for another contact point",
    ev.DECISION_REASON_SUPPRESSED_COMPLAINT: "send nothing but transactional messages",
    ev.DECISION_REASON_SUPPRESSED_DECEASED: "contact them no more",
    ev.DECISION_REASON_SUPPRESSED_LEGAL: "contact them no more",
    ev.DECISION_REASON_SUPPRESSED_LIST: "send nothing but transactional messages",
    ev.DECISION_REASON_MINOR_WITHOUT_GUARDIAN: "have a guardian appointed",
    ev.DECISION_REASON_AGE_UNKNOWN: "ask from when on they are of age, and declare the profile",
    ev.DECISION_REASON_CONSENT_WITHDRAWN: "leave them alone, until they themselves give it again",
    ev.DECISION_REASON_CONSENT_REFUSED: "leave them alone, until they themselves give it",
    ev.DECISION_REASON_CONSENT_REVOKED: "find out why it was ended; ask anew only if that is over",
    ev.DECISION_REASON_CONSENT_INVALIDATED: "mend what made it invalid, then ask anew",
    ev.DECISION_REASON_OBJECTED: "stop; only lifting the objection ends it, a new consent does not",
    ev.DECISION_REASON_PURPOSE_UNKNOWN: "correct the purpose, or publish it in the registry",
    ev.DECISION_REASON_CLASS_NOT_ALLOWED: "use a purpose that is meant for this class of message",
    ev.DECISION_REASON_BASIS_NOT_ALLOWED: "use a basis that the purpose allows, or name none",
    ev.DECISION_REASON_CONSENT_UNCONFIRMED: "wait for the confirmation, or send its link again",
    ev.DECISION_REASON_CONSENT_EXPIRED: "ask whether they want to renew it, where that may be asked",
    ev.DECISION_REASON_NOTICE_NOT_SPECIFIC: "ask for this purpose, with a notice that lists it",
    ev.DECISION_REASON_NO_BASIS: "ask for consent first",
    ev.DECISION_REASON_SENDER_NOT_GRANTED: "send it yourself, or let the customer grant the sender",
    ev.DECISION_REASON_RECIPIENT_NOT_GRANTED: "leave the recipient out, or let the customer grant it",
    ev.DECISION_REASON_TRANSFER_AFTER_OPT_OUT: "pass the address on to nobody",
    ev.DECISION_REASON_CHANNEL_AVERSE: "use another channel",
    ev.DECISION_REASON_TOPIC_EXCLUDED: "write about something else",
    ev.DECISION_REASON_PAUSED: "wait until the pause is over",
    ev.DECISION_REASON_FREQUENCY_DECLARED: "wait for the next period, or for something more important",
    ev.DECISION_REASON_FREQUENCY_ORGANIZATION: "wait for the next period; another team has used this one",
    ev.DECISION_REASON_QUIET_HOURS: "wait until the quiet hours are over",
    ev.DECISION_REASON_LEGAL_WINDOW: "wait until the law's hours begin",
    ev.DECISION_REASON_ZONE_UNKNOWN: "wait, or ask for the time zone",
    ev.DECISION_REASON_UNANSWERED_STREAK: "stop until they answer or buy",
    ev.DECISION_REASON_COMPLAINT_OPEN: "resolve the complaint first",
    ev.DECISION_REASON_CHECKOUT_OPEN: "let them finish",
    ev.DECISION_REASON_CUSTOMER_GIVES_MORE: "offer something before you ask; see `rapport balance`",
    ev.DECISION_REASON_BELOW_SOCIAL_BREAKEVEN: "it wastes their time and yours: send fewer, better ones",
    ev.DECISION_REASON_RESPONSE_UNKNOWN: "nothing: nobody knows yet how often they answer",
    ev.DECISION_REASON_NO_WINDOW: "ask again later; no hour of the days searched would do",
    ev.DECISION_REASON_BASIS_ENDS_BEFORE_WINDOW: "see the gate's own reason: by then it is no longer allowed",
}
"""By the number of a DecisionReason."""
