"""What organizations have published, as far as the log was looked through; each outlook holds until it is taken anew.

A look at a relationship is under the outlook that was taken last: with an event of the organization's own stream, or at
the instant from which another version counts. So every relationship passes from one policy to the next at one place of
the order, where `policy_reevaluated` is announced, and nowhere else.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from ledger.domain.identifiers import policy_stream
from ledger.domain.policy import PolicyState
from ledger.log import reading
from ledger.log.store import Store
from ledger.measure.outlook import Outlook, next_policy_change, outlook_of

_ORGANIZATIONS_MAX: Final = 1_000
_PAGE_EVENTS: Final = 1_000


class Taken(NamedTuple):
    """An outlook, and the state that it was taken of."""

    published: PolicyState
    outlook: Outlook
    at: int
    """The instant at which it was taken. Microseconds."""

    @property
    def next_change(self) -> int | None:
        """When another published version comes into force, in microseconds, or None."""
        return next_policy_change(self.published, self.at)


class Outlooks:
    """Outlooks by organization."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._taken: OrderedDict[str, Taken] = OrderedDict()

    def known(self, organization_id: str) -> Taken | None:
        """Return the outlook of an organization, if it is in memory."""
        taken = self._taken.get(organization_id)
        if taken is not None:
            self._taken.move_to_end(organization_id)
        return taken

    def fold(self, organization_id: str, position: int, at: int) -> Taken:
        """Return, and keep, the outlook at an instant, in microseconds, of what was published up to a position."""
        published = self.published(organization_id, position)
        taken = Taken(published, outlook_of(published, at), at)
        self.keep(organization_id, taken)
        return taken

    def published(self, organization_id: str, position: int) -> PolicyState:
        """Return what an organization had published up to a position, folded from its stream."""
        state, version = PolicyState(), 0
        while rows := self._store.read_stream(policy_stream(organization_id), version, _PAGE_EVENTS, position):
            for fact in reading.facts(rows):
                state.evolve(fact)
            version = rows[-1].version
            if len(rows) < _PAGE_EVENTS:
                break
        return state

    def keep(self, organization_id: str, taken: Taken) -> None:
        """Let an outlook hold from now on."""
        self._taken[organization_id] = taken
        self._taken.move_to_end(organization_id)
        while len(self._taken) > _ORGANIZATIONS_MAX:
            self._taken.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._taken.clear()
