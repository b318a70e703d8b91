"""`rapport policy contact publish|check|list|show`: what an organization holds itself to when it contacts people."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from services.cli import exits
from services.cli.arguments import Commands, Parser, add_common, add_view, client_of, count, view_of
from services.cli.contact_policy_file import MessageFile, read_message
from services.cli.output import Rows, print_json, print_pairs, time_cell, warn
from services.cli.policy_contact_tables import pairs, print_tables
from services.client import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.policy.v1.contact_policies_pb2 import ContactPolicyFault


def add(kinds: Commands) -> None:
    """Add the commands below `rapport policy`."""
    contact = kinds.add_parser("contact", help="contact policies: whether, when and how often people are contacted")
    verbs = contact.add_subparsers(metavar="COMMAND", required=True)
    add_file(verbs, "publish", "publish the policy in a file").set_defaults(run=run_publish)
    add_file(verbs, "check", "say what publishing a file would say, and publish nothing").set_defaults(run=run_check)
    listing = add_command(verbs, "list", "list the versions")
    add_view(listing)
    listing.set_defaults(run=run_list)
    show = add_command(verbs, "show", "show a version with its rules and their sources")
    which = show.add_mutually_exclusive_group()
    which.add_argument("--version", metavar="N", type=count, default=0, help="default: the one in force")
    which.add_argument("--built-in", action="store_true", help="the one that counts until one is published")
    add_view(show)
    show.set_defaults(run=run_show)


def add_command(verbs: Commands, name: str, text: str) -> Parser:
    """Add a command about an organization."""
    command: Parser = verbs.add_parser(name, help=text)
    command.add_argument("organization", metavar="ORGANIZATION", help="company side")
    add_common(command)
    return command


def add_file(verbs: Commands, name: str, text: str, page: str = "see docs/concepts/contact-policy.md") -> Parser:
    """Add a command that reads a file; `page` shows one."""
    command = add_command(verbs, name, text)
    command.add_argument("file", metavar="FILE.toml", type=Path, help=page)
    return command


def told_faults(file: MessageFile[Any]) -> bool:
    """Tell every fault of a file, if there are any."""
    for fault in file.faults:
        warn(file.told(fault))
    return bool(file.faults)


async def run_publish(arguments: Namespace) -> int:
    """Publish the policy in a file; print what is in force now."""
    file = read_message(arguments.file, ContactPolicy())
    if told_faults(file):
        return exits.USAGE
    async with client_of(arguments) as client:
        try:
            answer = await client.publish_contact_policy(arguments.organization, file.message)
        except Refused as refusal:
            # A refusal has room for some of the faults only; a check names them all.
            checked = await client.check_contact_policy(arguments.organization, file.message)
            if not checked.faults:
                raise
            _tell(file, checked.faults)
            warn(f"{file.name} is not published: {refusal}")
            return exits.REFUSED
        listed = await client.list_contact_policies(arguments.organization, min_position=answer.position)
    if arguments.json:
        print_json(answer)
        return exits.OK
    (found,) = [each for each in listed.policies if each.version == answer.version]
    in_force = next((f"version {each.version}" for each in listed.policies if each.in_force), "the built-in policy")
    print_pairs(
        [
            ("version", answer.version),
            ("counts from", time_cell(found.effective_from_time)),
            ("published", f"{time_cell(answer.record_time)} at position {found.published_position}"),
            ("in force now", in_force),
        ]
    )
    return exits.OK


async def run_check(arguments: Namespace) -> int:
    """Print what publishing the policy in a file would say, and which legal numbers have no source."""
    file = read_message(arguments.file, ContactPolicy())
    if told_faults(file):
        return exits.USAGE
    async with client_of(arguments) as client:
        answer = await client.check_contact_policy(arguments.organization, file.message)
        listed = await client.list_contact_policies(arguments.organization, min_position=answer.position)
    if arguments.json:
        print_json(answer)
        return exits.REFUSED if answer.faults else exits.OK
    _tell(file, answer.faults)
    if not answer.faults:
        version = answer.policy.version
        stands = any(each.version == version for each in listed.policies)
        print(f"{file.name} {'is published already' if stands else 'would be published'} as version {version}")
    if answer.unsourced:
        print(f"without a source, so nobody can check them: {', '.join(answer.unsourced)}")
    return exits.REFUSED if answer.faults else exits.OK


async def run_list(arguments: Namespace) -> int:
    """Print the versions."""
    async with client_of(arguments) as client:
        answer = await client.list_contact_policies(arguments.organization, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return exits.OK
    rows = Rows("VERSION", "FROM", "IN FORCE", "PUBLISHED", "POSITION")
    for each in answer.policies:
        begins, published = time_cell(each.effective_from_time), time_cell(each.record_time)
        rows.add(each.version, begins, _yes(each.in_force), published, each.published_position)
    rows.end()
    return exits.OK


async def run_show(arguments: Namespace) -> int:
    """Print one version, with its rules and their sources."""
    async with client_of(arguments) as client:
        answer = await client.get_contact_policy(
            arguments.organization, arguments.version, built_in=arguments.built_in, as_of=view_of(arguments)
        )
    if arguments.json:
        print_json(answer)
        return exits.OK
    policy = answer.policy
    published = f"{time_cell(answer.record_time)} at position {answer.published_position}"
    print_pairs(
        [
            ("version", policy.version or "0, built in"),
            ("counts from", time_cell(policy.effective_from_time)),
            ("published", published if policy.version else ""),
            ("in force", "yes" if answer.in_force else "no"),
            *pairs(policy),
        ]
    )
    print_tables(policy)
    return exits.OK


def _tell(file: MessageFile[Any], faults: Iterable[ContactPolicyFault]) -> None:
    for each in faults:
        reason = "" if each.reason == "REQUEST_INVALID" else f" [{each.reason}]"
        warn(file.told(file.fault_of(each.field, each.description)) + reason)


def _yes(value: bool) -> str:
    return "yes" if value else ""
