"""Write every proto, and all they import, as one descriptor set, for clients in languages that we do not ship.

`python -m tools.descriptor_set FILE` writes a serialised google.protobuf.FileDescriptorSet. It holds `buf/validate`,
which the protos import and which is in no folder of theirs, as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools import protos


def main(arguments: list[str]) -> int:
    """Write the file; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m tools.descriptor_set FILE", file=sys.stderr)
        return 2
    descriptors = protos.descriptors(protos.sources())
    Path(arguments[0]).write_bytes(descriptors.SerializeToString(deterministic=True))
    print(f"{len(descriptors.file)} files in {arguments[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
