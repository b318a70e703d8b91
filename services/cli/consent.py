"""`rapport consent`: what a customer allows: given, refused, taken back, shown, proved."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration

from rapport.consent.v1 import consent_service_pb2 as messages
from rapport.events.v1 import consent_pb2
from rapport.events.v1.consent_pb2 import (
    ConsentEvidence,
    ConsentGiven,
    ConsentRefused,
    ConsentScope,
    ConsentWithdrawn,
    NoticeReference,
    ObjectionRaised,
    Validity,
)
from services.cli import consent_receipts
from services.cli.arguments import (
    Commands,
    Parser,
    add_common,
    add_relationship,
    add_view,
    client_of,
    count,
    instant,
    position,
    view_of,
)
from services.cli.exits import OK, UsageFault
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, view_text
from services.cli.relationship import show_consents
from services.cli.scopes import add_scope, add_speaker, scope_of, scope_text, speaker_of
from services.cli.words import CONSENT_TYPES, LEGAL_BASES, sha256
from services.cli.writing import add_write, print_recorded, record
from services.client import Client, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.consent.v1.consent_acts_pb2 import ConsentHistoryEntry

_SECONDS_OF_DAY = 86_400
_ACTS_OF_A_MOMENT = frozenset(
    {
        *("consent.requested.v1", "consent.deferred.v1", "consent.confirmed.v1", "notice.served.v1"),
        *("objection.lifted.v1", "withdrawal.honoured.v1", "guardian.released.v1", "recipient_grant.revoked.v1"),
    }
)
_WITHDRAW = """\
Takes everything back, unless it is narrowed. Needs nothing but the two ids, is never refused for what it names, and
counts at once: the next contact decision sees it (GDPR Article 7(3))."""


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser("consent", help="what a customer allows: given, refused, taken back, shown, proved")
    verbs = nouns.add_subparsers(metavar="COMMAND", required=True)
    _add_give(verbs)
    refuse = verbs.add_parser("refuse", help="record that the customer was asked and said no")
    _add_act(refuse)
    _add_notice(refuse)
    refuse.set_defaults(run=run_refuse)
    withdraw = verbs.add_parser("withdraw", help="record that the customer took it back", description=_WITHDRAW)
    _add_act(withdraw)
    withdraw.set_defaults(run=run_withdraw)
    objection = verbs.add_parser("object", help="record that the customer objects (GDPR Article 21)")
    _add_act(objection)
    objection.add_argument("--grounds", metavar="CODE", default="", help="the customer's grounds, a code")
    objection.set_defaults(run=run_object)
    _add_look(verbs, "show", "show the status of every cell the customer ever spoke of").set_defaults(run=run)
    _add_look(verbs, "history", "show every act, and what became of it").set_defaults(run=run_history)
    consent_receipts.add(verbs)


def _add_give(verbs: Commands) -> None:
    give = verbs.add_parser("give", help="record that the customer allowed something")
    add_scope(give, purposes_needed=True)
    add_speaker(give)
    give.add_argument("--basis", metavar="NAME", choices=LEGAL_BASES, help="legal basis (default: consent)")
    give.add_argument("--type", metavar="NAME", choices=CONSENT_TYPES, help=f"how plainly: {', '.join(CONSENT_TYPES)}")
    give.add_argument("--jurisdiction", metavar="CODE", default="", help="whose law applies, such as IE or US-CA")
    give.add_argument("--recipient", metavar="CODE", nargs="+", default=[], help="who else gets data (default: nobody)")
    give.add_argument("--data", metavar="CODE", nargs="+", default=[], help="which categories of data it is about")
    give.add_argument("--from", dest="valid_from", metavar="TIME", type=instant, help="from when on (default: at once)")
    ends = give.add_mutually_exclusive_group()
    ends.add_argument("--until", metavar="TIME", type=instant, help="first instant at which it holds no more")
    ends.add_argument("--days", metavar="N", type=count, help="how many days of 24 hours it holds")
    ends.add_argument("--until-event", metavar="CODE", help="it holds until this happens")
    ends.add_argument("--uses", metavar="N", type=count, help="how often it may be used")
    ends.add_argument("--endless", action="store_true", help="it has no end; the guides call this not best practice")
    give.add_argument("--withdrawal-method", metavar="CODE", default="", help="how it can be taken back")
    give.add_argument("--source", metavar="CODE", default="", help="the form, page, store or list it was collected on")
    give.add_argument("--evidence", metavar="WORDS", default="", help="what shows it; sealed")
    give.add_argument(
        "--token-sha256", metavar="HEX", type=sha256, default=b"", help="hash of the token that will confirm it"
    )
    _add_notice(give)
    add_write(give)
    give.set_defaults(run=run_give)


def _add_act(parser: Parser) -> None:
    add_scope(parser)
    add_speaker(parser)
    add_write(parser)


def _add_notice(parser: ArgumentParser) -> None:
    notice = parser.add_argument_group("what the customer was shown")
    notice.add_argument("--notice", metavar="CODE", default="", help="which notice")
    notice.add_argument("--notice-version", metavar="CODE", default="", help="which version of it")
    notice.add_argument("--notice-sha256", metavar="HEX", type=sha256, default=b"", help="hash of its text")
    notice.add_argument("--notice-language", metavar="TAG", default="", help="its language, such as de-AT")
    notice.add_argument(
        "--notice-position", metavar="N", type=position, default=0, help="where its serving is recorded"
    )
    notice.add_argument("--notice-lists", metavar="SLUG", nargs="+", default=[], help="purposes that it lists")


def _add_look(verbs: Commands, name: str, text: str) -> Parser:
    command: Parser = verbs.add_parser(name, help=text)
    add_relationship(command)
    add_view(command)
    add_common(command)
    return command


async def run_give(arguments: Namespace) -> int:
    """Record a consent; print where."""
    evidence = ConsentEvidence(note=arguments.evidence) if arguments.evidence else None
    consent = ConsentGiven(
        **scope_of(arguments),
        **speaker_of(arguments),
        **_notice_of(arguments),
        legal_basis=LEGAL_BASES.get(arguments.basis, 0),  # type: ignore[arg-type]  # A number of the enum.
        consent_type=CONSENT_TYPES.get(arguments.type, 0),  # type: ignore[arg-type]  # The same.
        jurisdiction=arguments.jurisdiction,
        evidence=evidence,
        valid_from_time=None if arguments.valid_from is None else timestamp(arguments.valid_from),
        validity=_validity_of(arguments),
        recipients=arguments.recipient,
        data_categories=arguments.data,
        withdrawal_method=arguments.withdrawal_method,
        collection_source=arguments.source,
        confirmation_sha256=arguments.token_sha256,
    )
    answer = await record(arguments, Client.give_consent, consent)
    print_recorded(arguments, answer, ("receipt", _receipt_command(arguments, answer.position)))
    return OK


async def run_refuse(arguments: Namespace) -> int:
    """Record a refusal; print where."""
    refusal = ConsentRefused(**scope_of(arguments), **speaker_of(arguments), **_notice_of(arguments))
    answer = await record(arguments, Client.refuse_consent, refusal)
    print_recorded(arguments, answer, ("receipt", _receipt_command(arguments, answer.position)))
    return OK


async def run_withdraw(arguments: Namespace) -> int:
    """Record a withdrawal; print where, and what it ended."""
    withdrawal = ConsentWithdrawn(**scope_of(arguments), **speaker_of(arguments))
    answer = await record(arguments, Client.withdraw_consent, withdrawal)
    ended = answer.effect == messages.WITHDRAWAL_EFFECT_ENDED
    effect = "at least one consent ended" if ended else "none was in force; it is recorded all the same"
    print_recorded(arguments, answer, ("effect", effect), ("receipt", _receipt_command(arguments, answer.position)))
    return OK


async def run_object(arguments: Namespace) -> int:
    """Record an objection; print where."""
    objection = ObjectionRaised(
        scope=ConsentScope(**scope_of(arguments)), **speaker_of(arguments), grounds=arguments.grounds
    )
    answer = await record(arguments, Client.raise_objection, objection)
    print_recorded(arguments, answer, ("receipt", _receipt_command(arguments, answer.position)))
    return OK


async def run(arguments: Namespace) -> int:
    """Print the consents of a relationship."""
    async with client_of(arguments) as client:
        answer = await client.get_consents(arguments.organization, arguments.customer, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return OK
    print_pairs([("view", view_text(answer.as_of))])
    print()
    show_consents(answer.consents)
    return OK


async def run_history(arguments: Namespace) -> int:
    """Print every act of a relationship that concerns consent."""
    async with client_of(arguments) as client:
        answer = await client.get_consent_history(arguments.organization, arguments.customer, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return OK
    print_pairs([("view", view_text(answer.as_of))])
    print()
    _show_history(answer.entries)
    return OK


def _show_history(entries: Iterable[ConsentHistoryEntry]) -> None:
    rows = Rows(
        "POSITION", "OCCURRED", "RECORDED", "ACT", "ABOUT", "STANDS", "ENDED BY", "UNTIL", "BASIS", "BY", "MORE"
    )
    for each in entries:
        basis = enum_cell(consent_pb2.LegalBasis.DESCRIPTOR, each.legal_basis) if each.legal_basis else ""
        rows.add(
            each.position,
            time_cell(each.occur_time),
            time_cell(each.record_time),
            each.topic.removesuffix(".v1"),
            scope_text(each.scope) if each.HasField("scope") else "",
            _stands(each),
            each.ended_by_position or "",
            time_cell(each.until),
            basis,
            each.actor,
            _more(each),
        )
    rows.end()


def _stands(entry: ConsentHistoryEntry) -> str:
    """Return whether an act stands; nothing for one that has its effect once, such as a confirmation or a lifting."""
    if entry.topic in _ACTS_OF_A_MOMENT:
        return ""
    return "yes" if entry.counts else "no"


def _more(entry: ConsentHistoryEntry) -> str:
    due = f"to be honoured by {time_cell(entry.honour_due_time)}" if entry.HasField("honour_due_time") else ""
    notice = " ".join(filter(None, (entry.notice.notice_id, entry.notice.version, entry.notice.language)))
    parts = (
        f"about {entry.refers_to_position}" if entry.refers_to_position else "",
        f"notice {notice}" if notice else "",
        f"honoured by {', '.join(entry.honoured_by)}" if entry.honoured_by else "",
        due + (", OVERDUE" if entry.honour_overdue else ""),
    )
    return "; ".join(filter(None, parts))


def _notice_of(arguments: Namespace) -> dict[str, Any]:
    said = {name: value for name, value in vars(arguments).items() if name.startswith("notice") and value}
    if said and not arguments.notice:
        option = next(iter(said)).replace("_", "-")
        raise UsageFault(f"--{option} is about a notice; say which with --notice, or nothing would prove it was shown")
    if not said:
        return {}
    notice = NoticeReference(
        notice_id=arguments.notice,
        version=arguments.notice_version,
        sha256=arguments.notice_sha256,
        language=arguments.notice_language,
        served_position=arguments.notice_position,
        purposes=arguments.notice_lists,
    )
    return {"notice": notice}


def _validity_of(arguments: Namespace) -> Validity | None:
    if arguments.until is not None:
        return Validity(until_time=timestamp(arguments.until))
    if arguments.days is not None:
        return Validity(duration=Duration(seconds=arguments.days * _SECONDS_OF_DAY))
    if arguments.until_event is not None:
        return Validity(event=arguments.until_event)
    if arguments.uses is not None:
        return Validity(uses=arguments.uses)
    return Validity(endless=True) if arguments.endless else None


def _receipt_command(arguments: Namespace, place: int) -> str:
    return f"rapport consent receipt {arguments.organization} {arguments.customer} {place}"
