"""Who spoke when: moments of what was said between the two, by who said it to whom and how."""

from ledger.domain.moments import Moments
from ledger.measure.talk_shapes import BEGUN, IN, OUT, TOGETHER


class Speech:
    """Addressed communications of one relationship but those that bounced."""

    __slots__ = ("inbound", "mutual", "outbound", "spoken", "together")

    def __init__(self) -> None:
        self.inbound = Moments()
        """To us, mutual ones among them."""
        self.outbound = Moments()
        """To the customer, mutual ones among them."""
        self.mutual = Moments()
        """Those that are among both."""
        self.together = Moments()
        """Those in which both take part at the same time: a call, a meeting, a chat, or face to face; each once."""
        self.spoken: dict[int, Moments] = {}
        """Those that the customer began, by kind."""

    def add(self, time: int, position: int, kind: int, way: int) -> None:
        """Put one in its place. `way`: as `talk_shapes` has it."""
        for moments in self._of(kind, way):
            moments.add(time, position)

    def remove(self, time: int, position: int, kind: int, way: int) -> None:
        """Remove what was added with exactly these."""
        for moments in self._of(kind, way):
            moments.remove(time, position)

    def _of(self, kind: int, way: int) -> list[Moments]:
        """Return where a communication belongs."""
        found = []
        if way & IN:
            found.append(self.inbound)
        if way & OUT:
            found.append(self.outbound)
            if way & IN:
                found.append(self.mutual)
        if way & TOGETHER:
            found.append(self.together)
        if way & BEGUN:
            spoken = self.spoken.get(kind)
            if spoken is None:
                spoken = self.spoken[kind] = Moments()
            found.append(spoken)
        return found
