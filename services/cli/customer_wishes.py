"""`rapport customer ground`, `type`, `assessment` and `value`: what is shared, wished, judged and of value."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from rapport.events.v1.relationship_pb2 import (
    AssessmentRecorded,
    CommonGroundDeclared,
    CommonGroundEnded,
    RelationshipTypeAssessed,
    RelationshipTypeDeclared,
    ValueDefinitionAsked,
    ValueDefinitionDeclared,
)
from services.cli.arguments import instant, position
from services.cli.customer_recording import (
    FUNCTIONS,
    PROVENANCES,
    add_function,
    add_reason,
    add_recording,
    add_text,
    add_told_in,
)
from services.cli.words import CHANNELS, SPEAKERS
from services.client import Client, timestamp

if TYPE_CHECKING:
    from services.cli.arguments import Commands, Parser

_SCORE_MAX = 2**31 - 1


def add(verbs: Commands) -> None:
    """Add the commands to those about customers."""
    _add_ground(
        verbs.add_parser("ground", help="what both sides share").add_subparsers(metavar="COMMAND", required=True)
    )
    _add_type(
        verbs.add_parser("type", help="the kind of relationship that is wished, or judged to be").add_subparsers(
            metavar="COMMAND", required=True
        )
    )
    assessment = add_recording(
        verbs,
        "assess",
        "record an answer of a survey, or a judgement such as trust",
        event=_assessment,
        method=Client.record_assessment,
    )
    assessment.add_argument("instrument", metavar="INSTRUMENT", help="which questionnaire or scale, a code")
    assessment.add_argument("dimension", metavar="DIMENSION", help="what was asked about, such as satisfaction")
    assessment.add_argument("score", metavar="SCORE", type=score, help="the answer")
    assessment.add_argument("--from", metavar="N", dest="scale_min", type=score, default=0, help="lowest (default: 0)")
    assessment.add_argument("--to", metavar="N", dest="scale_max", type=score, required=True, help="highest answer")
    assessment.add_argument("--assessor", metavar="ID", default="", help="who judged (default: the customer)")
    add_told_in(assessment)
    add_text(assessment, "the answer")
    _add_value(
        verbs.add_parser("value", help="what is of value to the customer").add_subparsers(
            metavar="COMMAND", required=True
        )
    )


def _add_ground(kinds: Commands) -> None:
    declare = add_recording(
        kinds,
        "declare",
        "record that both sides share something; replaces what the id named before",
        event=_ground,
        method=Client.declare_common_ground,
    )
    _add_item(declare)
    declare.add_argument("--ground", metavar="CODE", required=True, help="an interest, a cause, a place")
    declare.add_argument(
        "--provenance",
        metavar="NAME",
        choices=PROVENANCES,
        default="declared",
        help="where this comes from; only what is declared counts for existence (default: %(default)s)",
    )
    add_told_in(declare)
    add_text(declare, "what is shared")
    end = add_recording(
        kinds,
        "end",
        "record that it is shared no more",
        event=lambda given: CommonGroundEnded(item_id=given.item, reason=given.reason),
        method=Client.end_common_ground,
    )
    _add_item(end)
    add_reason(end)


def _add_item(parser: Parser) -> None:
    parser.add_argument("item", metavar="ITEM", help="names the ground, an opaque id")


def _add_type(kinds: Commands) -> None:
    wish = add_recording(
        kinds,
        "wish",
        "record the kind of relationship that the customer wishes",
        event=_wish,
        method=Client.declare_relationship_type,
    )
    _add_slug(wish)
    _add_speaker(wish)
    wish.add_argument("--indicated-by-id", metavar="ID", default="", help="which guardian, agent or infomediary")
    add_told_in(wish)
    add_text(wish, "the wish")
    assess = add_recording(
        kinds,
        "assess",
        "record what kind of relationship it is, as a named person judges it",
        event=_judgement,
        method=Client.assess_relationship_type,
    )
    _add_slug(assess)
    assess.add_argument("--assessor", metavar="ID", required=True, help="who judges, an opaque id")
    add_function(assess, "for which function")
    assess.add_argument(
        "--until", metavar="TIME", type=instant, help="when it holds no more (default: the days of the policy after it)"
    )
    add_text(assess, "grounds")


def _add_slug(parser: Parser) -> None:
    parser.add_argument("slug", metavar="SLUG", help="type of the catalogue: `rapport relationship types`")


def _add_speaker(parser: Parser) -> None:
    parser.add_argument("--indicated-by", choices=SPEAKERS, metavar="WHO", default="subject", help="who said so")


def _add_value(kinds: Commands) -> None:
    ask = add_recording(
        kinds,
        "ask",
        "record that the customer was asked how they define value",
        event=lambda given: ValueDefinitionAsked(
            channel=CHANNELS.get(given.channel, 0),  # type: ignore[arg-type]  # A number of the enum.
            interaction_position=given.told_in,
        ),
        method=Client.ask_value_definition,
    )
    ask.add_argument("--channel", metavar="NAME", choices=CHANNELS, help="by which way")
    add_told_in(ask)
    declare = add_recording(
        kinds,
        "declare",
        "record how the customer defines value, asked or not",
        event=_definition,
        method=Client.declare_value_definition,
    )
    declare.add_argument("values", metavar="CODE", nargs="+", help="what is of value, the most important first")
    declare.add_argument(
        "--asked-at", metavar="POSITION", type=position, default=0, help="the question (default: they said so unasked)"
    )
    _add_speaker(declare)
    add_told_in(declare)
    add_text(declare, "what they said")


def _ground(given: Namespace) -> CommonGroundDeclared:
    return CommonGroundDeclared(
        item_id=given.item,
        ground=given.ground,
        provenance=PROVENANCES[given.provenance],  # type: ignore[arg-type]  # A number of the enum.
        interaction_position=given.told_in,
        text=given.text,
    )


def _wish(given: Namespace) -> RelationshipTypeDeclared:
    return RelationshipTypeDeclared(
        slug=given.slug,
        indicated_by=SPEAKERS[given.indicated_by],  # type: ignore[arg-type]  # A number of the enum.
        indicated_by_id=given.indicated_by_id,
        interaction_position=given.told_in,
        text=given.text,
    )


def _judgement(given: Namespace) -> RelationshipTypeAssessed:
    return RelationshipTypeAssessed(
        slug=given.slug,
        assessor_id=given.assessor,
        our_function=FUNCTIONS.get(given.function, 0),  # type: ignore[arg-type]  # A number of the enum.
        until=None if given.until is None else timestamp(given.until),
        text=given.text,
    )


def _assessment(given: Namespace) -> AssessmentRecorded:
    return AssessmentRecorded(
        instrument=given.instrument,
        dimension=given.dimension,
        score=given.score,
        scale_min=given.scale_min,
        scale_max=given.scale_max,
        interaction_position=given.told_in,
        assessor_id=given.assessor,
        text=given.text,
    )


def _definition(given: Namespace) -> ValueDefinitionDeclared:
    return ValueDefinitionDeclared(
        asked_position=given.asked_at,
        values=given.values,
        indicated_by=SPEAKERS[given.indicated_by],  # type: ignore[arg-type]  # A number of the enum.
        interaction_position=given.told_in,
        text=given.text,
    )


def score(text: str) -> int:
    """Return a point on a scale: a whole number, which may be negative."""
    digits = text.removeprefix("-")
    if (
        not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(_SCORE_MAX)))
        or int(digits) > _SCORE_MAX
    ):
        raise ArgumentTypeError(f"{text!r} is no point on a scale; write a whole number such as 4 or -2")
    return int(text)
