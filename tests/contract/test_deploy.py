"""What `deploy/` says is held against the code: settings and ports exist, commands start, files have their form.

No container engine is needed; what only an engine can tell is not tested here.
"""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.runtime.settings import Settings, from_environment
from tests.server import ServerProcess
from tools.local_cluster import RELAY_PORT, SERVICES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE_FILES = sorted(DEPLOY.glob("compose*.yaml"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
VARIABLES = {f"RAPPORT_{field.name.upper()}" for field in fields(Settings)}

SERVICE_KEYS = {
    "build", "image", "command", "environment", "read_only", "cap_drop", "security_opt", "volumes", "ports", "secrets",
    "tmpfs", "depends_on", "stop_grace_period", "restart", "healthcheck",
}  # fmt: skip
"""Keys of the compose specification that our files may use; a misspelt one would be passed over in silence."""


def compose(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile: (name, arguments), continued lines joined."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def image_environment() -> dict[str, str]:
    """Return what the image sets of our settings."""
    words = [word for name, rest in dockerfile() if name == "ENV" for word in shlex.split(rest)]
    pairs = [word.partition("=")[::2] for word in words]
    return {name: value for name, value in pairs if name.startswith("RAPPORT_")}


def image_ports() -> set[str]:
    return {port for name, rest in dockerfile() if name == "EXPOSE" for port in rest.split()}


def our_services() -> list[tuple[str, str, dict[str, Any]]]:
    """Return (file, name, content) of every compose service that runs our image."""
    found = []
    for path in COMPOSE_FILES:
        for name, content in compose(path)["services"].items():
            if content.get("image") == "rapport":
                found.append((path.name, name, content))
    return found


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.name)
def test_compose_files_have_their_form(path: Path) -> None:
    content = compose(path)

    assert {"name", "services", "volumes", "secrets"} | {key for key in content if key.startswith("x-")} >= set(content)
    for name, service in content["services"].items():
        assert SERVICE_KEYS >= set(service), name
        assert set(service.get("depends_on", {})) <= set(content["services"]), name
        assert set(service.get("secrets", [])) <= set(content.get("secrets", {})), name
        named = {mount.partition(":")[0] for mount in service.get("volumes", []) if mount[0] not in "./"}
        assert named <= set(content.get("volumes", {})), name


def test_every_image_is_pinned_by_version() -> None:
    images = [service["image"] for path in COMPOSE_FILES for service in compose(path)["services"].values()]
    bases = [rest.partition("=")[2] for name, rest in dockerfile() if name == "ARG"]

    for image in [*images, *bases]:
        assert image == "rapport" or re.search(r":\d+\.\d+(\.\d+)?", image), image


def test_every_setting_named_exists_and_its_value_can_be_read() -> None:
    assert VARIABLES >= set(image_environment())
    for file, name, service in our_services():
        settings = {**image_environment(), **service.get("environment", {})}
        plain = {key: re.sub(r"\$\{(\w+):\?[^}]*\}", "x", value) for key, value in settings.items()}
        assert VARIABLES >= set(settings), f"{file}: {name}"
        from_environment(plain)


def test_every_port_published_is_one_that_the_image_exposes() -> None:
    for file, name, service in our_services():
        for mapping in service["ports"]:
            assert mapping.rpartition(":")[2] in image_ports(), f"{file}: {name}"
            assert mapping.startswith("127.0.0.1:"), f"{file}: {name} would be reachable from outside"
    listens = {value.rpartition(":")[2] for key, value in image_environment().items() if key.endswith("LISTEN")}
    assert listens == image_ports()


def test_the_scaled_shape_has_every_service_on_the_port_that_the_documents_name() -> None:
    services = compose(DEPLOY / "compose.scaled.yaml")["services"]

    for name, port in SERVICES.items():
        assert ["python", "-m", f"services.{name}"] == services[name]["command"]
        assert [f"127.0.0.1:{port}:50051"] == services[name]["ports"]
    target = re.search(r"RAPPORT_TARGET=(\S+)", (DEPLOY / "compose.scaled.yaml").read_text())
    assert target is not None
    named = dict(part.split("=") for part in target[1].split(","))
    beside = dict.fromkeys(("projection", "change", "report"), "127.0.0.1:50065")
    assert {**{name: f"127.0.0.1:{port}" for name, port in SERVICES.items()}, **beside} == named


def test_the_relay_has_a_process_and_nats_of_its_own() -> None:
    services = compose(DEPLOY / "compose.scaled.yaml")["services"]

    assert ["python", "-m", "services.relay"] == services["relay"]["command"]
    assert [f"127.0.0.1:{RELAY_PORT}:50051"] == services["relay"]["ports"]
    assert services["relay"]["environment"]["RAPPORT_NATS_URL"].endswith("@nats:4222")
    assert "/etc/nats/accounts.conf" in services["nats"]["command"]


def test_containers_are_not_root_and_write_to_their_volume_only() -> None:
    users = [rest for name, rest in dockerfile() if name == "USER"]

    assert ["10001"] == users
    for file, name, service in our_services():
        assert service["read_only"], f"{file}: {name}"
        assert ["ALL"] == service["cap_drop"], f"{file}: {name}"


def test_the_image_copies_what_exists() -> None:
    for name, rest in dockerfile():
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source


@pytest.mark.timeout(90)
def test_the_command_of_the_container_starts(tmp_path: Path) -> None:
    (command,) = [rest for name, rest in dockerfile() if name == "CMD"]
    python, dash_m, module = yaml.safe_load(command)
    assert ("python", "-m") == (python, dash_m)
    settings = {name: value for name, value in image_environment().items() if "LISTEN" not in name}

    with ServerProcess(tmp_path, module=module, settings={**settings, "RAPPORT_DATA_DIR": str(tmp_path)}) as server:
        assert server.target

    assert 0 == server.returncode


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_name_settings_and_modules_that_exist(path: Path) -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # Names of units are case-sensitive.
    unit.read(path)
    text = path.read_text()

    assert {"Unit", "Service", "Install"} == set(unit.sections())
    assert VARIABLES >= set(re.findall(r"Environment=(RAPPORT_\w+)=", text))
    module = unit["Service"]["ExecStart"].split(" -m ")[1]
    for name in [*SERVICES, "relay"] if "%i" in module else ["standalone"]:
        assert (ROOT / "services" / name / "__main__.py").exists(), name
    grace_s = Settings().shutdown_grace_s
    assert int(unit["Service"]["TimeoutStopSec"]) > grace_s


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_reads_the_units(path: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)

    # Paths of an installation are not there; everything else that it says is a fault of the file.
    complaints = [line for line in done.stderr.splitlines() if path.name in line and "is not executable" not in line]
    assert [] == complaints


@pytest.mark.nats
def test_nats_reads_its_configuration() -> None:
    binary = ROOT / ".venv" / "bin" / "nats-server"
    found = str(binary) if binary.exists() else shutil.which("nats-server")
    assert found is not None, "nats-server comes with the development requirements"

    done = subprocess.run(
        [found, "--config", str(DEPLOY / "nats" / "nats.conf"), "-t"], capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert "sync_interval: always" in (DEPLOY / "nats" / "nats.conf").read_text()
