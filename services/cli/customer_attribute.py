"""`rapport customer attribute`: what is known of a customer, and where it comes from.

Each way in which something is learned has its own command, because each fills its own slot and no other: what was
inferred never stands for what the customer said.
"""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Final

from rapport.customer.v1 import customer_service_pb2 as messages
from rapport.events.v1 import disclosure_pb2
from rapport.events.v1.attribute_pb2 import (
    AttributeDisclosed,
    AttributeInferred,
    AttributeObserved,
    AttributeObtained,
    AttributeRequested,
    AttributeWithdrawn,
)
from services.cli.arguments import (
    Commands,
    Parser,
    add_common,
    add_relationship,
    add_view,
    client_of,
    position,
    view_of,
)
from services.cli.exits import OK
from services.cli.fact_words import provenance_cell
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, view_text
from services.cli.words import CHANNELS, LEGAL_BASES, SPEAKERS, words_of
from services.cli.writing import add_write, print_recorded, record
from services.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

_PROVENANCES: Final = words_of(disclosure_pb2.Provenance.DESCRIPTOR)
_OBTAINED: Final = ("third_party", "assessed", "imported")


def add(verbs: Commands) -> None:
    """Add the commands to those about customers."""
    nouns = verbs.add_parser("attribute", help="what is known of a customer, and where it comes from")
    kinds = nouns.add_subparsers(metavar="COMMAND", required=True)
    request = _add(kinds, "request", "record that the customer was asked, what for and why", run_request)
    request.add_argument("--purpose", metavar="SLUG", nargs="+", required=True, help="what it would be used for")
    request.add_argument("--reason", metavar="CODE", required=True, help="why it was asked")
    request.add_argument("--channel", metavar="NAME", choices=CHANNELS, help="by which way")
    disclose = _add(kinds, "disclose", "record what the customer told about themselves", run_disclose)
    _add_value(disclose)
    disclose.add_argument(
        "--told-in", metavar="POSITION", type=position, required=True, help="the interaction it was in"
    )
    disclose.add_argument("--indicated-by", choices=SPEAKERS, metavar="WHO", default="subject", help="who said so")
    disclose.add_argument("--indicated-by-id", metavar="ID", default="", help="which guardian, agent or infomediary")
    disclose.add_argument("--purpose", metavar="SLUG", nargs="+", default=[], help="what it was told for")
    observe = _add(kinds, "observe", "record what was seen in what the customer did", run_observe)
    _add_value(observe, basis=True, evidence=True)
    infer = _add(kinds, "infer", "record what a rule or a model concluded", run_infer)
    _add_value(infer, basis=True, evidence=True)
    infer.add_argument("--rule", metavar="CODE", required=True, help="which rule or model")
    obtain = _add(kinds, "obtain", "record what was obtained otherwise", run_obtain)
    _add_value(obtain, basis=True)
    obtain.add_argument("--provenance", choices=_OBTAINED, required=True, help="how")
    obtain.add_argument("--source", metavar="CODE", required=True, help="from whom or where; who judged")
    withdraw = _add(kinds, "withdraw", "empty a slot; harmless where it is empty", run_withdraw)
    withdraw.add_argument("--provenance", choices=_PROVENANCES, required=True, help="which slot")
    withdraw.add_argument("--reason", metavar="CODE", default="", help="why")
    show = kinds.add_parser("show", help="show what is known, slot by slot")
    add_relationship(show)
    show.add_argument("--key", metavar="KEY", nargs="+", default=[], help="only these (default: every one)")
    show.add_argument(
        "--provenance", choices=_PROVENANCES, nargs="+", default=[], help="only these slots, empty ones too"
    )
    add_view(show)
    add_common(show)
    show.set_defaults(run=run_show)


def _add(kinds: Commands, name: str, text: str, run: Callable[[Namespace], Coroutine[None, None, int]]) -> Parser:
    command: Parser = kinds.add_parser(name, help=text)
    add_write(command)
    command.add_argument("key", metavar="KEY", help="of the catalogue")
    command.set_defaults(run=run)
    return command


def _add_value(parser: Parser, *, basis: bool = False, evidence: bool = False) -> None:
    parser.add_argument("--code", metavar="CODE", default="", help="the value, a code of the catalogue")
    parser.add_argument("--text", metavar="WORDS", default="", help="the value in words; sealed")
    if basis:
        parser.add_argument(
            "--basis", metavar="NAME", choices=LEGAL_BASES, help="legal basis; without one no decision may read it"
        )
    if evidence:
        parser.add_argument(
            "--evidence", metavar="POSITION", nargs="+", type=position, default=[], help="the events it was seen in"
        )


async def run_request(arguments: Namespace) -> int:
    """Record that the customer was asked; print where."""
    asked = AttributeRequested(
        key=arguments.key,
        purposes=arguments.purpose,
        reason=arguments.reason,
        channel=CHANNELS.get(arguments.channel, 0),  # type: ignore[arg-type]  # A number of the enum.
    )
    answer = await record(arguments, Client.request_attribute, asked)
    print_recorded(arguments, answer)
    return OK


async def run_disclose(arguments: Namespace) -> int:
    """Record what the customer told; print where."""
    attribute = AttributeDisclosed(
        key=arguments.key,
        code=arguments.code,
        text=arguments.text,
        indicated_by=SPEAKERS[arguments.indicated_by],  # type: ignore[arg-type]  # A number of the enum.
        indicated_by_id=arguments.indicated_by_id,
        interaction_position=arguments.told_in,
        purposes=arguments.purpose,
    )
    answer = await record(arguments, Client.disclose_attribute, attribute)
    print_recorded(arguments, answer)
    return OK


async def run_observe(arguments: Namespace) -> int:
    """Record what was seen; print where."""
    attribute = AttributeObserved(
        key=arguments.key,
        code=arguments.code,
        text=arguments.text,
        legal_basis=LEGAL_BASES.get(arguments.basis, 0),  # type: ignore[arg-type]  # A number of the enum.
        evidence_positions=arguments.evidence,
    )
    answer = await record(arguments, Client.observe_attribute, attribute)
    print_recorded(arguments, answer)
    return OK


async def run_infer(arguments: Namespace) -> int:
    """Record what was concluded; print where."""
    attribute = AttributeInferred(
        key=arguments.key,
        code=arguments.code,
        text=arguments.text,
        legal_basis=LEGAL_BASES.get(arguments.basis, 0),  # type: ignore[arg-type]  # A number of the enum.
        rule=arguments.rule,
        evidence_positions=arguments.evidence,
    )
    answer = await record(arguments, Client.infer_attribute, attribute)
    print_recorded(arguments, answer)
    return OK


async def run_obtain(arguments: Namespace) -> int:
    """Record what was obtained; print where."""
    attribute = AttributeObtained(
        key=arguments.key,
        code=arguments.code,
        text=arguments.text,
        legal_basis=LEGAL_BASES.get(arguments.basis, 0),  # type: ignore[arg-type]  # A number of the enum.
        provenance=_PROVENANCES[arguments.provenance],  # type: ignore[arg-type]  # The same.
        source=arguments.source,
    )
    answer = await record(arguments, Client.obtain_attribute, attribute)
    print_recorded(arguments, answer)
    return OK


async def run_withdraw(arguments: Namespace) -> int:
    """Empty a slot; print where that is recorded."""
    withdrawal = AttributeWithdrawn(
        key=arguments.key,
        provenance=_PROVENANCES[arguments.provenance],  # type: ignore[arg-type]  # A number of the enum.
        reason=arguments.reason,
    )
    answer = await record(arguments, Client.withdraw_attribute, withdrawal)
    print_recorded(arguments, answer)
    return OK


async def run_show(arguments: Namespace) -> int:
    """Print what is known, and how much of it comes from where."""
    async with client_of(arguments) as client:
        answer = await client.get_attributes(
            arguments.organization,
            arguments.customer,
            keys=arguments.key,
            provenances=[_PROVENANCES[name] for name in arguments.provenance],  # type: ignore[misc]  # Numbers of the enum.
            as_of=view_of(arguments),
        )
    if arguments.json:
        print_json(answer)
        return OK
    known = (f"{provenance_cell(each.provenance)} {each.keys}" for each in answer.inventory)
    print_pairs([("view", view_text(answer.as_of)), ("keys known", ", ".join(known) or "none")])
    print()
    _show(answer.slots)
    return OK


def _show(slots: Iterable[messages.AttributeSlot]) -> None:
    rows = Rows("KEY", "FROM", "STANDING", "VALUE", "SINCE", "POSITION", "FOR", "USABLE")
    for each in slots:
        rows.add(
            each.key,
            provenance_cell(each.provenance),
            enum_cell(messages.AttributeStanding.DESCRIPTOR, each.standing),
            each.code or ("words, sealed" if each.has_text else ""),
            time_cell(each.since_time),
            each.position or "",
            ", ".join(each.purposes),
            "yes" if each.usable else f"no: {each.reason}" if each.reason else "no",
        )
    rows.end()
