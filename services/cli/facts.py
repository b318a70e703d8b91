"""Facts in a few words, for tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.events.v1 import (
    consent_pb2,
    contact_policy_pb2,
    exchange_pb2,
    interaction_pb2,
    persona_pb2,
    policy_pb2,
    relationship_policy_pb2,
    relationship_types_pb2,
    valuation_pb2,
)
from services.cli import customer_facts
from services.cli.fact_words import joined
from services.cli.output import amount_cell, enum_cell, time_cell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message


def summary(fact: Message) -> str:
    """Return what a fact says, without its personal fields. Empty: nothing that fits a line."""
    match fact:
        case interaction_pb2.InteractionRecorded():
            return _interaction(fact)
        case interaction_pb2.InteractionCorrected():
            return f"corrects {fact.original_position}: {_interaction(fact.replacement)}"
        case interaction_pb2.InteractionRetracted():
            return joined([f"retracts {fact.original_position}", fact.reason])
        case exchange_pb2.ExchangeRecorded():
            return _exchange(fact)
        case exchange_pb2.ExchangePosted():
            return joined([f"posts {fact.exchange_id}", ", ".join(map(str, fact.units))])
        case exchange_pb2.ExchangeVoided():
            return joined([f"voids {fact.exchange_id}", fact.reason])
        case exchange_pb2.ObservationDeclared():
            category = enum_cell(exchange_pb2.Category.DESCRIPTOR, fact.category)
            return f"{category} recorded since {time_cell(fact.since)}"
        case exchange_pb2.ExchangeReversed():
            return joined([f"reverses {fact.exchange_id}", fact.reason])
        case consent_pb2.ConsentGiven() | consent_pb2.ConsentRefused() | consent_pb2.ConsentWithdrawn():
            return _scope(fact.purposes, fact.channels, fact.brands)
        case policy_pb2.AssetRegistered():
            most = amount_cell(fact.max_units_per_leg, fact.asset)
            return f"{fact.asset} {enum_cell(policy_pb2.AssetKind.DESCRIPTOR, fact.kind)}, at most {most}"
        case _:
            return _publication(fact)


def _publication(fact: Message) -> str:
    match fact:
        case valuation_pb2.ValuationPolicyPublished():
            policy = fact.policy
            rules = f"{len(policy.rules)} rule{'s' * (len(policy.rules) > 1)}"
            since = time_cell(policy.effective_from_time)
            return f"{policy.policy_id} version {policy.version}, {rules} from {since}"
        case contact_policy_pb2.ContactPolicyPublished():
            since = time_cell(fact.policy.effective_from_time)
            return f"version {fact.policy.version}, from {since or 'its publication'} on"
        case contact_policy_pb2.PurposesPublished():
            return f"version {fact.registry.version}, {len(fact.registry.purposes)} purposes"
        case contact_policy_pb2.AttributesPublished():
            return f"version {fact.catalogue.version}, {len(fact.catalogue.attributes)} attributes"
        case _:
            return _of_measures(fact)


def _of_measures(fact: Message) -> str:
    match fact:
        case relationship_policy_pb2.RelationshipPolicyPublished():
            since = time_cell(fact.policy.effective_from_time)
            return f"version {fact.policy.version}, from {since or 'its publication'} on"
        case relationship_types_pb2.TypesPublished():
            return f"version {fact.catalogue.version}, {len(fact.catalogue.types)} types"
        case persona_pb2.PersonaDefined():
            return f"{fact.persona_id} version {fact.version}, {len(fact.clauses)} clauses"
        case persona_pb2.PersonaApproved():
            function = enum_cell(interaction_pb2.OurFunction.DESCRIPTOR, fact.our_function)
            return f"{fact.persona_id} version {fact.version}, by {function}"
        case persona_pb2.PersonaRetired():
            return joined([f"{fact.persona_id} retired", fact.reason])
        case _:
            return customer_facts.summary(fact)


def _interaction(fact: interaction_pb2.InteractionRecorded) -> str:
    channel = enum_cell(interaction_pb2.Channel.DESCRIPTOR, fact.channel) if fact.channel else ""
    kind = enum_cell(interaction_pb2.InteractionKind.DESCRIPTOR, fact.kind)
    direction = enum_cell(interaction_pb2.Direction.DESCRIPTOR, fact.direction)
    return joined([kind, direction, channel, fact.campaign, fact.order_id])


def _exchange(fact: exchange_pb2.ExchangeRecorded) -> str:
    sides = []
    for party, name in ((exchange_pb2.PARTY_CUSTOMER, "customer gave"), (exchange_pb2.PARTY_ORGANIZATION, "we gave")):
        legs = [amount_cell(leg.amount.units, leg.amount.asset) for leg in fact.legs if leg.giver == party]
        if legs:
            sides.append(f"{name} {', '.join(legs)}")
    one_sided = enum_cell(exchange_pb2.OneSided.DESCRIPTOR, fact.one_sided) if fact.one_sided else ""
    pending = f"pending until {time_cell(fact.pending_until)}" if fact.HasField("pending_until") else ""
    return joined(["; ".join(sides), one_sided, pending, fact.exchange_id])


def _scope(purposes: Iterable[str], channels: Iterable[int], brands: Iterable[str]) -> str:
    names = [enum_cell(interaction_pb2.Channel.DESCRIPTOR, channel) for channel in channels]
    return joined([", ".join(purposes) or "every purpose", "by " + ", ".join(names) if names else "", *brands])
