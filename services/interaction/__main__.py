"""Serve InteractionService in a process of its own: `python -m services.interaction`."""

import os

from services.interaction import servicer
from services.runtime.run import main

if __name__ == "__main__":
    main([servicer], os.environ)
