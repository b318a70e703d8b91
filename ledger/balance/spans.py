"""Things that hold for a span of time, kept so that those of one instant are found without asking all."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Span(NamedTuple, Generic[T]):
    """Something that holds from a start, inclusive, to an end, exclusive. Microseconds."""

    end: int
    ordinal: int
    start: int
    item: T


class Spans(Generic[T]):
    """Spans ordered by their end: at the present few have not ended, and none ends later than the longest lasts."""

    __slots__ = ("_longest", "_made", "_spans")

    def __init__(self) -> None:
        self._spans: list[Span[T]] = []
        self._made = 0
        self._longest = 0

    def add(self, start: int, end: int, item: T) -> Span[T] | None:
        """Keep a span and return it; None for one that is empty, which holds at no time."""
        if end <= start:
            return None
        self._made += 1
        self._longest = max(self._longest, end - start)
        span = Span(end, self._made, start, item)
        insort(self._spans, span)
        return span

    def discard(self, span: Span[T] | None) -> None:
        """Forget a span that `add` returned."""
        if span is not None:
            del self._spans[bisect_left(self._spans, span)]

    def at(self, time: int) -> Iterator[T]:
        """Yield what holds at a time in microseconds."""
        spans = self._spans
        for i in range(bisect_left(spans, (time + 1,)), len(spans)):
            end, _, start, item = spans[i]
            if end > time + self._longest:
                return
            if start <= time:
                yield item
