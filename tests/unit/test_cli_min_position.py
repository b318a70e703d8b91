"""Commands whose answers may be behind the log can be told how much of it they must know."""

from __future__ import annotations

import pytest

from rapport.contact.v1.contact_service_pb2 import AudienceProgress, FindAudienceResponse
from services.cli.programme import REPORTS
from tests.unit.answering_server import answering_server
from tests.unit.command_line import run_line

AUDIENCE = "audience find acme --topic garden --channel email --purpose marketing.direct --class marketing"
COMMANDS = (
    "relationship list acme",
    "changes list acme",
    AUDIENCE,
    *(f"programme report acme {name}" for name in REPORTS),
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("said, asked", [("", 0), ("--min-position 7", 7)])
async def test_a_position_that_is_given_is_asked_for(command: str, said: str, asked: int) -> None:
    async with answering_server() as server:
        server.answers["FindAudience"] = [FindAudienceResponse(progress=AudienceProgress(done=True))]
        await run_line(server.target, *command.split(), *said.split())

    assert [asked] == [request.min_position for request in server.asked]
