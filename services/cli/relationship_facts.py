"""Facts about the relationship as such in a few words, for tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rapport.events.v1 import exchange_pb2, interaction_pb2, relationship_pb2
from rapport.type.v1 import levels_pb2
from services.cli.fact_words import because, joined, provenance_cell
from services.cli.output import enum_cell, time_cell

if TYPE_CHECKING:
    from google.protobuf.message import Message


def summary(fact: Message) -> str:
    """Return what a fact says, without its personal fields. Empty: it is none of these."""
    return _wished(fact) or _achieved(fact) or _taking_part(fact)


def _wished(fact: Message) -> str:
    match fact:
        case relationship_pb2.CommonGroundDeclared():
            return joined([fact.item_id, fact.ground, provenance_cell(fact.provenance)])
        case relationship_pb2.CommonGroundEnded():
            return joined([fact.item_id, because(fact.reason)])
        case relationship_pb2.RelationshipTypeDeclared():
            return f"wishes {fact.slug}"
        case relationship_pb2.RelationshipTypeAssessed():
            until = f"until {time_cell(fact.until)}" if fact.HasField("until") else ""
            return joined([f"{fact.assessor_id} judges {fact.slug}", _for(fact.our_function), until])
        case relationship_pb2.AssessmentRecorded():
            scale = f"{fact.score} of {fact.scale_min} to {fact.scale_max}"
            return f"{fact.instrument} {fact.dimension}: {scale}"
        case relationship_pb2.ValueDefinitionAsked():
            channel = enum_cell(interaction_pb2.Channel.DESCRIPTOR, fact.channel) if fact.channel else ""
            return joined(["asks what is of value", channel and f"by {channel}"])
        case relationship_pb2.ValueDefinitionDeclared():
            answers = f"answers {fact.asked_position}" if fact.asked_position else ""
            return joined([", ".join(fact.values), answers])
        case _:
            return ""


def _achieved(fact: Message) -> str:
    match fact:
        case relationship_pb2.VectorOpened():
            return joined([fact.vector_id, fact.goal, fact.next_reason and f"next {fact.next_reason}"])
        case relationship_pb2.VectorRenewed():
            return f"{fact.vector_id} next {fact.next_reason}"
        case relationship_pb2.VectorFulfilled():
            return joined([fact.vector_id, because(fact.reason)])
        case relationship_pb2.ObstacleReported():
            return joined([fact.obstacle_id, fact.obstacle, _for(fact.our_function)])
        case relationship_pb2.ObstacleRemoved():
            return joined([fact.obstacle_id, because(fact.reason)])
        case _:
            return ""


def _taking_part(fact: Message) -> str:
    match fact:
        case relationship_pb2.PointOfContactOpened():
            return joined([fact.point_of_contact_id, _side(fact.side), _for(fact.our_function), fact.role])
        case relationship_pb2.PointOfContactClosed():
            return joined([fact.point_of_contact_id, because(fact.reason)])
        case relationship_pb2.ContactShapeWanted():
            return f"wants {enum_cell(levels_pb2.ContactShape.DESCRIPTOR, fact.shape)}"
        case relationship_pb2.RelationshipEnded():
            return joined([f"by {_side(fact.by)}", because(fact.reason)])
        case _:
            return ""


def _side(party: int) -> str:
    return enum_cell(exchange_pb2.Party.DESCRIPTOR, party)


def _for(function: int) -> str:
    return f"for {enum_cell(interaction_pb2.OurFunction.DESCRIPTOR, function)}" if function else ""
