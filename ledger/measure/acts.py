"""What the customer did: acts in the order of their occur times, sessions, purchases, tones."""

from ledger.domain.fact import Fact
from ledger.domain.times import END_OF_TIME


class Acts:
    """Fold of the acts of one customer."""

    def __init__(self, until: int = END_OF_TIME) -> None:
        """Start empty; admit what occurred at or before `until`, in microseconds."""
        self._until = until

    def evolve(self, fact: Fact) -> None:
        """Fold one fact, in position order."""
        raise NotImplementedError
