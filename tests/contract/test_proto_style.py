"""The protos keep the rules of the house, and every promise they ever made.

Each rule is also run on a small proto that breaks it and nothing else: a rule that cannot be seen red holds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from tools import proto_baseline, proto_rules, protos

Files = Sequence[FileDescriptorProto]


@pytest.fixture(scope="module")
def files() -> Files:
    return protos.descriptors(protos.sources()).file


def compiled(folder: Path, text: str, name: str = "rapport/sample/v1/sample.proto") -> Files:
    """Return the descriptors of a sample proto; `text` follows syntax and package."""
    path = folder / name
    path.parent.mkdir(parents=True)
    package = name.rpartition("/")[0].replace("/", ".")
    path.write_text(f'syntax = "proto3";\npackage {package};\n{text}\n', encoding="utf-8")
    return protos.descriptors([name], folder).file


@pytest.mark.parametrize("rule", proto_rules.RULES, ids=lambda rule: rule.__name__)
def test_our_protos_keep(rule: proto_rules.Rule, files: Files) -> None:
    assert [] == rule(files)


# Each text is well-formed protobuf that breaks one rule; the sentence names where.
BROKEN = [
    ("enums_begin_unspecified", "enum Kind { KIND_NONE = 0; }", "first value is not KIND_UNSPECIFIED"),
    ("enums_begin_unspecified", "enum Kind { KIND_UNSPECIFIED = 0; OTHER = 1; }", "OTHER does not begin with KIND_"),
    ("names_have_the_house_form", "message Ask { string customerId = 1; }", "Ask.customerId"),
    ("names_have_the_house_form", "message ask_it {}", "ask_it"),
    (
        "times_end_in_time",
        'import "google/protobuf/timestamp.proto"; message Ask { google.protobuf.Timestamp when = 1; }',
        "Ask.when: a time that does not end in _time",
    ),
    (
        "ids_end_in_id",
        (
            'import "rapport/annotations/v1/data_class.proto";\n'
            "message Ask { string whom = 1 [(rapport.annotations.v1.data_class) = DATA_CLASS_ID]; }"
        ),
        "Ask.whom: an identifier that does not end in _id",
    ),
    (
        "rpcs_own_their_messages",
        "message M {} service S { rpc Ask(M) returns (AskResponse); } message AskResponse {}",
        "uses .rapport.sample.v1.M, not AskRequest",
    ),
    (
        "rpcs_own_their_messages",
        (
            "message AskRequest {} message AskResponse {} message TellRequest {}\n"
            "service S { rpc Ask(AskRequest) returns (AskResponse); rpc Tell(TellRequest) returns (AskResponse); }"
        ),
        "Tell: shares .rapport.sample.v1.AskResponse",
    ),
    ("everything_is_commented", "// Asks.\nmessage Ask {\n  string text = 1;\n}", "Ask.text: the field has no comment"),
    ("everything_is_commented", "message Ask {}", "Ask: the message has no comment"),
    (
        "everything_is_commented",
        "// A kind.\nenum Kind {\n  // None.\n  KIND_UNSPECIFIED = 0;\n  KIND_A = 1;\n}",
        "Kind.KIND_A: the value has no comment",
    ),
    (
        "everything_is_commented",
        (
            "// Asks.\nmessage AskRequest {}\n// Answers.\nmessage AskResponse {}\n"
            "// Serves.\nservice S {\n  rpc Ask(AskRequest) returns (AskResponse);\n}"
        ),
        "S.Ask: the rpc has no comment",
    ),
]


@pytest.mark.parametrize("rule, text, complaint", BROKEN)
def test_a_broken_proto_is_seen(tmp_path: Path, rule: str, text: str, complaint: str) -> None:
    copy_annotations(tmp_path)
    broken = compiled(tmp_path, text)

    assert complaint in "\n".join(getattr(proto_rules, rule)(broken))


def copy_annotations(folder: Path) -> None:
    """Put the annotations where a sample can import them."""
    name = "rapport/annotations/v1/data_class.proto"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text((protos.PROTOS / name).read_text(encoding="utf-8"), encoding="utf-8")


def test_a_package_outside_its_directory_is_seen(files: Files) -> None:
    astray = FileDescriptorProto(name="rapport/events/v1/stray.proto", package="rapport.events")

    assert ["rapport/events/v1/stray.proto"] == [s.split(":")[0] for s in proto_rules.package_is_directory([astray])]


def test_an_event_that_imports_a_service_is_seen() -> None:
    event = FileDescriptorProto(
        name="rapport/events/v1/a.proto",
        package="rapport.events.v1",
        dependency=["rapport/type/v1/amount.proto", "rapport/consent/v1/consent_service.proto"],
    )

    assert ["consent_service.proto"] == [s.split("/")[-1].split(";")[0] for s in proto_rules.facts_stand_alone([event])]


def test_an_error_reason_without_action_or_code_is_seen(files: Files) -> None:
    broken = FileDescriptorProto()
    broken.CopyFrom(next(file for file in files if file.name == "rapport/errors/v1/error_reason.proto"))
    at = next(index for index, enum in enumerate(broken.enum_type) if enum.name == "ErrorReason")
    place = next(p for p in broken.source_code_info.location if list(p.path) == [5, at, 2, 1])
    place.leading_comments = "Cause: something.\n"
    broken.enum_type[at].value[1].ClearField("options")
    name = f"rapport.errors.v1.ErrorReason.{broken.enum_type[at].value[1].name}"

    assert [
        f"{name}: its comment has no 'Client action:'",
        f"{name}: no gRPC code",
    ] == proto_rules.error_reasons_say_what_to_do([broken])


def test_nothing_published_is_removed_renumbered_or_retyped(files: Files) -> None:
    assert [] == list(proto_baseline.broken(proto_baseline.load(), proto_baseline.current(files)))


def test_everything_is_under_the_baseline(files: Files) -> None:
    unprotected = list(proto_baseline.broken(proto_baseline.current(files), proto_baseline.load()))

    assert [] == unprotected, "new in the protos: run `make proto-baseline` and commit what it adds"


BEFORE = """
message Ask { string text = 1; repeated uint32 sizes = 2; map<string, uint64> counts = 3; oneof by { bool all = 4; } }
enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; }
message PutRequest {} message PutResponse {} service S { rpc Put(PutRequest) returns (PutResponse); }
"""


@pytest.mark.parametrize(
    "old, new",
    [
        ("string text = 1;", ""),
        ("string text = 1;", "string text = 5;"),
        ("string text = 1;", "bytes text = 1;"),
        ("string text = 1;", "string words = 1;"),
        ("string text = 1;", "optional string text = 1;"),
        ("repeated uint32 sizes", "uint32 sizes"),
        ("map<string, uint64>", "map<string, uint32>"),
        ("oneof by { bool all = 4; }", "bool all = 4;"),
        (" KIND_A = 1;", ""),
        (" KIND_A = 1;", " KIND_A = 2;"),
        (" KIND_A = 1;", " KIND_B = 1;"),
        ("rpc Put(PutRequest)", "rpc Put(stream PutRequest)"),
        ("rpc Put(PutRequest) returns (PutResponse);", ""),
        ("message Ask", "message Question"),
    ],
)
def test_a_broken_promise_is_seen(tmp_path: Path, old: str, new: str) -> None:
    promised = proto_baseline.current(compiled(tmp_path / "before", BEFORE))
    now = proto_baseline.current(compiled(tmp_path / "after", BEFORE.replace(old, new)))

    assert [] != list(proto_baseline.broken(promised, now))


def test_an_addition_breaks_no_promise(tmp_path: Path) -> None:
    promised = proto_baseline.current(compiled(tmp_path / "before", BEFORE))
    after = BEFORE.replace("KIND_A = 1;", "KIND_A = 1; KIND_B = 2;").replace(
        "bool all = 4; }", "bool all = 4; int32 n = 5; }"
    )
    now = proto_baseline.current(compiled(tmp_path / "after", after))

    assert [] == list(proto_baseline.broken(promised, now))
