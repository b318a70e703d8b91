"""What a conversation keeps of each interaction, in columns: 48 bytes a row, by the positions of the originals."""

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

    __slots__ = ("_numbers", "_said", "_shapes", "_words", "decisions", "positions", "refers", "replies", "times")

    def __init__(self) -> None:
        self.positions = array("q")
        """Ascending."""
        self.times = array("q")
        self.replies = array("q")
        """References name what was recorded before; others are 0."""
        self.refers = array("q")
        self.decisions = array("q")
        self._shapes = array("I")
        self._said = array("I")
        self._words: list[Words] = [_NO_WORDS]
        """What the numbers in `_said` mean. Most interactions say nothing, or the same as another."""
        self._numbers: dict[Words, int] = {_NO_WORDS: 0}

    def __len__(self) -> int:
        return len(self.positions)

    def append(self, position: int, time: int, shape: Shape, event: InteractionRecorded) -> None:
        """Add a row after all others."""
        # Of each shape only what it can mean is read: a field costs as much as a column.
        in_reply_to = event.in_reply_to if shape.answers else 0
        refers_to = event.refers_to if shape.refers else 0
        decision_id = event.decision_id if shape.outgoing else 0
        self.positions.append(position)
        self.times.append(time)
        self.replies.append(in_reply_to if in_reply_to < position else 0)
        self.refers.append(refers_to if refers_to < position else 0)
        self.decisions.append(decision_id if decision_id < position else 0)
        self._shapes.append(shape.number)
        self._said.append(self._number(shape, event))

    def insert_nothing(self, position: int) -> int:
        """Make a row for an original of which nothing counts; return its place."""
        at = bisect_left(self.positions, position)
        for column, value in zip(self._columns(), (position, 0, NOTHING.number, 0, 0, 0, 0), strict=True):
            column.insert(at, value)
        return at

    def replace(self, at: int, time: int, shape: Shape, event: InteractionRecorded, position: int) -> None:
        """Let something else count in a row, as an event of a position says."""
        references = (
            (shape.answers, event.in_reply_to),
            (shape.refers, event.refers_to),
            (shape.outgoing, event.decision_id),
        )
        earlier = [reference if means and reference < position else 0 for means, reference in references]
        for column, value in zip(
            self._columns()[1:], (time, shape.number, *earlier, self._number(shape, event)), strict=True
        ):
            column[at] = value

    def clear(self, at: int) -> None:
        """Let nothing count in a row."""
        for column in self._columns()[1:]:
            column[at] = 0

    def find(self, position: int) -> int | None:
        """Return the place of an original's row, or None."""
        positions = self.positions
        at = bisect_left(positions, position)
        return at if at < len(positions) and positions[at] == position else None

    def row(self, at: int) -> Row:
        """Return the row at a place."""
        return Row(
            self.positions[at],
            self.times[at],
            SHAPES[self._shapes[at]],
            self.replies[at],
            self.refers[at],
            self.decisions[at],
            self._words[self._said[at]],
        )

    def shape(self, at: int) -> Shape:
        """Return the shape at a place."""
        return SHAPES[self._shapes[at]]

    def words(self, at: int) -> Words:
        """Return the words at a place."""
        return self._words[self._said[at]]

    def replying_to(self, positions: Set[int]) -> Iterator[int]:
        """Yield the places of rows that answer one of some positions."""
        replies = self.replies
        for position in positions:
            at = -1
            while True:
                try:
                    at = replies.index(position, at + 1)
                except ValueError:
                    break
                yield at

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

    def _number(self, shape: Shape, event: InteractionRecorded) -> int:
        topic, campaign = event.topic, event.campaign
        if shape.contact:
            words = (topic, event.contact_point_id, event.brand, event.sender_id, campaign)
        elif topic or campaign:
            words = (topic, "", "", "", campaign)
        else:
            return 0
        number = self._numbers.get(words)
        if number is None:
            number = self._numbers[words] = len(self._words)
            self._words.append(words)
        return number

    def _columns(self) -> "tuple[array[int], ...]":
        return (
            self.positions, self.times, self._shapes, self.replies, self.refers, self.decisions, self._said,
        )  # fmt: skip
