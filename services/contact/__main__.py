"""Serve ContactService in a process of its own: `python -m services.contact`."""

import os

from services.contact import servicer
from services.runtime.run import main

if __name__ == "__main__":
    main([servicer], os.environ)
