"""Legal bases other than consent: which facts make them, and until when (consent.md 2 and 8, settled.md 64).

All of it is data of the contact policy. Months are calendar months in UTC. The latest fact counts; with a bound on the
first contact, the basis ends early where no contact rested on it in time.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ledger.contact.picture import Picture
from ledger.contact.terms import jurisdiction_of
from ledger.domain.consent_scope import lineage
from ledger.domain.jurisdictions import under
from ledger.domain.months import months_after
from ledger.domain.times import END_OF_TIME
from rapport.events.v1 import consent_pb2
from rapport.events.v1.contact_pb2 import ContactQuestion
from rapport.events.v1.contact_policy_pb2 import BasisRule


class Ground(NamedTuple):
    """What one rule of the policy makes of the facts, at one instant."""

    holds: bool
    """Whether its basis stands. Else it stood, and its months are over."""
    evidence: tuple[int, ...]
    """Positions of the facts; none for a basis that always stands."""
    ends: int
    """First instant at which it stands no longer. Microseconds; END_OF_TIME: it has no end."""
    policy_field: str
    """Path of the rule, or of the number of months that ended it."""


def grounds(picture: Picture, question: ContactQuestion, basis: int, at: int) -> Iterator[Ground]:
    """Yield what the rules for a basis that apply to a question make of the facts, in the order of the policy."""
    for index, rule in enumerate(picture.policy.basis_rules):
        if rule.legal_basis == basis and _applies(rule, picture, question):
            ground = _ground(rule, f"basis_rules[{index}]", picture, at)
            if ground is not None:
                yield ground


def any_ground(picture: Picture, question: ContactQuestion, bases: Iterable[int], at: int) -> Ground | None:
    """Return the first ground that holds for a basis other than consent, or None."""
    for basis in bases:
        if basis != consent_pb2.LEGAL_BASIS_CONSENT:
            for ground in grounds(picture, question, basis, at):
                if ground.holds:
                    return ground
    return None


def next_end(ground: Ground) -> int | None:
    """Return when a ground that holds ends, in microseconds; None: never, or it has ended."""
    return ground.ends if ground.holds and ground.ends < END_OF_TIME else None


def _applies(rule: BasisRule, picture: Picture, question: ContactQuestion) -> bool:
    return (
        (not rule.channels or question.channel in rule.channels)
        and (not rule.purposes or not set(rule.purposes).isdisjoint(lineage(question.purpose)))
        and (not rule.jurisdictions or under(rule.jurisdictions, jurisdiction_of(picture)))
    )


def _ground(rule: BasisRule, path: str, picture: Picture, at: int) -> Ground | None:
    """Return what a rule makes of the facts; None: there is no such fact."""
    if not rule.interaction_kinds and not rule.exchange:
        return Ground(True, (), END_OF_TIME, path)
    fact = _latest_fact(rule, picture, at)
    if fact is None:
        return None
    time, position = fact
    ends, ended_by = (months_after(time, rule.months), "months") if rule.months else (END_OF_TIME, "")
    if rule.first_contact_months:
        first_by = months_after(time, rule.first_contact_months)
        if first_by < ends and not _was_used(rule, picture, time, min(first_by, at + 1)):
            ends, ended_by = first_by, "first_contact_months"
    return Ground(at < ends, (position,), ends, path if at < ends else f"{path}.{ended_by}")


def _latest_fact(rule: BasisRule, picture: Picture, at: int) -> tuple[int, int] | None:
    """Return occur time and position of the latest fact that makes a basis, or None."""
    state, facts = picture.state, []
    if rule.interaction_kinds:
        act = state.conversation.latest_fact(rule.interaction_kinds, at)
        if act is not None:
            facts.append((act[1], act[0]))
    if rule.exchange and "exchanges" in state.parts:
        paid = state.exchanges.last_paid(at)
        if paid is not None:
            facts.append((paid.time, paid.position))
    return max(facts, default=None)


def _was_used(rule: BasisRule, picture: Picture, start: int, end: int) -> bool:
    """Tell whether a contact in [start, end) rested on the basis of a rule: its decision says on what it rested."""
    state = picture.state
    decided = (state.contacts.find(each.decision_id) for each in state.conversation.contacts(start, end))
    return any(each is not None and each.message.legal_basis == rule.legal_basis for each in decided)
