"""What was announced of a relationship, and what waits: all that the detector must know beside the facts themselves.

Kept as JSON in one form for one content: members in order, no spaces, what is as of an empty stream left out. So equal
levels are equal texts, whoever wrote them.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final

from rapport.type.v1 import levels_pb2 as levels


@dataclass(slots=True)
class Levels:
    """Announced levels of one relationship. Times are microseconds. Mutable while one batch is looked through."""

    number: int = 0
    """Changes announced so far."""
    exists: bool = False
    missing: list[str] = field(default_factory=list)
    """Legs that did not hold when it was last looked at."""
    lifecycle: int = levels.LIFECYCLE_STRANGER
    lifecycle_told: bool = False
    """Whether the lifecycle was ever announced: before that it follows silently."""
    score: int = 0
    band: int = levels.STRENGTH_BAND_WEAK
    lines: dict[str, int] = field(default_factory=dict)
    """The score by component, as announced."""
    imbalanced: bool = False
    broadcast: bool = False
    exhausted: bool = False
    """Vectors were opened, and none is open."""
    mismatched: str = ""
    """Axes and directions as announced; empty: none."""
    desired: str = ""
    actual: str = ""
    """Empty: that of an empty stream."""
    shape: int = levels.CONTACT_SHAPE_NONE
    cells: dict[str, list[int]] = field(default_factory=dict)
    """Permissions by cell: status, until, the `until` that was warned of, and when the deciding act occurred."""
    cells_due: int = 0
    """When the clock may change a permission; 0: it will not."""
    promises: dict[str, int] = field(default_factory=dict)
    """By promise_id: 1 announced as kept, 2 as broken."""
    told: list[str] = field(default_factory=list)
    """Breaches of trust and contacts against what was declared, as announced: measures, in order."""
    conflicts: list[str] = field(default_factory=list)
    """Cells in which linked customer ids contradict each other, in order."""
    waiting: dict[str, int] = field(default_factory=dict)
    """Withdrawals by position: by when systems have to act."""
    pending: dict[str, list[Any]] = field(default_factory=dict)
    """Conditions that must still hold for a while, by measure: what, since when, until when, cause, its positions."""
    last: dict[str, list[Any]] = field(default_factory=dict)
    """The last announcement of each pair of names: its id and effective time."""
    cohorts: dict[str, list[int]] = field(default_factory=dict)
    """What it adds to cohorts: members, and of those who came back."""
    campaigns: dict[str, list[int]] = field(default_factory=dict)
    """What it adds to campaigns: matured solicitations, and of those the answered ones."""
    sums_due: int = 0
    """When the clock may change what it adds; 0: it will not."""

    @classmethod
    def load(cls, text: str) -> "Levels":
        """Return the levels of a text; those of an empty stream for an empty text."""
        return cls(**json.loads(text)) if text else cls()

    def dump(self) -> str:
        """Return the text."""
        named = zip(_NAMES, _values(self), _DEFAULTS, strict=True)
        return _encode({name: value for name, value, default in named if value != default})


_NAMES: Final = tuple(each.name for each in dataclasses.fields(Levels))
_values: Final = attrgetter(*_NAMES)
_DEFAULTS: Final = _values(Levels())
_encode: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
