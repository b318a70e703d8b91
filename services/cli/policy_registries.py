"""`rapport policy purposes publish|list` and `rapport policy attributes publish|list`."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from rapport.events.v1.consent_pb2 import LegalBasis
from rapport.events.v1.contact_policy_pb2 import AttributeCatalogue, Objectable, PurposeClass, PurposeRegistry
from rapport.events.v1.interaction_pb2 import MessageClass
from services.cli import exits
from services.cli.arguments import Commands, add_view, client_of, count, view_of
from services.cli.contact_policy_file import MessageFile, read_message
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, warn
from services.cli.publishing import add_command, add_file, told_faults
from services.client import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.descriptor import EnumDescriptor


def add(kinds: Commands) -> None:
    """Add the commands below `rapport policy`."""
    purposes = kinds.add_parser("purposes", help="the registry of purposes: what people may be contacted for")
    verbs = purposes.add_subparsers(metavar="COMMAND", required=True)
    add_file(verbs, "publish", "publish the registry in a file").set_defaults(run=run_publish_purposes)
    listing = add_command(verbs, "list", "list the purposes")
    listing.add_argument("--version", metavar="N", type=count, default=0, help="default: the one that counts")
    add_view(listing)
    listing.set_defaults(run=run_list_purposes)
    attributes = kinds.add_parser("attributes", help="the catalogue of attributes: what may be known of a customer")
    verbs = attributes.add_subparsers(metavar="COMMAND", required=True)
    add_file(verbs, "publish", "publish the catalogue in a file").set_defaults(run=run_publish_attributes)
    listing = add_command(verbs, "list", "list the attributes")
    add_view(listing)
    listing.set_defaults(run=run_list_attributes)


async def run_publish_purposes(arguments: Namespace) -> int:
    """Publish the registry in a file."""
    file = read_message(arguments.file, PurposeRegistry())
    if told_faults(file):
        return exits.USAGE
    async with client_of(arguments) as client:
        try:
            answer = await client.publish_purposes(arguments.organization, file.message)
        except Refused as refusal:
            return refused(file, refusal)
    return published(answer, f"{len(file.message.purposes)} purposes", as_json=arguments.json)


async def run_publish_attributes(arguments: Namespace) -> int:
    """Publish the catalogue in a file."""
    file = read_message(arguments.file, AttributeCatalogue())
    if told_faults(file):
        return exits.USAGE
    async with client_of(arguments) as client:
        try:
            answer = await client.publish_attribute_catalogue(arguments.organization, file.message)
        except Refused as refusal:
            return refused(file, refusal)
    return published(answer, f"{len(file.message.attributes)} attributes", as_json=arguments.json)


async def run_list_purposes(arguments: Namespace) -> int:
    """Print the purposes of the version that counts, or of another."""
    async with client_of(arguments) as client:
        answer = await client.list_purposes(arguments.organization, arguments.version, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return exits.OK
    version = answer.registry.version
    print_pairs([("version", f"{version} of {answer.versions_count}" if version else "0, built in")])
    rows = Rows("PURPOSE", "CLASS", "OBJECTION", "BASES", "MESSAGE CLASSES", "TITLE", "DPV")
    for each in answer.registry.purposes:
        rows.add(
            each.slug,
            enum_cell(PurposeClass.DESCRIPTOR, each.purpose_class),
            enum_cell(Objectable.DESCRIPTOR, each.objectable),
            _names(LegalBasis.DESCRIPTOR, each.legal_bases),
            _names(MessageClass.DESCRIPTOR, each.message_classes),
            each.title,
            each.dpv_iri,
        )
    rows.end()
    return exits.OK


async def run_list_attributes(arguments: Namespace) -> int:
    """Print the attributes of the version that counts."""
    async with client_of(arguments) as client:
        answer = await client.list_attribute_definitions(arguments.organization, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return exits.OK
    catalogue = answer.catalogue
    print_pairs([("version", catalogue.version or "none is published: any key may be used")])
    rows = Rows("ATTRIBUTE", "GROUP", "PURPOSES", "VALUES", "KEPT", "TITLE")
    for each in catalogue.attributes:
        kept = f"{each.retention_days} days" if each.retention_days else "without end"
        values = ", ".join(each.codes) or "any code"
        rows.add(each.key, each.group, ", ".join(each.purposes) or "only shown", values, kept, each.title)
    rows.end()
    return exits.OK


def refused(file: MessageFile[Any], refusal: Refused) -> int:
    """Tell where in the file the faults are that a server found; raise what is not about fields."""
    if not refusal.violations:
        raise refusal
    for each in refusal.violations:
        warn(file.told(file.fault_of(each.field, each.description)))
    warn(f"{file.name} is not published: {refusal}")
    return exits.REFUSED


def published(answer: Any, what: str, *, as_json: bool) -> int:
    """Tell what was published: any answer with a version and a record time."""
    if as_json:
        print_json(answer)
    else:
        print_pairs([("version", answer.version), ("holds", what), ("published", time_cell(answer.record_time))])
    return exits.OK


def _names(enum: EnumDescriptor, numbers: Iterable[int]) -> str:
    return ", ".join(enum_cell(enum, number) for number in numbers)
