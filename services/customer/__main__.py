"""Serve CustomerService in a process of its own: `python -m services.customer`."""

import os

from services.customer import servicer
from services.runtime.run import main

if __name__ == "__main__":
    main([servicer], os.environ)
