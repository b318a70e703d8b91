"""Runs the `rapport` command, then writes its own peak memory in bytes as the last word of stderr."""

import resource
import sys

from services.cli.__main__ import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
    sys.exit(code)
