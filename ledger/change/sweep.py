"""Passing a new policy on to the relationships of an organization: how far it is, as it is stored between batches."""

import json
from typing import NamedTuple

from ledger.change.look import Cause


class Sweep(NamedTuple):
    """Passing a new policy on to the relationships of an organization."""

    organization_id: str
    after: str
    """The last customer_id that it was passed on to."""
    at: int
    """The instant. Microseconds."""
    position: int
    """Up to which events are published."""
    old_at: int
    old_position: int
    cause: Cause

    def dump(self) -> str:
        """Return the text."""
        return json.dumps(self, separators=(",", ":"))

    @classmethod
    def load(cls, text: str) -> "Sweep":
        """Return what a text says."""
        organization_id, after, at, position, old_at, old_position, (cause, effective, positions) = json.loads(text)
        named = Cause(cause, effective, tuple(positions))
        return cls(organization_id, after, at, position, old_at, old_position, named)
