"""Serve everything in one process: `python -m services.standalone`."""

import os

from services.runtime.run import main
from services.standalone import SERVICES

if __name__ == "__main__":
    main(SERVICES, os.environ)
