"""`rapport relationship explain|diff|identity|persona`: why measures are what they are, and in what views differ."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Final

from rapport.events.v1 import interaction_pb2
from rapport.type.v1 import levels_pb2 as levels
from services.cli.arguments import Commands, add_common, add_relationship, add_view, client_of, count, view_of
from services.cli.measure_options import add_scope, add_side, add_under, scope_of, side_of, under_of
from services.cli.measure_tables import positions_text, ratio_text
from services.cli.output import Rows, enum_cell, print_json, print_pairs, time_cell, view_text
from services.client import ppm_text

if TYPE_CHECKING:
    from rapport.relationship.v1 import explaining_pb2 as messages
    from rapport.relationship.v1.measures_pb2 import Measures

DIFF: Final = """\
In what view b differs from view a. Each is now, by the policy in force, unless its options say otherwise:
`--a-as-of 2026-04-01` compares then with now, `--b-under stricter.toml` compares now with a what-if."""


def add(verbs: Commands) -> None:
    """Add the commands below `rapport relationship`."""
    explain = verbs.add_parser("explain", help="every measure with its formula and events, and what each event adds")
    add_relationship(explain)
    add_under(explain)
    add_scope(explain)
    add_view(explain)
    add_common(explain)
    explain.set_defaults(run=run_explain)
    diff = verbs.add_parser("diff", help="in what two views of a relationship differ", description=DIFF)
    add_relationship(diff)
    add_side(diff, "a")
    add_side(diff, "b")
    add_common(diff)
    diff.set_defaults(run=run_diff)
    identity = verbs.add_parser("identity", help="which customer ids are one person, and who said so")
    add_relationship(identity)
    add_view(identity)
    add_common(identity)
    identity.set_defaults(run=run_identity)
    persona = verbs.add_parser("persona", help="whether a customer belongs to a persona, clause by clause")
    add_relationship(persona)
    persona.add_argument("persona", metavar="PERSONA", help="which")
    persona.add_argument("--version", metavar="N", type=count, default=0, help="default: the latest that is active")
    add_view(persona)
    add_common(persona)
    persona.set_defaults(run=run_persona)


async def run_explain(arguments: Namespace) -> int:
    """Print an explanation part by part; it has ended well only with its last line."""
    tables = _Tables()
    async with client_of(arguments) as client:
        explanation = client.explain_relationship(
            arguments.organization,
            arguments.customer,
            as_of=view_of(arguments),
            under=under_of(arguments),
            scope=scope_of(arguments),
        )
        async for part in explanation:
            if arguments.json:
                print_json(part)
            else:
                tables.add(part)
    return 0


class _Tables:
    """The header, a table of measures, one of the strength with its shares, and the trailer."""

    def __init__(self) -> None:
        self._kind = ""
        self._rows: Rows | None = None

    def add(self, part: messages.ExplainRelationshipResponse) -> None:
        """Print a part, or keep it until its table is drawn."""
        match part.WhichOneof("part"):
            case "header":
                _show_header(part.header)
            case "evidence":
                self._row("evidence", _evidence_cells(part.evidence))
            case "contribution":
                line = part.contribution
                name = enum_cell(levels.StrengthComponent.DESCRIPTOR, line.component)
                self._row("strength", (name, f"{line.contribution_ppm:+,}", "", ""))
            case "share":
                share = part.share
                self._row("strength", ("", f"{share.share_ppm:+,}", share.position, time_cell(share.occur_time)))
            case "trailer":
                self._end()
                trailer = part.trailer
                score = ppm_text(trailer.score_ppm, signed=False)
                lines = f"the sum of {trailer.contributions_count} lines"
                print_pairs([("strength", f"{score}, {lines}"), ("shares", f"{trailer.shares_count}, complete")])
            case _:
                pass  # A kind of part that this version does not know.

    def _row(self, kind: str, cells: tuple[object, ...]) -> None:
        if self._rows is None or self._kind != kind:
            self._end()
            columns = {"evidence": ("MEASURE", "VALUE", "FORMULA", "EVENTS")}
            self._kind, self._rows = kind, Rows(*columns.get(kind, ("STRENGTH", "ADDS", "EVENT", "OCCURRED")))
        self._rows.add(*cells)

    def _end(self) -> None:
        if self._rows is not None:
            self._rows.end()
        print()


def _show_header(header: messages.ExplanationHeader) -> None:
    print_pairs(
        [
            ("relationship", f"{header.organization_id}/{header.customer_id}"),
            ("view", view_text(header.as_of)),
            *policy_pairs(header.measures),
        ]
    )


def policy_pairs(measures: Measures) -> list[tuple[str, object]]:
    """Return by what was measured, and whose facts."""
    version = measures.relationship_policy_version
    by = f"version {version}" if version else "the built-in policy"
    if measures.what_if:
        by = f"what if: {by if version else 'another policy'}"
    person = ", ".join(measures.person_customer_ids)
    return [("measured by", by), ("person", person)]


def _evidence_cells(evidence: messages.MeasureEvidence) -> tuple[object, ...]:
    events = positions_text(evidence.evidence_positions, evidence.evidence_count)
    return evidence.measure, evidence.value, evidence.formula, events


async def run_diff(arguments: Namespace) -> int:
    """Print in what two views differ."""
    async with client_of(arguments) as client:
        answer = await client.diff_relationship(
            arguments.organization, arguments.customer, side_of(arguments, "a"), side_of(arguments, "b")
        )
    if arguments.json:
        print_json(answer)
    else:
        _show_diff(answer, f"{arguments.organization}/{arguments.customer}")
    return 0


def _show_diff(answer: messages.DiffRelationshipResponse, relationship: str) -> None:
    a, b = answer.a_measures.strength.score_ppm, answer.b_measures.strength.score_ppm
    only_a = positions_text(answer.only_in_a_positions, answer.only_in_a_count)
    only_b = positions_text(answer.only_in_b_positions, answer.only_in_b_count)
    print_pairs(
        [
            ("relationship", relationship),
            ("from a", f"{view_text(answer.a_as_of)}, by {policy_pairs(answer.a_measures)[0][1]}"),
            ("to b", f"{view_text(answer.b_as_of)}, by {policy_pairs(answer.b_measures)[0][1]}"),
            ("only in a", only_a and f"events {only_a}"),
            ("only in b", only_b and f"events {only_b}"),
            ("strength", f"{a:,} to {b:,}: {b - a:+,} ppm"),
        ]
    )
    print()
    if not answer.changes:
        print("nothing differs")
        return
    if answer.strength_deltas:
        rows = Rows("STRENGTH", "BY")
        for delta in answer.strength_deltas:
            rows.add(enum_cell(levels.StrengthComponent.DESCRIPTOR, delta.component), f"{delta.delta_ppm:+,}")
        rows.add("all", f"{sum(delta.delta_ppm for delta in answer.strength_deltas):+,}")
        rows.end()
        print()
    rows = Rows("MEASURE", "A", "B")
    for change in answer.changes:
        rows.add(change.measure, change.a, change.b)
    rows.end()


async def run_identity(arguments: Namespace) -> int:
    """Print the links of a person."""
    async with client_of(arguments) as client:
        answer = await client.explain_identity(arguments.organization, arguments.customer, as_of=view_of(arguments))
    if arguments.json:
        print_json(answer)
        return 0
    print_pairs(
        [
            ("relationship", f"{arguments.organization}/{arguments.customer}"),
            ("view", view_text(answer.as_of)),
            ("person", ", ".join(answer.person_customer_ids)),
        ]
    )
    if not answer.links:
        return 0
    print()
    rows = Rows("LINK", "IDS", "LIVE", "LINKED", "POSITION", "EVIDENCE", "RULE", "CONFIDENCE", "ENDED BY", "WHY")
    for each in answer.links:
        link = each.link
        rows.add(
            link.link_id,
            f"{link.customer_a_id}, {link.customer_b_id}",
            "yes" if each.live else "no",
            time_cell(each.linked_time),
            each.position,
            link.evidence,
            link.rule,
            ppm_text(link.confidence_ppm, signed=False) if link.confidence_ppm else "",
            each.unlinked_position or "",
            each.unlink_reason,
        )
    rows.end()
    return 0


async def run_persona(arguments: Namespace) -> int:
    """Print whether a customer belongs to a persona."""
    async with client_of(arguments) as client:
        answer = await client.explain_persona(
            arguments.organization,
            arguments.customer,
            arguments.persona,
            version=arguments.version,
            as_of=view_of(arguments),
        )
    if arguments.json:
        print_json(answer)
        return 0
    functions = interaction_pb2.OurFunction.DESCRIPTOR
    print_pairs(
        [
            ("relationship", f"{arguments.organization}/{arguments.customer}"),
            ("view", view_text(answer.as_of)),
            ("persona", f"{answer.persona_id}, version {answer.version}"),
            ("member", "yes" if answer.member else "no"),
            ("approved by", ", ".join(enum_cell(functions, each) for each in answer.approved_functions)),
            ("inferred", ratio_text(answer.inferred_share)),
        ]
    )
    print()
    rows = Rows("CLAUSE", "HOLDS", "VALUE", "INFERRED", "EVENTS")
    for each in answer.clauses:
        holds, inferred = "yes" if each.holds else "no", "yes" if each.inferred else "no"
        rows.add(each.number, holds, each.value, inferred, positions_text(each.evidence_positions))
    rows.end()
    return 0
