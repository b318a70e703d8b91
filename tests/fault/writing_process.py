"""A process that writes to a ledger and says what was acknowledged, to be killed at any system call.

`python -m tests.fault.writing_process FOLDER SEED COUNT` prints one line for each request when it is sent and one when
it is acknowledged. The same functions write on from within the test once the process is dead. A test that kills dozens
forks them from one process that has imported everything, which takes longer than the writing: `write_traced`.
"""

from __future__ import annotations

import asyncio
import ctypes
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID, uuid4

from ledger.domain.consent import WithdrawConsent
from ledger.domain.decider import Step
from ledger.domain.interaction import RecordInteraction
from ledger.ledger import Ledger
from ledger.log.keks import Keks
from ledger.log.keys import KeyStore
from ledger.log.recorders import open_store, sqlite_url
from ledger.log.sqlite_keys import SqliteKeyTable
from ledger.opening import open_ledger
from ledger.requests import Request
from rapport.consent.v1.consent_service_pb2 import WithdrawConsentRequest
from rapport.events.v1.consent_pb2 import ConsentWithdrawn
from rapport.events.v1.interaction_pb2 import DIRECTION_INBOUND, INTERACTION_KIND_MESSAGE
from rapport.interaction.v1.interaction_service_pb2 import RecordInteractionRequest

CLIENTS = 6
Say = Callable[[str], None]
_ALLOW_TRACING_BY, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
"""PR_SET_PTRACER and PR_SET_PTRACER_ANY of prctl(2)."""


def requests(seed: int, count: int) -> list[tuple[Request, Step]]:
    """Return the same requests for the same seed: some with personal content, some that share a customer."""
    chance = random.Random(seed)
    return [_request(chance) for _ in range(count)]


def _request(chance: random.Random) -> tuple[Request, Step]:
    request_id = UUID(int=chance.getrandbits(128), version=4)
    stream_id = f"acme/c-{chance.randrange(4)}"
    if chance.random() < 0.3:
        withdrawal = WithdrawConsentRequest(request_id=str(request_id))
        return Request("/Withdraw", "acme", request_id.bytes, withdrawal), WithdrawConsent(
            stream_id, ConsentWithdrawn()
        )
    recording = RecordInteractionRequest(request_id=str(request_id))
    recording.interaction.kind = INTERACTION_KIND_MESSAGE
    recording.interaction.direction = DIRECTION_INBOUND
    if chance.random() < 0.4:
        recording.interaction.summary = "personal words"
    return Request("/Record", "acme", request_id.bytes, recording), RecordInteraction(stream_id, recording.interaction)


async def open_in(folder: Path) -> Ledger:
    """Open the ledger in a folder, with its keys beside it."""
    store = open_store(sqlite_url(folder / "events.db"))
    return await open_ledger(
        store,
        lambda log_id: KeyStore(SqliteKeyTable(folder / "keys.db", log_id), Keks([bytes(32)])),
        new_log_id=str(uuid4()),
    )


async def write(ledger: Ledger, todo: Sequence[tuple[Request, Step]], say: Say) -> None:
    """Send every request, from a few clients in parallel, and say what was sent and acknowledged."""
    left = iter(todo)

    async def client() -> None:
        for request, step in left:
            say(f"sent {UUID(bytes=request.request_id)} {step.stream_id}")
            receipt = await ledger.execute(request, [step])
            place = receipt.steps[0].places[0]
            say(f"acknowledged {UUID(bytes=request.request_id)} {place.position} {place.version}")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CLIENTS):
            tasks.create_task(client())


def write_traced(folder: Path, seed: int, count: int, said: Path) -> None:
    """Write once somebody traces this process; what it says goes to a file, which is there once it waits."""
    ctypes.CDLL(None).prctl(_ALLOW_TRACING_BY, _ANYBODY, 0, 0, 0)  # Else Linux may leave that to parents.
    with said.open("w", buffering=1, encoding="ascii") as lines:
        while "TracerPid:\t0\n" in Path("/proc/self/status").read_text(encoding="ascii"):
            time.sleep(0.002)
        asyncio.run(_main(folder, seed, count, lambda line: print(line, file=lines)))


async def _main(folder: Path, seed: int, count: int, say: Say) -> None:
    ledger = await open_in(folder)
    await write(ledger, requests(seed, count), say)
    await ledger.close()
    say("closed")


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # Read by the test that started this process.


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), _tell))
