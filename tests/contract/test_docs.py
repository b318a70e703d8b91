"""What the pages name is there: links, settings, targets, rpcs, reasons, topics, classes, files, metrics and so on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator
from functools import cache

import grpc
import pytest

from ledger.testing.fault_points import FAULT_POINTS
from services.client.events import TOPICS
from services.relay import change_source, log_source
from services.runtime.limits import Limits
from services.runtime.metrics import Metrics, RelayFigures
from services.runtime.settings import KNOWN_ELSEWHERE, KNOWN_ELSEWHERE_PREFIX, PREFIX, Settings
from tests.pages import ROOT, anchors, pages, prose
from tools import proto_tree, protos, reference

PAGES = [str(path.relative_to(ROOT)) for path in pages()]
WRITTEN = [page for page in PAGES if not page.startswith("docs/reference/")]
CODE = re.compile(r"`([^`\n]+)`")
SOURCES = ("ledger", "services", "tools", "tests", "benchmarks", "protos", "deploy", "docs", "examples")


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def prose_of(page: str) -> str:
    return prose(text_of(page))


def codes(page: str) -> Iterator[str]:
    """Yield what stands in backticks outside of blocks."""
    return (match[1] for match in CODE.finditer(prose_of(page)))


@cache
def nodes() -> tuple[proto_tree.Node, ...]:
    files = protos.descriptors(protos.sources()).file
    return tuple(proto_tree.our_nodes(files))


@cache
def enum_values() -> frozenset[str]:
    """Return the names of all enum values, in full and with fewer and fewer leading words."""
    found: set[str] = set()
    for node in nodes():
        if node.kind == "value":
            words = node.name.rpartition(".")[2].split("_")
            found.update("_".join(words[start:]) for start in range(len(words)))
    return frozenset(found)


@cache
def packages() -> frozenset[str]:
    return frozenset(file.removesuffix(".proto").rpartition("/")[0].replace("/", ".") for file in protos.sources())


@cache
def names_in_code() -> frozenset[str]:
    """Return messages, enums, services, rpcs and classes."""
    ours = {node.name.rpartition(".")[2] for node in nodes() if node.kind in {"message", "enum", "service", "rpc"}}
    classes = set()
    for folder in ("ledger", "services", "tools", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            classes.update(re.findall(r"^class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    return frozenset(ours | classes | {"ErrorInfo", "BadRequest", "RetryInfo", "Timestamp"})


def links_lead_somewhere(page: str) -> Collection[str]:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        path = (ROOT / page).parent / place if place else ROOT / page
        if not path.exists() or (anchor and anchor not in anchors(text_of(str(path)))):
            lost.append(target)

    return lost


def settings_exist(page: str) -> Collection[str]:
    known = {PREFIX + field.name.upper() for field in dataclasses.fields(Settings)} | set(KNOWN_ELSEWHERE)
    known |= {log_source.STREAM, change_source.STREAM}  # Streams of NATS, which begin alike.

    named = set(re.findall(r"\bRAPPORT_[A-Z_]*[A-Z]\b", text_of(page)))

    unknown = {name for name in named if name not in known and not name.startswith(KNOWN_ELSEWHERE_PREFIX)}
    return unknown - {KNOWN_ELSEWHERE_PREFIX.rstrip("_")}


def targets_exist(page: str) -> Collection[str]:
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", text_of("Makefile"), re.MULTILINE))
    text = text_of(page)

    # In a console a target may be followed by arguments, or after two blanks by a remark.
    named = re.findall(r"`make ([a-z0-9 -]+)[`=]?", text)
    named += re.findall(r"^\$ make ([a-z0-9-]+(?: [a-z0-9-]+)*)", text, re.MULTILINE)

    return {word for words in named for word in words.split()} - targets


def words_in_capitals_are_reasons_enum_values_or_grpc_codes(page: str) -> Collection[str]:
    known = enum_values() | {code.name for code in grpc.StatusCode} | {"NOT_SERVING"}

    named = set(re.findall(r"(?<![\w/.-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w=])", prose_of(page)))

    return {name for name in named if name not in known and not name.startswith(PREFIX)}


def names_in_backticks_are_in_the_protos_or_in_the_code(page: str) -> Collection[str]:
    named = {code for code in codes(page) if re.fullmatch(r"(?:[A-Z][a-z0-9]+){2,}", code)}

    return {name for name in named if not name.startswith("Verb")} - names_in_code()


def topics_and_packages_exist(page: str) -> Collection[str]:
    named = {code for code in codes(page) if re.fullmatch(r"[a-z_]+(?:\.[a-z_]+)+\.v[0-9]+", code)}

    # Formats of stored bytes are named like topics, and are none.
    formats = {name for name in named if f'"{name}"' in text_of("ledger/opening.py")}

    return named - set(TOPICS) - packages() - formats


def files_exist(page: str) -> Collection[str]:
    beginnings = tuple(f"{name}/" for name in SOURCES)
    named = {code for code in codes(page) if code.startswith(beginnings) and not re.search(r"[<*{ …]", code)}

    return {name for name in named if not (ROOT / name).exists()}


def nothing_tells_of_the_machine_it_was_written_on(page: str) -> Collection[str]:
    return re.findall(r"/(?:work|tmp|root|home|Users)/\S*", text_of(page))


# Each returns what is wrong on a page. Not a test a page: that would be seven hundred tests, which do next to nothing.
RULES = [
    (links_lead_somewhere, PAGES),
    (settings_exist, PAGES),
    (targets_exist, PAGES),
    (words_in_capitals_are_reasons_enum_values_or_grpc_codes, WRITTEN),
    (names_in_backticks_are_in_the_protos_or_in_the_code, WRITTEN),
    (topics_and_packages_exist, PAGES),
    (files_exist, WRITTEN),
    (nothing_tells_of_the_machine_it_was_written_on, WRITTEN),
]


@pytest.mark.parametrize("rule, pages_of_it", RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_every_page_keeps(rule: Callable[[str], Collection[str]], pages_of_it: list[str]) -> None:
    assert {} == {page: wrong for page in pages_of_it if (wrong := rule(page))}


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, left = set(), [ROOT / "docs" / "README.md"]
    while left:
        page = left.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            places = re.findall(r"\]\(([^)#\s]+)", prose(page.read_text(encoding="utf-8")))
            left += [(page.parent / place).resolve() for place in places if not re.match(r"[a-z]+:", place)]

    assert set() == set((ROOT / "docs").rglob("*.md")) - reached


def test_every_decision_is_on_the_list_and_has_its_four_parts() -> None:
    listed = text_of("docs/adr/README.md")
    decisions = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))

    assert [f"{number:04d}" for number in range(1, len(decisions) + 1)] == [path.name[:4] for path in decisions]
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        title = re.match(r"# (\d+)\. (.+)\n\nStatus: ", text)
        assert title is not None, path.name
        assert int(title[1]) == int(path.name[:4]), path.name
        assert f"| [{title[1]}]({path.name}) | {title[2]} |" in listed, path.name
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in text, f"{path.name}: {part}"


def test_the_reference_is_what_protos_and_settings_say() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in reference.FOLDER.glob("*.md")}

    assert committed == reference.pages(), "run `make docs`"


def test_every_setting_is_described() -> None:
    described = reference.descriptions(Settings)

    assert [] == [
        field.name for field in dataclasses.fields(Settings) if not described.get(field.name, "").endswith(".")
    ]


def test_metrics_exist() -> None:
    metrics = Metrics(Limits(calls_max=1, streams_max=1, streams_per_caller_max=1))
    metrics.calls_of("method").ended("OK", 0.1)
    metrics.calls_of("stream").messages = 1
    metrics.watch_head(lambda: 0)
    metrics.watch_changes(lambda: (0, 0, 0))
    metrics.watch_relay("stream", lambda: RelayFigures(up=True, stored=0, lag=0, holes=0, refusals=0))
    known = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in metrics.registry.collect()
    }

    assert known == set(re.findall(r"`(rapport_[a-z_]+)`", text_of("docs/operating/watching.md")))


def test_log_events_exist() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for folder in ("ledger", "services") for path in (ROOT / folder).rglob("*.py")
    )
    table = text_of("docs/operating/watching.md").partition("| event | when |")[2].partition("\n\n")[0]
    named = re.findall(r"`([a-z]+\.[a-z]+)`", table)

    assert len(named) > 10
    assert [] == [name for name in named if f'"{name}"' not in source]


def test_fault_points_are_those_of_the_code() -> None:
    named = set(re.findall(r"`([a-z]+\.(?:before|after)_[a-z_]+)`", text_of("docs/internals/testing.md")))

    assert named == FAULT_POINTS
