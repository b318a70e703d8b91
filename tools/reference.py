"""Write docs/reference from what the code says of itself: events, rpcs, errors and settings.

`make docs` runs it; `make verify` fails when the committed pages differ. Comments of the protos and docstrings of the
settings are the only source: whoever wants to change a page changes them.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any, Final, get_type_hints

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.rpc.code_pb2 import Code

from rapport.annotations.v1 import data_class_pb2
from rapport.errors.v1 import error_reason_pb2
from services.runtime.errors import RETRY_DELAYS_S
from services.runtime.settings import KNOWN_ELSEWHERE, PREFIX, Secret, Settings
from tools import protos
from tools.proto_tree import Node, is_repeated, map_entry, nodes, our_files, type_of

FOLDER: Final = protos.ROOT / "docs" / "reference"
REASON_PREFIX: Final = "ERROR_REASON_"
_TOPIC: Final = re.compile(r"Topic `([a-z0-9_.]+)`: ?")
_HEAD: Final = "<!-- Written by tools/reference.py (`make docs`). Change its source instead. -->\n"

# Elsewhere explained, in the order a reader meets them; what is left goes by name.
_SERVICE_ORDER: Final = ("interaction", "consent", "exchange", "policy", "relationship", "projection", "audit")


def pages() -> dict[str, str]:
    """Return every page by file name.

    Raises:
        tools.protos.ProtocFailed: the protos do not compile.
    """
    files = our_files(protos.descriptors(protos.sources()).file)
    reference = Reference(files)
    return {
        "events.md": reference.events(),
        "rpcs.md": reference.rpcs(),
        "errors.md": reference.errors(),
        "settings.md": settings_page(),
    }


class Reference:
    """The protos, ready to be written down."""

    def __init__(self, files: Sequence[FileDescriptorProto]) -> None:
        self._files = files
        self._nodes = {file.name: list(nodes(file)) for file in files}
        self._below: defaultdict[tuple[str, str], list[Node]] = defaultdict(list)
        for node in chain.from_iterable(self._nodes.values()):
            self._below[node.name.rpartition(".")[0], node.kind].append(node)
        self._places = dict(self._find_places())
        self._reasons = {
            _last(node.name).removeprefix(REASON_PREFIX)
            for node in self._of("rapport.errors.", "value")
            if node.proto.number
        }

    def events(self) -> str:
        """Return the page of events: topics first, then what they are made of."""
        lines = [
            *_title("Events", "Every fact the log can hold. A topic is permanent, and so is every field number."),
            "An event is stored with its envelope, [EventMetadata](#eventmetadata). The data class of a field says",
            "what may be seen of it: OPEN and ID fields stand in the open part, PERSONAL ones are",
            "[sealed](../concepts/personal-fields.md).",
            "",
            "| topic | says |",
            "|---|---|",
            *(self._topic_row(node) for node in self._of("rapport.events.", "message") if _TOPIC.match(node.comment)),
            "",
        ]
        for file in self._in("rapport.events."):
            messages = [node for node in self._nodes[file.name] if node.kind == "message"]
            topics = [node for node in messages if _TOPIC.match(node.comment)]
            others = [node for node in messages if node not in topics]
            enums = [node for node in self._nodes[file.name] if node.kind == "enum"]
            lines += [f"## {_subject(file)}", ""]
            for node in (*topics, *others):
                lines += self._message(node, "events.md")
            for node in enums:
                lines += self._enum(node, "events.md")
        return _page(lines)

    def rpcs(self) -> str:
        """Return the page of services: every rpc with its request and response, then shared values."""
        lines = [
            *_title("Services and rpcs", "What can be asked of Rapport, package by package."),
            "Every call has a deadline, and every refusal one [reason](errors.md). Reflection serves the same",
            "descriptors.",
            "",
        ]
        packages = sorted({file.package for file in self._files if self._services(file.package)}, key=_service_order)
        for service in [service for package in packages for service in self._services(package)]:
            rpcs = ", ".join(f"[{name}](#{name.lower()})" for name in map(_last_of, self._children(service, "rpc")))
            lines.append(f"* [{_last(service.name)}](#{_last(service.name).lower()}): {rpcs}")
        lines += ["* [Shared values](#shared-values)", ""]
        for package in packages:
            for service in self._services(package):
                lines += [f"## {_last(service.name)}", "", f"`{service.name}`", "", *self._text(service.comment)]
                for rpc in self._children(service, "rpc"):
                    lines += self._rpc(rpc)
            lines += self._shapes(package)
        lines += ["## Shared values", "", "Package `rapport.type.v1`.", ""]
        lines += self._shapes("rapport.type.v1")
        return _page(lines)

    def errors(self) -> str:
        """Return the page of reasons."""
        lines = [
            *_title("Errors", "Every reason a call can be refused for, what caused it and what the caller does next."),
            "A failed call carries a `google.rpc.Status` with one `ErrorInfo`: `reason` as below, `domain` `rapport`,",
            "and `metadata` with the values that explain it. Fields at fault are listed in a `BadRequest`. Where",
            "waiting helps, a `RetryInfo` says for how long; the wait below is what it holds.",
            "",
        ]
        for node in self._of("rapport.errors.", "value"):
            name = _last(node.name).removeprefix(REASON_PREFIX)
            if node.proto.number == 0:
                continue
            code = node.proto.options.Extensions[error_reason_pb2.code]
            delay = RETRY_DELAYS_S.get(node.proto.number)
            wait = "" if delay is None else f", wait {delay:g} s"
            lines += [f"### {name}", "", f"`{Code.Name(code)}`, number {node.proto.number}{wait}", ""]
            # Each part begins a sentence of the comment with its label.
            for part in re.split(r" (?=Metadata: |Client action: )", _one_line(node.comment)):
                lines.append(f"* {self._linked(part, 'errors.md')}")
            lines.append("")
        return _page(lines)

    def _rpc(self, rpc: Node) -> Iterator[str]:
        proto = rpc.proto
        kind = {
            (False, False): "Unary",
            (False, True): "One request, a stream of answers",
            (True, True): "Streams in both directions",
            (True, False): "A stream of requests, one answer",
        }[proto.client_streaming, proto.server_streaming]
        request, response = (
            self._link(name.removeprefix("."), "rpcs.md") for name in (proto.input_type, proto.output_type)
        )
        yield from (f"### {_last(rpc.name)}", "", f"{kind}: {request} → {response}", "")
        yield from self._text(rpc.comment)

    def _shapes(self, package: str) -> Iterator[str]:
        for node in self._of(package, "message", "enum"):
            yield from self._message(node, "rpcs.md") if node.kind == "message" else self._enum(node, "rpcs.md")

    def _message(self, node: Node, page: str) -> Iterator[str]:
        topic = _TOPIC.match(node.comment)
        text = _TOPIC.sub("", node.comment)
        yield from (f"### {_relative(node)}", "")
        if topic:
            yield from (f"Topic `{topic[1]}`", "")
        yield from self._text(text[:1].upper() + text[1:], page)
        fields_ = self._children(node, "field")
        if not fields_:
            return
        yield from ("| no. | field | type | data class | |", "|---:|---|---|---|---|")
        for field in sorted(fields_, key=lambda each: int(each.proto.number)):
            number, name = field.proto.number, _last(field.name)
            cells = (number, f"`{name}`", self._type(field, page), _data_class(field), self._field_text(field, page))
            yield "| " + " | ".join(map(str, cells)) + " |"
        yield ""

    def _field_text(self, field: Node, page: str) -> str:
        one_of = self._one_of(field)
        return self._linked(_cell(field.comment), page) + (f" *One of `{one_of}`.*" if one_of else "")

    def _one_of(self, field: Node) -> str:
        proto = field.proto
        if not proto.HasField("oneof_index") or proto.proto3_optional:
            return ""
        return str(field.parent.oneof_decl[proto.oneof_index].name)

    def _enum(self, node: Node, page: str) -> Iterator[str]:
        yield from (f"### {_relative(node)}", "")
        yield from self._text(node.comment, page)
        yield from ("| no. | value | |", "|---:|---|---|")
        for value in self._children(node, "value"):
            text = self._linked(_cell(value.comment), page)
            yield f"| {value.proto.number} | `{_last(value.name)}` | {text} |"
        yield ""

    def _type(self, field: Node, page: str) -> str:
        entry = map_entry(field.proto, field.parent)
        if entry is not None:
            key, value = (self._link(type_of(each), page) for each in entry.field)
            return f"map of {key} to {value}"
        shown = self._link(type_of(field.proto), page)
        if is_repeated(field.proto):
            return f"list of {shown}"
        return f"{shown}, optional" if field.proto.proto3_optional else shown

    def _link(self, name: str, page: str) -> str:
        place = self._places.get(name)
        if place is None:
            return f"`{_last(name)}`"
        where, anchor = place
        return f"[{_last(name)}]({'' if where == page else where}#{anchor})"

    def _topic_row(self, node: Node) -> str:
        topic = _TOPIC.match(node.comment)
        assert topic is not None
        first_sentence = re.split(r"(?<=\.) ", _cell(_TOPIC.sub("", node.comment)), maxsplit=1)[0]
        return f"| [`{topic[1]}`](#{_relative(node).lower()}) | {self._linked(first_sentence, 'events.md')} |"

    def _text(self, comment: str, page: str = "rpcs.md") -> Iterator[str]:
        text = _one_line(comment)
        if not text:
            return
        body, errors, listed = text.partition(" Errors: ")
        yield from (self._linked(body, page), "")
        if errors:
            yield from (f"Errors: {self._linked(listed, page)}", "")

    def _linked(self, text: str, page: str) -> str:
        """Return a text whose reasons are links, those in backticks excepted."""
        target = "" if page == "errors.md" else "errors.md"

        def link(match: re.Match[str]) -> str:
            name = match[0]
            return f"[{name}]({target}#{name.lower()})" if name in self._reasons else name

        parts = re.split(r"(`[^`]*`)", text)
        return "".join(part if part.startswith("`") else re.sub(r"\b[A-Z][A-Z_]{4,}\b", link, part) for part in parts)

    def _find_places(self) -> Iterator[tuple[str, tuple[str, str]]]:
        for file in self._files:
            page = "events.md" if file.package.startswith("rapport.events.") else "rpcs.md"
            if not file.package.startswith(("rapport.annotations.", "rapport.errors.")):
                for node in self._nodes[file.name]:
                    if node.kind in {"message", "enum"}:
                        yield node.name, (page, _relative(node).lower().replace(".", ""))

    def _in(self, package: str) -> list[FileDescriptorProto]:
        found = [file for file in self._files if f"{file.package}.".startswith(package)]
        return sorted(found, key=lambda file: file.name)

    def _of(self, package: str, *kinds: str) -> list[Node]:
        return [node for file in self._in(package) for node in self._nodes[file.name] if node.kind in kinds]

    def _services(self, package: str) -> list[Node]:
        return self._of(package, "service")

    def _children(self, parent: Node, kind: str) -> list[Node]:
        return self._below[parent.name, kind]


def settings_page() -> str:
    """Return the page of settings."""
    described = descriptions(Settings)
    lines = [
        *_title("Settings", "What an operator can set, read once from the environment when a process starts."),
        "A `RAPPORT_` name that is not listed here stops the process with exit code 2, as does a value that cannot be",
        "used; messages name the variable, never its value. Business numbers are no settings but policies.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for field in fields(Settings):
        default = _default(field.default)
        text = f"{described[field.name]} {_choices(field.name)}"
        lines.append(f"| `{PREFIX}{field.name.upper()}` | {default} | {_cell(text)} |")
    lines += [
        "",
        "Known beside them, and read by others than the services:",
        "",
        "| variable | read by |",
        "|---|---|",
        *(f"| `{name}` | {_READ_BY[name]} |" for name in KNOWN_ELSEWHERE),
        "| `RAPPORT_TEST_...` | the tests: a seed, servers to use, faults to inject |",
    ]
    return _page(lines)


_READ_BY: Final = {
    "RAPPORT_TARGET": "the `rapport` command: the server to ask, where `--target` does not say",
    "RAPPORT_SHARED_DATA": "the tests: the folder of the data sets",
}


def descriptions(described: type) -> dict[str, str]:
    """Return what stands below each field of a class: its docstring, in one line, by name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(described))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[field.target.id] = _one_line(str(below.value.value))
    return found


def _choices(name: str) -> str:
    """Return the values that a setting takes where they can be counted, in a sentence; else nothing."""
    reader = get_type_hints(Settings, include_extras=True)[name].__metadata__[0]
    try:
        reader("no such value")
    except ValueError as error:
        choices = str(error).removeprefix("must be one of ")
        if choices != str(error):
            return f"One of {', '.join(f'`{choice}`' for choice in choices.split(', '))}."
    return ""


def _default(value: object) -> str:
    match value:
        case Secret() | "" | None:
            return "empty"
        case bool():
            return "`on`" if value else "`off`"
        case float():
            return f"`{value:g}`"
        case _:
            return f"`{value}`"


def _title(title: str, purpose: str) -> list[str]:
    return [_HEAD, f"# {title}", "", purpose, ""]


def _page(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"


def _subject(file: FileDescriptorProto) -> str:
    return Path(file.name).stem.replace("_", " ").capitalize()


def _service_order(package: str) -> tuple[int, str]:
    subject = package.split(".")[1]
    place = _SERVICE_ORDER.index(subject) if subject in _SERVICE_ORDER else len(_SERVICE_ORDER)
    return place, package


def _relative(node: Node) -> str:
    """Return the name below the package: `Outer.Inner` for what is nested."""
    return re.sub(r"^(?:[a-z0-9_]+\.)+", "", node.name)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _last_of(node: Node) -> str:
    return _last(node.name)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _one_line(text).replace("|", "\\|")


def _data_class(field: Node) -> str:
    number: Any = field.proto.options.Extensions[data_class_pb2.data_class]
    return data_class_pb2.DataClass.Name(number).removeprefix("DATA_CLASS_") if number else ""


def main() -> None:
    """Write the pages; delete what an earlier release wrote and this one does not."""
    written = pages()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    for path in FOLDER.glob("*.md"):
        if path.name not in written:
            path.unlink()


if __name__ == "__main__":
    main()
