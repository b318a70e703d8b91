"""What is kept in memory, bounded by what it weighs: folds of streams grow, so their number alone bounds nothing.

Whoever keeps something says what it weighs now, each time anew. The least used go first; the last one used always
stays, however much it weighs: it is needed now.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

V = TypeVar("V")


class Weighed(Generic[V]):
    """Values by name, the least used dropped when they weigh more than allowed together."""

    __slots__ = ("_values", "_weight_max", "_weights", "get", "touch", "weight")

    def __init__(self, weight_max: int) -> None:
        """`weight_max`: in whatever unit `keep` is told."""
        self._values: OrderedDict[str, V] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._weight_max = weight_max
        self.weight = 0
        """Of all together."""
        # The methods of the dictionary itself: every read comes by here.
        self.get: Final[Callable[[str], V | None]] = self._values.get
        """Return a value, or None; it does not count as used."""
        self.touch: Final[Callable[[str], None]] = self._values.move_to_end
        """Let a value count as used; it is there."""

    def __len__(self) -> int:
        return len(self._values)

    def keep(self, name: str, value: V, weight: int) -> None:
        """Keep a value as the last used, in place of what was kept; drop others until the rest is within bounds."""
        values, weights = self._values, self._weights
        values[name] = value
        values.move_to_end(name)
        before = weights.get(name)
        if weight == before:
            return
        weights[name] = weight
        self.weight += weight - (before or 0)
        while self.weight > self._weight_max and len(values) > 1:
            dropped, _ = values.popitem(last=False)
            self.weight -= weights.pop(dropped)

    def drop(self, name: str) -> V | None:
        """Let a value go; return it, or None where there is none."""
        value = self._values.pop(name, None)
        if value is not None:
            self.weight -= self._weights.pop(name)
        return value

    def clear(self) -> None:
        """Let everything go."""
        self._values.clear()
        self._weights.clear()
        self.weight = 0
