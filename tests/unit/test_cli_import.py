"""Loading a file into a server of this process: everything once, faults told, breaks survived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from rapport.events.v1 import policy_pb2
from rapport.exchange.v1.operation_pb2 import OUTCOME_ALREADY_APPLIED
from rapport.policy.v1.policy_service_pb2 import ListAssetsRequest, ListAssetsResponse
from services.cli.importing import loading
from services.cli.importing.loading import Loader, Totals
from services.cli.importing.mapping import load_mapping
from services.cli.importing.rejects import HEADER, Rejects, places_for
from services.cli.importing.source import FileReader, Line
from services.client import Client, RapportError, RetryPolicy
from tests.unit.fake_server import FakeServer, fail, fake_server, status

ROOT = Path(__file__).resolve().parent.parent.parent
QUICK = RetryPolicy(first_delay_s=0.001, patience_s=5, longest_delay_s=0.05)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeServer]:
    monkeypatch.setattr(loading, "CHUNK_LINES", 10)
    async with fake_server() as fake:
        yield fake


def purchases(tmp_path: Path, count: int, bad: dict[int, str] | None = None) -> Path:
    lines = [" customer date cds dollars"]
    lines += [f" {number % 7:05d} 199701{1 + number % 28:02d} 1 {number}.50" for number in range(count)]
    for number, text in (bad or {}).items():
        lines[number - 1] = text
    file = tmp_path / "purchases.txt"
    file.write_text("\n".join(lines) + "\n")
    return file


async def load(server: FakeServer, file: Path, retry: RetryPolicy = QUICK) -> Totals:
    mapping = load_mapping(ROOT / "examples" / "cdnow.toml", file)
    with Rejects(*places_for(file, None)) as rejects:
        async with Client(server.target, retry=retry, timeout_s=2) as client:
            return await Loader(client, mapping, file.name, rejects).load(
                FileReader(file, mapping.source), lambda _, __: None
            )


async def test_every_line_is_recorded_once_however_often_it_is_imported(server: FakeServer, tmp_path: Path) -> None:
    file = purchases(tmp_path, 95)

    first = await load(server, file)
    again = await load(server, file)

    assert (95, 190, 0, 0) == (first.lines, first.recorded, first.replayed, first.rejected)
    assert (95, 0, 190, 0) == (again.lines, again.recorded, again.replayed, again.rejected)
    assert 190 == len(server.ingest.recorded)
    assert not (tmp_path / "purchases.txt.rejects").exists()


async def test_an_exchange_that_another_source_recorded_is_told_as_being_there(
    server: FakeServer, tmp_path: Path
) -> None:
    server.ingest.outcome = OUTCOME_ALREADY_APPLIED

    totals = await load(server, purchases(tmp_path, 20))

    assert (20, 20, 20) == (totals.lines, totals.recorded, totals.replayed)


async def test_bad_lines_are_told_in_order_and_the_others_recorded(server: FakeServer, tmp_path: Path) -> None:
    bad = {5: "00001 19970101 1", 17: "00002 19970231 1 1.00", 18: "00003 19970101 1 1.005", 40: "00004 19970101 x 1"}
    file = purchases(tmp_path, 60, bad)

    totals = await load(server, file)

    assert (60, 112, 4) == (totals.lines, totals.recorded, totals.rejected)
    rejects = (tmp_path / "purchases.txt.rejects").read_text().splitlines(keepends=True)
    assert HEADER == rejects[0]
    assert ["5", "17", "18", "40"] == [line.split("\t")[0] for line in rejects[1:]]
    assert "5\t3 columns where 4 are expected\t00001 19970101 1\n" == rejects[1]
    assert "paid: '1.005' has more than 2 decimals" in rejects[3]


async def test_a_refusal_of_the_server_is_told_and_the_rest_of_the_line_is_not_sent(
    server: FakeServer, tmp_path: Path
) -> None:
    file = purchases(tmp_path, 30)
    erased = status(grpc.StatusCode.FAILED_PRECONDITION, "SUBJECT_ERASED")
    server.ingest.item_error = lambda request_id, _: (
        erased if (_line_of(request_id), _record_of(request_id)) == (12, 0) else None
    )

    totals = await load(server, file)

    assert (30, 58, 1) == (totals.lines, totals.recorded, totals.rejected)
    (told,) = (tmp_path / "purchases.txt.rejects").read_text().splitlines()[1:]
    assert told.startswith("12\tinteraction: SUBJECT_ERASED: as it is\t")


def _line_of(request_id: str) -> int:
    return (int(request_id.replace("-", ""), 16) & (1 << 62) - 1) >> 26


def _record_of(request_id: str) -> int:
    return int(request_id[15:18], 16)


async def test_mending_the_file_and_importing_again_records_what_was_rejected(
    server: FakeServer, tmp_path: Path
) -> None:
    await load(server, purchases(tmp_path, 30, {9: "broken"}))

    totals = await load(server, purchases(tmp_path, 30))

    assert (30, 2, 58, 0) == (totals.lines, totals.recorded, totals.replayed, totals.rejected)
    assert not (tmp_path / "purchases.txt.rejects").exists()


async def test_a_server_that_dies_in_between_loses_and_doubles_nothing(server: FakeServer, tmp_path: Path) -> None:
    port = int(server.target.rpartition(":")[2])
    killed = False

    async def die_once(number: int, _: Any) -> None:
        nonlocal killed
        if number == 6 and not killed:
            killed = True
            reborn.append(asyncio.create_task(_restart(server, port)))
            await asyncio.sleep(30)

    reborn: list[asyncio.Task[None]] = []
    server.ingest.before_answer = die_once

    totals = await load(server, purchases(tmp_path, 95))

    assert killed
    assert (95, 190, 0) == (totals.lines, totals.recorded + totals.replayed, totals.rejected)
    assert 190 == len(server.ingest.recorded)
    assert totals.replayed > 0


async def _restart(server: FakeServer, port: int) -> None:
    await server.server.stop(None)
    await asyncio.sleep(0.3)
    await server.start(port)


async def test_a_server_that_stays_away_ends_the_import(server: FakeServer, tmp_path: Path) -> None:
    async def away(_: int, context: Any) -> None:
        await fail(context, grpc.StatusCode.UNAVAILABLE)

    server.ingest.before_frame = away

    with pytest.raises(RapportError):
        await load(server, purchases(tmp_path, 95), RetryPolicy(first_delay_s=0.001))


async def test_assets_are_registered_only_where_they_are_missing(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dollars = policy_pb2.AssetRegistered(asset="USD/2", kind=policy_pb2.ASSET_KIND_MONEY, max_units_per_leg=999_999_999)

    async def list_assets(_: ListAssetsRequest, __: Any) -> ListAssetsResponse:
        response = ListAssetsResponse()
        response.assets.add(asset=dollars)
        return response

    monkeypatch.setattr(server.policies, "ListAssets", list_assets)
    await server.server.stop(None)
    await server.start()

    await load(server, purchases(tmp_path, 1))

    (request,) = server.policies.requests
    assert ["CD/0"] == [asset.asset for asset in request.assets]


def test_rejects_of_an_earlier_run_go_when_there_are_none_now(tmp_path: Path) -> None:
    ours, foreign = tmp_path / "a.rejects", tmp_path / "b.rejects"
    ours.write_text(HEADER + "1\twhy\ttext\n")
    foreign.write_text("my notes\n")

    for path in (ours, foreign):
        with Rejects(path):
            pass

    assert not ours.exists()
    assert foreign.exists()


def test_rejects_go_to_the_working_directory_where_the_files_own_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "missing" / "x.csv"

    with Rejects(*places_for(file, None)) as rejects:
        rejects.add(Line(7, "a\tb", (), "", 0), "why\nnot")

    assert Path("x.csv.rejects") == rejects.path
    assert HEADER + "7\twhy not\ta\tb\n" == (tmp_path / "x.csv.rejects").read_text()
    assert (Path("mine"),) == places_for(file, Path("mine"))
