"""What was said between the two, as far as measures count it and decisions about contacts do not."""

from ledger.domain.fact import Fact
from ledger.domain.times import END_OF_TIME


class Talk:
    """Fold of one relationship."""

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order."""
        raise NotImplementedError
