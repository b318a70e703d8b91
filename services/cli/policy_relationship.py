"""`rapport policy relationship publish|check|list|show`: how an organization measures its relationships."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from rapport.events.v1.interaction_pb2 import Channel, InteractionKind
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, TypeRule
from services.cli import exits
from services.cli.arguments import Commands, client_of, view_of
from services.cli.contact_policy_file import read_message
from services.cli.output import Rows, enum_cell, print_json, print_pairs, warn
from services.cli.policy_versions import add_versions, print_faultless, print_published, print_versions, version_pairs
from services.cli.publishing import tell_found, told_faults
from services.client import Refused

_ABOVE = frozenset({"version", "effective_from_time"})
"""Fields that are told before the numbers."""


def add(kinds: Commands) -> None:
    """Add the commands below `rapport policy`."""
    policies = kinds.add_parser("relationship", help="relationship policies: how relationships are measured")
    verbs = policies.add_subparsers(metavar="COMMAND", required=True)
    page = "docs/concepts/relationship-policy.md"
    add_versions(verbs, page, "every number", run_publish, run_check, run_list, run_show)


async def run_publish(arguments: Namespace) -> int:
    """Publish the policy in a file; print what is in force now."""
    file = read_message(arguments.file, RelationshipPolicy())
    if told_faults(file):
        return exits.USAGE
    async with client_of(arguments) as client:
        try:
            answer = await client.publish_relationship_policy(arguments.organization, file.message)
        except Refused as refusal:
            # A refusal has room for some of the faults only; a check names them all.
            checked = await client.check_relationship_policy(arguments.organization, file.message)
            if not checked.faults:
                raise
            tell_found(file, checked.faults)
            warn(f"{file.name} is not published: {refusal}")
            return exits.REFUSED
        listed = await client.list_relationship_policies(arguments.organization, min_position=answer.position)
    if arguments.json:
        print_json(answer)
        return exits.OK
    print_published(answer, listed.policies)
    return exits.OK


async def run_check(arguments: Namespace) -> int:
    """Print what publishing the policy in a file would say."""
    file = read_message(arguments.file, RelationshipPolicy())
    if told_faults(file):
        return exits.USAGE
    async with client_of(arguments) as client:
        answer = await client.check_relationship_policy(arguments.organization, file.message)
        listed = await client.list_relationship_policies(arguments.organization)
    if arguments.json:
        print_json(answer)
        return exits.REFUSED if answer.faults else exits.OK
    tell_found(file, answer.faults)
    if not answer.faults:
        print_faultless(file.name, answer.filled.version, listed.policies)
    return exits.REFUSED if answer.faults else exits.OK


async def run_list(arguments: Namespace) -> int:
    """Print the versions."""
    async with client_of(arguments) as client:
        answer = await client.list_relationship_policies(arguments.organization, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return exits.OK
    print_versions(answer.policies)
    return exits.OK


async def run_show(arguments: Namespace) -> int:
    """Print one version: its numbers by the keys that a file has for them, its weights, its rules in order."""
    async with client_of(arguments) as client:
        answer = await client.get_relationship_policy(
            arguments.organization, arguments.version, built_in=arguments.built_in, as_of=view_of(arguments)
        )
    if arguments.json:
        print_json(answer)
        return exits.OK
    print_pairs([*version_pairs(answer), *_numbers(answer.policy)])
    _print_tables(answer.policy)
    return exits.OK


def _print_tables(policy: RelationshipPolicy) -> None:
    print()
    rows = Rows("ACT OF THE CUSTOMER", "WEIGHT PPM")
    for weight in policy.strength.kind_weights:
        rows.add(enum_cell(InteractionKind.DESCRIPTOR, weight.kind), weight.weight_ppm)
    rows.end()
    print()
    rows = Rows("CHANNEL", "SECONDS OF ATTENTION")
    for each in policy.solicitations.attention:
        rows.add(enum_cell(Channel.DESCRIPTOR, each.channel), each.seconds)
    rows.end()
    print()
    rows = Rows("RULE", "TYPE", "WHERE")
    for index, rule in enumerate(policy.types.rules, 1):
        rows.add(index, rule.slug, _conditions(rule))
    rows.add(len(policy.types.rules) + 1, policy.types.fallback_slug, "none of these")
    rows.end()


def _numbers(message: Message, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield what a policy says, by the keys of a file; lists of tables are left to `_print_tables`."""
    for field in cast(Descriptor, message.DESCRIPTOR).fields:
        value, name = getattr(message, field.name), f"{path}{field.name}"
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            if name not in _ABOVE:
                yield name, _cell(field, value)
        elif not field.is_repeated and name not in _ABOVE:
            yield from _numbers(value, f"{name}.")


def _conditions(rule: TypeRule) -> str:
    return ", ".join(f"{field.name} {_cell(field, value)}" for field, value in rule.ListFields()[1:])


def _cell(field: FieldDescriptor, value: Any) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if field.is_repeated:
        return ", ".join(str(_one(field, each)) for each in value)
    return _one(field, value)


def _one(field: FieldDescriptor, value: Any) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return enum_cell(field.enum_type, value) if field.enum_type is not None else value
