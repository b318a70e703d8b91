"""`rapport policy contact publish|check|list|show`: what an organization holds itself to when it contacts people."""

from __future__ import annotations

from argparse import Namespace

from rapport.events.v1.contact_policy_pb2 import ContactPolicy
from services.cli import exits
from services.cli.arguments import Commands, client_of, view_of
from services.cli.contact_policy_file import read_message
from services.cli.output import print_json, print_pairs, warn
from services.cli.policy_contact_tables import pairs, print_tables
from services.cli.policy_versions import add_versions, print_faultless, print_published, print_versions, version_pairs
from services.cli.publishing import tell_found, told_faults
from services.client import Refused


def add(kinds: Commands) -> None:
    """Add the commands below `rapport policy`."""
    contact = kinds.add_parser("contact", help="contact policies: whether, when and how often people are contacted")
    verbs = contact.add_subparsers(metavar="COMMAND", required=True)
    page = "docs/concepts/contact-policy.md"
    add_versions(verbs, page, "its rules and their sources", run_publish, run_check, run_list, run_show)


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
            tell_found(file, checked.faults)
            warn(f"{file.name} is not published: {refusal}")
            return exits.REFUSED
        listed = await client.list_contact_policies(arguments.organization, min_position=answer.position)
    if arguments.json:
        print_json(answer)
        return exits.OK
    print_published(answer, listed.policies)
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
    tell_found(file, answer.faults)
    if not answer.faults:
        print_faultless(file.name, answer.policy.version, listed.policies)
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
    print_versions(answer.policies)
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
    print_pairs([*version_pairs(answer), *pairs(answer.policy)])
    print_tables(answer.policy)
    return exits.OK
