"""Interactions by kind and by topic, for those that somebody asked about: found once, and kept in order since."""

from ledger.domain.conversation_rows import Rows
from ledger.domain.conversation_shapes import Shape, known_shapes
from ledger.domain.moments import Moments
from ledger.domain.passing import Passing


class Lookups:
    """What was asked about in one conversation."""

    __slots__ = ("_by_kind", "_by_topic")

    def __init__(self) -> None:
        self._by_kind: dict[int, Moments] = {}
        """Acts of the customer."""
        self._by_topic: dict[str, Moments] = {}
        """Interactions in any direction."""

    def of_kind(self, kind: int, rows: Rows, passing: Passing) -> Moments:
        """Return the customer's acts of a kind. Not to be changed."""
        moments = self._by_kind.get(kind)
        if moments is None:
            numbers = {shape.number for shape in known_shapes() if shape.kind == kind and shape.by_customer}
            moments = self._by_kind[kind] = Moments([*rows.with_shapes(numbers), *passing.of_kind(kind)])
        return moments

    def about(self, topic: str, rows: Rows) -> Moments:
        """Return the interactions about a topic, which is not empty. Not to be changed."""
        moments = self._by_topic.get(topic)
        if moments is None:
            moments = self._by_topic[topic] = Moments(rows.with_topic(topic))
        return moments

    def add(self, shape: Shape, topic: str, time: int, position: int) -> None:
        """Take note of an interaction."""
        if shape.by_customer and shape.kind in self._by_kind:
            self._by_kind[shape.kind].add(time, position)
        if topic in self._by_topic:
            self._by_topic[topic].add(time, position)

    def remove(self, shape: Shape, topic: str, time: int, position: int) -> None:
        """Take note that one counts no more."""
        if shape.by_customer and shape.kind in self._by_kind:
            self._by_kind[shape.kind].remove(time, position)
        if topic in self._by_topic:
            self._by_topic[topic].remove(time, position)

    def add_passing(self, kind: int, time: int, position: int) -> None:
        """Take note of a view or click."""
        if kind in self._by_kind:
            self._by_kind[kind].add(time, position)

    def remove_passing(self, kind: int, time: int, position: int) -> None:
        """Take note that one counts no more."""
        if kind in self._by_kind:
            self._by_kind[kind].remove(time, position)
