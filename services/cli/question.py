"""The question of a contact decision, on the command line."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING

from rapport.events.v1.contact_pb2 import ContactQuestion
from services.cli.words import CHANNELS, LEGAL_BASES, MESSAGE_CLASSES
from services.client import amount

if TYPE_CHECKING:
    from rapport.type.v1.amount_pb2 import Amount


def add_question(parser: ArgumentParser, *, topic_needed: bool = False) -> None:
    """Add what is asked before a contact."""
    question = parser.add_argument_group("the contact")
    question.add_argument("--purpose", metavar="SLUG", required=True, help="what for, such as marketing.direct")
    question.add_argument(
        "--channel", metavar="NAME", choices=CHANNELS, required=True, help="by which way, such as email"
    )
    question.add_argument(
        "--class",
        dest="message_class",
        metavar="NAME",
        choices=MESSAGE_CLASSES,
        required=True,
        help=f"what kind of message: {', '.join(MESSAGE_CLASSES)}",
    )
    question.add_argument(
        "--contact-point", metavar="ID", default="", help="to which one (default: not said; any narrowed no meets it)"
    )
    question.add_argument("--brand", metavar="CODE", default="", help="under which brand (default: not said, likewise)")
    question.add_argument("--topic", metavar="CODE", default="", required=topic_needed, help="what about")
    question.add_argument("--sender", metavar="CODE", default="", help="who sends it (default: the organization)")
    question.add_argument(
        "--recipient", metavar="CODE", nargs="+", default=[], help="who else gets data (default: nobody)"
    )
    question.add_argument("--basis", metavar="NAME", choices=LEGAL_BASES, help="legal basis (default: any allowed one)")
    question.add_argument("--cost", metavar="AMOUNT", type=_amount, help='what it costs, such as "0.05 EUR/2"')
    question.add_argument("--margin", metavar="AMOUNT", type=_amount, help="what an answer is worth, in the same asset")


def question_of(arguments: Namespace) -> ContactQuestion:
    """Return the question that was asked."""
    return ContactQuestion(
        purpose=arguments.purpose,
        channel=CHANNELS[arguments.channel],  # type: ignore[arg-type]  # A number of the enum.
        contact_point_id=arguments.contact_point,
        brand=arguments.brand,
        sender=arguments.sender,
        recipients=arguments.recipient,
        message_class=MESSAGE_CLASSES[arguments.message_class],  # type: ignore[arg-type]  # The same.
        topic=arguments.topic,
        legal_basis=LEGAL_BASES.get(arguments.basis, 0),  # type: ignore[arg-type]  # The same.
        expected_cost=arguments.cost,
        expected_margin=arguments.margin,
    )


def _amount(text: str) -> Amount:
    try:
        return amount(text)
    except ValueError as error:
        raise ArgumentTypeError(f'{error}; write it with its asset: "0.05 EUR/2"') from error
