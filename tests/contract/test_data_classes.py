"""I29, at build time: every text that can reach the log says whether it is personal.

The samples are broken on purpose, one mistake each; every one of them must be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from rapport.annotations.v1.data_class_pb2 import data_class
from tools import proto_data_classes, protos
from tools.proto_tree import our_nodes

Files = Sequence[FileDescriptorProto]

ANNOTATIONS = "rapport/annotations/v1/data_class.proto"
OPEN = "[(rapport.annotations.v1.data_class) = DATA_CLASS_OPEN]"
PERSONAL = "[(rapport.annotations.v1.data_class) = DATA_CLASS_PERSONAL]"


@pytest.fixture(scope="module")
def files() -> Files:
    return protos.descriptors(protos.sources()).file


def problems(folder: Path, text: str, package: str = "rapport.events.v1") -> list[str]:
    """Return what is wrong with a sample proto of `package`."""
    name = f"{package.replace('.', '/')}/sample.proto"
    for path in (folder / name, folder / ANNOTATIONS):
        path.parent.mkdir(parents=True)
    (folder / ANNOTATIONS).write_text((protos.PROTOS / ANNOTATIONS).read_text(encoding="utf-8"), encoding="utf-8")
    head = f'syntax = "proto3";\npackage {package};\nimport "{ANNOTATIONS}";\n'
    (folder / name).write_text(head + text, encoding="utf-8")
    return proto_data_classes.problems(protos.descriptors([name], folder).file)


def test_every_text_of_events_and_requests_has_a_class(files: Files) -> None:
    assert [] == proto_data_classes.problems(files)


def test_the_walk_reaches_events_and_requests(files: Files) -> None:
    read = proto_data_classes.read(files)
    reached = proto_data_classes.reachable(read, read.events | read.requests)

    assert {"rapport.events.v1.EventMetadata", "rapport.type.v1.EventContext"} <= reached
    assert len(read.requests) == len({node.proto.input_type for node in our_nodes(files, "rpc")})


def test_each_class_taken_from_a_real_event_field_is_missed(files: Files) -> None:
    """The mutants are our own protos: without its class, every field of text of every event must be seen."""
    missed, mutants = set(), 0
    for file in files:
        if file.package.startswith("rapport.events."):
            stripped = type(file).FromString(file.SerializeToString())
            expected = set(_without_classes(stripped))
            found = {sentence.partition(":")[0] for sentence in proto_data_classes.problems([stripped])}
            missed |= expected - found
            mutants += len(expected)

    assert mutants > 0
    assert set() == missed


def _without_classes(file: FileDescriptorProto) -> Iterator[str]:
    """Take the class of every text in a file away; yield the names of the fields."""
    for message in file.message_type:
        for field in message.field:
            if field.options.HasExtension(data_class) and field.type in (field.TYPE_STRING, field.TYPE_BYTES):
                field.options.ClearExtension(data_class)
                yield f"{file.package}.{message.name}.{field.name}"


MISSING = [
    ("string", "message Told { string text = 1; }"),
    ("bytes", "message Told { bytes text = 1; }"),
    ("repeated string", "message Told { repeated string text = 1; }"),
    ("map by text", "message Told { map<string, uint64> text = 1; }"),
    ("map of text", "message Told { map<uint32, string> text = 1; }"),
    ("in a oneof", "message Told { oneof how { string text = 1; uint32 code = 2; } }"),
    ("optional", "message Told { optional string text = 1; }"),
    ("nested", "message Told { message Part { string text = 1; } Part part = 1; }"),
    ("below a list", f"message Told {{ repeated Part parts = 1 {OPEN}; }} message Part {{ string text = 1; }}"),
    ("below a map", f"message Told {{ map<uint32, Part> parts = 1 {OPEN}; }} message Part {{ string text = 1; }}"),
    ("unspecified", "message Told { string text = 1 [(rapport.annotations.v1.data_class) = DATA_CLASS_UNSPECIFIED]; }"),
]


@pytest.mark.parametrize("text", [text for _, text in MISSING], ids=[name for name, _ in MISSING])
def test_a_text_without_class_is_seen(tmp_path: Path, text: str) -> None:
    assert [s for s in problems(tmp_path, text) if ".text: holds text and has no data_class" in s]


def test_a_text_of_a_request_without_class_is_seen(tmp_path: Path) -> None:
    text = "service S { rpc Ask(AskRequest) returns (AskResponse); } message AskRequest { string a = 1; }\n"
    text += "message AskResponse { string b = 1; }"

    found = problems(tmp_path, text, package="rapport.sample.v1")

    # What only an answer holds never reaches the log.
    assert ["rapport.sample.v1.AskRequest.a"] == [sentence.split(":")[0] for sentence in found]


TORN = [
    (
        "list in part",
        f"message Told {{ repeated Part parts = 1 {OPEN}; }}",
        f"string a = 1 {OPEN}; string b = 2 {PERSONAL};",
    ),
    ("list unmarked", "message Told { repeated Part parts = 1; }", f"string a = 1 {PERSONAL};"),
    ("map in part", f"message Told {{ map<uint32, Part> parts = 1 {OPEN}; }}", f"string a = 1 {PERSONAL};"),
    ("whole but for one", f"message Told {{ repeated Part parts = 1 {PERSONAL}; }}", f"string a = 1 {OPEN};"),
    ("single whole but for one", f"message Told {{ Part parts = 1 {PERSONAL}; }}", f"string a = 1 {OPEN};"),
    ("map whole but for one", f"message Told {{ map<string, Part> parts = 1 {PERSONAL}; }}", f"string a = 1 {OPEN};"),
    (
        "deeper below a list",
        f"message Told {{ repeated Middle parts = 1 {OPEN}; }} message Middle {{ Part part = 1; }}",
        f"string a = 1 {PERSONAL};",
    ),
]


@pytest.mark.parametrize("told, part", [case[1:] for case in TORN], ids=[case[0] for case in TORN])
def test_a_list_that_would_be_torn_is_seen(tmp_path: Path, told: str, part: str) -> None:
    found = problems(tmp_path, f"{told} message Part {{ {part} }}")

    assert [s for s in found if s.startswith("rapport.events.v1.Told.parts: ")]


@pytest.mark.parametrize(
    "told, part",
    [
        (f"message Told {{ repeated Part parts = 1 {PERSONAL}; }}", f"string a = 1 {PERSONAL}; uint32 n = 2;"),
        (f"message Told {{ repeated Part parts = 1 {OPEN}; }}", f"string a = 1 {OPEN}; uint32 n = 2;"),
        ("message Told { Part parts = 1; }", f"string a = 1 {OPEN}; string b = 2 {PERSONAL};"),
        (f"message Told {{ map<string, string> parts = 1 {PERSONAL}; repeated string more = 2 {OPEN}; }}", ""),
    ],
)
def test_a_whole_is_left_in_peace(tmp_path: Path, told: str, part: str) -> None:
    assert [] == problems(tmp_path, f"{told} message Part {{ {part} }}")
