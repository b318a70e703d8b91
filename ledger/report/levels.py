"""How many relationships stand at each level, and what they exchanged by band (descriptive; relationship.md 10)."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.domain.amounts import INT64_MAX
from ledger.measure.results import Ratio, unknown
from rapport.relationship.v1.measures_pb2 import UNKNOWN_REASON_NO_EVIDENCE
from rapport.type.v1 import levels_pb2 as levels


class Stands(NamedTuple):
    """At which levels one relationship stands."""

    exists: bool
    lifecycle: int
    band: int
    shape: int
    net: int = 0
    """What the organization got less what it gave, in nanos; 0 also where nothing is valued."""


class Level(NamedTuple):
    """How many stand at a level."""

    level: str
    relationships: int
    net: int = 0
    """Nanos."""


class Levels:
    """Counts relationships."""

    def __init__(self) -> None:
        self.relationships = 0
        self.existing = 0
        self._lifecycles: Counter[int] = Counter()
        self._bands: Counter[int] = Counter()
        self._shapes: Counter[int] = Counter()
        self._nets: Counter[int] = Counter()

    def add(self, stands: Stands) -> None:
        """Take in one relationship."""
        self.relationships += 1
        self.existing += stands.exists
        self._lifecycles[stands.lifecycle] += 1
        self._bands[stands.band] += 1
        self._shapes[stands.shape] += 1
        self._nets[stands.band] += stands.net

    def lifecycles(self) -> list[Level]:
        """Return the counts by lifecycle, in the order of the enum, each level there is."""
        return _counted(levels.Lifecycle.items(), "LIFECYCLE_", self._lifecycles)

    def bands(self) -> list[Level]:
        """Return the counts by band, with what they exchanged."""
        counted = _counted(levels.StrengthBand.items(), "STRENGTH_BAND_", self._bands)
        numbers = levels.StrengthBand.items()
        nets = {name.removeprefix("STRENGTH_BAND_"): self._nets[number] for name, number in numbers}
        return [each._replace(net=_held(nets[each.level])) for each in counted]

    def shapes(self) -> list[Level]:
        """Return the counts by shape."""
        return _counted(levels.ContactShape.items(), "CONTACT_SHAPE_", self._shapes)

    @property
    def diamond(self) -> Ratio:
        """The share of shape DIAMOND, of those with any."""
        shaped = self.relationships - self._shapes[levels.CONTACT_SHAPE_NONE] - self._shapes[0]
        if not shaped:
            return unknown(UNKNOWN_REASON_NO_EVIDENCE)
        return Ratio(self._shapes[levels.CONTACT_SHAPE_DIAMOND], shaped)


_LEAST: Final = -INT64_MAX - 1


def _held(net: int) -> int:
    return min(max(net, _LEAST), INT64_MAX)


def _counted(names: Sequence[tuple[str, int]], prefix: str, counts: Counter[int]) -> list[Level]:
    return [Level(name.removeprefix(prefix), counts[number]) for name, number in names if number]
