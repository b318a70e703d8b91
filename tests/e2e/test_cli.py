"""The `rapport` command as people use it: a process, a server of its own, pipes and signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.server import ROOT, ServerProcess, eventually

MAPPING = ROOT / "examples" / "cdnow.toml"
PURCHASES = """\
 customer_id date number_of_cds dollar_value
 00001 19970101 1 11.77
 00002 19970112 1 12.00
 00002 19970112 5 77.00
 00003 19970230 2 20.76
 00003 19970802 1 0.00
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose ledger holds the four purchases above that can be read, and two acts of consent."""
    folder = tmp_path_factory.mktemp("cli")
    with ServerProcess(folder / "data") as running:
        file = folder / "purchases.txt"
        file.write_text(PURCHASES)
        consents = folder / "consents.csv"
        consents.write_text("00001,given,2020-01-01\n00001,withdrawn,2020-06-01\n")
        mapping = folder / "consents.toml"
        mapping.write_text(CONSENTS)
        imported = rapport(running, "import", str(file), "--mapping", str(MAPPING), "--json")
        assert 4 == imported.returncode, imported.stderr
        assert (5, 8, 1) == figures(imported, "lines", "recorded", "rejected")
        assert "5\tday: day is out of range" in (folder / "purchases.txt.rejects").read_text()
        assert 0 == rapport(running, "import", str(consents), "--mapping", str(mapping)).returncode
        yield running


CONSENTS = """
[source]
format = "csv"
columns = ["customer", "act", "day"]
[organization]
id = "cdnow"
[values.at]
type = "time"
from = "{day}"
format = "%Y-%m-%d"
zone = "UTC"
[[consents]]
when = "act = 'given'"
act = "given"
customer_id = "{customer}"
occur_time = "{at}"
purposes = ["newsletter"]
[[consents]]
when = "act = 'withdrawn'"
act = "withdrawn"
customer_id = "{customer}"
occur_time = "{at}"
"""


def rapport(server: ServerProcess | None, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `rapport` with the words of a command, and with arguments that may hold blanks, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *command.split(), *arguments],
        cwd=ROOT,
        env=environment_for(server),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment_for(server: ServerProcess | None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAPPORT_")}
    target = {} if server is None else {"RAPPORT_TARGET": server.target}
    return {**clean, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}", **target, **(more or {})}


def figures(done: subprocess.CompletedProcess[str], *names: str) -> tuple[Any, ...]:
    answer = json.loads(done.stdout)
    return tuple(answer[name] for name in names)


def messages(done: subprocess.CompletedProcess[str]) -> list[Any]:
    """Return what `--json` printed: one message a line."""
    assert 0 == done.returncode, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def table(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """Return the rows below the header of what is printed where there is no terminal."""
    assert 0 == done.returncode, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()[1:]]


def test_a_relationship_is_shown_with_amounts_and_consents(server: ServerProcess) -> None:
    shown = rapport(server, "relationship get cdnow 00001")
    (answer,) = messages(rapport(server, "relationship get cdnow 00001 --json"))

    assert 0 == shown.returncode, shown.stderr
    assert "CUSTOMER\tMONEY_PAYMENT\t11.77 USD" in shown.stdout
    assert "WITHDRAWN" in shown.stdout
    assert "00001" == answer["relationship"]["customerId"]
    quantities = {each["asset"]: (each["giver"], each["posted"]) for each in answer["relationship"]["quantities"]}
    assert {"USD/2": ("PARTY_CUSTOMER", "1177"), "CD/0": ("PARTY_ORGANIZATION", "1")} == quantities


def test_relationships_are_listed_now_and_as_of_a_day(server: ServerProcess) -> None:
    now = table(rapport(server, "relationship list cdnow"))
    then = table(rapport(server, "relationship list cdnow --as-of 1997-01-12"))
    (largest,) = messages(rapport(server, "relationship list cdnow --order units --asset USD/2 --limit 1 --json"))

    assert [["00001", "11.77 USD"], ["00002", "89.00 USD"], ["00003", ""]] == [[row[0], row[5]] for row in now]
    assert ["00001", "00002"] == [row[0] for row in then if row[4] != "0"]
    assert "00002" == largest["customerId"]


def test_a_timeline_is_in_the_order_in_which_things_happened(server: ServerProcess) -> None:
    rows = table(rapport(server, "timeline cdnow 00001"))
    entries = messages(rapport(server, "timeline cdnow 00001 --json"))

    assert ["1997-01-01T00:00:00Z", "1997-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "2020-06-01T00:00:00Z"] == [
        row[0] for row in rows
    ]
    assert ["PURCHASE INBOUND WEB cdnow-2", "customer gave 11.77 USD; we gave 1 CD cdnow-2", "newsletter"] == [
        row[3] for row in rows
    ][:3]
    assert [row[2] for row in rows] == [entry["topic"] for entry in entries]


def test_consents_are_shown_as_of_a_day(server: ServerProcess) -> None:
    before = rapport(server, "consent show cdnow 00001 --as-of 2020-03-01")
    (now,) = messages(rapport(server, "consent show cdnow 00001 --json"))

    assert "newsletter\tany\tany\tany\tGIVEN\t2020-01-01T00:00:00Z" in before.stdout
    assert ["CONSENT_STATUS_WITHDRAWN"] == list({each["status"] for each in now["consents"]})


def test_assets_are_registered_and_listed(server: ServerProcess) -> None:
    done = rapport(server, "asset register acme EUR/2 --kind money --max-units 100000")
    taken = rapport(server, "asset register acme EUR/2 --kind points --max-units 100000")

    assert [["EUR/2", "MONEY", "1000.00 EUR"]] == [row[:3] for row in table(done)]
    assert 1 == taken.returncode
    assert "ASSET_CODE_TAKEN" in taken.stderr
    assert ["CD/0", "USD/2"] == [row[0] for row in table(rapport(server, "asset list cdnow"))]


def test_the_log_is_read_from_where_one_likes(server: ServerProcess) -> None:
    (head,) = messages(rapport(server, "log head --json"))
    events = messages(rapport(server, "log read --organization cdnow --topic exchange.* --json"))
    rest = messages(rapport(server, "log read --after", str(int(head["position"]) - 2), "--json"))
    rows = table(rapport(server, "log read --organization cdnow --customer 00002 --limit 2"))

    assert {"exchange.recorded.v1"} == {event["topic"] for event in events}
    assert 4 == len(events)
    assert [int(head["position"]) - 1, int(head["position"])] == [int(event["position"]) for event in rest]
    assert ["cdnow/00002"] * 2 == [row[3] for row in rows]


def test_what_the_server_refuses_ends_with_1_and_says_why(server: ServerProcess) -> None:
    unknown = rapport(server, "relationship get cdnow nobody")
    future = rapport(server, "relationship get cdnow 00001 --known-at 999999")
    invalid = rapport(server, "relationship get NOT-AN-ID 00001")

    assert [1, 1, 1] == [done.returncode for done in (unknown, future, invalid)]
    assert "RELATIONSHIP_UNKNOWN" in unknown.stderr
    assert "rapport log head" in future.stderr
    assert "organization_id" in invalid.stderr
    assert "" == unknown.stdout + future.stdout + invalid.stdout


def test_projections_are_listed_and_rebuilt(server: ServerProcess) -> None:
    (listed,) = messages(rapport(server, "projection list --json"))
    name = listed["projections"][0]["name"]
    rebuilt = rapport(server, "projection rebuild", name)
    unknown = rapport(server, "projection rebuild nothing")

    assert "swapped: " in rebuilt.stdout.splitlines()[-1]
    assert (1, True) == (unknown.returncode, "PROJECTION_UNKNOWN" in unknown.stderr)


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(server: ServerProcess) -> None:
    command = [sys.executable, "-m", "services.cli", "log", "read", "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment_for(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()

        assert "" == process.stderr.read()
        assert 0 == process.wait(30)


def test_following_shows_what_is_recorded_and_ends_quietly_with_ctrl_c(server: ServerProcess) -> None:
    seen: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli", "log", "follow", "--organization", "followed", "--json"],
        cwd=ROOT,
        env=environment_for(server, {"PYTHONUNBUFFERED": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        rapport(server, "asset register followed EUR/2 --kind money --max-units 100")
        seen.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)

        assert "policy.asset_registered.v1" == json.loads(seen[0])["topic"]
        assert 130 == process.wait(30)
        assert "" == process.stderr.read()


def test_following_goes_on_after_the_server_was_killed(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server:
        following = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "log", "follow", "--topic", "policy.*", "--json"],
            cwd=ROOT,
            env=environment_for(server),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with following:
            assert following.stdout is not None
            assert 0 == rapport(server, "asset register one EUR/2 --kind money --max-units 100").returncode
            first = json.loads(following.stdout.readline())
            server.kill()
            server.start()
            assert 0 == rapport(server, "asset register two EUR/2 --kind money --max-units 100").returncode
            second = json.loads(following.stdout.readline())
            following.send_signal(signal.SIGINT)
            assert 130 == following.wait(30)

    assert ["one/@policy", "two/@policy"] == [first["streamId"], second["streamId"]]


def test_serve_says_where_it_listens_and_ends_with_sigterm(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "services.cli", "serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0"],
        cwd=ROOT,
        env=environment_for(None),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("listening on 127.0.0.1:"), first
        target = first.removeprefix("listening on ").strip()

        assert 0 == rapport(None, "log head --target", target).returncode

        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(30)
    assert (tmp_path / "data").is_dir()


def test_an_import_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    lines = [" customer_id date number_of_cds dollar_value"]
    lines += [f" {number % 400:05d} 199701{1 + number % 28:02d} 1 1.00" for number in range(6000)]
    file = tmp_path / "many.txt"
    file.write_text("\n".join(lines) + "\n")

    with ServerProcess(tmp_path / "data") as server:
        with subprocess.Popen(
            [sys.executable, "-m", "services.cli", "import", str(file), "--mapping", str(MAPPING), "--json"],
            cwd=ROOT,
            env=environment_for(server),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as importing:
            eventually(lambda: head(server) > 1000, 40)
            server.kill()
            time.sleep(1)
            server.start()
            output, told = importing.communicate(timeout=50)
        assert 0 == importing.returncode, told
        summary = json.loads(output)

        assert (6000, 12000, 0) == (summary["lines"], summary["recorded"] + summary["replayed"], summary["rejected"])
        exchanges = rapport(server, "log read --organization cdnow --topic exchange.recorded.v1")
        interactions = rapport(server, "log read --organization cdnow --topic interaction.recorded.v1")
        assert (6000, 6000) == (len(table(exchanges)), len(table(interactions)))


def head(server: ServerProcess) -> int:
    answer = rapport(server, "log head --json")
    return int(json.loads(answer.stdout)["position"]) if answer.returncode == 0 else 0
