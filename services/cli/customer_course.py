"""`rapport customer vector`, `obstacle`, `point-of-contact`, `shape` and `end`: the course of a relationship."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Final

from rapport.events.v1.relationship_pb2 import (
    ContactShapeWanted,
    ObstacleRemoved,
    ObstacleReported,
    PointOfContactClosed,
    PointOfContactOpened,
    RelationshipEnded,
    VectorFulfilled,
    VectorOpened,
    VectorRenewed,
)
from rapport.type.v1 import levels_pb2
from services.cli.customer_recording import (
    FUNCTIONS,
    PARTIES,
    add_function,
    add_reason,
    add_recording,
    add_text,
    add_told_in,
)
from services.cli.words import words_of
from services.client import Client

if TYPE_CHECKING:
    from services.cli.arguments import Commands, Parser

_SHAPES: Final = words_of(levels_pb2.ContactShape.DESCRIPTOR)


def add(verbs: Commands) -> None:
    """Add the commands to those about customers."""
    _add_vector(
        verbs.add_parser("vector", help="what the customer wants to achieve").add_subparsers(
            metavar="COMMAND", required=True
        )
    )
    _add_obstacle(
        verbs.add_parser("obstacle", help="what stands in the customer's way").add_subparsers(
            metavar="COMMAND", required=True
        )
    )
    _add_point(
        verbs.add_parser("point-of-contact", help="who takes part in the relationship, on either side").add_subparsers(
            metavar="COMMAND", required=True
        )
    )
    shape = add_recording(
        verbs,
        "shape",
        "record the shape of contacts that the organization wants for the relationship",
        event=lambda given: ContactShapeWanted(shape=_SHAPES[given.shape]),  # type: ignore[arg-type]  # A number of the enum.
        method=Client.want_contact_shape,
    )
    shape.add_argument("shape", metavar="SHAPE", choices=_SHAPES, help=f"one of {', '.join(_SHAPES)}")
    end = add_recording(
        verbs,
        "end",
        "record that one side declares the relationship over",
        event=_ending,
        method=Client.end_relationship,
    )
    end.add_argument("--by", metavar="SIDE", choices=PARTIES, required=True, help=f"who: {' or '.join(PARTIES)}")
    add_reason(end)
    add_told_in(end)
    add_text(end, "why")


def _add_vector(kinds: Commands) -> None:
    open_ = add_recording(
        kinds,
        "open",
        "record what the customer wants to achieve",
        event=_opening,
        method=Client.open_vector,
    )
    _add_vector_id(open_)
    open_.add_argument("--goal", metavar="CODE", required=True, help="what is to be achieved")
    open_.add_argument("--next-reason", metavar="CODE", default="", help="the next reason to return")
    open_.add_argument("--programme", metavar="CODE", default="", help="the programme that it belongs to")
    add_text(open_, "the goal")
    renew = add_recording(
        kinds,
        "renew",
        "record a new reason to return; what was fulfilled is open again",
        event=lambda given: VectorRenewed(vector_id=given.vector, next_reason=given.next_reason, text=given.text),
        method=Client.renew_vector,
    )
    _add_vector_id(renew)
    renew.add_argument("--next-reason", metavar="CODE", required=True, help="the new reason to return")
    add_text(renew, "the reason")
    fulfil = add_recording(
        kinds,
        "fulfil",
        "record that the customer has got what they came for",
        event=lambda given: VectorFulfilled(
            vector_id=given.vector, interaction_position=given.told_in, reason=given.reason
        ),
        method=Client.fulfil_vector,
    )
    _add_vector_id(fulfil)
    add_told_in(fulfil)
    add_reason(fulfil, "how")


def _add_vector_id(parser: Parser) -> None:
    parser.add_argument("vector", metavar="VECTOR_ID", help="names the vector, an opaque id")


def _add_obstacle(kinds: Commands) -> None:
    report = add_recording(
        kinds,
        "report",
        "record that something stands in the customer's way",
        event=_obstacle,
        method=Client.report_obstacle,
    )
    _add_obstacle_id(report)
    report.add_argument("--obstacle", metavar="CODE", required=True, help="what it is")
    add_function(report, "which function it concerns")
    add_told_in(report)
    add_text(report, "what it is")
    remove = add_recording(
        kinds,
        "remove",
        "record that it stands in the way no more",
        event=lambda given: ObstacleRemoved(obstacle_id=given.obstacle_id, reason=given.reason),
        method=Client.remove_obstacle,
    )
    _add_obstacle_id(remove)
    add_reason(remove, "how")


def _add_obstacle_id(parser: Parser) -> None:
    parser.add_argument("obstacle_id", metavar="OBSTACLE_ID", help="names the obstacle, an opaque id")


def _add_point(kinds: Commands) -> None:
    open_ = add_recording(
        kinds,
        "open",
        "record that somebody takes part from now on",
        event=_point,
        method=Client.open_point_of_contact,
    )
    _add_person(open_)
    open_.add_argument("--side", metavar="SIDE", choices=PARTIES, required=True, help=" or ".join(PARTIES))
    add_function(open_, "for which function, on the organization's side")
    open_.add_argument("--role", metavar="CODE", default="", help="in which role")
    close = add_recording(
        kinds,
        "close",
        "record that somebody takes part no more, also one whom only interactions name",
        event=lambda given: PointOfContactClosed(point_of_contact_id=given.person, reason=given.reason),
        method=Client.close_point_of_contact,
    )
    _add_person(close)
    add_reason(close)


def _add_person(parser: Parser) -> None:
    parser.add_argument("person", metavar="ID", help="who, an opaque id as interactions name them")


def _opening(given: Namespace) -> VectorOpened:
    return VectorOpened(
        vector_id=given.vector,
        goal=given.goal,
        next_reason=given.next_reason,
        programme=given.programme,
        text=given.text,
    )


def _obstacle(given: Namespace) -> ObstacleReported:
    return ObstacleReported(
        obstacle_id=given.obstacle_id,
        obstacle=given.obstacle,
        our_function=FUNCTIONS.get(given.function, 0),  # type: ignore[arg-type]  # A number of the enum.
        interaction_position=given.told_in,
        text=given.text,
    )


def _point(given: Namespace) -> PointOfContactOpened:
    return PointOfContactOpened(
        point_of_contact_id=given.person,
        side=PARTIES[given.side],  # type: ignore[arg-type]  # A number of the enum.
        our_function=FUNCTIONS.get(given.function, 0),  # type: ignore[arg-type]  # A number of the enum.
        role=given.role,
    )


def _ending(given: Namespace) -> RelationshipEnded:
    return RelationshipEnded(
        by=PARTIES[given.by],  # type: ignore[arg-type]  # A number of the enum.
        reason=given.reason,
        interaction_position=given.told_in,
        text=given.text,
    )
