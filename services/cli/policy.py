"""`rapport policy`, and of it `valuation publish|check|list|show`: what exchanges are worth, and to whom."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Final

from rapport.events.v1.exchange_pb2 import PARTY_CUSTOMER, PARTY_ORGANIZATION, Category, Party
from rapport.events.v1.policy_pb2 import AssetKind
from rapport.events.v1.valuation_pb2 import SIDE_GET, SIDE_GIVE, Side, ValuationMethod, ValuationPolicy, ValuationRule
from services.cli import exits, policy_contact, policy_persona, policy_registries, policy_relationship, policy_types
from services.cli.arguments import Commands, add_view, client_of, count, view_of
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, warn
from services.cli.policy_file import per_whole_unit, read_policy, units_of_account
from services.cli.publishing import add_command, add_file, tell_found, told_faults
from services.client import Client, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rapport.policy.v1.policy_service_pb2 import PublishedValuationPolicy, RegisteredAsset

_COLUMNS: Final = (
    ("CUSTOMER GIVES", PARTY_CUSTOMER, SIDE_GIVE),
    ("CUSTOMER GETS", PARTY_CUSTOMER, SIDE_GET),
    ("ORGANIZATION GIVES", PARTY_ORGANIZATION, SIDE_GIVE),
    ("ORGANIZATION GETS", PARTY_ORGANIZATION, SIDE_GET),
)


def add(commands: Commands) -> None:
    """Add the commands to the command line."""
    nouns = commands.add_parser("policy", help="what an organization publishes")
    kinds = nouns.add_subparsers(metavar="KIND", required=True)
    valuation = kinds.add_parser("valuation", help="valuation policies: what exchanges are worth, and to whom")
    verbs = valuation.add_subparsers(metavar="COMMAND", required=True)
    page = "docs/concepts/valuation-policy.md"
    add_file(verbs, "publish", "publish the policy in a file", page).set_defaults(run=run_publish)
    check = add_file(verbs, "check", "say what publishing a file would say, and publish nothing", page)
    check.set_defaults(run=run_check)
    listing = add_command(verbs, "list", "list versions of policies")
    listing.add_argument("policy", metavar="POLICY_ID", nargs="?", default="", help="only versions of this one")
    add_view(listing)
    listing.set_defaults(run=run_list)
    show = add_command(verbs, "show", "show a version with its rules")
    show.add_argument("policy", metavar="POLICY_ID", nargs="?", default="", help="default: the one published first")
    show.add_argument("--version", metavar="N", type=count, default=0, help="default: the one in force")
    add_view(show)
    show.set_defaults(run=run_show)
    policy_contact.add(kinds)
    policy_registries.add(kinds)
    policy_relationship.add(kinds)
    policy_types.add(kinds)
    policy_persona.add(kinds)


async def run_publish(arguments: Namespace) -> int:
    """Publish the policy in a file; print what is in force now."""
    file = read_policy(arguments.file)
    if told_faults(file):
        return exits.USAGE
    async with client_of(arguments) as client:
        try:
            answer = await client.publish_valuation_policy(arguments.organization, file.policy)
        except Refused as refusal:
            # A refusal has room for some of the faults only; a check names them all.
            checked = await client.check_valuation_policy(arguments.organization, file.policy)
            if not checked.faults:
                raise
            tell_found(file, checked.faults)
            warn(f"{file.name} is not published: {refusal}")
            return exits.REFUSED
        listed = await client.list_valuation_policies(
            arguments.organization, file.policy.policy_id, min_position=answer.position
        )
    if arguments.json:
        print_json(answer)
        return exits.OK
    (in_force,) = [each.policy.version for each in listed.policies if each.in_force] or [0]
    now = f"version {in_force}" if in_force else "none, it counts from a later time on"
    print_pairs([*_version_pairs(answer.published), ("in force now", now)])
    return exits.OK


async def run_check(arguments: Namespace) -> int:
    """Print what publishing the policy in a file would say, and which registered assets it values."""
    file = read_policy(arguments.file)
    if told_faults(file):
        return exits.USAGE
    async with client_of(arguments) as client:
        answer = await client.check_valuation_policy(arguments.organization, file.policy)
        assets = await client.list_assets(arguments.organization, min_position=answer.position)
        published = await client.list_valuation_policies(arguments.organization, min_position=answer.position)
    if arguments.json:
        print_json(answer)
    else:
        tell_found(file, answer.faults)
        if not answer.faults:
            stands = any(each.policy.digest == answer.policy.digest for each in published.policies)
            how = "is published already" if stands else "would be published"
            print(f"{file.name} {how} as version {answer.policy.version} of {answer.policy.policy_id}")
            print_pairs([("digest", answer.policy.digest.hex())])
        _print_coverage(file.policy, assets.assets)
        if answer.unvalued:
            print(f"without any rule, so unvalued: {', '.join(answer.unvalued)}")
    return exits.REFUSED if answer.faults else exits.OK


async def run_list(arguments: Namespace) -> int:
    """Print the versions of one policy, or of all."""
    async with client_of(arguments) as client:
        answer = await client.list_valuation_policies(
            arguments.organization, arguments.policy, as_of=view_of(arguments)
        )
    if arguments.json:
        print_json(answer)
        return exits.OK
    rows = Rows("POLICY", "VERSION", "FROM", "UNIT", "RULES", "IN FORCE", "DEFAULT", "PUBLISHED", "POSITION", "DIGEST")
    for each in answer.policies:
        policy = each.policy
        rows.add(
            policy.policy_id,
            policy.version,
            time_cell(policy.effective_from_time),
            policy.unit_of_account,
            each.rules_count,
            _yes(each.in_force),
            _yes(each.is_default),
            time_cell(each.record_time),
            each.position,
            policy.digest.hex()[:16],
        )
    rows.end()
    return exits.OK


async def run_show(arguments: Namespace) -> int:
    """Print one version with its rules."""
    as_of = view_of(arguments)
    async with client_of(arguments) as client:
        policy_id = arguments.policy or await _default_policy(client, arguments.organization)
        answer = await client.get_valuation_policy(arguments.organization, policy_id, arguments.version, as_of=as_of)
    if arguments.json:
        print_json(answer)
        return exits.OK
    policy = answer.published.policy
    print_pairs(
        [
            *_version_pairs(answer.published),
            ("kappa", f"{units_of_account(policy.kappa_nanos)} {policy.unit_of_account}"),
            ("labels", ", ".join(f"{each.name} up to {each.up_to_ppm}" for each in policy.labels)),
            ("trend", f"{policy.trend_days} days"),
        ]
    )
    print()
    _print_rules(policy.rules, policy.unit_of_account)
    return exits.OK


async def _default_policy(client: Client, organization: str) -> str:
    listed = await client.list_valuation_policies(organization)
    for each in listed.policies:
        if each.is_default:
            return each.policy.policy_id
    raise exits.UsageFault(f"{organization} has published no valuation policy; `rapport policy valuation publish` does")


def _version_pairs(published: PublishedValuationPolicy) -> list[tuple[str, object]]:
    policy = published.policy
    return [
        ("policy", policy.policy_id),
        ("version", policy.version),
        ("counts from", time_cell(policy.effective_from_time)),
        ("unit of account", policy.unit_of_account),
        ("rules", published.rules_count),
        ("default", _yes(published.is_default)),
        ("published", f"{time_cell(published.record_time)} at position {published.position}"),
        ("digest", policy.digest.hex()),
    ]


def _print_rules(rules: Iterable[ValuationRule], unit: str) -> None:
    """Print rules, with rates in units of account per whole unit of the asset."""
    rows = Rows("RULE", "OPINION OF", "SIDE", "LEGS", "ASSET", f"{unit} PER WHOLE", "LOW", "HIGH", "METHOD", "SOURCE")
    for rule in rules:
        rows.add(
            rule.rule_id,
            enum_cell(Party.DESCRIPTOR, rule.perspective),
            enum_cell(Side.DESCRIPTOR, rule.side),
            _legs(rule),
            rule.asset,
            per_whole_unit(rule.rate_nanos, rule.asset) + (f", {rule.redemption_ppm} ppm" * bool(rule.redemption_ppm)),
            per_whole_unit(rule.low_nanos, rule.asset),
            per_whole_unit(rule.high_nanos, rule.asset),
            enum_cell(ValuationMethod.DESCRIPTOR, rule.method),
            rule.source,
        )
    rows.end()


def _legs(rule: ValuationRule) -> str:
    if rule.category:
        return enum_cell(Category.DESCRIPTOR, rule.category)
    return f"{rule.group}_*" if rule.group else "any"


def _print_coverage(policy: ValuationPolicy, assets: Iterable[RegisteredAsset]) -> None:
    """Print for each registered asset how many rules each party's opinion has on giving and on getting it."""
    rows = Rows("ASSET", "KIND", *(name for name, *_ in _COLUMNS))
    for each in assets:
        asset = each.asset
        counts = (
            sum((rule.perspective, rule.side, rule.asset) == (party, side, asset.asset) for rule in policy.rules)
            for _, party, side in _COLUMNS
        )
        cells = [f"{count} rule{'s' * (count > 1)}" if count else "-" for count in counts]
        rows.add(asset.asset, enum_cell(AssetKind.DESCRIPTOR, asset.kind), *cells)
    rows.end()


def _yes(value: bool) -> str:
    return "yes" if value else ""
