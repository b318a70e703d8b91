"""A server whose clock is wrong, for tests: `python -m tests.fault.skewed_server`.

RAPPORT_TEST_SKEW_S: seconds that its clock is ahead. RAPPORT_TEST_BLIND: appends forget what their decisions read of
other streams; with it, what the tests look for has to happen.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ledger.ledger import system_clock
from ledger.limits import Limits
from ledger.log.store import Append
from ledger.opening import open_ledger
from services.runtime import app
from services.runtime.run import main
from services.standalone import SERVICES

SKEW = round(float(os.environ["RAPPORT_TEST_SKEW_S"]) * 1_000_000)
BLIND = "RAPPORT_TEST_BLIND" in os.environ
BEHIND_MAX = 7 * 86_400_000_000
"""The setting allows a day; two clocks that are wrong by 26 hours each are 52 apart."""


async def open_skewed(store: Any, open_keys: Any, *, limits: Limits, **more: Any) -> Any:
    if BLIND:
        append = store.append

        def blind(appends: Sequence[Append], *where: Any, **how: Any) -> Any:
            return append([each._replace(read_set=()) for each in appends], *where, **how)

        store.append = blind
    limits = replace(limits, clock_clamp_max=BEHIND_MAX)
    return await open_ledger(store, open_keys, limits=limits, clock=lambda: system_clock() + SKEW, **more)


if __name__ == "__main__":
    app.open_ledger = open_skewed  # type: ignore[assignment, attr-defined]
    main(SERVICES, os.environ)
