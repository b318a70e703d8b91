"""Who was away while the log was put back is told so by the checkpoint they kept, though their number exists again."""

from __future__ import annotations

import shutil
from contextlib import aclosing
from pathlib import Path

import pytest

from rapport.change.v1 import change_service_pb2 as pb
from rapport.change.v1.change_pb2 import RelationshipChange
from rapport.errors.v1 import error_reason_pb2 as reasons
from services.client import Client, RapportError
from services.client.watching import Watch
from tests.integration.test_services_changes import first, opt_in_and_out
from tests.server import serving

NOWHERE = "1-" + 64 * "0"


@pytest.fixture
async def kept(tmp_path: Path) -> pb.ListChangesResponse:
    """Record two changes and keep a copy; then two more, which are told; then put the copy back."""
    folder, copy = tmp_path / "data", tmp_path / "copy"
    async with serving(folder) as server, Client(server.target) as client:
        await client.list_changes("acme", min_position=await opt_in_and_out(client, "anna"))
    shutil.copytree(folder, copy)
    async with serving(folder) as server, Client(server.target) as client:
        page = await client.list_changes("acme", min_position=await opt_in_and_out(client, "bert"))
        detector = await client.get_detector()
    assert [each.number for each in page.changes] == [1, 2, 3, 4]
    assert (detector.last_number, detector.checkpoint) == (4, page.checkpoint)
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    return page


async def next_of(watch: Watch) -> RelationshipChange:
    (change,) = await first(aiter(watch), 1)
    return change


async def refusal(watch: Watch) -> int:
    with pytest.raises(RapportError) as refused:
        await first(aiter(watch), 1)
    return refused.value.reason


async def test_a_number_that_exists_again_is_refused_with_its_checkpoint(
    kept: pb.ListChangesResponse, tmp_path: Path
) -> None:
    async with serving(tmp_path / "data") as server, Client(server.target) as client:
        await client.list_changes("acme", min_position=await opt_in_and_out(client, "carl", "dora"))

        found = await next_of(client.watch_relationships("acme", after_number=4))
        refused = await refusal(client.watch_relationships("acme", after_number=4, checkpoint=kept.checkpoint))
        with pytest.raises(RapportError) as listing:
            await client.list_changes("acme", after_number=4, checkpoint=kept.checkpoint)

    assert (found.number, found.subject_id) == (5, "dora"), "without one, a number is what it names now"
    assert refused == listing.value.reason == reasons.ERROR_REASON_CHANGES_BEGUN_ANEW
    assert not listing.value.retryable


async def test_a_number_that_does_not_exist_again_is_refused_for_the_same_reason(
    kept: pb.ListChangesResponse, tmp_path: Path
) -> None:
    async with serving(tmp_path / "data") as server, Client(server.target) as client:
        plain = await refusal(client.watch_relationships("acme", after_number=4))
        refused = await refusal(client.watch_relationships("acme", after_number=4, checkpoint=kept.checkpoint))

    assert plain == reasons.ERROR_REASON_CHANGE_IN_FUTURE
    assert refused == reasons.ERROR_REASON_CHANGES_BEGUN_ANEW


async def test_what_was_told_before_the_copy_holds_and_nothing_needs_no_proof(
    kept: pb.ListChangesResponse, tmp_path: Path
) -> None:
    async with serving(tmp_path / "data") as server, Client(server.target) as client:
        early = (await client.list_changes("acme")).checkpoint
        await client.list_changes("acme", min_position=await opt_in_and_out(client, "carl"))

        after = await next_of(client.watch_relationships("acme", after_number=2, checkpoint=early))
        anew = await next_of(client.watch_relationships("acme", after_number=0, checkpoint=NOWHERE))
        forged = await refusal(client.watch_relationships("acme", after_number=2, checkpoint=NOWHERE))

    assert early != kept.checkpoint
    assert (after.number, after.subject_id) == (3, "carl")
    assert anew.number == 1
    assert forged == reasons.ERROR_REASON_CHANGES_BEGUN_ANEW


async def test_a_watch_that_outlives_its_server_is_told_when_the_next_one_has_another_past(tmp_path: Path) -> None:
    folder, copy = tmp_path / "data", tmp_path / "copy"
    async with serving(folder) as server, Client(server.target) as client:
        await client.list_changes("acme", min_position=await opt_in_and_out(client, "anna"))
    shutil.copytree(folder, copy)
    async with serving(folder) as server, Client(server.target) as client:
        target = server.target
        await client.list_changes("acme", min_position=await opt_in_and_out(client, "bert"))
        watching = client.watch_relationships("acme", after_number=0, subject_ids=["anna"])
        async with aclosing(watching.frames()) as frames:
            async for frame in frames:
                if frame.HasField("caught_up"):
                    assert frame.caught_up.number == 4, "bert's are passed, though not wanted"
                    break
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)

    async with serving(folder, listen=target) as server, Client(target) as client:
        await client.list_changes("acme", min_position=await opt_in_and_out(client, "anna", "anna"))
        watch = client.watch_relationships(
            "acme", after_number=watching.number, checkpoint=watching.checkpoint, subject_ids=["anna"]
        )

        assert await refusal(watch) == reasons.ERROR_REASON_CHANGES_BEGUN_ANEW


async def test_changes_that_are_found_again_need_nobody_to_start_over(tmp_path: Path) -> None:
    """Their table is lost and the log is not: a number that is not there again yet is waited for."""
    folder = tmp_path / "data"
    async with serving(folder) as server, Client(server.target) as client:
        page = await client.list_changes("acme", min_position=await opt_in_and_out(client, "anna", "bert"))
    for path in folder.glob("changes.db*"):
        path.unlink()

    async with serving(folder, detector="off") as server, Client(server.target) as client:
        plain = await refusal(client.watch_relationships("acme", after_number=4))
        assert plain == reasons.ERROR_REASON_CHANGE_IN_FUTURE
        watch = client.watch_relationships("acme", after_number=4, checkpoint=page.checkpoint)
        async with aclosing(watch.frames()) as frames:
            first_frame = await anext(frames)
        assert first_frame.WhichOneof("frame") == "caught_up"
        assert first_frame.checkpoint == ""
        assert watch.checkpoint == page.checkpoint, "what is not known here does not take its place"

    async with serving(folder) as server, Client(server.target) as client:
        watch = client.watch_relationships("acme", after_number=4, checkpoint=page.checkpoint)
        await opt_in_and_out(client, "carl")
        change = await next_of(watch)

    assert (change.number, change.subject_id) == (5, "carl")
    assert watch.checkpoint not in ("", page.checkpoint)


@pytest.mark.parametrize("checkpoint", ["x", "0-" + 64 * "0", "1-" + 63 * "0", NOWHERE + "\n", "9" * 19 + NOWHERE])
async def test_what_is_no_checkpoint_is_refused_by_name(tmp_path: Path, checkpoint: str) -> None:
    async with serving(tmp_path / "data") as server, Client(server.target) as client:
        with pytest.raises(RapportError) as refused:
            await client.list_changes("acme", after_number=1, checkpoint=checkpoint)
        with pytest.raises(RapportError) as watch:
            await first(aiter(client.watch_relationships("acme", after_number=1, checkpoint=checkpoint)), 1)

    assert [["checkpoint"], ["checkpoint"]] == [
        [violation.field for violation in each.value.violations] for each in (refused, watch)
    ]
