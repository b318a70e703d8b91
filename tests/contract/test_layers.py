"""What the import contracts of pyproject.toml cannot say about who may touch what.

The contracts hold which package imports which; `make layers` runs them. Here: that no module escapes them, that they
see what they should, and what no import graph shows, such as a clock read in the domain.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

from tools.import_contract import MayImportContract, inside, permitted

ROOT = Path(__file__).resolve().parents[2]

# Below ledger/ nothing speaks to a network, writes a log line or reads what the process was started with.
NOT_IN_LEDGER = {
    *("grpc", "grpc_health", "grpc_reflection", "grpc_status", "nats", "services", "structlog", "logging"),
    *("os.environ", "os.getenv", "os.environb", "sys.argv"),
}
# The domain decides on what it is given: no clock, no chance, no input or output, no other thread.
NOT_IN_DOMAIN = {
    *("time", "random", "secrets", "os", "io", "pathlib", "sqlite3", "socket", "subprocess", "threading", "asyncio"),
    *("tempfile", "shutil", "multiprocessing", "concurrent", "urllib", "http", "eventsourcing", "psycopg"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
    *("uuid.uuid1", "uuid.uuid4", "uuid.uuid6", "uuid.uuid7", "uuid.getnode"),
    *("builtins.open", "builtins.print", "builtins.input"),
}
# Business numbers arrive as arguments everywhere below __main__; one module reads the environment for all services.
ENVIRONMENT = {"os.environ", "os.getenv", "os.environb"}
READS_ENVIRONMENT = {"services.runtime.settings", "services.cli"}


def modules_below(folder: str) -> list[Path]:
    """Return the Python files below `folder` of the checkout, in order."""
    return sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the module name of a file: `ledger.log.store`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def used(source: str) -> Iterator[str]:
    """Yield what the source text imports, and the full name of everything it reaches through those imports.

    Names are followed through `import a as b` and `from a import b`; what a function returns is not followed.
    """
    nodes = list(ast.walk(ast.parse(source)))
    known: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                known[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in nodes:
        dotted = dotted_name(node)
        if dotted is not None:
            first, dot, rest = dotted.partition(".")
            yield f"{known.get(first, f'builtins.{first}')}{dot}{rest}"


def dotted_name(node: ast.AST) -> str | None:
    """Return `a.b.c` for an expression of names and attributes that is read; None for anything else."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted_name(node.value)
        return f"{before}.{node.attr}" if before else None
    return None


def forbidden_uses(source: str, forbidden: set[str]) -> set[str]:
    """Return which of the forbidden names `source` uses, itself or anything below it."""
    # However a name is imported, its last word is written out; most files need no parsing.
    written = set(re.findall(r"\w+", source))
    suspected = {name for name in forbidden if name.rpartition(".")[2] in written}
    return {name for name in set(used(source)) if inside(name, suspected)} if suspected else set()


def test_ledger_never_speaks_logs_or_reads_the_environment() -> None:
    found = {name_of(path): forbidden_uses(path.read_text(), NOT_IN_LEDGER) for path in modules_below("ledger")}

    assert {} == {name: uses for name, uses in found.items() if uses}


@pytest.mark.parametrize("folder", ["ledger/domain", "ledger/policy", "ledger/balance"])
def test_the_domain_is_pure(folder: str) -> None:
    found = {name_of(path): forbidden_uses(path.read_text(), NOT_IN_DOMAIN) for path in modules_below(folder)}

    assert {} == {name: uses for name, uses in found.items() if uses}


def test_only_settings_and_main_read_the_environment() -> None:
    found = {name_of(path) for path in modules_below("services") if forbidden_uses(path.read_text(), ENVIRONMENT)}

    assert set() == {name for name in found if not name.endswith(".__main__") and not inside(name, READS_ENVIRONMENT)}


def test_hand_written_python_stays_out_of_the_generated_package() -> None:
    generated = ("_pb2.py", "_pb2_grpc.py", "__init__.py")

    assert [] == [path.name for path in modules_below("protos") if not path.name.endswith(generated)]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("import grpc", {"grpc"}),
        ("import grpc.aio as g", {"grpc.aio"}),
        ("from grpc import aio", {"grpc.aio"}),
        ("def f():\n    import grpc", {"grpc"}),
        ("import os\nos.environ['A']", {"os.environ"}),
        ("import os as o\no.environ.get('A')", {"os.environ", "os.environ.get"}),
        ("from os import environ", {"os.environ"}),
        ("from os import getenv as g\ng('A')", {"os.getenv"}),
        ("import os\nos.fsync(1)", set()),
        ("import grpcio_like", set()),
    ],
)
def test_a_forbidden_use_in_ledger_is_seen(source: str, expected: set[str]) -> None:
    assert expected == forbidden_uses(source, NOT_IN_LEDGER)


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\ndatetime.now()",
        "import datetime as d\nd.datetime.now(d.UTC)",
        "from datetime import date\ndate.today()",
        "from time import monotonic",
        "from uuid import uuid4\nuuid4()",
        "import random",
        "def f(path):\n    return open(path)",
        "print('decided')",
    ],
)
def test_an_impure_domain_is_seen(source: str) -> None:
    assert set() != forbidden_uses(source, NOT_IN_DOMAIN)


@pytest.mark.parametrize(
    "source",
    ["from datetime import datetime, UTC\ndatetime(2026, 1, 1, tzinfo=UTC)", "import uuid\nuuid.UUID(bytes=b'')"],
)
def test_values_are_pure(source: str) -> None:
    assert set() == forbidden_uses(source, NOT_IN_DOMAIN)


@cache
def contracts() -> list[dict[str, list[str]]]:
    """Return the import contracts of pyproject.toml."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [entry for entry in read["tool"]["importlinter"]["contracts"] if entry["type"] == "may_import"]


def test_every_module_is_under_exactly_one_contract() -> None:
    counted = {
        name: sum(inside(name, c["modules"]) and not inside(name, c.get("but_not", [])) for c in contracts())
        for path in [*modules_below("ledger"), *modules_below("services")]
        for name in [name_of(path)]
        if name != "services"  # Only its docstring.
    }

    assert {} == {name: count for name, count in counted.items() if count != 1}


def a_graph(*imports: tuple[str, str]) -> grimp.ImportGraph:
    """Return an import graph of these imports and nothing else."""
    graph = grimp.ImportGraph()
    for importer, imported in imports:
        graph.add_import(importer=importer, imported=imported, line_number=1, line_contents="import it")
    return graph


def refused(graph: grimp.ImportGraph) -> list[str]:
    """Return what the real contracts refuse in `graph`."""
    found: list[str] = []
    for options in contracts():
        contract = MayImportContract(
            name="",
            session_options={},
            contract_options={k: v for k, v in options.items() if k not in {"name", "type"}},
        )
        found += contract.check(graph, verbose=False).metadata["refused"]
    return found


@pytest.mark.parametrize(
    "importer, imported",
    [
        ("rapport.events.v1.consent_pb2", "ledger.domain"),
        ("ledger.domain.consent", "ledger.log.store"),
        ("ledger.domain.consent", "eventsourcing"),
        ("ledger.domain.consent", "rapport.consent.v1.consent_service_pb2"),
        ("ledger.log.append", "ledger.projections.consents"),
        ("ledger.log.append", "grpc"),
        ("ledger.projections.consents", "ledger.log.append"),
        ("ledger.ledger", "ledger.projections.consents"),
        ("ledger.ledger", "services.runtime.errors"),
        ("services.runtime.run", "services.consent.servicer"),
        ("services.runtime.run", "ledger.ledger"),
        ("services.consent.servicer", "services.exchange.servicer"),
        ("services.consent.servicer", "nats"),
        ("services.client.client", "ledger.domain.errors"),
        ("services.client.client", "services.runtime.errors"),
        ("services.cli.relationship", "ledger.ledger"),
        ("services.cli.relationship", "services.consent.servicer"),
    ],
)
def test_an_import_against_the_table_is_refused(importer: str, imported: str) -> None:
    assert [f"{importer}:1 imports {imported}"] == refused(a_graph((importer, imported)))


@pytest.mark.parametrize(
    "importer, imported",
    [
        ("ledger.domain.consent", "rapport.events.v1.consent_pb2"),
        ("ledger.log.append", "ledger.domain.errors"),
        ("ledger.projections.consents", "ledger.log.reading"),
        ("services.consent.servicer", "services.runtime.errors"),
        ("services.consent.servicer", "ledger.ledger"),
        ("services.standalone.__main__", "services.consent.servicer"),
        ("services.cli.relationship", "services.client.client"),
        ("services.cli.offline", "ledger.ledger"),
        ("ledger.domain.consent", "dataclasses"),
    ],
)
def test_an_import_of_the_table_is_allowed(importer: str, imported: str) -> None:
    assert [] == refused(a_graph((importer, imported)))


def test_what_has_a_contract_of_its_own_is_allowed_only_by_name() -> None:
    assert permitted("ledger.log.store", ["ledger", "ledger.log"], ["ledger.log"])
    assert not permitted("ledger.projections.x", ["ledger", "ledger.log"], ["ledger.projections"])
