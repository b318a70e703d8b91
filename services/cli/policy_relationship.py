"""`rapport policy relationship publish|check|list|show`: how an organization measures its relationships."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from rapport.events.v1.interaction_pb2 import Channel, InteractionKind
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy, TypeRule
from services.cli import exits
from services.cli.arguments import Commands, add_view, client_of, count, view_of
from services.cli.contact_policy_file import MessageFile, read_message
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, warn
from services.cli.policy_contact import add_command, add_file, told_faults
from services.client import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.policy.v1.relationship_policies_pb2 import RelationshipPolicyFault

_ABOVE = frozenset({"version", "effective_from_time"})
"""Fields that are told before the numbers."""


def add(kinds: Commands) -> None:
    """Add the commands below `rapport policy`."""
    policies = kinds.add_parser("relationship", help="relationship policies: how relationships are measured")
    verbs = policies.add_subparsers(metavar="COMMAND", required=True)
    page = "see docs/concepts/relationship-policy.md"
    add_file(verbs, "publish", "publish the policy in a file", page).set_defaults(run=run_publish)
    check = add_file(verbs, "check", "say what publishing a file would say, and publish nothing", page)
    check.set_defaults(run=run_check)
    listing = add_command(verbs, "list", "list the versions")
    add_view(listing)
    listing.set_defaults(run=run_list)
    show = add_command(verbs, "show", "show a version with every number")
    which = show.add_mutually_exclusive_group()
    which.add_argument("--version", metavar="N", type=count, default=0, help="default: the one in force")
    which.add_argument("--built-in", action="store_true", help="the one that counts until one is published")
    add_view(show)
    show.set_defaults(run=run_show)


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
            _tell(file, checked.faults)
            warn(f"{file.name} is not published: {refusal}")
            return exits.REFUSED
        listed = await client.list_relationship_policies(arguments.organization, min_position=answer.position)
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
    _tell(file, answer.faults)
    if not answer.faults:
        version = answer.filled.version
        stands = any(each.version == version for each in listed.policies)
        print(f"{file.name} {'is published already' if stands else 'would be published'} as version {version}")
    return exits.REFUSED if answer.faults else exits.OK


async def run_list(arguments: Namespace) -> int:
    """Print the versions."""
    async with client_of(arguments) as client:
        answer = await client.list_relationship_policies(arguments.organization, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return exits.OK
    rows = Rows("VERSION", "FROM", "IN FORCE", "PUBLISHED", "POSITION")
    for each in answer.policies:
        begins, published = time_cell(each.effective_from_time), time_cell(each.record_time)
        rows.add(each.version, begins, "yes" if each.in_force else "", published, each.published_position)
    rows.end()
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
    policy = answer.policy
    published = f"{time_cell(answer.record_time)} at position {answer.published_position}"
    print_pairs(
        [
            ("version", policy.version or "0, built in"),
            ("counts from", time_cell(policy.effective_from_time)),
            ("published", published if policy.version else ""),
            ("in force", "yes" if answer.in_force else "no"),
            *_numbers(policy),
        ]
    )
    _print_tables(policy)
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


def _tell(file: MessageFile[Any], faults: Iterable[RelationshipPolicyFault]) -> None:
    for each in faults:
        reason = "" if each.reason == "REQUEST_INVALID" else f" [{each.reason}]"
        warn(file.told(file.fault_of(each.field, each.description)) + reason)
