"""What can be wrong with a mapping, and with a line."""

from __future__ import annotations


class MappingError(ValueError):
    """The mapping cannot be used. The message names the place, what is wrong and what would be right."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")


class LineFault(ValueError):
    """A line cannot become records. The message is the reason that goes into the rejects file."""
