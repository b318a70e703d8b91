"""`rapport relationship`: measures, explanations, differences and lists by levels, as people and programs read them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rapport.events.v1 import interaction_pb2 as i
from rapport.events.v1.identity_pb2 import IdentityLinked
from rapport.relationship.v1 import explaining_pb2 as why
from rapport.relationship.v1 import measures_pb2 as m
from rapport.relationship.v1 import relationship_service_pb2 as pb
from rapport.relationship.v1.relationship_pb2 import Relationship
from rapport.type.v1 import levels_pb2 as levels
from services.cli import exits
from services.cli.__main__ import main
from services.cli.measure_tables import positions_text, ratio_text, seconds_text
from services.client import RapportError, view
from tests.unit.command_line import parsed, run_line
from tests.unit.fake_server import FakeServer, fake_server
from tests.unit.test_client_measures import WHOLE
from tests.unit.test_report_picture import measures as measured


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with fake_server() as fake:
        fake.relationships.answers = {
            "GetRelationship": pb.GetRelationshipResponse(relationship=measured()),
            "DiffRelationship": why.DiffRelationshipResponse(),
            "ExplainIdentity": why.ExplainIdentityResponse(as_of=view(position=7), person_customer_ids=["c-1", "c-2"]),
            "ExplainPersona": why.ExplainPersonaResponse(
                persona_id="regulars", version=2, member=True, approved_functions=[i.OUR_FUNCTION_SALES]
            ),
        }
        yield fake


async def run(server: FakeServer, command: str) -> int:
    return await run_line(server.target, *command.split())


def table(printed: str, first: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this heading."""
    (block,) = [block for block in printed.split("\n\n") if block.startswith(first)]
    return [line.split("\t") for line in block.splitlines()[1:]]


async def test_measures_are_a_table_with_reasons(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert exits.OK == await run(server, "relationship get acme c-1")

    printed = capsys.readouterr().out
    rows = {row[0]: row[1:] for row in table(printed, "MEASURE")}
    assert ["yes", "first on 2026-01-04T00:00:00Z"] == rows["exists"]
    assert "AT_RISK" == rows["lifecycle"][0]
    assert "30 d" == rows["cadence"][0]
    assert "0.450 (450,000 ppm)" == rows["strength"][0]
    lines = table(printed, "STRENGTH")
    assert ["PREFERENCE", "+0", "200,000", "UNKNOWN: nothing of it is recorded", ""] == lines[2]
    assert ["score", "450,000", "", "", ""] == lines[-1]
    assert "the built-in policy" in printed


async def test_what_is_no_more_tells_when_it_was_and_what_ended_it(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = measured()
    answer.measures.existence.exists = False
    answer.measures.existence.missing_legs.append(levels.EXISTENCE_LEG_COMMUNICATE)
    answer.measures.lifecycle.lifecycle = levels.LIFECYCLE_ENDED
    answer.measures.lifecycle.ClearField("next_time")
    answer.measures.lifecycle.evidence_positions[:] = [19]
    server.relationships.answers["GetRelationship"] = pb.GetRelationshipResponse(relationship=answer)

    await run(server, "relationship get acme c-1")

    rows = {row[0]: row[1:] for row in table(capsys.readouterr().out, "MEASURE")}
    assert ["no", "missing: COMMUNICATE, first on 2026-01-04T00:00:00Z"] == rows["exists"]
    assert ("ENDED", "events 19") == (rows["lifecycle"][0], rows["lifecycle"][1].rpartition(", ")[2])


async def test_groups_what_ifs_and_scopes_are_asked_for(
    server: FakeServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "stricter.toml"
    file.write_text("half_life_days = 30\n", encoding="utf-8")

    await run(server, f"relationship get acme c-1 --measures STRENGTH axes --under {file} --scope person --json")
    await run(server, "relationship get acme c-1 --under 0 --known-at 9")

    first, second = server.relationships.asked
    assert [why.MEASURE_GROUP_STRENGTH, why.MEASURE_GROUP_AXES] == list(first.measures)
    assert (30, levels.VIEW_SCOPE_PERSON) == (first.under.unpublished.half_life_days, first.scope)
    assert ("version", 0, 9) == (second.under.WhichOneof("policy"), second.under.version, second.as_of.position)
    assert json.loads(capsys.readouterr().out.splitlines()[0])["relationship"]["customerId"] == "c-1"


async def test_a_what_if_that_is_no_policy_is_told_before_a_server_is_asked(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(exits.UsageFault, match="no such file"):
        await run(server, "relationship get acme c-1 --under nothing.toml")
    file = tmp_path / "wrong.toml"
    file.write_text("half_live_days = 30\nstrenght = 1\n", encoding="utf-8")
    with pytest.raises(exits.UsageFault, match=r"(?s)half_live_days.*strenght"):
        await run(server, f"relationship explain acme c-1 --under {file}")
    assert [] == server.relationships.asked


async def test_an_explanation_is_told_with_shares(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.relationships.why = [list(WHOLE), list(WHOLE)]

    await run(server, "relationship explain acme c-1 --as-of 2026-03-01")
    await run(server, "relationship explain acme c-1 --json")

    printed = capsys.readouterr().out
    told, _, rest = printed.partition("{")
    assert [["existence.exists", "true", "", ""]] == table(told, "MEASURE")
    rows = table(told, "STRENGTH")
    assert ["INVOLVEMENT", "+350", "", ""] == rows[0]
    assert ["", "+200", "200", ""] == rows[1]
    assert "0.000 (300 ppm), the sum of 3 lines" in told
    assert len(WHOLE) == len([line for line in ("{" + rest).splitlines() if line.startswith("{")])


async def test_a_difference_is_told_and_each_side_has_options(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = why.DiffRelationshipResponse(only_in_b_positions=[5, 6], only_in_b_count=2)
    answer.b_measures.strength.score_ppm, answer.b_measures.what_if = 120, True
    answer.strength_deltas.add(component=levels.STRENGTH_COMPONENT_SPAM, delta_ppm=-30)
    answer.strength_deltas.add(component=levels.STRENGTH_COMPONENT_INVOLVEMENT, delta_ppm=150)
    answer.changes.add(measure="strength.band", a="WEAK", b="STRONG")
    server.relationships.answers["DiffRelationship"] = answer

    await run(server, "relationship diff acme c-1 --a-known-at 4 --a-scope person --b-as-of 2026-03-01 --b-under 2")

    asked = server.relationships.asked[0]
    assert (4, levels.VIEW_SCOPE_PERSON) == (asked.a.as_of.position, asked.a.scope)
    assert 2 == asked.b.under.version
    assert asked.b.as_of.HasField("occur_time")
    printed = capsys.readouterr().out
    assert [["SPAM", "-30"], ["INVOLVEMENT", "+150"], ["all", "+120"]] == table(printed, "STRENGTH")
    assert [["strength.band", "WEAK", "STRONG"]] == table(printed, "MEASURE")
    assert "events 5, 6" in printed
    assert "what if" in printed


async def test_two_views_that_are_the_same_say_so(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    await run(server, "relationship diff acme c-1")

    assert "nothing differs" in capsys.readouterr().out


async def test_a_person_and_a_persona_are_told(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    link = IdentityLinked(link_id="l-1", customer_a_id="c-1", customer_b_id="c-2", evidence="same-email")
    identity = server.relationships.answers["ExplainIdentity"]
    identity.links.add(link=link, position=3, unlinked_position=9, unlink_reason="wrong")
    persona = server.relationships.answers["ExplainPersona"]
    persona.clauses.add(number=1, holds=True, value="ACTIVE", evidence_positions=range(1, 12))

    await run(server, "relationship identity acme c-1")
    await run(server, "relationship persona acme c-1 regulars --version 2")

    printed = capsys.readouterr().out
    assert ["l-1", "c-1, c-2", "no", "", "3", "same-email", "", "", "9", "wrong"] == table(printed, "LINK")[0]
    assert [["1", "yes", "ACTIVE", "no", "1, 2, 3, 4, 5, 6, 7, 8 and 3 more"]] == table(printed, "CLAUSE")
    assert "regulars, version 2" in printed
    assert "SALES" in printed


def test_levels_of_a_list_become_its_filter() -> None:
    from services.cli.relationship import _filter  # noqa: PLC0415  # Only here.

    line = (
        "relationship list acme --lifecycle at_risk LAPSED --band weak --shape bow_tie --exists yes --broadcast no "
        "--imbalanced yes --mismatched no --desired hbr:buddies --actual hbr:fling --crossing-before 2026-03-01 "
        "--order crossing"
    )
    arguments = parsed(*line.split())

    chosen = _filter(arguments).standing

    assert [levels.LIFECYCLE_AT_RISK, levels.LIFECYCLE_LAPSED] == list(chosen.lifecycles)
    assert [levels.STRENGTH_BAND_WEAK] == list(chosen.bands)
    assert [levels.CONTACT_SHAPE_BOW_TIE] == list(chosen.shapes)
    assert (True, False, True, False) == (chosen.exists, chosen.broadcast, chosen.imbalanced, chosen.mismatched)
    assert chosen.HasField("broadcast")
    assert ("hbr:buddies", "hbr:fling") == (chosen.desired_slug, chosen.actual_slug)
    assert "2026-03-01T23:59:59.999999Z" == chosen.next_crossing_time_before.ToJsonString()


def test_a_list_about_nothing_of_it_has_no_standing() -> None:
    from services.cli.relationship import _filter  # noqa: PLC0415  # As above.

    assert not _filter(parsed("relationship", "list", "acme", "--order", "last")).HasField("standing")
    assert _filter(parsed("relationship", "list", "acme", "--order", "crossing")).HasField("standing")


@pytest.mark.parametrize(
    "line, words",
    [
        ("list acme --lifecycle sleeping", "at_risk"),
        ("list acme --exists maybe", "yes"),
        ("get acme c-1 --measures love", "strength"),
        ("report acme c-1 --output picture.png", "FILE.svg or FILE.html"),
        ("report acme c-1", "--output"),
        ("diff acme c-1 --a-known-at never", "no time"),
    ],
)
def test_what_cannot_be_understood_is_told_with_what_can(
    line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["relationship", *line.split()])

    assert exits.USAGE == ended.value.code
    assert words in capsys.readouterr().err


async def test_what_the_server_refuses_is_raised(server: FakeServer) -> None:
    server.relationships.answers = {}

    with pytest.raises(RapportError):
        await run(server, "relationship identity acme c-1")


def test_cells() -> None:
    assert "UNKNOWN: its time is not over" == ratio_text(m.Measure(unknown=m.UNKNOWN_REASON_NOTHING_MATURED))
    assert "0.000 (0 ppm)" == ratio_text(m.Measure(ppm=0))
    assert ["90 s", "36 h", "7.5 d", "0 s"] == [seconds_text(each) for each in (90, 36 * 3_600, 648_000, 0)]
    assert "1, 2" == positions_text([1, 2])
    assert "1, 2, 3, 4, 5, 6, 7, 8 and 92 more" == positions_text(range(1, 65), 100)
    every = [reason for reason in m.UnknownReason.values() if reason]
    assert len({ratio_text(m.Measure(unknown=reason)) for reason in every}) == len(every)


def test_every_measure_that_is_told_has_a_row() -> None:
    """A field that is added to Measures is not forgotten here."""
    from services.cli.measure_tables import _TELL  # noqa: PLC0415  # Only here.

    fields = m.Measures.DESCRIPTOR.fields
    of_groups = {field.name for field in fields if field.message_type and not field.is_repeated}
    assert of_groups - {"next_crossing_time"} == set(_TELL)
    assert Relationship().measures.ByteSize() == 0
