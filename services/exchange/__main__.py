"""Serve ExchangeService in a process of its own: `python -m services.exchange`."""

import os

from services.exchange import servicer
from services.runtime.run import main

if __name__ == "__main__":
    main([servicer], os.environ)
