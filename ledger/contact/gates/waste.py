"""Gate 12: is it worth their time? (consent.md 6, settled.md 65, relationship.md 10).

This customer's own response to solicitations, against the one at which a contact pays for what it costs the
organization and for the attention it takes from them. No rate of other customers enters a decision.
"""

from typing import Final, NamedTuple

from ledger.contact.drawing import NOT_WEIGHED
from ledger.contact.finding import ADVISE, FAIL, NOT_ASKED, PASS, PASSED, Finding, earliest
from ledger.contact.picture import Picture
from ledger.domain.amounts import code_of, half_even, is_asset
from ledger.domain.times import MICROSECONDS
from ledger.policy.valuation import valuations_of
from rapport.events.v1 import contact_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion
from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from rapport.events.v1.exchange_pb2 import CATEGORY_ATTENTION, PARTY_CUSTOMER

_DAY: Final = 86_400 * MICROSECONDS
_SECONDS: Final = "SEC/0"
_FINEST: Final = 12
"""Greatest scale of an asset."""


class Attention(NamedTuple):
    """What a second of the customer's attention is worth to them."""

    rate_nanos: int
    """Nanos of the unit of account; 0: nobody says."""
    unit_of_account: str
    changes_at: int | None
    """When another version of the valuation policy comes into force, in microseconds; None: none is known."""


def gate(picture: Picture, question: ContactQuestion, at: int) -> Finding:
    """ADVISE where the response is too low or not known, FAIL where it is too low and the policy says so."""
    if question.message_class in NOT_WEIGHED:
        return NOT_ASKED
    if not question.HasField("expected_margin"):  # Most questions; nothing is known of what they are worth.
        return PASSED
    attention = attention_rate(picture, at)
    breakeven = social_breakeven(question, picture.policy, attention)
    if breakeven is None:
        return PASSED
    policy = picture.policy
    response = picture.state.conversation.response(at, policy.attribution_days * _DAY)
    changes_at = earliest(response.next_maturity, attention.changes_at)
    if not response.matured:
        return Finding(ADVISE, contact_pb2.DECISION_REASON_RESPONSE_UNKNOWN, changes_at=changes_at)
    if half_even(1_000_000 * response.answered, response.matured) >= breakeven:
        return Finding(PASS, changes_at=changes_at)
    reason = contact_pb2.DECISION_REASON_BELOW_SOCIAL_BREAKEVEN
    return Finding(FAIL if policy.waste_denies else ADVISE, reason, changes_at=changes_at, policy_field="waste_denies")


def social_breakeven(question: ContactQuestion, policy: ContactPolicy, attention: Attention) -> int | None:
    """Return the response in millionths at which a contact pays for cost and attention; None: it is not known.

    Attention that nobody valued, or valued in another unit, counts nothing: the breakeven is at least that much.
    """
    cost, margin = question.expected_cost, question.expected_margin
    if not (question.HasField("expected_cost") and question.HasField("expected_margin")):
        return None
    if not is_asset(cost.asset) or cost.asset != margin.asset or margin.units <= 0:
        return None
    seconds = next((each.seconds for each in policy.attention_seconds if each.channel == question.channel), 0)
    rate = attention.rate_nanos if code_of(cost.asset) == attention.unit_of_account else 0
    unit = 10 ** (_FINEST - int(cost.asset.partition("/")[2]))
    # In the finest unit that an asset may have; a nano is a thousand of it.
    return half_even(1_000_000 * (cost.units * unit + rate * seconds * 1_000), margin.units * unit)


def attention_rate(picture: Picture, at: int) -> Attention:
    """Return the worth of a second by the default valuation policy that is in force (settled.md 24)."""
    if picture.published is None:
        return Attention(0, "", None)
    valuations = valuations_of(picture.published)
    opinion = valuations.opinion(valuations.default_policy_id, 0, at)
    changes_at = earliest(*(start for start, _ in opinion.segments if start > at))
    valuation = opinion.closing
    if valuation is None:
        return Attention(0, "", changes_at)
    rate = valuation.rate(PARTY_CUSTOMER, PARTY_CUSTOMER, CATEGORY_ATTENTION, _SECONDS)
    return Attention(0 if rate is None else rate.rate, valuation.unit_of_account, changes_at)
