"""The rules our protos keep beyond what protoc asks (docs/style.md, section 4, "Protobuf is prose with numbers").

Each rule takes the compiled files of a FileDescriptorSet and returns what is wrong as sentences that say where, and
what to do; an empty list means that the rule holds. tests/contract/test_proto_style.py runs them on the real protos,
and on protos broken on purpose.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from rapport.annotations.v1 import data_class_pb2
from rapport.errors.v1 import error_reason_pb2
from tools.proto_tree import our_files, our_nodes, type_of

Files = Sequence[FileDescriptorProto]
Rule = Callable[[Files], list[str]]

TIMESTAMP: Final = "google.protobuf.Timestamp"
# Times whose names the design pages fixed before the rule: bounds of a window, ends of a promise, instants of a view.
TIMES_BY_ANOTHER_NAME: Final = frozenset(
    {
        "at",
        "from",
        "to",
        "until",
        "defer_until",
        "since",
        "after",
        "before",
        "activates_at",
        "expires_at",
        "pending_until",
    }
)
# What is classed as an identifier, because it is as opaque as one, and is named for what it is for.
IDS_BY_ANOTHER_NAME: Final = frozenset(
    {
        *("actor", "on_behalf_of"),  # Parties, named by the part they play.
        *("replaces", "cause_ref", "evidence_ref"),  # References, named by what they say of the other thing.
        *(
            "origin",
            "sha256",
            "confirmation_sha256",
            "list_sha256",
            "decay_sha256",
            "key_check",
            "digest",
        ),  # A log's name and digests.
        *("page_token", "next_page_token"),  # AIP-158.
        *("id", "customer_id_prefix"),  # The id of the message itself; the beginning of one.
    }
)


def package_is_directory(files: Files) -> list[str]:
    """Package `rapport.x.v1` stands in `rapport/x/v1`, and every package has a version."""
    wrong = []
    for file in our_files(files):
        folder = file.name.rpartition("/")[0].replace("/", ".")
        if file.package != folder or not re.fullmatch(r"rapport\.[a-z_]+\.v[1-9][0-9]*", file.package):
            wrong.append(f"{file.name}: package {file.package} does not stand in its directory, or has no version")
    return wrong


def facts_stand_alone(files: Files) -> list[str]:
    """Events are permanent, so of ours they import only what is as permanent: shared values and annotations."""
    permitted = (
        *("rapport/events/", "rapport/type/", "rapport/annotations/", "google/protobuf/", "buf/validate/"),
        "rapport/type/v1/levels.proto",  # Levels that policies name; the file imports nothing.
    )
    return [
        f"{file.name}: imports {name}; events import only type, annotations, levels and each other"
        for file in our_files(files)
        if file.package.startswith("rapport.events.")
        for name in file.dependency
        if not name.startswith(permitted)
    ]


def rpcs_own_their_messages(files: Files) -> list[str]:
    """The rpc `Verb` takes `VerbRequest`, returns `VerbResponse`, and shares neither."""
    rpcs = our_nodes(files, "rpc")
    uses = Counter(name for rpc in rpcs for name in (rpc.proto.input_type, rpc.proto.output_type))
    wrong = []
    for rpc in rpcs:
        for used, ending in ((rpc.proto.input_type, "Request"), (rpc.proto.output_type, "Response")):
            if used.rpartition(".")[2] != f"{rpc.proto.name}{ending}":
                wrong.append(f"{rpc.name}: uses {used}, not {rpc.proto.name}{ending}")
            if uses[used] > 1:
                wrong.append(f"{rpc.name}: shares {used} with another rpc")
    return wrong


def enums_begin_unspecified(files: Files) -> list[str]:
    """Values carry the name of their enum, and 0 is `_UNSPECIFIED`, so that an unset field never says something."""
    wrong = []
    for enum in our_nodes(files, "enum"):
        prefix = upper_snake(enum.proto.name)
        zero = enum.proto.value[0]
        if (zero.name, zero.number) != (f"{prefix}_UNSPECIFIED", 0):
            wrong.append(f"{enum.name}: the first value is not {prefix}_UNSPECIFIED = 0")
        wrong += [
            f"{enum.name}: {value.name} does not begin with {prefix}_"
            for value in enum.proto.value
            if not value.name.startswith(f"{prefix}_")
        ]
    return wrong


def upper_snake(name: str) -> str:
    """Return `ErrorReason` as `ERROR_REASON`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper()


def names_have_the_house_form(files: Files) -> list[str]:
    """Fields and oneofs are lower_snake_case, messages, enums, services and rpcs UpperCamelCase."""
    forms = dict.fromkeys(("field", "oneof", "extension"), r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
    forms |= dict.fromkeys(("message", "enum", "service", "rpc"), r"[A-Z][A-Za-z0-9]*")
    return [
        f"{node.name}: a {node.kind} of another form than {forms[node.kind]}"
        for node in our_nodes(files, *forms)
        if not re.fullmatch(forms[node.kind], node.proto.name)
    ]


def times_end_in_time(files: Files) -> list[str]:
    """A Timestamp field ends in `_time` (filters add `_from` or `_before`), or its name is one the design gave."""
    return [
        f"{field.name}: a time that does not end in _time"
        for field in our_nodes(files, "field")
        if type_of(field.proto) == TIMESTAMP
        and not re.search(r"_times?(_from|_before)?$", field.proto.name)
        and field.proto.name not in TIMES_BY_ANOTHER_NAME
    ]


def ids_end_in_id(files: Files) -> list[str]:
    """A field of class ID ends in `_id` or `_ids`, or its name is on the short list."""
    return [
        f"{field.name}: an identifier that does not end in _id"
        for field in our_nodes(files, "field")
        if field.proto.options.Extensions[data_class_pb2.data_class] == data_class_pb2.DATA_CLASS_ID
        and type_of(field.proto) in {"string", "bytes"}
        and not field.proto.name.endswith(("_id", "_ids"))
        and field.proto.name not in IDS_BY_ANOTHER_NAME
    ]


def everything_is_commented(files: Files) -> list[str]:
    """Every message, field, oneof, enum, value, service and rpc says what it is."""
    return [f"{node.name}: the {node.kind} has no comment" for node in our_nodes(files) if not node.comment]


def error_reasons_say_what_to_do(files: Files) -> list[str]:
    """Every ErrorReason has a cause, what the client does next, and the gRPC code it is sent with."""
    wrong = []
    for value in our_nodes(files, "value"):
        if not value.name.startswith("rapport.errors.v1.ErrorReason.") or value.proto.number == 0:
            continue
        wrong += [
            f"{value.name}: its comment has no {word!r}"
            for word in ("Cause:", "Client action:")
            if word not in value.comment
        ]
        if not value.proto.options.Extensions[error_reason_pb2.code]:
            wrong.append(f"{value.name}: no gRPC code")
    return wrong


RULES: Final[tuple[Rule, ...]] = (
    package_is_directory,
    facts_stand_alone,
    rpcs_own_their_messages,
    enums_begin_unspecified,
    names_have_the_house_form,
    times_end_in_time,
    ids_end_in_id,
    everything_is_commented,
    error_reasons_say_what_to_do,
)
