"""Write every proto, and all they import, as one descriptor set, for clients in languages that we do not ship.

`python -m tools.descriptor_set FILE` writes a serialised google.protobuf.FileDescriptorSet, imports before those who
import them. It holds `buf/validate` too, which is in no folder of the protos. Taken from the generated code, so that it
needs no compiler: what `make run` installs is enough. Comments are in the .proto files.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

PROTOS: Final = Path(__file__).resolve().parent.parent / "protos"


def descriptor_set() -> FileDescriptorSet:
    """Return the descriptors of every proto of ours and of all they import."""
    found: dict[str, FileDescriptorProto] = {}
    for path in sorted(PROTOS.glob("rapport/**/*_pb2.py")):
        module = importlib.import_module(".".join(path.relative_to(PROTOS).with_suffix("").parts))
        for file in _with_imports(module.DESCRIPTOR):
            if file.name not in found:
                file.CopyToProto(found.setdefault(file.name, FileDescriptorProto()))
    return FileDescriptorSet(file=found.values())


def _with_imports(file: FileDescriptor) -> Iterator[FileDescriptor]:
    for imported in file.dependencies:
        yield from _with_imports(imported)
    yield file


def main(arguments: list[str]) -> int:
    """Write the file; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m tools.descriptor_set FILE", file=sys.stderr)
        return 2
    descriptors = descriptor_set()
    Path(arguments[0]).write_bytes(descriptors.SerializeToString(deterministic=True))
    print(f"{len(descriptors.file)} files in {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
