"""Relationships measured, for answers: the record of the view, what is published, and the instant.

Now is answered from the records kept; the past, a person, and what others have recorded meanwhile are folded anew. What
is published obeys the view's position, not its time: from when on a version counts is in the version.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.contact.person import person
from ledger.domain.fact import Fact
from ledger.domain.identifiers import customer_of, organization_of, policy_stream
from ledger.domain.policy import PolicyState
from ledger.domain.relationship import RelationshipState
from ledger.domain.times import END_OF_TIME
from ledger.ledger import Ledger
from ledger.measure.joining import apart
from ledger.measure.measured import Measured
from ledger.measure.outlook import outlook_of
from ledger.measure.record import Record
from ledger.views import Look, View
from rapport.events.v1.relationship_policy_pb2 import RelationshipPolicy
from rapport.relationship.v1.explaining_pb2 import UnderPolicy
from rapport.type.v1.as_of_pb2 import AsOf
from rapport.type.v1.levels_pb2 import VIEW_SCOPE_PERSON, VIEW_SCOPE_RELATIONSHIP, ViewScope
from services.runtime.records import Records

_ATTEMPTS: Final = 8
"""Times that one who keeps being overtaken asks for now again, before he gets a fold of his own."""


class Asked(NamedTuple):
    """How a relationship is asked for."""

    as_of: AsOf
    under: UnderPolicy | None = None
    """None: the policy in force."""
    scope: ViewScope.ValueType = VIEW_SCOPE_RELATIONSHIP

    @property
    def now(self) -> bool:
        """Whether it is one relationship as it is now, with everything recorded."""
        return not self.as_of.ListFields() and self.scope != VIEW_SCOPE_PERSON

    @property
    def policy(self) -> RelationshipPolicy | int | None:
        """The policy of a what-if: a version, or one that was not published."""
        if self.under is None or self.under.WhichOneof("policy") is None:
            return None
        return self.under.version if self.under.WhichOneof("policy") == "version" else self.under.unpublished


class Sight(NamedTuple):
    """One relationship, or one person, in a view."""

    measured: Measured
    """To be read before the next await, unless it was folded for its reader alone."""
    look: Look
    """The relationship's own state in the view."""
    customer_ids: tuple[str, ...]
    """Whose facts were folded, in order."""


class Measuring:
    """Measures relationships. Lives on one event loop."""

    def __init__(self, ledger: Ledger, records: Records) -> None:
        self._ledger = ledger
        self._records = records

    async def sight(self, stream_id: str, asked: Asked, min_position: int = 0) -> Sight | None:
        """Return a relationship in a view; None: nothing is recorded of it there.

        Raises:
            Rejected: as `Ledger.look`; POLICY_UNKNOWN; what publishing the policy would be refused for.
        """
        if asked.now:
            policies = policy_stream(organization_of(stream_id))
            for _ in range(_ATTEMPTS):
                now = await self._records.now(stream_id, policies, min_position)
                if now is None:
                    continue
                if now.fold is None or not now.fold.version:
                    return None
                published: PolicyState | None = self._ledger.glance(policies, now.beside)
                if published is not None:
                    return _of_record(stream_id, now.fold, now.view, published, asked)
        return await self.past(stream_id, await self._ledger.resolve(asked.as_of, min_position), asked)

    async def of_look(self, stream_id: str, look: Look, policy_version: int, asked: Asked) -> Sight | None:
        """Return a relationship as a look at it shows it; None: nothing is recorded of it.

        `policy_version`: version of the organization's policy stream in the same view.
        """
        if not look.version:
            return None
        record = await self._records.at_version(stream_id, look.version, look.view.position)
        published: PolicyState | None = self._ledger.glance(policy_stream(organization_of(stream_id)))
        if record is None or published is None or published.version != policy_version:
            return await self.past(stream_id, look.view, asked)  # Others moved on meanwhile.
        return _of_record(stream_id, record, look.view, published, asked)

    async def past(self, stream_id: str, view: View, asked: Asked) -> Sight | None:
        """Return a relationship in a view, folded for its reader alone; None: nothing is recorded of it there.

        Raises:
            Rejected: KNOWN_AT_INSIDE_BATCH; as `sight`.
        """
        own = Record(view.occur_time)
        await self._ledger.feed(stream_id, view, own.evolve)
        if not own.version:
            return None
        record, streams = own, [stream_id]
        if asked.scope == VIEW_SCOPE_PERSON:
            streams += await linked_streams(self._ledger, stream_id, own.state, view)
            record = await self._folded(streams, view) if len(streams) > 1 else own
        known = View(END_OF_TIME, view.position)
        published: PolicyState = (await self._ledger.state_at(policy_stream(organization_of(stream_id)), known)).state
        outlook = outlook_of(published, view.occur_time, asked.policy)
        look = Look(record.state, view, own.version, own.state.last_position)
        return Sight(Measured(record, outlook, view.occur_time), look, tuple(sorted(map(customer_of, streams))))

    async def _folded(self, streams: Sequence[str], view: View) -> Record:
        """Return the record of several streams, folded in the order of positions."""
        record = Record(view.occur_time)
        for fact in await self.facts(streams, view):
            record.evolve(fact)
        return record

    async def facts(self, streams: Sequence[str], view: View) -> list[Fact]:
        """Return the facts of some streams up to the position of a view, in the order of positions.

        Those of several streams as facts of one person (`joining.py`).
        """
        plain = view._replace(given=False)
        each_of = [await self._ledger.facts(name, plain) for name in streams]
        if len(streams) == 1:
            return each_of[0]
        joined = (map(apart(customer_of(name)), facts) for name, facts in zip(streams, each_of, strict=True))
        return list(heapq.merge(*joined, key=lambda each: each.position))


def _of_record(stream_id: str, record: Record, view: View, published: PolicyState, asked: Asked) -> Sight:
    """Return a relationship by its record and what is published, both just found to be what a view shows."""
    measured = Measured(record, outlook_of(published, view.occur_time, asked.policy), view.occur_time)
    look = Look(record.state, view, record.version, record.state.last_position)
    return Sight(measured, look, (customer_of(stream_id),))


async def linked_streams(ledger: Ledger, stream_id: str, own: RelationshipState, view: View) -> tuple[str, ...]:
    """Return the streams of the others who are the same person as a customer in a view, in order of their ids."""
    states = {stream_id: own}
    while missing := person(stream_id, states).missing:
        for name in sorted(missing):
            states[name] = (await ledger.state_at(name, view._replace(given=False))).state
    return person(stream_id, states).linked
