"""The recorder suites that the library ships, ready to be subclassed.

Their module also holds suites of ciphers and therefore imports the library's, which needs a package that we do not
use (our sealing is our own). A stand-in lets the module load without it.
"""

import sys
from importlib.util import find_spec
from types import ModuleType

if find_spec("Crypto") is None:
    stand_in = ModuleType("eventsourcing.cipher")
    stand_in.AESCipher = None  # type: ignore[attr-defined]  # A module made by hand.
    sys.modules.setdefault("eventsourcing.cipher", stand_in)

from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)

__all__ = [
    "AggregateRecorderTestCase",
    "ApplicationRecorderTestCase",
    "NonInterleavingNotificationIDsBaseCase",
    "ProcessRecorderTestCase",
    "TrackingRecorderTestCase",
]
