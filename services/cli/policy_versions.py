"""What the contact and the relationship policy have in common on the command line: versions, of which one counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.cli.arguments import Commands, add_view, count
from services.cli.output import Rows, print_pairs, time_cell
from services.cli.publishing import add_command, add_file

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Awaitable, Callable, Sequence

    from rapport.policy.v1.contact_policies_pb2 import (
        ContactPolicySummary,
        GetContactPolicyResponse,
        PublishContactPolicyResponse,
    )
    from rapport.policy.v1.relationship_policies_pb2 import (
        GetRelationshipPolicyResponse,
        PublishRelationshipPolicyResponse,
        RelationshipPolicySummary,
    )

    Run = Callable[[Namespace], Awaitable[int]]
    Summaries = Sequence[ContactPolicySummary] | Sequence[RelationshipPolicySummary]


def add_versions(verbs: Commands, page: str, shown: str, publish: Run, check: Run, list_: Run, show: Run) -> None:
    """Add publish, check, list and show; `page` shows a file, `shown` says what show prints beside the version."""
    add_file(verbs, "publish", "publish the policy in a file", page).set_defaults(run=publish)
    checking = add_file(verbs, "check", "say what publishing a file would say, and publish nothing", page)
    checking.set_defaults(run=check)
    listing = add_command(verbs, "list", "list the versions")
    add_view(listing)
    listing.set_defaults(run=list_)
    showing = add_command(verbs, "show", f"show a version with {shown}")
    which = showing.add_mutually_exclusive_group()
    which.add_argument("--version", metavar="N", type=count, default=0, help="default: the one in force")
    which.add_argument("--built-in", action="store_true", help="the one that counts until one is published")
    add_view(showing)
    showing.set_defaults(run=show)


def print_published(
    answer: PublishContactPolicyResponse | PublishRelationshipPolicyResponse, policies: Summaries
) -> None:
    """Print the version that was published, and which of all is in force now."""
    (found,) = [each for each in policies if each.version == answer.version]
    in_force = next((f"version {each.version}" for each in policies if each.in_force), "the built-in policy")
    print_pairs(
        [
            ("version", answer.version),
            ("counts from", time_cell(found.effective_from_time)),
            ("published", f"{time_cell(answer.record_time)} at position {found.published_position}"),
            ("in force now", in_force),
        ]
    )


def print_faultless(name: str, version: int, policies: Summaries) -> None:
    """Print as which version a file without faults would be published, or is already."""
    stands = any(each.version == version for each in policies)
    print(f"{name} {'is published already' if stands else 'would be published'} as version {version}")


def print_versions(policies: Summaries) -> None:
    """Print versions as a table."""
    rows = Rows("VERSION", "FROM", "IN FORCE", "PUBLISHED", "POSITION")
    for each in policies:
        begins, published = time_cell(each.effective_from_time), time_cell(each.record_time)
        rows.add(each.version, begins, "yes" if each.in_force else "", published, each.published_position)
    rows.end()


def version_pairs(answer: GetContactPolicyResponse | GetRelationshipPolicyResponse) -> list[tuple[str, object]]:
    """Return where a version stands, to be printed before what is in it."""
    policy = answer.policy
    published = f"{time_cell(answer.record_time)} at position {answer.published_position}"
    return [
        ("version", policy.version or "0, built in"),
        ("counts from", time_cell(policy.effective_from_time)),
        ("published", published if policy.version else ""),
        ("in force", "yes" if answer.in_force else "no"),
    ]
