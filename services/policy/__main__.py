"""Serve PolicyService in a process of its own: `python -m services.policy`."""

import os

from services.policy import servicer
from services.runtime.run import main

if __name__ == "__main__":
    main([servicer], os.environ)
