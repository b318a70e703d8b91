"""Serve RelationshipService and ProjectionService in a process of their own: `python -m services.relationship`."""

import os

from services.relationship import servicer
from services.runtime.run import main

if __name__ == "__main__":
    main([servicer], os.environ)
