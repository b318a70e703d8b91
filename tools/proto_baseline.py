"""What our protos have promised: every field, enum value and rpc that was ever published, by number, name and type.

tests/golden/proto_baseline.json holds it, one line a message, so that a change is easy to read in a review. Nothing in
it may go, move to another number or change its type; new things may be added. `make proto-baseline` adds them, and
refuses where something published would be broken. Before the first release, a baseline may be deleted and made anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
)

from tools import protos
from tools.proto_tree import is_repeated, map_entry, our_nodes, type_of

FILE: Final = protos.ROOT / "tests" / "golden" / "proto_baseline.json"

Baseline = dict[str, dict[str, str]]
"""By full name: of a message, number -> name and type of each field; of an enum, number -> name of each value; of a
service, rpc -> what it takes and returns."""


def current(files: Sequence[FileDescriptorProto]) -> Baseline:
    """Return the baseline of `files` as they are."""
    found: Baseline = {}
    for node in our_nodes(files, "message"):
        found[node.name] = {str(field.number): promise(field, node.proto) for field in node.proto.field}
    for node in our_nodes(files, "enum"):
        found[node.name] = {str(value.number): value.name for value in node.proto.value}
    for node in our_nodes(files, "service"):
        found[node.name] = {rpc.name: signature(rpc) for rpc in node.proto.method}
    for node in our_nodes(files, "extension"):
        field = node.proto
        found[node.name] = {str(field.number): f"{field.name} {type_of(field)} of {field.extendee.removeprefix('.')}"}
    return dict(sorted(found.items()))


def promise(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    """Return name, presence and type of a field: `limit optional uint32`, `causes repeated rapport.events.v1.Cause`."""
    entry = map_entry(field, message)
    if entry is not None:
        key, value = entry.field
        return f"{field.name} map<{type_of(key)}, {type_of(value)}>"
    if is_repeated(field):
        return f"{field.name} repeated {type_of(field)}"
    if field.proto3_optional:
        return f"{field.name} optional {type_of(field)}"
    if field.HasField("oneof_index"):
        return f"{field.name} oneof {message.oneof_decl[field.oneof_index].name} {type_of(field)}"
    return f"{field.name} {type_of(field)}"


def signature(rpc: MethodDescriptorProto) -> str:
    """Return what an rpc takes and returns: `stream rapport.x.v1.AskRequest -> rapport.x.v1.AskResponse`."""
    takes, returns = rpc.input_type.removeprefix("."), rpc.output_type.removeprefix(".")
    return f"{'stream ' * rpc.client_streaming}{takes} -> {'stream ' * rpc.server_streaming}{returns}"


def broken(promised: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield a sentence for every promise that `now` does not keep."""
    for name, entries in promised.items():
        if name not in now:
            yield f"{name} was published and is gone"
            continue
        for number, entry in entries.items():
            if number not in now[name]:
                yield f"{name}: {number} = {entry} was published and is gone"
            elif now[name][number] != entry:
                yield f"{name}: {number} was published as {entry} and is now {now[name][number]}"


def load(file: Path = FILE) -> Baseline:
    """Return the committed baseline; an empty one where the file is not there."""
    if not file.exists():
        return {}
    read: Baseline = json.loads(file.read_text(encoding="utf-8"))
    return read


def main() -> int:
    """Add to the committed baseline what is new; return the exit code."""
    now = current(protos.descriptors(protos.sources()).file)
    wrong = list(broken(load(), now))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if wrong:
        return 1
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
