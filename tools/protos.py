"""Generate the Python code beside every .proto file, and keep it free of leftovers.

`python -m tools.protos` is what `make proto` runs. The result depends only on the .proto files and on the locked
versions of grpcio-tools, mypy-protobuf and protovalidate, so that `make verify` can compare it byte by byte.

`buf/validate/validate.proto` is in no package we install. Its compiled descriptor is: protovalidate carries it, and
protoc reads it from a descriptor set as if the file were there. What it generates is committed as `protos/buf`, because
generated code imports `buf.validate.validate_pb2` when it runs.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import google.rpc
import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

ROOT: Final = Path(__file__).resolve().parent.parent
PROTOS: Final = ROOT / "protos"
VALIDATE: Final = "buf/validate/validate.proto"
GENERATED: Final = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi", "__init__.py")


class ProtocFailed(Exception):
    """protoc refused the files; it has printed why on standard error."""


def sources(protos: Path = PROTOS) -> list[str]:
    """Return our .proto files relative to `protos`, in order, with `/` between folders."""
    return sorted(path.relative_to(protos).as_posix() for path in protos.glob("rapport/**/*.proto"))


def descriptors(files: Sequence[str], protos: Path = PROTOS) -> descriptor_pb2.FileDescriptorSet:
    """Return the descriptors of `files` and of all they import, comments included.

    Raises:
        ProtocFailed: A file does not compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "all.binpb")
        flags = ["--include_imports", "--include_source_info", f"--descriptor_set_out={out}"]
        compile_protos(files, flags, protos)
        return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())


def compile_protos(files: Sequence[str], flags: Sequence[str], protos: Path) -> None:
    """Run protoc on `files` with `flags`; imports may name validate.proto, google/rpc and google/protobuf.

    Raises:
        ProtocFailed: protoc ended with an error.
    """
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder, "validate.binpb")
        known.write_bytes(validate_descriptors().SerializeToString(deterministic=True))
        paths = [f"--proto_path={path}" for path in include_paths(protos)]
        if protoc.main(["protoc", *paths, f"--descriptor_set_in={known}", *flags, *files]) != 0:
            raise ProtocFailed(f"protoc failed on {len(files)} files")


def validate_descriptors() -> descriptor_pb2.FileDescriptorSet:
    """Return validate.proto and what it imports, as protovalidate was built with them."""
    every = [validate_pb.desc(), *validate_pb.desc().dependencies]
    return descriptor_pb2.FileDescriptorSet(
        file=[descriptor_pb2.FileDescriptorProto.FromString(file.proto.to_binary()) for file in every]
    )


def include_paths(protos: Path) -> list[Path]:
    """Return where protoc looks: our files, protobuf's own, and google/rpc from googleapis-common-protos."""
    own = Path(grpc_tools.__file__).parent / "_proto"
    common = Path(next(iter(google.rpc.__path__))).parent.parent
    return [protos, own, common]


def generate(protos: Path = PROTOS) -> None:
    """Write the generated code of every .proto under `protos`, and delete generated files whose .proto is gone.

    Raises:
        ProtocFailed: A file does not compile; nothing was deleted, some files may have been written.
    """
    files = sources(protos)
    services = [name for name in files if "\nservice " in (protos / name).read_text(encoding="utf-8")]
    plugins = [f"--plugin=protoc-gen-{name}={Path(sys.executable).parent / f'protoc-gen-{name}'}" for name in PLUGINS]
    compile_protos([VALIDATE, *files], [*plugins, f"--python_out={protos}", f"--mypy_out=quiet:{protos}"], protos)
    if services:
        # Only the asyncio side is typed: our servers and clients are all grpc.aio.
        grpc_flags = [f"--grpc_python_out={protos}", f"--mypy_grpc_out=quiet,only_async:{protos}"]
        compile_protos(services, [*plugins, *grpc_flags], protos)
    packages = write_packages(protos, files)
    expected = {*generated_names(VALIDATE, grpc=False), *packages}
    for name in files:
        expected.update(generated_names(name, grpc=name in services))
    delete_leftovers(protos, expected)


PLUGINS: Final = ("mypy", "mypy_grpc")


def write_packages(protos: Path, files: Iterable[str]) -> set[str]:
    """Make every folder from `rapport` down an ordinary package; return the files written.

    `buf` stays a namespace package: it is not ours, and other distributions may put modules beside `validate`.
    """
    folders = {parent for name in files for parent in Path(name).parents if parent.name}
    written = set()
    for folder in sorted(folders):
        dotted = ".".join(folder.parts)
        text = f'"""Generated code of the protobuf package `{dotted}`."""\n'
        (protos / folder / "__init__.py").write_text(text, encoding="utf-8")
        written.add((folder / "__init__.py").as_posix())
    return written


def generated_names(name: str, *, grpc: bool) -> set[str]:
    """Return the files generated for the .proto `name`, relative to the same folder."""
    stem = name.removesuffix(".proto")
    messages = {f"{stem}_pb2.py", f"{stem}_pb2.pyi"}
    return messages | {f"{stem}_pb2_grpc.py", f"{stem}_pb2_grpc.pyi"} if grpc else messages


def delete_leftovers(protos: Path, expected: set[str]) -> None:
    """Delete generated files that are not `expected`: their .proto was renamed or removed."""
    for pattern in GENERATED:
        for path in protos.rglob(pattern):
            if path.relative_to(protos).as_posix() not in expected:
                path.unlink()


def main() -> int:
    """Generate everything; return the exit code."""
    try:
        generate()
    except ProtocFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
