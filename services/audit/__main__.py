"""One process that serves AuditService: `python -m services.audit`."""

import os

from services.audit import servicer
from services.runtime.run import main

if __name__ == "__main__":
    main([servicer], os.environ)
