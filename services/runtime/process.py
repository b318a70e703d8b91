"""What a process does to itself before it serves."""

import os
import resource


def harden() -> list[str]:
    """Let no core dump hold keys, and no file be readable by others; return what an operator should know."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    return ["the process runs as root; give it a user of its own"] if os.geteuid() == 0 else []
