"""What a conversation keeps of each interaction, in columns: 24 bytes a row, by the positions of the originals.

References are kept beside them, by position: few interactions have any.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Set
from typing import Final, NamedTuple

from ledger.domain.conversation_shapes import NOTHING, SHAPES, Shape
from rapport.events.v1.interaction_pb2 import InteractionRecorded

Words = tuple[str, str, str, str, str]
"""Topic, contact point, brand, sender and campaign."""
_NO_WORDS: Final[Words] = ("", "", "", "", "")


class Row(NamedTuple):
    """One interaction, in its last form."""

    position: int
    """Of the original, whichever correction counts."""
    time: int
    """Occur time of what counts. Microseconds."""
    shape: Shape
    in_reply_to: int
    refers_to: int
    decision_id: int
    words: Words


class Rows:
    """Rows of one relationship. One is replaced, never removed."""

    __slots__ = (
        "_answering", "_numbers", "_said", "_shapes", "_words", "decisions", "positions", "refers", "replies", "times",
    )  # fmt: skip

    def __init__(self) -> None:
        self.positions = array("q")
        """Ascending."""
        self.times = array("q")
        self._shapes = array("I")
        self._said = array("I")
        self._words = [_NO_WORDS]
        """What the numbers in `_said` mean. Most interactions say nothing, or the same as another."""
        self._numbers = {_NO_WORDS: 0}
        self.replies: dict[int, int] = {}
        """What an interaction answers, by its position; like the others, of what was recorded before it."""
        self.refers: dict[int, int] = {}
        self.decisions: dict[int, int] = {}
        self._answering: dict[int, list[int]] = {}
        """Positions of those in `replies`, by what they answer."""

    def __len__(self) -> int:
        return len(self.positions)

    def append(self, position: int, time: int, shape: Shape, event: InteractionRecorded) -> None:
        """Add a row after all others."""
        self.positions.append(position)
        self.times.append(time)
        self._shapes.append(shape.number)
        topic, campaign = event.topic, event.campaign
        self._said.append(self._number(topic, campaign, shape, event) if topic or campaign or shape.contact else 0)
        if shape.names:
            self._refer(position, shape, event, position)

    def insert_nothing(self, position: int) -> int:
        """Make a row for an original of which nothing counts; return its place."""
        at = bisect_left(self.positions, position)
        for column, value in zip(self._columns(), (position, 0, NOTHING.number, 0), strict=True):
            column.insert(at, value)
        return at

    def replace(self, at: int, time: int, shape: Shape, event: InteractionRecorded, told: int) -> None:
        """Let something else count in a row, as an event of the position `told` says."""
        number = self._number(event.topic, event.campaign, shape, event)
        for column, value in zip(self._columns()[1:], (time, shape.number, number), strict=True):
            column[at] = value
        position = self.positions[at]
        self._forget(position)
        self._refer(position, shape, event, told)

    def clear(self, at: int) -> None:
        """Let nothing count in a row."""
        for column in self._columns()[1:]:
            column[at] = 0
        self._forget(self.positions[at])

    def find(self, position: int) -> int | None:
        """Return the place of an original's row, or None."""
        positions = self.positions
        at = bisect_left(positions, position)
        return at if at < len(positions) and positions[at] == position else None

    def at(self, position: int) -> int:
        """Return the place of an original that has a row."""
        at = bisect_left(self.positions, position)
        assert self.positions[at] == position, "who asks so knows that there is a row"
        return at

    def row(self, at: int) -> Row:
        """Return the row at a place."""
        position = self.positions[at]
        return Row(
            position,
            self.times[at],
            SHAPES[self._shapes[at]],
            self.replies.get(position, 0),
            self.refers.get(position, 0),
            self.decisions.get(position, 0),
            self._words[self._said[at]],
        )

    def shape(self, at: int) -> Shape:
        """Return the shape at a place."""
        return SHAPES[self._shapes[at]]

    def words(self, at: int) -> Words:
        """Return the words at a place."""
        return self._words[self._said[at]]

    def replying_to(self, positions: Set[int]) -> list[int]:
        """Return the positions of the rows that answer one of some positions."""
        answering = self._answering
        return [answer for position in positions for answer in answering.get(position, ())]

    def shapes(self) -> Iterator[tuple[int, int, Shape]]:
        """Yield time, position and shape of the rows of which something counts."""
        for time, position, number in zip(self.times, self.positions, self._shapes, strict=True):
            if number:
                yield time, position, SHAPES[number]

    def with_shapes(self, numbers: Set[int]) -> Iterator[tuple[int, int]]:
        """Yield time and position of the rows that have one of some shapes."""
        for time, position, number in zip(self.times, self.positions, self._shapes, strict=True):
            if number in numbers:
                yield time, position

    def with_topic(self, topic: str) -> Iterator[tuple[int, int]]:
        """Yield time and position of the rows about a topic, which is not empty."""
        numbers = {number for words, number in self._numbers.items() if words[0] == topic}
        if numbers:
            for time, position, number in zip(self.times, self.positions, self._said, strict=True):
                if number in numbers:
                    yield time, position

    def _number(self, topic: str, campaign: str, shape: Shape, event: InteractionRecorded) -> int:
        """Return the number of the words of an interaction; of what is no contact, topic and campaign alone matter."""
        if shape.contact:
            words = topic, event.contact_point_id, event.brand, event.sender_id, campaign
        else:
            words = topic, "", "", "", campaign
        number = self._numbers.get(words)
        if number is None:
            number = self._numbers[words] = len(self._words)
            self._words.append(words)
        return number

    def _refer(self, position: int, shape: Shape, event: InteractionRecorded, told: int) -> None:
        """Keep the references of a row, of which each shape has some: they name what was recorded before `told`."""
        if shape.answers and 0 < event.in_reply_to < told:
            self.replies[position] = event.in_reply_to
            self._answering.setdefault(event.in_reply_to, []).append(position)
        if shape.refers and 0 < event.refers_to < told:
            self.refers[position] = event.refers_to
        if shape.outgoing and 0 < event.decision_id < told:
            self.decisions[position] = event.decision_id

    def _forget(self, position: int) -> None:
        """Forget the references of a row."""
        answered = self.replies.pop(position, 0)
        if answered:
            self._answering[answered].remove(position)
        self.refers.pop(position, None)
        self.decisions.pop(position, None)

    def _columns(self) -> "tuple[array[int], ...]":
        return self.positions, self.times, self._shapes, self._said
