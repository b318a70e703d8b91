"""Serve ConsentService in a process of its own: `python -m services.consent`."""

import os

from services.consent import servicer
from services.runtime.run import main

if __name__ == "__main__":
    main([servicer], os.environ)
