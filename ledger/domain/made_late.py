"""Parts that are made when first asked for: of most folds most parts stay empty, and folds are made by the thousand."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar


class MadeLate:
    """Base of folds with such parts. Each is a slot, so that it costs nothing more once it is there."""

    __slots__ = ()

    LATE: ClassVar[Mapping[str, Callable[[], object]]] = {}
    """What makes the parts, by the names of their slots."""

    def __getattr__(self, name: str) -> Any:
        """Make a part; nobody comes here for what is there."""
        make = self.LATE.get(name)
        if make is None:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        part = make()
        setattr(self, name, part)
        return part
